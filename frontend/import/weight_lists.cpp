// The legacy format: the group of a top-level layer lists its weights by name, trainable ones first; those of a nested
// model likewise, all trainable weights of the whole model before all others.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "frontend/files/bytes.hpp"
#include "frontend/import/weight_stores.hpp"

namespace tusk {
namespace {

class WeightLists : public Weights::Store {
 public:
  explicit WeightLists(const Hdf5File& file) : hdf5_(file), file_(file.name()) {}

  Status read();
  Status fill(LayerWeights& model) override;
  std::vector<std::string> unused() const override {
    std::vector<std::string> paths;
    const auto add = [&](const List& list) {
      if (list.used) return;
      for (const std::string& name : list.names) paths.push_back(fmt::format("{}/{}", list.layer, name));
    };
    for (const List& list : lists_) add(list);
    add(own_);
    std::sort(paths.begin(), paths.end());
    return paths;
  }

  Expected<std::vector<Array>> optimizer() const override {
    std::vector<Array> out;
    if (!hdf5_.has("optimizer_weights")) return out;
    TRY(const auto names, hdf5_.strings_attribute("optimizer_weights", "weight_names"));
    for (const std::string& name : names.value_or(std::vector<std::string>())) {
      TRY(Array array, hdf5_.array("optimizer_weights/" + name));
      out.push_back(std::move(array));
    }
    return out;
  }

 private:
  struct List {
    std::string layer;
    std::string group;
    std::vector<std::string> names;
    bool used = false;
  };
  /// A variable that wants an array.
  struct Want {
    const VariableSpec* variable;
    Array* array;
    LayerPath path;
  };

  Status read_list(std::string group, std::string layer);
  /// Variables of a layer and of those inside it, in the order of Keras' `weights`.
  void collect(LayerWeights& layer, LayerPath& path, std::vector<Want>& wants,
               std::vector<std::pair<LayerWeights*, LayerWeights*>>& copies, std::map<std::string, LayerWeights*>& met);
  Status fill_layer(LayerWeights& layer, List& list);

  Hdf5File hdf5_;
  std::string file_;
  std::vector<List> lists_;  // of the layers with weights, in the order of the file
  List own_;                 // of the model itself
};

std::string in_group(const std::string& group, std::string_view child) {
  return group.empty() ? std::string(child) : fmt::format("{}/{}", group, child);
}

Status WeightLists::read() {
  const std::string root = hdf5_.has("model_weights") ? "model_weights" : "";
  TRY(const auto layers, hdf5_.strings_attribute(root, "layer_names"));
  if (!layers) return error("weights", fmt::format("{} has no list layer_names", in_quotes(file_)));
  for (const std::string& layer : *layers) CHECK(read_list(in_group(root, layer), layer));
  const std::string own = in_group(root, "top_level_model_weights");
  if (hdf5_.has(own) && std::find(layers->begin(), layers->end(), "top_level_model_weights") == layers->end()) {
    CHECK(read_list(own, "top_level_model_weights"));
    if (!lists_.empty() && lists_.back().layer == "top_level_model_weights") {
      own_ = std::move(lists_.back());
      lists_.pop_back();
    }
  }
  return done();
}

Status WeightLists::read_list(std::string group, std::string layer) {
  TRY(auto names, hdf5_.strings_attribute(group, "weight_names"));
  if (!names) {
    return error("weights", fmt::format("layer {} of {} has no list weight_names", in_quotes(layer), in_quotes(file_)));
  }
  if (!names->empty()) lists_.push_back({std::move(layer), std::move(group), *std::move(names)});
  return done();
}

void WeightLists::collect(LayerWeights& layer, LayerPath& path, std::vector<Want>& wants,
                          std::vector<std::pair<LayerWeights*, LayerWeights*>>& copies,
                          std::map<std::string, LayerWeights*>& met) {
  if (!layer.shared.empty()) {
    const auto [first, is_new] = met.emplace(layer.shared, &layer);
    if (!is_new) {
      copies.emplace_back(first->second, &layer);
      return;
    }
  }
  path.push_back(layer.name);
  layer.arrays.assign(layer.variables.size(), Array());
  for (std::size_t i = 0; i < layer.variables.size(); ++i) {
    wants.push_back({&layer.variables[i], &layer.arrays[i], path});
  }
  if (!wants_inner(layer)) {
    for (LayerWeights& inner : layer.layers) collect(inner, path, wants, copies, met);
  }
  path.pop_back();
}

bool wants_any(const LayerWeights& layer) {
  if (wants_inner(layer)) return false;
  return layer.any || std::any_of(layer.layers.begin(), layer.layers.end(), wants_any);
}

bool all_any(const LayerWeights& layer) {
  return layer.any && std::all_of(layer.layers.begin(), layer.layers.end(), all_any);
}

bool wants_weights(const LayerWeights& layer) {
  return !layer.variables.empty() || std::any_of(layer.layers.begin(), layer.layers.end(), wants_weights);
}

Status WeightLists::fill_layer(LayerWeights& layer, List& list) {
  LayerPath path;
  if (wants_any(layer)) {
    // Without the variables of the layers inside, the list cannot be divided among them.
    path.push_back(layer.name);
    if (!all_any(layer)) {
      return weight_error(path,
                          fmt::format("the weights of {} are one list; all of its layers must say their variables",
                                      in_quotes(layer.name)));
    }
    layer.arrays.clear();
    for (const std::string& name : list.names) {
      TRY(Array array, read_weight(hdf5_, in_group(list.group, name), path, nullptr));
      layer.arrays.push_back(std::move(array));
    }
    list.used = true;
    return done();
  }
  std::vector<Want> wants;
  std::vector<std::pair<LayerWeights*, LayerWeights*>> copies;
  std::map<std::string, LayerWeights*> met;
  collect(layer, path, wants, copies, met);
  std::stable_partition(wants.begin(), wants.end(), [](const Want& want) { return want.variable->trainable; });
  if (wants.size() != list.names.size()) {
    std::vector<VariableSpec> variables;
    for (const Want& want : wants) variables.push_back(*want.variable);
    path.push_back(layer.name);
    return weight_error(
        path, fmt::format("layer {} has {}, {} has {} for layer {}", in_quotes(layer.name), count_text(variables),
                          in_quotes(file_), list.names.size(), in_quotes(list.layer)));
  }
  for (std::size_t i = 0; i < wants.size(); ++i) {
    TRY(*wants[i].array, read_weight(hdf5_, in_group(list.group, list.names[i]), wants[i].path, wants[i].variable));
  }
  for (const auto& [first, again] : copies) {
    again->arrays = first->arrays;
    again->layers = first->layers;
  }
  list.used = true;
  return done();
}

Status WeightLists::fill(LayerWeights& model) {
  if (!model.variables.empty() || (model.any && !own_.names.empty())) {
    LayerWeights own{model.class_name, model.name, model.variables, model.any, {}, {}, {}};
    CHECK(fill_layer(own, own_));
    model.arrays = std::move(own.arrays);
  }
  const auto list_of = [&](const LayerWeights& layer) {
    return std::find_if(lists_.begin(), lists_.end(), [&](const List& list) { return list.layer == layer.name; });
  };
  std::vector<LayerWeights*> layers;
  for (LayerWeights& layer : model.layers) {
    if (wants_weights(layer) || (wants_any(layer) && list_of(layer) != lists_.end())) layers.push_back(&layer);
  }
  const bool by_name = std::all_of(layers.begin(), layers.end(),
                                   [&](const LayerWeights* layer) { return list_of(*layer) != lists_.end(); });
  // Keras itself goes by order: the layers with weights of the file and of the model, one by one.
  if (!by_name && layers.size() != lists_.size()) {
    const auto missing = std::find_if(layers.begin(), layers.end(),
                                      [&](const LayerWeights* layer) { return list_of(*layer) == lists_.end(); });
    Diagnostic problem = weight_error({(*missing)->name}, fmt::format("{} has no weights for layer {}",
                                                                      in_quotes(file_), in_quotes((*missing)->name)));
    problem.note(fmt::format("the model has {} layers with weights, the file {}", layers.size(), lists_.size()));
    return problem;
  }
  for (std::size_t i = 0; i < layers.size(); ++i) {
    CHECK(fill_layer(*layers[i], by_name ? *list_of(*layers[i]) : lists_[i]));
  }
  return done();
}

}  // namespace

Expected<std::shared_ptr<Weights::Store>> read_weight_lists(const Hdf5File& file) {
  auto store = std::make_shared<WeightLists>(file);
  CHECK(store->read());
  return std::shared_ptr<Weights::Store>(std::move(store));
}

}  // namespace tusk
