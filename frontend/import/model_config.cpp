#include "frontend/import/model_config.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "frontend/files/bytes.hpp"
#include "frontend/import/fields.hpp"
#include "frontend/import/layer_list.hpp"

namespace tusk {
namespace {

using nlohmann::json;

[[noreturn]] void fail(std::string code, std::string message, std::string layer = {}) {
  Diagnostic problem = error(std::move(code), std::move(message));
  problem.layer = std::move(layer);
  throw Error(std::move(problem));
}

std::string text_of(const json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

/// A result that a call or an output reads.
struct Reference {
  std::string layer;
  std::int64_t node = 0, tensor = 0;
};

struct CallConfig {
  std::vector<Reference> inputs;
  Call how;
};

struct LayerConfig {
  std::string name, class_name;
  const json* config = nullptr;
  std::vector<CallConfig> calls;
};

// --- what is in the file

/// A class as register_layer knows it, or "" with the reason why there is none.
struct ClassOf {
  std::string known;
  std::string why;
};

ClassOf class_of(const json& envelope, const std::string& class_name) {
  const std::string module = text_of(envelope, "module");
  const std::string registered = text_of(envelope, "registered_name");
  if (registered.find('>') != std::string::npos) {
    if (layer_class(registered) != nullptr) return {registered, {}};
    return {{}, fmt::format("custom layer {}: write it in C++ and make it known with register_layer", registered)};
  }
  if (layer_class(class_name) != nullptr && module.find(".ops.") == std::string::npos) return {class_name, {}};
  if (layer_class("Custom>" + class_name) != nullptr) return {"Custom>" + class_name, {}};
  if (module.find(".ops.") != std::string::npos || module.find(".activations.") != std::string::npos) {
    return {{}, fmt::format("operation {} ({})", class_name, module)};
  }
  if (class_name == "Lambda") {
    return {{},
            "Lambda: Python bytecode, which is never decoded; write its function in C++ as a custom layer "
            "(register_layer), or rewrite it in Keras with layers such as Rescaling"};
  }
  if (class_name == "Functional" || class_name == "Model" || class_name == "Sequential") {
    return {{}, fmt::format("{} inside of a model", class_name)};
  }
  if (is_keras_class(class_name)) return {{}, class_name};
  return {{}, fmt::format("{}, which is unknown{}", class_name, near_class(class_name))};
}

/// The one error for all layers that cannot be read.
[[noreturn]] void refuse(const std::vector<std::pair<std::string, std::string>>& unsupported) {  // reason, layer
  std::vector<std::string> reasons;
  for (const auto& [reason, layer] : unsupported) {
    if (std::ranges::find(reasons, reason) == reasons.end()) reasons.push_back(reason);
  }
  Diagnostic problem =
      unsupported.size() == 1
          ? error("layer-unsupported", fmt::format("layer {} is not supported in this release: {}",
                                                   in_quotes(unsupported.front().second), reasons.front()))
          : error("layer-unsupported", fmt::format("{} layers are not supported in this release", unsupported.size()));
  if (unsupported.size() == 1) problem.layer = unsupported.front().second;
  for (const std::string& reason : unsupported.size() == 1 ? std::vector<std::string>() : reasons) {
    std::vector<std::string> names;
    for (const auto& [other, layer] : unsupported) {
      if (other == reason) names.push_back(in_quotes(layer));
    }
    problem.note(fmt::format("{} x {}: {}", names.size(), reason, fmt::join(names, ", ")));
  }
  problem.note(
      "`tusk layers` lists those that are supported: rewrite the model with them, cut it in front of the first other "
      "layer, or write the layer in C++ (register_layer)");
  throw Error(std::move(problem));
}

// --- calls

/// An argument of a call that is no tensor: harmless where it has the value that it would have anyway.
void take_argument(const std::string& layer, const std::string& key, const json& value, Call& how) {
  if (value.is_null()) return;
  if (key == "training" && value.is_boolean()) {
    how.training = value.get<bool>();
    return;
  }
  if (key == "name") return;
  fail("call-argument",
       fmt::format("it is called with {} = {}, which is not supported in this release", key, json_text(value)), layer);
}

std::int64_t index_of(const json& value, const std::string& layer) {
  if (!value.is_number_integer())
    fail("graph-reference", fmt::format("{} is no index of a node", json_text(value)), layer);
  return value.get<std::int64_t>();
}

/// ["name", node, tensor] and, in Keras 2, arguments behind it.
bool is_reference(const json& value) {
  return value.is_array() && (value.size() == 3 || value.size() == 4) && value[0].is_string();
}

Reference reference_of(const json& value, const std::string& layer) {
  return {value[0].get<std::string>(), index_of(value[1], layer), index_of(value[2], layer)};
}

// Keras 3: {"args": [tensor or list], "kwargs": {...}}.
void find_tensors(const json& value, const std::string& layer, std::vector<Reference>& out) {
  if (value.is_array()) {
    for (const json& entry : value) find_tensors(entry, layer, out);
    return;
  }
  if (value.is_object() && text_of(value, "class_name") == "__keras_tensor__" && value.contains("config") &&
      value["config"].is_object() && value["config"].contains("keras_history") &&
      is_reference(value["config"]["keras_history"])) {
    out.push_back(reference_of(value["config"]["keras_history"], layer));
    return;
  }
  fail("call-argument", fmt::format("it is called with {}, which is no tensor of the model", json_text(value)), layer);
}

CallConfig call_of(const json& node, const std::string& layer) {
  CallConfig call;
  if (node.is_object() && node.contains("args")) {
    find_tensors(node["args"], layer, call.inputs);
    if (node.contains("kwargs") && node["kwargs"].is_object()) {
      for (const auto& [key, value] : node["kwargs"].items()) take_argument(layer, key, value, call.how);
    }
    return call;
  }
  // Keras 2: a list of references.
  const json leaves = is_reference(node) ? json::array({node}) : node;
  if (!leaves.is_array()) fail("call-argument", fmt::format("{} is no call of a layer", json_text(node)), layer);
  for (const json& leaf : leaves) {
    if (!is_reference(leaf)) fail("call-argument", fmt::format("{} is no tensor of the model", json_text(leaf)), layer);
    call.inputs.push_back(reference_of(leaf, layer));
    if (leaf.size() == 4 && leaf[3].is_object()) {
      for (const auto& [key, value] : leaf[3].items()) take_argument(layer, key, value, call.how);
    }
  }
  return call;
}

/// input_layers and output_layers: one reference, a list of them, or a dict, whose keys are names.
struct Ends {
  std::vector<Reference> references;
  std::vector<std::string> keys;  // of a dict, in the order of the references, which Keras sorts
};

void find_ends(const json& value, const char* what, Ends& ends) {
  if (is_reference(value)) {
    ends.references.push_back(reference_of(value, {}));
  } else if (value.is_array()) {
    for (const json& entry : value) find_ends(entry, what, ends);
  } else if (value.is_object()) {
    for (const auto& [key, entry] : value.items()) {  // json keeps keys sorted
      find_ends(entry, what, ends);
      ends.keys.push_back(key);
    }
  } else {
    fail("graph-reference", fmt::format("{} of the model holds {}", what, json_text(value)));
  }
}

// --- building

class Reader {
 public:
  Reader(const json& model, int keras_major) : model_(model), keras_major_(keras_major) {}

  ConfiguredModel read() {
    const std::string class_name = text_of(model_, "class_name");
    const json& config = model_["config"];
    if (class_name == "Sequential" && config.is_array()) {
      fail("model-class",
           "the Sequential model is a bare list of layers, as Keras before 2.2.3 wrote it, which is not "
           "supported in this release; load it with Keras 2 and save it again");
    }
    const bool sequential = class_name == "Sequential";
    if (!config.is_object() || !config.contains("layers") || !config["layers"].is_array() ||
        (!sequential && !config.contains("output_layers"))) {
      fail("model-class", fmt::format("the model is of class {}, whose code is not in the file; only Functional and "
                                      "Sequential models can be read",
                                      in_quotes(class_name)));
    }
    read_layers(config["layers"], sequential);
    const std::string name = text_of(config, "name");
    sequential ? build_sequential(config, name) : build_functional(config, name);
    return std::move(out_);
  }

 private:
  void read_layers(const json& list, bool sequential) {
    std::vector<std::pair<std::string, std::string>> unsupported;
    std::vector<std::string> classes;
    for (const json& envelope : list) {
      if (!envelope.is_object() || !envelope.contains("config") || !envelope["config"].is_object()) {
        fail("model-config", fmt::format("{} is no layer", json_text(envelope)));
      }
      LayerConfig layer;
      layer.config = &envelope["config"];
      layer.class_name = text_of(envelope, "class_name");
      layer.name = text_of(envelope, "name");
      if (layer.name.empty()) layer.name = text_of(*layer.config, "name");
      if (layer.name.empty()) fail("model-config", fmt::format("a layer of class {} has no name", layer.class_name));
      if (!index_.emplace(layer.name, configs_.size()).second) {
        fail("model-names", fmt::format("two layers are named {}; names must differ", in_quotes(layer.name)),
             layer.name);
      }
      const ClassOf found = class_of(envelope, layer.class_name);
      if (found.known.empty()) unsupported.emplace_back(found.why, layer.name);
      classes.push_back(found.known);
      if (const auto nodes = envelope.find("inbound_nodes");
          !sequential && unsupported.empty() && nodes != envelope.end() && nodes->is_array()) {
        for (const json& node : *nodes) layer.calls.push_back(call_of(node, layer.name));
      }
      configs_.push_back(std::move(layer));
    }
    if (!unsupported.empty()) refuse(unsupported);
    for (std::size_t i = 0; i < configs_.size(); ++i) {
      const LayerConfig& layer = configs_[i];
      json config = *layer.config;
      FieldReader fields(config, layer.name, layer.class_name, keras_major_);
      layers_.push_back(layer_class(classes[i])->make(fields));
      out_.layers.emplace(layer.name, layers_.back());
      const auto trainable = config.find("trainable");
      out_.frozen[layer.name] = trainable != config.end() && *trainable == false;
    }
  }

  static InputLayerImpl* as_input(const Layer& layer) { return dynamic_cast<InputLayerImpl*>(&layer.base()); }

  void build_sequential(const json& config, const std::string& name) {
    if (layers_.empty()) fail("model-config", "the model has no layers");
    std::size_t next = 0;
    Tensor first;
    if (InputLayerImpl* input = as_input(layers_[0])) {
      first = input->make();
      next = 1;
    } else {
      first = undeclared_input(config);
    }
    Tensor x = first;
    for (; next < layers_.size(); ++next) {
      if (as_input(layers_[next]) != nullptr)
        fail("model-config", "an InputLayer stands behind other layers", layers_[next].name());
      x = layers_[next](x);
    }
    out_.model = Model(first, x, {.name = name});
  }

  /// The input of a Sequential model without an InputLayer: its shape stands at the first layer or at the model.
  Tensor undeclared_input(const json& config) {
    const json& first = *configs_[0].config;
    json shape;
    if (first.contains("batch_input_shape")) {
      shape = first["batch_input_shape"];
    } else if (config.contains("build_input_shape")) {
      shape = config["build_input_shape"];
    }
    if (!shape.is_array()) {
      fail("model-input",
           "the file does not say the shape of the model's input; call the model once on data, or begin "
           "it with an Input, and save it again");
    }
    const json input = {{"batch_shape", shape}};
    const std::string name = keras_major_ < 3 ? layers_[0].name() + "_input" : "input_layer";
    FieldReader fields(input, name, "InputLayer", keras_major_);
    return as_input(layer_class("InputLayer")->make(fields))->make();
  }

  void build_functional(const json& config, const std::string& name) {
    check_references();
    results_.resize(configs_.size());
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      if (InputLayerImpl* input = as_input(layers_[i])) results_[i].push_back(input->make());
    }
    std::size_t open = 0;
    for (const LayerConfig& layer : configs_) open += layer.calls.size();
    for (bool progress = true; progress && open > 0;) {
      progress = false;
      for (std::size_t i = 0; i < configs_.size(); ++i) {
        while (results_[i].size() < configs_[i].calls.size() && replay(i)) {
          progress = true;
          --open;
        }
      }
    }
    if (open > 0) fail_cycle();
    Ends inputs;
    Ends outputs;
    if (!config.contains("input_layers")) fail("model-config", "the model has no input_layers");
    find_ends(config["input_layers"], "input_layers", inputs);
    find_ends(config["output_layers"], "output_layers", outputs);
    out_.model = Model(tensors_of(inputs, "an input"), tensors_of(outputs, "an output"), {.name = name});
    rename(out_.model.functional().input_names, inputs.keys);
    rename(out_.model.functional().output_names, outputs.keys);
  }

  static void rename(std::vector<std::string>& names, const std::vector<std::string>& keys) {
    if (keys.size() == names.size()) names = keys;
  }

  /// Every layer and node that is named exists.
  void check_references() const {
    for (const LayerConfig& layer : configs_) {
      const bool is_input = layer.class_name == "InputLayer";
      if (is_input && !layer.calls.empty()) fail("graph-reference", "an InputLayer reads another layer", layer.name);
      for (std::size_t n = 0; n < layer.calls.size(); ++n) {
        for (const Reference& reference : layer.calls[n].inputs) {
          check(reference, fmt::format("node {}", n), layer.name);
        }
      }
    }
  }

  void check(const Reference& reference, const std::string& who, const std::string& layer) const {
    const auto found = index_.find(reference.layer);
    if (found == index_.end()) {
      fail("graph-reference",
           fmt::format("{} refers to layer {}, which is not in the file", who, in_quotes(reference.layer)), layer);
    }
    const LayerConfig& source = configs_[found->second];
    const std::size_t nodes = source.class_name == "InputLayer" ? 1 : source.calls.size();
    if (reference.node < 0 || static_cast<std::size_t>(reference.node) >= nodes) {
      fail("graph-reference",
           fmt::format("{} refers to node {} of layer {}, which has {}", who, reference.node,
                       in_quotes(reference.layer), nodes),
           layer);
    }
    if (reference.tensor != 0) {
      fail("graph-reference",
           fmt::format("{} refers to result {} of layer {}, which has 1", who, reference.tensor,
                       in_quotes(reference.layer)),
           layer);
    }
  }

  const Tensor* find(const Reference& reference) const {
    const std::vector<Tensor>& made = results_[index_.find(reference.layer)->second];
    const auto node = static_cast<std::size_t>(reference.node);
    return node < made.size() ? &made[node] : nullptr;
  }

  /// The next call of a layer, if what it reads is there.
  bool replay(std::size_t i) {
    const CallConfig& call = configs_[i].calls[results_[i].size()];
    std::vector<Tensor> inputs;
    for (const Reference& reference : call.inputs) {
      const Tensor* input = find(reference);
      if (input == nullptr) return false;
      inputs.push_back(*input);
    }
    results_[i].push_back(layers_[i](inputs, call.how));
    return true;
  }

  /// Follows what is missing until a layer comes again.
  [[noreturn]] void fail_cycle() const {
    std::size_t at = 0;
    while (results_[at].size() == configs_[at].calls.size() || configs_[at].class_name == "InputLayer") ++at;
    std::vector<std::size_t> way;
    while (std::ranges::find(way, at) == way.end()) {
      way.push_back(at);
      for (const Reference& reference : configs_[at].calls[results_[at].size()].inputs) {
        if (find(reference) == nullptr) at = index_.find(reference.layer)->second;
      }
    }
    std::vector<std::string> names;
    for (auto it = std::ranges::find(way, at); it != way.end(); ++it) names.push_back(in_quotes(configs_[*it].name));
    names.push_back(names.front());
    fail("graph-cycle", fmt::format("the graph has a cycle: each of {} reads the next one", fmt::join(names, ", ")),
         configs_[at].name);
  }

  std::vector<Tensor> tensors_of(const Ends& ends, const std::string& what) const {
    std::vector<Tensor> out;
    for (const Reference& reference : ends.references) {
      check(reference, what + " of the model", {});
      out.push_back(*find(reference));
    }
    return out;
  }

  const json& model_;
  int keras_major_;
  ConfiguredModel out_;
  std::vector<LayerConfig> configs_;
  std::map<std::string, std::size_t, std::less<>> index_;  // by name
  std::vector<Layer> layers_;
  std::vector<std::vector<Tensor>> results_;  // of each layer, one for each call
};

}  // namespace

ConfiguredModel model_from_config(const json& config, int keras_major) { return Reader(config, keras_major).read(); }

}  // namespace tusk
