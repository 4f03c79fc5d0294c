#include "frontend/import/load_weights.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "frontend/export/weight_tree.hpp"
#include "frontend/files/bytes.hpp"
#include "frontend/import/saved_model.hpp"
#include "frontend/import/weights.hpp"
#include "frontend/training/optimizer_state.hpp"

namespace tusk {
namespace {

bool is_hidden(const FunctionalImpl& model, const Layer& layer) {
  return model.class_name() == "Sequential" && dynamic_cast<const InputLayerImpl*>(&layer.base()) != nullptr;
}

LayerWeights node_of(const LayerBase& layer) {
  LayerWeights node;
  node.class_name = layer.class_name();
  node.name = layer.name();
  node.shared = fmt::format("{}", fmt::ptr(&layer));
  return node;
}

/// The model's layers as a tree that a file can fill.
LayerWeights tree_of(const LayerBase& layer, bool frozen) {
  LayerWeights node = node_of(layer);
  const bool is_frozen = frozen || !layer.trainable();
  if (const auto* model = dynamic_cast<const FunctionalImpl*>(&layer)) {
    for (const Layer& inner : model->layers) {
      if (!is_hidden(*model, inner)) node.layers.push_back(tree_of(inner.base(), is_frozen));
    }
    return node;
  }
  add_parts(node, layer);
  const std::vector<Variable> trained = layer.trainable_weights();
  for (const Variable& variable : layer.weights()) {
    const bool is_trained = !is_frozen && std::ranges::find(trained, variable) != trained.end();
    node.variables.push_back({variable.name(), variable.shape(), is_trained});
  }
  return node;
}

void assign(const LayerWeights& node, const Layer& layer) {
  const auto* model = dynamic_cast<const FunctionalImpl*>(&layer.base());
  if (model == nullptr) return layer.set_weights(node.arrays);
  std::size_t next = 0;
  for (const Layer& inner : model->layers) {
    if (!is_hidden(*model, inner)) assign(node.layers[next++], inner);
  }
}

}  // namespace

void add_parts(LayerWeights& node, const LayerBase& layer) {
  // Older files name the projections of an attention otherwise; they are found by their order.
  if (layer.class_name() == "MultiHeadAttention" || layer.class_name() == "GroupQueryAttention") return;
  const auto* model = dynamic_cast<const FunctionalImpl*>(&layer);
  const std::vector<Layer>& inside = model != nullptr ? model->layers : layer.children();
  for (std::size_t i = 0; i < inside.size(); ++i) {
    if (model != nullptr && is_hidden(*model, inside[i])) continue;
    LayerWeights part = node_of(inside[i].base());
    part.any = true;
    if (model == nullptr) part.part = part_name(layer, i);
    add_parts(part, inside[i].base());
    node.layers.push_back(std::move(part));
  }
}

Status load_weights(const std::filesystem::path& path, const Model& model) {
  TRY(Weights weights, read_weights(path));
  LayerWeights tree = tree_of(model.base(), false);
  CHECK(weights.fill(tree));
  const std::vector<std::string> unused = weights.unused();
  if (!unused.empty()) {
    Diagnostic problem = error(
        "weights-unused", fmt::format("{} arrays of {} belong to no layer", unused.size(), in_quotes(path.string())));
    for (const std::string& array : unused) problem.note(in_quotes(array));
    return problem;
  }
  std::vector<Array> optimizer;
  if (model.functional().trainer) {
    TRY(optimizer, weights.optimizer());
  }
  return catch_errors([&] {
    // As in Keras, an optimizer that is another one keeps its state.
    if (!optimizer.empty() && fits_optimizer(model.optimizer(), model, optimizer))
      set_optimizer_state(model.optimizer(), model, optimizer);
    assign(tree, model);
    return Done{};
  });
}

void Model::load_weights(const std::string& path) const {
  const Status loaded = tusk::load_weights(path, *this);
  if (!loaded) throw Error(loaded.problem());
}

}  // namespace tusk
