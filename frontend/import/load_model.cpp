#include "frontend/import/load_model.hpp"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "frontend/files/bytes.hpp"
#include "frontend/import/model_config.hpp"
#include "frontend/import/saved_model.hpp"
#include "frontend/import/weights.hpp"

namespace tusk {
namespace {

/// The tree that the weights are found by: the file's own, with what the layers of the model want.
LayerWeights wanted(const SavedModel& saved, const ConfiguredModel& configured) {
  LayerWeights tree = layer_tree(saved.config);
  for (LayerWeights& layer : tree.layers) {
    const auto found = configured.layers.find(layer.name);
    if (found == configured.layers.end()) continue;
    layer.any = false;
    const bool frozen = configured.frozen.at(layer.name);
    for (const Variable& variable : found->second.weights()) {
      layer.variables.push_back({variable.name(), variable.shape(), variable.trainable() && !frozen});
    }
  }
  return tree;
}

Status fill(SavedModel& saved, const ConfiguredModel& configured) {
  LayerWeights tree = wanted(saved, configured);
  CHECK(saved.weights.fill(tree));
  for (const LayerWeights& layer : tree.layers) {
    const auto found = configured.layers.find(layer.name);
    if (found == configured.layers.end()) continue;
    const Layer& of = found->second;
    CHECK(catch_errors([&] {
      of.set_weights(layer.arrays);
      return Done{};
    }));
  }
  const std::vector<std::string> unused = saved.weights.unused();
  if (unused.empty()) return done();
  Diagnostic problem = error("weights-unused", fmt::format("{} arrays of the file belong to no layer", unused.size()));
  for (const std::string& path : unused) problem.note(in_quotes(path));
  return problem;
}

Expected<LoadedModel> interpreted(SavedModel saved) {
  TRY(ConfiguredModel configured, catch_errors([&] { return model_from_config(saved.config, saved.keras_major()); }));
  CHECK(fill(saved, configured));
  return LoadedModel{std::move(configured.model), saved.file, saved.sha256, saved.keras_version};
}

template <class T>
Expected<T> naming(const std::filesystem::path& path, Expected<T> expected) {
  if (expected) return expected;
  Diagnostic problem = expected.problem();
  if (problem.message.find(path.string()) == std::string::npos) problem.note("in file " + in_quotes(path.string()));
  return problem;
}

}  // namespace

Expected<LoadedModel> read_model(const std::filesystem::path& path) {
  Expected<SavedModel> saved = read_saved_model(path);
  if (!saved) return naming<LoadedModel>(path, saved.problem());
  return naming(path, interpreted(*std::move(saved)));
}

Expected<LoadedModel> read_model(const std::filesystem::path& architecture, const std::filesystem::path& weights) {
  Expected<SavedModel> saved = read_saved_model(architecture, weights);
  if (!saved) return naming<LoadedModel>(weights, saved.problem());
  return naming(architecture, interpreted(*std::move(saved)));
}

Expected<Model> load_model_checked(const std::filesystem::path& path) {
  TRY(LoadedModel loaded, read_model(path));
  return std::move(loaded.model);
}

Model load_model(const std::filesystem::path& path) { return value_or_throw(load_model_checked(path)); }

}  // namespace tusk
