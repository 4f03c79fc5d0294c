#include "frontend/export/legacy_h5.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "frontend/export/compile_config.hpp"
#include "frontend/export/config.hpp"
#include "frontend/files/json.hpp"
#include "frontend/model/keras_paths.hpp"
#include "frontend/training/trainer.hpp"

namespace tusk {
namespace {

constexpr std::size_t kMostBytes = 64512;  // of an attribute; longer lists are cut into NAME0, NAME1, ...

/// Of equal parts, each small enough as Keras counts it (all names as long as the longest) and in our file.
void put_list(Hdf5Tree& group, const std::string& name, const std::vector<std::string>& texts) {
  std::size_t longest = 16;
  for (const std::string& text : texts) longest = std::max(longest, text.size());
  const std::size_t most = std::max<std::size_t>(kMostBytes / longest, 1);
  const std::size_t parts = (texts.size() + most - 1) / most;
  if (parts <= 1) {
    group.lists[name] = texts;
    return;
  }
  auto at = texts.begin();
  for (std::size_t part = 0; part < parts; ++part) {
    const auto end = at + static_cast<std::ptrdiff_t>(texts.size() / parts + (part < texts.size() % parts ? 1 : 0));
    group.lists[fmt::format("{}{}", name, part)] = {at, end};
    at = end;
  }
}

/// Paths and what stands there.
using Entries = std::vector<std::pair<std::string, Variable>>;

void put_weights(Hdf5Tree& group, const Entries& weights) {
  std::set<std::string> taken;
  std::vector<std::string> names;
  for (const auto& [path, variable] : weights) {
    names.push_back(unique_name(path, taken));
    group.at(names.back()).array = variable.value();
  }
  put_list(group, "weight_names", names);
}

/// Trainable ones first, each of them in Keras' order.
std::vector<Variable> weights_of(const Layer& layer, bool frozen) {
  std::vector<Variable> out = layer.weights();
  const std::vector<Variable> trained = frozen ? std::vector<Variable>() : layer.base().trainable_weights();
  std::stable_partition(out.begin(), out.end(), [&](const Variable& variable) {
    return std::ranges::find(trained, variable) != trained.end();
  });
  return out;
}

}  // namespace

Hdf5Tree legacy_tree(const Model& model) {
  Hdf5Tree root;
  const auto stamp = [](Hdf5Tree& group) {
    group.attributes["backend"] = "tensorflow";
    group.attributes["keras_version"] = kKerasVersion;
  };
  stamp(root);
  root.attributes["model_config"] = legacy_json(model);

  Hdf5Tree& all = root.at("model_weights");
  stamp(all);
  const auto paths = keras_paths(model);
  std::vector<std::string> names;
  for (const Layer& layer : model.layers()) {
    const bool is_hidden =
        model.base().class_name() == "Sequential" && dynamic_cast<const InputLayerImpl*>(&layer.base()) != nullptr;
    if (is_hidden) continue;
    names.push_back(layer.name());
    Entries weights;
    for (const Variable& variable : weights_of(layer, !model.base().trainable()))
      weights.emplace_back(paths.at(variable), variable);
    put_weights(all.children[layer.name()], weights);
  }
  put_list(all, "layer_names", names);
  put_weights(all.children["top_level_model_weights"], {});

  const Trainer* trainer = model.functional().trainer.get();
  if (trainer == nullptr) return root;
  root.attributes["training_config"] = python_json(legacy_compile_config(trainer->options, trainer->optimizer));
  Entries state;
  for (const Variable& variable : trainer->optimizer.variables()) state.emplace_back(variable.name(), variable);
  if (!state.empty()) put_weights(root.at("optimizer_weights"), state);
  return root;
}

}  // namespace tusk
