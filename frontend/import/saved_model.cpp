#include "frontend/import/saved_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include "frontend/files/bytes.hpp"
#include "frontend/files/hdf5.hpp"
#include "frontend/files/json.hpp"
#include "frontend/files/zip.hpp"
#include "frontend/import/layer_config.hpp"
#include "ir/base/sha256.hpp"

namespace tusk {
namespace {

using nlohmann::json;

constexpr const char* kConfig = "config.json";
constexpr const char* kMetadata = "metadata.json";
constexpr const char* kWeights = "model.weights.h5";
// A configuration is a few kilobytes; the largest hold constants as nested lists. What is read of it takes up to
// kConfigCost times its size.
constexpr std::uint64_t kMaxConfig = std::uint64_t{64} << 20;
constexpr std::uint64_t kSmallConfig = std::uint64_t{256} << 10;
constexpr std::uint64_t kConfigCost = 16;

/// What can be asked of an archive and of an unpacked one alike.
struct Container {
  std::string name;
  std::optional<std::uint64_t> stored;  // bytes of the archive
  std::uint64_t claimed = 0;            // bytes of all its members
  std::function<bool(const std::string&)> has;
  std::function<Expected<Bytes>(const std::string&, std::uint64_t max_size)> read;
};

Diagnostic missing(const Container& container, std::string_view member) {
  return error("archive-member", fmt::format("{} is missing in {}", member, in_quotes(container.name)));
}

Expected<json> read_json(const Container& container, const std::string& member) {
  // A small archive has no large configuration beside large weights, however well that was compressed.
  std::uint64_t limit = kMaxConfig;
  if (container.stored) {
    const std::uint64_t room = plausible_size(*container.stored);
    limit = std::clamp((room - std::min(room, container.claimed)) / kConfigCost, kSmallConfig, kMaxConfig);
  }
  TRY(const Bytes bytes, container.read(member, limit));
  return parse_json(text_of(bytes), fmt::format("{} of {}", member, in_quotes(container.name)), "optimizer_map");
}

/// The object of a model: {"class_name": ..., "config": ...}.
Status check_config(const json& config, std::string_view where) {
  if (layer_config::is_envelope(config)) return done();
  return error("config", fmt::format("{} holds no model: expected an object with class_name and config", where));
}

Expected<Weights> read_container_weights(const Container& container) {
  if (!container.has(kWeights)) {
    Diagnostic problem = missing(container, kWeights);
    if (container.has("model.weights.npz")) {
      problem.note(
          "model.weights.npz holds Python pickles, which are never read: save the model with its weights in HDF5");
    } else if (container.has("model.weights.json")) {
      problem.note("its weights are sharded: save the model again without max_shard_size");
    }
    return problem;
  }
  TRY(Bytes bytes, container.read(kWeights, ZipReader::kMaxMember));
  TRY(const Hdf5File file,
      Hdf5File::from_bytes(std::move(bytes), fmt::format("{}: {}", container.name, kWeights), container.stored));
  return Weights::read(file);
}

Expected<SavedModel> read_container(const Container& container) {
  SavedModel model;
  model.file = container.name;
  if (!container.has(kConfig)) return missing(container, kConfig);
  TRY(model.config, read_json(container, kConfig));
  CHECK(check_config(model.config, fmt::format("{} of {}", kConfig, in_quotes(container.name))));
  if (container.has(kMetadata)) {
    TRY(const json metadata, read_json(container, kMetadata));
    model.keras_version = text_member(metadata, "keras_version");
  }
  TRY(model.weights, read_container_weights(container));
  return model;
}

Container container_of(const ZipReader& zip, const std::string& name, std::uint64_t stored) {
  std::uint64_t claimed = 0;
  for (const ZipMember& member : zip.members()) claimed += member.size;
  return {name, stored, claimed, [zip](const std::string& member) { return zip.has(member); },
          [zip](const std::string& member, std::uint64_t max_size) { return zip.read(member, max_size); }};
}

Container container_of(const std::filesystem::path& folder) {
  return {folder.string(),
          {},
          0,
          [folder](const std::string& member) {
            std::error_code code;
            return std::filesystem::is_regular_file(folder / member, code);
          },
          [folder](const std::string& member, std::uint64_t) { return read_file(folder / member); }};
}

/// What a file without an architecture can be used for.
Diagnostic weights_only(const std::string& name) {
  return error("weights-only", fmt::format("{} holds weights only: it has no model_config", in_quotes(name)))
      .note("it was written by save_weights, or by save_weights_only=True: the architecture is not in it")
      .note("save the whole model with model.save(\"NAME.keras\"), or give the file of model.to_json() beside it");
}

Expected<SavedModel> read_hdf5_model(const Hdf5File& file) {
  SavedModel model;
  model.file = file.name();
  TRY(const auto config, file.string_attribute("", "model_config"));
  if (!config) {
    TRY(const auto layers, file.strings_attribute("", "layer_names"));
    if (layers || file.has("layers") || file.has("vars") || file.has("_layer_checkpoint_dependencies")) {
      return weights_only(file.name());
    }
    return error("archive-format", fmt::format("{} is HDF5 but holds no Keras model: attribute model_config is missing",
                                               in_quotes(file.name())));
  }
  const std::string where = fmt::format("model_config of {}", in_quotes(file.name()));
  TRY(model.config, parse_json(*config, where));
  CHECK(check_config(model.config, where));
  // Who only runs the model does without it.
  if (auto training = file.string_attribute("", "training_config"); training && *training)
    model.training_config = **std::move(training);
  TRY(auto version, file.string_attribute("", "keras_version"));
  model.keras_version = version ? *std::move(version) : text_member(model.config, "keras_version");
  if (!file.has("model_weights")) {
    return error("archive-member", fmt::format("group model_weights is missing in {}", in_quotes(file.name())));
  }
  TRY(model.weights, Weights::read(file));
  return model;
}

Diagnostic not_keras(const std::string& name, std::string_view why) {
  return error("archive-format", fmt::format("{} is not a Keras archive: {}", in_quotes(name), why));
}

/// Opens what the bytes of a file are and passes it on: `of_container` gets an archive, `of_hdf5` a legacy file.
template <class T>
Expected<T> open_bytes(Bytes bytes, const std::string& name, Expected<T> (*of_container)(const Container&),
                       Expected<T> (*of_hdf5)(const Hdf5File&)) try {
  if (bytes.empty()) return not_keras(name, "the file is empty");
  if (looks_like_zip(bytes)) {
    const std::uint64_t stored = bytes.size();
    TRY(const ZipReader zip, ZipReader::from_bytes(std::make_shared<const Bytes>(std::move(bytes)), name));
    return of_container(container_of(zip, name, stored));
  }
  if (looks_like_hdf5(bytes)) {
    const auto file = Hdf5File::from_bytes(std::move(bytes), name);
    if (!file && file.problem().code == "hdf5-cut") return file.problem();
    if (!file) return not_keras(name, "it begins like HDF5 but is damaged").note(file.problem().message);
    return of_hdf5(*file);
  }
  const std::size_t first = text_of(bytes).find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && text_of(bytes)[first] == '{') {
    TRY(const nlohmann::json config, parse_json(text_of(bytes), in_quotes(name)));
    return not_keras(name, "it is JSON, an architecture without weights").note("give its weights file beside it");
  }
  return not_keras(name, "neither a ZIP archive nor HDF5");
} catch (const std::bad_alloc&) {
  return error("file-access", fmt::format("not enough memory to read {}", in_quotes(name)));
}

/// Likewise any kind of file, or the folder of an unpacked archive.
template <class T>
Expected<T> open_any(const std::filesystem::path& path, std::string* sha256,
                     Expected<T> (*of_container)(const Container&), Expected<T> (*of_hdf5)(const Hdf5File&)) {
  std::error_code code;
  if (std::filesystem::is_directory(path, code)) {
    const Container folder = container_of(path);
    if (folder.has(kWeights)) {
      TRY(const Bytes weights, read_file(path / kWeights));
      if (sha256 != nullptr) *sha256 = sha256_hex(weights);
    }
    return of_container(folder);
  }
  TRY(Bytes bytes, read_file(path));
  if (sha256 != nullptr) *sha256 = sha256_hex(bytes);
  return open_bytes(std::move(bytes), path.string(), of_container, of_hdf5);
}

}  // namespace

int SavedModel::keras_major() const {
  int major = 0;
  const auto [end, code] = std::from_chars(keras_version.data(), keras_version.data() + keras_version.size(), major);
  if (code == std::errc() && major >= 1) return major > 3 ? 3 : major;
  // Keras 1 wrote no version. The newer formats always name the module of the model.
  const std::string module = text_member(config, "module");
  if (module.empty()) return 1;
  return module.find(".engine.") != std::string::npos ? 2 : 3;
}

Expected<SavedModel> read_saved_model(const std::filesystem::path& path) {
  std::string sha256;
  TRY(SavedModel model, open_any<SavedModel>(path, &sha256, read_container, read_hdf5_model));
  model.file = path.string();
  model.sha256 = std::move(sha256);
  return model;
}

Expected<SavedModel> read_saved_model(Bytes bytes, const std::string& name) {
  std::string sha256 = sha256_hex(bytes);
  TRY(SavedModel model, open_bytes<SavedModel>(std::move(bytes), name, read_container, read_hdf5_model));
  model.file = name;
  model.sha256 = std::move(sha256);
  return model;
}

namespace {

Expected<SavedModel> read_json_model(const Bytes& text, const std::string& name) {
  SavedModel model;
  TRY(model.config, parse_json(text_of(text), in_quotes(name)));
  CHECK(check_config(model.config, in_quotes(name)));
  model.keras_version = text_member(model.config, "keras_version");
  model.file = name;
  return model;
}

bool is_json(const Bytes& bytes, const std::filesystem::path& name) {
  const std::size_t first = text_of(bytes).find_first_not_of(" \t\r\n");
  return name.extension() == ".json" || (first != std::string_view::npos && text_of(bytes)[first] == '{');
}

}  // namespace

Expected<SavedModel> read_saved_architecture(const std::filesystem::path& path) {
  std::error_code code;
  if (std::filesystem::is_directory(path, code)) return read_saved_model(path);
  TRY(const Bytes bytes, read_file(path));
  return is_json(bytes, path) ? read_json_model(bytes, path.string()) : read_saved_model(path);
}

Expected<SavedModel> read_saved_architecture(Bytes bytes, const std::string& name) {
  return is_json(bytes, name) ? read_json_model(bytes, name) : read_saved_model(std::move(bytes), name);
}

Expected<SavedModel> read_saved_model(const std::filesystem::path& architecture, const std::filesystem::path& weights) {
  TRY(const Bytes text, read_file(architecture));
  TRY(SavedModel model, read_json_model(text, architecture.string()));
  TRY(model.weights, open_any<Weights>(weights, &model.sha256, read_container_weights, Weights::read));
  model.file = weights.string();
  return model;
}

Expected<Weights> read_weights(const std::filesystem::path& path) {
  return open_any<Weights>(path, nullptr, read_container_weights, Weights::read);
}

}  // namespace tusk
