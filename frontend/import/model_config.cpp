#include "frontend/import/model_config.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "frontend/files/bytes.hpp"
#include "frontend/files/json.hpp"
#include "frontend/import/fields.hpp"
#include "frontend/import/layer_config.hpp"
#include "frontend/import/layer_list.hpp"
#include "frontend/import/operation_config.hpp"
#include "frontend/import/penalty_config.hpp"

namespace tusk {
namespace {

using namespace layer_config;

/// Layers that occur in several models are one object, known by class and name.
struct Made {
  Layer layer;
  std::shared_ptr<ConfiguredModel> inner;
};
struct MadeLayers {
  std::map<std::string, Made> by_name;
  std::vector<Diagnostic> problems;  // of layers that cannot be made, in all models
  int around = 0;                    // how many layers wrap the one that is being made
  std::size_t parts = 0;             // layers and calls, in all models
};
/// Thrown where problems have been noted: there is no model.
struct Noted {};
// Each layer keeps its configuration, with those of all layers inside.
constexpr int kMaxAround = 8;
// Layers and calls take kilobytes each, of tens of bytes in a file. Keras itself reads about a thousand in a row.
constexpr std::size_t kMaxParts = 12000;
// All of one name get different ones.
constexpr std::size_t kMaxEnds = 1024;

/// What no field of the layer took: a regularizer of results, which any layer may have, and what only training refuses.
void add_penalties(LayerBase& layer, const json& config, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    const std::optional<Regularizer> known =
        key == "activity_regularizer" ? regularizer_of(config.at(key)) : std::nullopt;
    if (known) {
      layer.set_activity_regularizer(*known);
    } else {
      layer.add_unknown_penalty(key, python_json(config.at(key)));
    }
  }
}

class Reader {
 public:
  /// `path`: of the model, among the layers of another one.
  Reader(const json& model, int keras_major, MadeLayers& made, std::string path)
      : model_(model), keras_major_(keras_major), made_(made), path_(std::move(path)) {}

  Layer read_layer() {
    LayerConfig layer;
    layer.config = &model_["config"];
    layer.envelope = &model_;
    layer.class_name = text_of(model_, "class_name");
    layer.name = text_of(model_["config"], "name");
    try {
      return make_unshared(layer, layer.name).layer;
    } catch (const Noted&) {
      throw Error(refusal({}, made_.problems));
    }
  }

  ConfiguredModel read() {
    const std::string class_name = text_of(model_, "class_name");
    const bool sequential = class_name == "Sequential";
    const json& config = model_["config"];
    const json* layers = layers_of(model_);
    const bool is_plain = sequential || class_name == "Functional" || class_name == "Model";
    if (layers == nullptr && is_plain)
      fail("model-config", fmt::format("the configuration of the {} model has no list of layers", class_name), path_);
    if (layers == nullptr || (!sequential && !config.contains("output_layers"))) {
      fail("model-class",
           fmt::format("the model is of class {}, whose code is not in the file; only Functional and "
                       "Sequential models can be read",
                       in_quotes(class_name)),
           path_);
    }
    std::vector<std::pair<std::string, std::string>> unsupported;
    if (path_.empty()) {
      find_unsupported(*layers, {}, unsupported);
      std::map<std::string, Occurrences> met;
      if (unsupported.empty()) check_shared(*layers, {}, met);
    }
    const bool all_read = read_layers(*layers, sequential);
    if (!unsupported.empty() || (path_.empty() && !all_read)) throw Error(refusal(unsupported, made_.problems));
    if (!all_read) throw Noted();
    const std::string name = path_.empty() ? text_of(config, "name") : name_of(model_);
    try {
      sequential ? build_sequential(config, name) : build_functional(config, name);
    } catch (const Error& failure) {
      // A layer knows its name; where it stands is known here.
      Diagnostic problem = failure.problem();
      if (!path_.empty() && !problem.layer.starts_with(path_ + "/")) problem.layer = joined(path_, problem.layer);
      throw Error(std::move(problem));
    }
    return std::move(out_);
  }

 private:
  /// False where a layer cannot be made: then its problem is noted, beside those of the others.
  bool read_layers(const json& list, bool sequential) {
    for (const json& envelope : list) {
      const bool is_model = envelope.is_object() && layers_of(envelope) != nullptr;
      if (!is_model && (!envelope.is_object() || !envelope.contains("config") || !envelope["config"].is_object())) {
        fail("model-config", fmt::format("{} is no layer", json_text(envelope)), path_);
      }
      LayerConfig layer;
      layer.config = &envelope["config"];
      layer.envelope = &envelope;
      layer.class_name = text_of(envelope, "class_name");
      layer.name = name_of(envelope);
      if (layer.name.empty()) {
        fail("model-config", fmt::format("a layer of class {} has no name", layer.class_name), path_);
      }
      if (!index_.emplace(layer.name, configs_.size()).second) {
        fail("model-names", fmt::format("two layers are named {}; names must differ", in_quotes(layer.name)),
             joined(path_, layer.name));
      }
      count_parts(1);
      // How a layer is called that is not supported anyway is no matter.
      const bool known =
          is_model || operation_of(envelope) != nullptr || !class_of(envelope, layer.class_name).known.empty();
      if (const auto nodes = envelope.find("inbound_nodes");
          !sequential && known && nodes != envelope.end() && nodes->is_array()) {
        count_parts(nodes->size());
        for (const json& node : *nodes) layer.calls.push_back(read_call(envelope, node, joined(path_, layer.name)));
      }
      configs_.push_back(std::move(layer));
    }
    bool all_read = true;
    for (const LayerConfig& layer : configs_) {
      Made made;
      try {
        made = make(layer);
      } catch (const Noted&) {
        all_read = false;
        continue;
      } catch (const Error& failure) {
        all_read = false;
        Diagnostic problem = failure.problem();
        if (problem.layer.empty()) problem.layer = joined(path_, layer.name);
        made_.problems.push_back(std::move(problem));
        continue;
      }
      layers_.push_back(made.layer);
      out_.layers.emplace(layer.name, made.layer);
      if (made.inner) out_.inner.emplace(layer.name, made.inner);
      const bool frozen =
          layer.config->is_object() && layer.config->contains("trainable") && (*layer.config)["trainable"] == false;
      if (frozen) made.layer.base().set_trainable(false);
    }
    return all_read;
  }

  void count_parts(std::size_t count) {
    made_.parts += count;
    if (made_.parts > kMaxParts)
      fail("model-config", fmt::format("the model has more than {} layers and calls", kMaxParts), path_);
  }

  static CallConfig read_call(const json& envelope, const json& node, const std::string& layer) {
    const ops::OperationDef* def = operation_of(envelope);
    if (def == nullptr) return call_of(node, layer);
    CallConfig call;
    arguments_of(*def, envelope["config"], node, layer, call.inputs);
    return call;
  }

  /// An operation keeps its arguments; the tensors among them come with each call.
  Layer make_operation(const LayerConfig& layer, const ops::OperationDef& def, const std::string& path) const {
    std::vector<Reference> reads;
    if (layer.calls.size() != 1) {
      fail("call-argument", fmt::format("the operation has {} calls, expected one", layer.calls.size()), path);
    }
    return Layer(std::make_shared<ops::OperationImpl>(
        def, arguments_of(def, *layer.config, (*layer.envelope)["inbound_nodes"][0], path, reads), layer.name));
  }

  Made make(const LayerConfig& layer) {
    if (const ops::OperationDef* def = operation_of(*layer.envelope))
      return {make_operation(layer, *def, joined(path_, layer.name)), nullptr};
    Made& known = made_.by_name[fmt::format("{}/{}", layer.class_name, layer.name)];
    if (known.layer.shared() && layer.envelope->contains("shared_object_id")) return known;
    return known = make_unshared(layer, joined(path_, layer.name));
  }

  Made make_unshared(const LayerConfig& layer, const std::string& path) {
    if (layers_of(*layer.envelope) != nullptr) {
      auto inner = std::make_shared<ConfiguredModel>(Reader(*layer.envelope, keras_major_, made_, path).read());
      return {inner->model, inner};
    }
    const auto make_wrapped = [this](const json& envelope, const std::string& outer) {
      if (made_.around == kMaxAround) {
        fail("model-config", fmt::format("more than {} layers stand one around the other", kMaxAround), outer);
      }
      const Inside inside(made_);
      count_parts(1);
      if (!envelope.contains("config")) fail("model-config", fmt::format("{} is no layer", json_text(envelope)), outer);
      LayerConfig inner;
      inner.config = &envelope["config"];
      inner.envelope = &envelope;
      inner.class_name = text_of(envelope, "class_name");
      inner.name = name_of(envelope);
      const bool plain = inner.config->is_object() || layers_of(envelope) != nullptr;
      if (!plain || inner.name.empty() || operation_of(envelope) != nullptr)
        fail("model-config", fmt::format("{} is no layer", json_text(envelope)), outer);
      return make_unshared(inner, joined(outer, inner.name)).layer;
    };
    FieldReader fields(*layer.config, path, layer.class_name, keras_major_, make_wrapped);
    const ClassOf found = class_of(*layer.envelope, layer.class_name);
    if (found.known.empty()) throw Error(refusal({{found.why, path}}, {}));
    const Layer made = layer_class(found.known)->make(fields);
    if (keras_major_ < 3) made.base().set_keras2();
    add_penalties(made.base(), *layer.config, fields.unknown_penalties());
    made.base().set_identity(made.class_name(), layer.name);
    if (keras_major_ >= 3) made.base().set_source_config(python_json(*layer.config));
    return {made, nullptr};
  }

  /// Counts a layer inside of another one while it is being made.
  struct Inside {
    explicit Inside(MadeLayers& layers) : made(layers) { ++made.around; }
    ~Inside() { --made.around; }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
    MadeLayers& made;
  };

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
    out_.model.base().set_identity("Sequential", name);
  }

  /// The input of a Sequential model without an InputLayer: its shape stands at the first layer or at the model.
  Tensor undeclared_input(const json& config) {
    const json& first = *configs_[0].config;
    json shape;
    if (first.is_object() && first.contains("batch_input_shape")) {
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
    Ends inputs;
    Ends outputs;
    if (!config.contains("input_layers")) fail("model-config", "the model has no input_layers", path_);
    find_ends(config["input_layers"], "input_layers", inputs);
    find_ends(config["output_layers"], "output_layers", outputs);
    for (const Ends* ends : {&inputs, &outputs}) {
      if (ends->references.size() > kMaxEnds)
        fail("model-config", fmt::format("the model has more than {} inputs or outputs", kMaxEnds), path_);
    }
    count_nodes_from_zero(inputs, outputs);
    check_references();
    results_.resize(configs_.size());
    missing_.resize(configs_.size());
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      if (InputLayerImpl* input = as_input(layers_[i])) results_[i].push_back({input->make()});
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
    out_.model = Model(tensors_of(inputs, "an input"), tensors_of(outputs, "an output"), {.name = name});
    rename(out_.model.functional().input_names, inputs.keys);
    rename(out_.model.functional().output_names, outputs.keys);
  }

  /// A model has a node from its making, so its calls may be counted from 1: in Keras 2 wherever they are named (a
  /// Sequential one only if it began with an InputLayer, which no longer shows), in Keras 3 at the ends of the model
  /// around it, for a Functional one.
  void count_nodes_from_zero(Ends& inputs, Ends& outputs) {
    for (const LayerConfig& layer : configs_) {
      if (layers_of(*layer.envelope) == nullptr) continue;
      std::vector<Reference*> calls;
      std::vector<Reference*> ends;
      for (LayerConfig& reader : configs_) {
        for (CallConfig& call : reader.calls) {
          call.each([&](Reference& reference) {
            if (reference.layer == layer.name) calls.push_back(&reference);
          });
        }
      }
      for (Ends* list : {&inputs, &outputs}) {
        for (Reference& reference : list->references) {
          if (reference.layer == layer.name) ends.push_back(&reference);
        }
      }
      const bool functional = layer.class_name != "Sequential";
      bool from_one = functional;
      if (keras_major_ < 3) {
        calls.insert(calls.end(), ends.begin(), ends.end());
        const auto named = [&](std::int64_t node) {
          return std::ranges::any_of(calls, [&](const Reference* reference) { return reference->node == node; });
        };
        from_one = named(static_cast<std::int64_t>(layer.calls.size())) || (functional && !named(0));
        ends = calls;
      }
      for (Reference* reference : ends) reference->node -= from_one ? 1 : 0;
    }
  }

  static void rename(std::vector<std::string>& names, const std::vector<std::string>& keys) {
    if (keys.size() != names.size()) return;
    std::set<std::string> taken;  // dicts in a list may share a key
    names.clear();
    for (const std::string& key : keys) names.push_back(unique_name(key, taken));
  }

  /// Every layer and node that is named exists.
  void check_references() {
    for (LayerConfig& layer : configs_) {
      const bool is_input = layer.class_name == "InputLayer";
      if (is_input && !layer.calls.empty()) fail("graph-reference", "an InputLayer reads another layer", layer.name);
      for (std::size_t n = 0; n < layer.calls.size(); ++n) {
        layer.calls[n].each(
            [&](const Reference& reference) { check(reference, fmt::format("node {}", n), layer.name); });
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
    if (reference.tensor < 0) {  // how many there are shows when it has been called
      fail("graph-reference",
           fmt::format("{} refers to result {} of layer {}", who, reference.tensor, in_quotes(reference.layer)), layer);
    }
  }

  const Tensor* find(const Reference& reference) const {
    const std::vector<std::vector<Tensor>>& made = results_[index_.find(reference.layer)->second];
    const auto node = static_cast<std::size_t>(reference.node);
    if (node >= made.size()) return nullptr;
    const auto tensor = static_cast<std::size_t>(reference.tensor);
    if (tensor < made[node].size()) return &made[node][tensor];
    fail("graph-reference",
         fmt::format("something reads result {} of layer {}, which has {}", reference.tensor,
                     in_quotes(reference.layer), made[node].size()),
         joined(path_, reference.layer));
  }

  /// The next call of a layer, if what it reads is there.
  bool replay(std::size_t i) {
    CallConfig& call = configs_[i].calls[results_[i].size()];
    Missing& missing = missing_[i];
    if (results_[missing.layer].size() < missing.calls) return false;
    bool ready = true;
    call.each([&](const Reference& reference) {
      if (!ready || find(reference) != nullptr) return;
      ready = false;
      missing = {index_.find(reference.layer)->second, static_cast<std::size_t>(reference.node) + 1};
    });
    if (!ready) return false;
    std::vector<Tensor> inputs;
    for (const Reference& reference : call.inputs) inputs.push_back(*find(reference));
    Call how = call.how;
    for (const std::optional<Reference>& mask : call.masks) how.mask.list.push_back(mask ? *find(*mask) : Tensor());
    if (call.attention_mask) how.attention_mask = *find(*call.attention_mask);
    results_[i].push_back(layers_[i](inputs, how).results());
    return true;
  }

  /// Follows what is missing until a layer comes again.
  [[noreturn]] void fail_cycle() {
    std::size_t at = 0;
    while (results_[at].size() == configs_[at].calls.size() || configs_[at].class_name == "InputLayer") ++at;
    std::vector<std::size_t> way;
    while (std::ranges::find(way, at) == way.end()) {
      way.push_back(at);
      std::size_t next = at;
      configs_[at].calls[results_[at].size()].each([&](const Reference& reference) {
        if (find(reference) == nullptr) next = index_.find(reference.layer)->second;
      });
      at = next;
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
  MadeLayers& made_;
  std::string path_;
  ConfiguredModel out_;
  std::vector<LayerConfig> configs_;
  std::map<std::string, std::size_t, std::less<>> index_;  // by name
  std::vector<Layer> layers_;
  std::vector<std::vector<std::vector<Tensor>>> results_;  // of each layer, of each call

  struct Missing {
    std::size_t layer = 0;
    std::size_t calls = 0;
  };
  std::vector<Missing> missing_;  // how many calls of another layer the next call of each waits for
};

}  // namespace

Layer layer_from_envelope(const json& envelope, int keras_major) {
  if (!envelope.is_object() || !envelope.contains("config") || !envelope["config"].is_object())
    fail("model-config", fmt::format("{} is no layer", json_text(envelope)));
  MadeLayers made;
  return Reader(envelope, keras_major, made, {}).read_layer();
}

ConfiguredModel model_from_config(const json& config, int keras_major) {
  if (!is_envelope(config)) fail("config", "the text holds no model: expected an object with class_name and config");
  MadeLayers made;
  return Reader(config, keras_major, made, {}).read();
}

}  // namespace tusk
