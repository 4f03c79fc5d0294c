#include "frontend/export/save_model.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "frontend/export/compile_config.hpp"
#include "frontend/export/config.hpp"
#include "frontend/export/legacy_h5.hpp"
#include "frontend/export/weight_tree.hpp"
#include "frontend/files/hdf5_writer.hpp"
#include "frontend/files/json.hpp"
#include "frontend/files/zip.hpp"
#include "frontend/training/trainer.hpp"

namespace tusk {
namespace {

Bytes copied(std::string_view text) {
  const auto span = bytes_of(text);
  return {span.begin(), span.end()};
}

bool is_legacy(const std::filesystem::path& path) { return path.extension() == ".h5" || path.extension() == ".hdf5"; }

Status check_name(const std::filesystem::path& path, std::string_view ending, std::string_view what) {
  if (path.filename().string().ends_with(ending)) return done();
  Diagnostic problem = error("save-name", fmt::format("{} is written to a file whose name ends in {}, found {}", what,
                                                      ending, in_quotes(path.string())));
  if (is_legacy(path) || path.extension() == ".keras")
    problem.note("whole models are written to NAME.keras or NAME.h5, weights alone to NAME.weights.h5");
  return problem;
}

const Trainer* trainer_or_null(const Model& model) { return model.functional().trainer.get(); }

nlohmann::ordered_json compile_config_of(const Model& model) {
  const Trainer* trainer = trainer_or_null(model);
  return trainer == nullptr ? nlohmann::ordered_json::object() : compile_config(trainer->options, trainer->optimizer);
}

}  // namespace

Expected<Bytes> weights_bytes(const Model& model) {
  const Trainer* trainer = trainer_or_null(model);
  TRY(const Hdf5Tree tree,
      catch_errors([&] { return weight_tree(model, trainer == nullptr ? Optimizer() : trainer->optimizer); }));
  return hdf5_bytes(tree);
}

Expected<Bytes> keras_bytes(const Model& model) {
  // Without the date: a file says what the model is, not when it was written.
  TRY(const std::string config, catch_errors([&] { return config_json(model, compile_config_of(model)); }));
  TRY(Bytes weights, weights_bytes(model));
  std::vector<ZipEntry> entries;
  entries.push_back({"metadata.json", copied(fmt::format(R"({{"keras_version": "{}"}})", kKerasVersion))});
  entries.push_back({"config.json", copied(config)});
  entries.push_back({"model.weights.h5", std::move(weights)});
  return zip_bytes(entries, ZipMethod::store);
}

Expected<Bytes> h5_bytes(const Model& model) {
  TRY(const Hdf5Tree tree, catch_errors([&] { return legacy_tree(model); }));
  return hdf5_bytes(tree);
}

Status save_model(const std::filesystem::path& path, const Model& model) {
  if (is_legacy(path)) {
    TRY(const Bytes bytes, h5_bytes(model));
    return write_file(path, bytes);
  }
  CHECK(check_name(path, ".keras", "a model"));
  TRY(const Bytes bytes, keras_bytes(model));
  return write_file(path, bytes);
}

Status save_weights(const std::filesystem::path& path, const Model& model) {
  CHECK(check_name(path, ".weights.h5", "a model's weights"));
  TRY(const Bytes bytes, weights_bytes(model));
  return write_file(path, bytes);
}

void Model::save(const std::string& path) const {
  const Status saved = save_model(path, *this);
  if (!saved) throw Error(saved.problem());
}

void Model::save_weights(const std::string& path) const {
  const Status saved = tusk::save_weights(path, *this);
  if (!saved) throw Error(saved.problem());
}

}  // namespace tusk
