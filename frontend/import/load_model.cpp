#include "frontend/import/load_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "frontend/files/bytes.hpp"
#include "frontend/files/json.hpp"
#include "frontend/import/compile_config.hpp"
#include "frontend/import/keras1.hpp"
#include "frontend/import/keras2_compile.hpp"
#include "frontend/import/load_weights.hpp"
#include "frontend/import/model_config.hpp"
#include "frontend/import/saved_model.hpp"
#include "frontend/import/weights.hpp"
#include "frontend/training/optimizer_state.hpp"

namespace tusk {
namespace {

/// Says in the file's own tree what the layers of the model want.
void want(LayerWeights& tree, const ConfiguredModel& configured, bool frozen) {
  for (LayerWeights& layer : tree.layers) {
    const auto found = configured.layers.find(layer.name);
    if (found == configured.layers.end()) continue;
    layer.any = false;
    const bool is_frozen = frozen || !found->second.base().trainable();
    if (const auto inner = configured.inner.find(layer.name); inner != configured.inner.end()) {
      want(layer, *inner->second, is_frozen);
      continue;
    }
    if (layer.layers.empty()) add_parts(layer, found->second.base());
    // A layer around others has frozen and trainable ones in one list.
    const std::vector<Variable> trained = found->second.base().trainable_weights();
    for (const Variable& variable : found->second.weights()) {
      const bool is_trained = !is_frozen && std::ranges::find(trained, variable) != trained.end();
      layer.variables.push_back({variable.name(), variable.shape(), is_trained});
    }
  }
}

void assign(const LayerWeights& tree, const ConfiguredModel& configured) {
  for (const LayerWeights& layer : tree.layers) {
    if (const auto inner = configured.inner.find(layer.name); inner != configured.inner.end()) {
      assign(layer, *inner->second);
    } else if (const auto found = configured.layers.find(layer.name); found != configured.layers.end()) {
      found->second.set_weights(layer.arrays);
    }
  }
}

Status fill(SavedModel& saved, const ConfiguredModel& configured) {
  LayerWeights tree = layer_tree(saved.config);
  want(tree, configured, false);
  CHECK(saved.weights.fill(tree));
  CHECK(catch_errors([&] {
    assign(tree, configured);
    return Done{};
  }));
  const std::vector<std::string> unused = saved.weights.unused();
  if (unused.empty()) return done();
  Diagnostic problem = error("weights-unused", fmt::format("{} arrays of the file belong to no layer", unused.size()));
  for (const std::string& path : unused) problem.note(in_quotes(path));
  return problem;
}

Expected<LoadedModel> interpreted(SavedModel& saved) {
  if (saved.keras_major() == 1) modernize_keras1(saved.config);
  TRY(ConfiguredModel configured, catch_errors([&] { return model_from_config(saved.config, saved.keras_major()); }));
  CHECK(fill(saved, configured));
  return LoadedModel{std::move(configured.model), saved.file, saved.sha256, saved.keras_version, {}};
}

/// How it was compiled, and the optimizer's state.
Status compile_as_saved(const Model& model, const SavedModel& saved) {
  nlohmann::json config = saved.config.value("compile_config", nlohmann::json());
  if (!saved.training_config.empty()) {
    TRY(config, parse_json(saved.training_config, "training_config", "optimizer_map"));
  }
  if (config.empty()) return done();
  TRY(std::vector<Array> state, saved.weights.optimizer());
  return catch_errors([&] {
    if (saved.keras_major() < 3) {
      const nlohmann::json given = config;
      modernize_compile(config, model.output_names(), !saved.training_config.empty());
      model.compile(compile_options_from(config));
      state = modern_state(given, model.optimizer(), model, std::move(state));
      if (!state.empty()) set_optimizer_state(model.optimizer(), model, state);
      return Done{};
    }
    model.compile(compile_options_from(config));
    if (state.empty()) return Done{};
    // Saved before its first step, an optimizer may not have had all of its variables.
    if (!fits_optimizer(model.optimizer(), model, state)) {
      if (is_unbuilt_state(state)) return Done{};
      // That the policy of a model was mixed_float16 files do not say; that the loss was scaled its state does.
      const DtypePolicy policy = model.base().dtype_policy();
      model.base().set_dtype_policy(DtypePolicy::named("mixed_float16"));
      model.compile(compile_options_from(config));
      if (!fits_optimizer(model.optimizer(), model, state)) {
        model.base().set_dtype_policy(policy);
        model.compile(compile_options_from(config));
      }
    }
    set_optimizer_state(model.optimizer(), model, state);
    return Done{};
  });
}

template <class T>
Expected<T> naming(const std::filesystem::path& path, Expected<T> expected) {
  if (expected) return expected;
  Diagnostic problem = expected.problem();
  if (problem.message.find(path.string()) == std::string::npos) problem.note("in file " + in_quotes(path.string()));
  return problem;
}

}  // namespace

Expected<LoadedModel> read_model(const std::filesystem::path& path, const LoadOptions& options) {
  Expected<SavedModel> saved = read_saved_model(path);
  if (!saved) return naming<LoadedModel>(path, saved.problem());
  Expected<LoadedModel> loaded = interpreted(*saved);
  const Status compiled = loaded && options.compile ? compile_as_saved(loaded->model, *saved) : done();
  if (compiled) return naming(path, std::move(loaded));
  Diagnostic problem = compiled.problem();
  return naming<LoadedModel>(path, problem.note("load_model(path, {.compile = false}) leaves out how it was compiled"));
}

Expected<LoadedModel> read_model(Bytes bytes, const std::string& name) {
  Expected<SavedModel> saved = read_saved_model(std::move(bytes), name);
  if (!saved) return naming<LoadedModel>(name, saved.problem());
  return naming(name, interpreted(*saved));
}

Expected<LoadedModel> read_model(const std::filesystem::path& architecture, const std::filesystem::path& weights) {
  Expected<SavedModel> saved = read_saved_model(architecture, weights);
  if (!saved) {
    const bool names_it = saved.problem().message.find(architecture.string()) != std::string::npos;
    return naming<LoadedModel>(names_it ? architecture : weights, saved.problem());
  }
  return naming(architecture, interpreted(*saved));
}

namespace {

Expected<LoadedModel> without_weights(const std::filesystem::path& path, Expected<SavedModel> saved) {
  if (!saved) return naming<LoadedModel>(path, saved.problem());
  if (saved->keras_major() == 1) modernize_keras1(saved->config);
  Expected<ConfiguredModel> configured =
      catch_errors([&] { return model_from_config(saved->config, saved->keras_major()); });
  if (!configured) return naming<LoadedModel>(path, configured.problem());
  Expected<std::vector<Array>> optimizer = saved->weights.optimizer();
  if (!optimizer) return naming<LoadedModel>(path, optimizer.problem());
  return LoadedModel{std::move(configured->model), saved->file, saved->sha256, saved->keras_version,
                     *std::move(optimizer)};
}

}  // namespace

Expected<LoadedModel> read_architecture(const std::filesystem::path& path) {
  return without_weights(path, read_saved_architecture(path));
}

Expected<LoadedModel> read_architecture(Bytes bytes, const std::string& name) {
  return without_weights(name, read_saved_architecture(std::move(bytes), name));
}

Expected<Model> load_model_checked(const std::filesystem::path& path, const LoadOptions& options) {
  TRY(LoadedModel loaded, read_model(path, options));
  return std::move(loaded.model);
}

Model load_model(const std::filesystem::path& path, const LoadOptions& options) {
  return value_or_throw(load_model_checked(path, options));
}

}  // namespace tusk
