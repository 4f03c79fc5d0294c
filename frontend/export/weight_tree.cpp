#include "frontend/export/weight_tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "frontend/import/weights.hpp"
#include "frontend/training/optimizers.hpp"

namespace tusk {
namespace {

void put_variables(Hdf5Tree& group, const std::string& name, const std::vector<Variable>& variables) {
  Hdf5Tree& own = group.at("vars");
  own.attributes["name"] = name;
  for (std::size_t i = 0; i < variables.size(); ++i) own.at(std::to_string(i)).array = variables[i].value();
}

/// Its own variables without those of layers inside: the trainable ones first.
std::vector<Variable> own_variables(const LayerBase& layer) {
  std::vector<Variable> out = layer.own_weights();
  std::stable_partition(out.begin(), out.end(), [](const Variable& variable) { return variable.trainable(); });
  // The wrapper has a reference to the kernel of its layer, which makes that one of its own.
  if (layer.class_name() == "SpectralNormalization" && !layer.children().empty()) {
    const std::vector<Variable> inner = layer.children().front().weights();
    if (!inner.empty()) out.insert(out.begin(), inner.front());
  }
  return out;
}

/// name, name_1, ...: the groups of things in a list, called by their classes.
class GroupNames {
 public:
  std::string next(std::string_view class_name) {
    const std::string name = snake_case(class_name);
    const int number = counts_[name]++;
    return number == 0 ? name : fmt::format("{}_{}", name, number);
  }

 private:
  std::map<std::string, int> counts_;
};

void put_optimizer(Hdf5Tree& root, const std::string& at, const Optimizer& optimizer) {
  if (!optimizer || optimizer.variables().empty()) return;
  put_variables(root.at(at), optimizer.name(), optimizer.variables());
  // The variables of one inside of another stand in both.
  if (const auto* outer = dynamic_cast<const optimizers::LossScaleOptimizerImpl*>(&optimizer.base()))
    put_optimizer(root, at + "/inner_optimizer", outer->config.inner_optimizer);
  if (const auto* outer = dynamic_cast<const optimizers::MultiOptimizerImpl*>(&optimizer.base())) {
    GroupNames names;
    for (const Optimizer& inner : outer->config.optimizer_map.optimizers())
      put_optimizer(root, at + "/optimizers/" + names.next(inner.class_name()), inner);
  }
}

class Tree {
 public:
  void put(Hdf5Tree& group, const Layer& layer) {
    const LayerBase& base = layer.base();
    // What is met again stands where it was met first.
    if (!met_.insert(&base).second) return;
    put_variables(group, base.name(), own_variables(base));
    if (const auto* model = dynamic_cast<const FunctionalImpl*>(&base)) {
      put_list(group, *model);
      return;
    }
    for (std::size_t i = 0; i < base.children().size(); ++i) put(group.at(part_name(base, i)), base.children()[i]);
  }

 private:
  void put_list(Hdf5Tree& group, const FunctionalImpl& model) {
    const bool sequential = model.class_name() == "Sequential";
    GroupNames names;
    for (const Layer& layer : model.layers) {
      // `layers` of a Sequential model does not show its InputLayer.
      if (sequential && dynamic_cast<const InputLayerImpl*>(&layer.base()) != nullptr) continue;
      const std::string name = names.next(layer.base().keras_class());
      if (met_.contains(&layer.base())) continue;
      put(group.at("layers/" + name), layer);
    }
  }

  std::set<const LayerBase*> met_;
};

}  // namespace

std::string part_name(const LayerBase& layer, std::size_t child) {
  const std::string_view kind = layer.class_name();
  const std::string& name = layer.children()[child].name();
  if (kind == "TimeDistributed" || kind == "SpectralNormalization") return "layer";
  // The projections of an attention; the gate and those of grouped queries are private in Python.
  if (kind == "MultiHeadAttention" || kind == "GroupQueryAttention") {
    const bool is_private = name == "gate" || kind == "GroupQueryAttention";
    return fmt::format("{}{}_dense", is_private ? "_" : "", name == "attention_output" ? "output" : name);
  }
  return name;
}

Hdf5Tree weight_tree(const Model& model, const Optimizer& optimizer) {
  Hdf5Tree root;
  Tree().put(root, model);
  put_optimizer(root, "optimizer", optimizer);
  return root;
}

}  // namespace tusk
