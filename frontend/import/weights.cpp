#include "frontend/import/weights.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "frontend/files/bytes.hpp"
#include "frontend/files/json.hpp"
#include "frontend/import/weight_stores.hpp"

namespace tusk {
namespace {

using nlohmann::json;

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
// Bytes above 127 belong to letters of other alphabets, as far as a class name is concerned.
bool is_word(char c) {
  return is_upper(c) || is_lower(c) || (c >= '0' && c <= '9') || c == '_' || static_cast<unsigned char>(c) >= 128;
}

/// Operations of keras.ops stand among the layers of a configuration, but hold nothing.
bool is_operation(const json& layer) { return text_member(layer, "module").starts_with("keras.src.ops."); }

LayerWeights tree_of(const json& layer, std::set<std::string>& shared);

void add_part(LayerWeights& node, const json* part, std::set<std::string>& shared) {
  if (part != nullptr && part->is_object()) node.layers.push_back(tree_of(*part, shared));
}

LayerWeights tree_of(const json& layer, std::set<std::string>& shared) {
  LayerWeights node;
  node.class_name = text_member(layer, "class_name");
  node.any = true;
  const json* config = member(layer, "config");
  node.name = text_member(layer, "name");
  if (config == nullptr) return node;
  if (node.name.empty()) node.name = text_member(*config, "name");
  node.shared = node.class_name + '/' + node.name;
  if (member(layer, "shared_object_id") != nullptr) shared.insert(node.shared);

  // A Sequential model of Keras 1 and early Keras 2 is a bare list.
  const json* layers = config->is_array() ? config : member(*config, "layers");
  if (layers != nullptr && layers->is_array()) {
    for (const json& inner : *layers) {
      if (is_operation(inner)) continue;
      // `layers` of a Sequential model does not show its InputLayer.
      if (node.class_name == "Sequential" && text_member(inner, "class_name") == "InputLayer") continue;
      node.layers.push_back(tree_of(inner, shared));
    }
  } else if (node.class_name == "StackedRNNCells") {
    if (const json* cells = member(*config, "cells"); cells != nullptr && cells->is_array()) {
      for (const json& cell : *cells) node.layers.push_back(tree_of(cell, shared));
    }
  } else if (node.class_name == "Bidirectional") {
    const json* forward = member(*config, "layer");
    const json* backward = member(*config, "backward_layer");
    add_part(node, forward, shared);
    // Without one of its own, the backward layer is a copy of the forward one.
    add_part(node, backward != nullptr && backward->is_object() ? backward : forward, shared);
  } else {
    add_part(node, member(*config, "layer"), shared);
    add_part(node, member(*config, "cell"), shared);
  }
  return node;
}

void keep_shared(LayerWeights& node, const std::set<std::string>& shared) {
  if (!shared.contains(node.shared)) node.shared.clear();
  for (LayerWeights& layer : node.layers) keep_shared(layer, shared);
}

}  // namespace

LayerWeights layer_tree(const json& model) {
  // The first occurrence of a shared layer carries no id, later ones do: equal class and name join them.
  std::set<std::string> shared;
  LayerWeights tree = tree_of(model, shared);
  keep_shared(tree, shared);
  return tree;
}

std::string snake_case(std::string_view class_name) {
  if (const std::size_t package = class_name.rfind('>'); package != std::string_view::npos) {
    class_name.remove_prefix(package + 1);
  }
  std::string word;
  for (const char c : class_name) {
    if (is_word(c)) word += c;
  }
  // First a '_' between any character and a capitalised run ("Conv2D|Transpose"); runs do not overlap.
  std::string split;
  for (std::size_t i = 0; i < word.size();) {
    split += word[i++];
    if (i + 1 < word.size() && is_upper(word[i]) && is_lower(word[i + 1])) {
      split += '_';
      split += word[i++];
      while (i < word.size() && is_lower(word[i])) split += word[i++];
    }
  }
  // Then between a small and a capital letter ("Re|LU").
  std::string out;
  for (std::size_t i = 0; i < split.size(); ++i) {
    if (i > 0 && is_lower(split[i - 1]) && is_upper(split[i])) out += '_';
    out += is_upper(split[i]) ? static_cast<char>(split[i] - 'A' + 'a') : split[i];
  }
  return out;
}

Diagnostic weight_error(const LayerPath& path, std::string message) {
  Diagnostic problem = error("weights", std::move(message));
  problem.layer = fmt::format("{}", fmt::join(path, "/"));
  return problem;
}

Expected<Array> read_weight(const Hdf5File& file, const std::string& dataset, const LayerPath& path,
                            const VariableSpec* variable) {
  const std::string layer = in_quotes(path.empty() ? "" : path.back());
  const std::string what =
      variable != nullptr ? fmt::format("weight {} of layer {}", in_quotes(variable->name), layer) : "layer " + layer;
  auto array = file.array(dataset);
  if (!array) {
    Diagnostic problem = weight_error(path, fmt::format("{}: {}", what, array.problem().message));
    problem.notes = array.problem().notes;
    return problem;
  }
  if (variable == nullptr || array->shape() == variable->shape) return array;
  return weight_error(path, fmt::format("{} has shape ({}), expected ({})", what, fmt::join(array->shape(), ", "),
                                        fmt::join(variable->shape, ", ")))
      .note(fmt::format("{} of {}", in_quotes(dataset), in_quotes(file.name())));
}

bool wants_inner(const LayerWeights& layer) {
  return !layer.any && !layer.layers.empty() &&
         std::all_of(layer.layers.begin(), layer.layers.end(), [](const LayerWeights& inner) { return inner.any; });
}

std::string count_text(const std::vector<VariableSpec>& variables) {
  if (variables.empty()) return "no weights";
  std::vector<std::string_view> names;
  for (const VariableSpec& variable : variables) names.push_back(variable.name);
  return fmt::format("{} weight{} ({})", names.size(), names.size() == 1 ? "" : "s", fmt::join(names, ", "));
}

Expected<Weights> Weights::read(const Hdf5File& file) {
  Weights weights;
  TRY(const auto names, file.strings_attribute(file.has("model_weights") ? "model_weights" : "", "layer_names"));
  TRY(weights.store_, names ? read_weight_lists(file) : read_weight_groups(file));
  return weights;
}

Status Weights::fill(LayerWeights& model) {
  if (!store_) return error("weights", "the model has no weights");
  return store_->fill(model);
}

std::vector<std::string> Weights::unused() const { return store_ ? store_->unused() : std::vector<std::string>(); }

Expected<std::vector<Array>> Weights::optimizer() const { return store_ ? store_->optimizer() : std::vector<Array>(); }

}  // namespace tusk
