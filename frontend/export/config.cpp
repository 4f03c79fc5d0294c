#include "frontend/export/config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <set>

#include "frontend/export/field_writer.hpp"
#include "frontend/export/operation_writer.hpp"
#include "frontend/files/json.hpp"
#include "frontend/import/layer_list.hpp"
#include "frontend/import/model_config.hpp"
#include "frontend/model/written_shapes.hpp"

namespace tusk {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kKerasMajor = 3;

Json envelope(const std::string& module, std::string_view class_name, Json config) {
  return Json{
      {"module", module}, {"class_name", class_name}, {"config", std::move(config)}, {"registered_name", nullptr}};
}

/// Layers that stand in several models, in the order of their first calls: a file knows them by numbers.
using SharedIds = std::map<const LayerBase*, std::int64_t>;

void count_models(const FunctionalImpl& model, std::map<const LayerBase*, int>& counts, SharedIds& ids) {
  for (const Layer& layer : model.operations) {
    if (++counts[&layer.base()] == 2) ids.try_emplace(&layer.base(), static_cast<std::int64_t>(ids.size()) + 1);
    if (const auto* inner = dynamic_cast<const FunctionalImpl*>(&layer.base())) count_models(*inner, counts, ids);
  }
}

Json policy_of(const LayerBase& layer) {
  return envelope("keras", "DTypePolicy", Json{{"name", layer.dtype_policy().name}});
}

/// How much of the layers of a model is written.
struct Style {
  SharedIds ids = {};
  WrittenShapes shapes = {};
  bool legacy = false;  // as `.h5` files have it: class and config, without modules and shapes
};

Json model_config(const FunctionalImpl& model, const Style& style);
Json layer_envelope(const Layer& layer, const Style& style);

// Layers that Keras never builds, so that it knows no shapes of theirs.
constexpr std::array<std::string_view, 30> kUnbuilt = {
    "Activation",
    "ActivityRegularization",
    "AlphaDropout",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "Dropout",
    "ELU",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "Identity",
    "InputLayer",
    "LeakyReLU",
    "Masking",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "ReLU",
    "Reshape",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "UnitNormalization",
};

Json written(const Shape& shape) {
  Json out = Json::array();
  for (const Dim& dim : shape) out.push_back(dim.is_constant() ? Json(dim.constant()) : Json());
  return out;
}

/// What the first call of a layer is given, as Keras writes it; of a layer inside of another, what that builds it for.
std::vector<Json> input_shapes(const LayerBase& base, const Style& style) {
  const std::shared_ptr<const Node> first = base.nodes().empty() ? nullptr : base.nodes().front().lock();
  std::vector<Json> out;
  if (first != nullptr && style.shapes.contains(first.get())) {
    for (std::size_t i = 0; i < first->positional; ++i) {
      const Tensor::Result& input = *first->inputs[i].result();
      const auto known = style.shapes.find(input.node.get());
      if (known == style.shapes.end()) break;
      out.push_back(written(known->second[static_cast<std::size_t>(input.index)]));
    }
    if (out.size() == first->positional) return out;
    out.clear();
  }
  for (const Shape& shape : base.build_shapes()) out.push_back(written(shape));
  return out;
}

/// Of a Sequential model.
Json input_shape(const FunctionalImpl& model, const Style& style) {
  const Tensor& input = model.inputs.front();
  const auto known = style.shapes.find(input.result()->node.get());
  return written(known == style.shapes.end() ? input.shape() : known->second.front());
}

/// What Keras builds the layer for before it gives it its weights; null where it has nothing to build.
Json build_config(const LayerBase& base, const Style& style) {
  const std::string_view kind = base.class_name();
  if (const auto* model = dynamic_cast<const FunctionalImpl*>(&base)) {
    return Json{{"input_shape", kind == "Sequential" ? input_shape(*model, style) : Json()}};
  }
  if (std::ranges::find(kUnbuilt, kind) != kUnbuilt.end()) return {};
  if (kind == "IntegerLookup" || kind == "StringLookup") return Json::object();
  std::vector<Json> shapes = input_shapes(base, style);
  if (shapes.empty()) return {};
  if (kind == "CategoryEncoding") shapes.resize(1);  // the weights are no argument of `build`
  if (kind == "MultiHeadAttention" || kind == "GroupQueryAttention") {
    static constexpr const char* kNames[] = {"query_shape", "value_shape", "key_shape"};
    Json named = Json::object();
    for (std::size_t i = 0; i < shapes.size(); ++i) named[kNames[i]] = shapes[i];
    return Json{{"shapes_dict", std::move(named)}};
  }
  return Json{{"input_shape", shapes.size() == 1 ? shapes.front() : Json(shapes)}};
}

/// name, trainable, dtype and the fields. What a file said is kept, with what is of training only.
Json config_of(const Layer& layer, const Style& style) {
  const LayerBase& base = layer.base();
  if (const auto* model = dynamic_cast<const FunctionalImpl*>(&base)) return model_config(*model, style);
  if (const auto* operation = dynamic_cast<const ops::OperationImpl*>(&base)) return config_of(*operation);
  Json out{{"name", base.name()}};
  if (!base.source_config().empty()) {
    out.update(Json(value_or_throw(parse_json(base.source_config(), "a configuration"))));
    out["name"] = base.name();
    if (out.contains("trainable") || !base.trainable()) out["trainable"] = base.trainable();
    return out;
  }
  const KnownLayer* known = known_layer_of(base);
  if (known == nullptr) {
    Diagnostic problem = error("config-class", fmt::format("class {} has no name in files", base.class_name()));
    problem.layer = base.name();
    throw Error(problem.note("register_layer gives it one"));
  }
  FieldWriter writer(base, [&](const Layer& inner) { return layer_envelope(inner, style); });
  known->write(base, writer);
  if (!base.trainable()) out["trainable"] = false;  // some of Keras' layers do not take it
  if (dynamic_cast<const InputLayerImpl*>(&base) == nullptr) out["dtype"] = policy_of(base);
  if (base.activity_regularizer()) out["activity_regularizer"] = FieldWriter::written(base.activity_regularizer());
  out.update(writer.json);
  return out;
}

Json layer_envelope(const Layer& layer, const Style& style) {
  const LayerBase& base = layer.base();
  if (const auto* operation = dynamic_cast<const ops::OperationImpl*>(&base))
    return envelope(module_of(operation->def()), operation->def().name, config_of(layer, style));
  const bool functional = base.is_model() && base.class_name() != "Sequential";
  Json out = envelope(functional        ? "keras.src.models.functional"
                      : base.is_model() ? "keras"
                                        : "keras.layers",
                      base.class_name(), config_of(layer, style));
  if (const KnownLayer* known = base.is_model() ? nullptr : known_layer_of(base)) {
    if (const std::size_t end = known->class_name.find('>'); end != std::string::npos) {
      out["module"] = known->class_name.substr(0, end);
      out["registered_name"] = known->class_name;
    }
  }
  if (Json shapes = build_config(base, style); !shapes.is_null()) out["build_config"] = std::move(shapes);
  if (const auto id = style.ids.find(&base); id != style.ids.end()) out["shared_object_id"] = id->second;
  return out;
}

/// The calls of one model, each known by its place among those of its layer.
class CallWriter {
 public:
  explicit CallWriter(const FunctionalImpl& model) {
    for (const Layer& layer : model.operations) {
      for (const std::weak_ptr<const Node>& held : layer.base().nodes()) {
        const std::shared_ptr<const Node> node = held.lock();
        const bool is_call = node != nullptr && !node->inputs.empty();  // what an InputLayer has is none
        if (is_call && model.depths.contains(node.get())) calls_[&layer.base()].push_back(node.get());
      }
    }
  }

  Json calls_of(const Layer& layer) const {
    Json out = Json::array();
    const auto calls = calls_.find(&layer.base());
    if (calls == calls_.end()) return out;
    for (const Node* node : calls->second) out.push_back(call(*node));
    return out;
  }

  /// One tensor, a list, or a dict where the names are not those of the layers.
  Json ends(const std::vector<Tensor>& tensors, const std::vector<std::string>& names,
            std::set<std::string>& taken) const {
    Json list = Json::array();
    bool named = false;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const LayerBase& layer = *tensors[i].result()->node->layer;
      Json one = history(tensors[i]);
      // A Functional model has a node from its making, which counts here.
      if (layer.is_model() && layer.class_name() != "Sequential") one[1] = one[1].get<std::int64_t>() + 1;
      list.push_back(std::move(one));
      named = named || unique_name(layer.name(), taken) != names[i];
    }
    if (!named) return list.size() == 1 ? list[0] : list;
    Json dict = Json::object();
    for (std::size_t i = 0; i < names.size(); ++i) dict[names[i]] = list[i];
    return dict;
  }

 private:
  Json history(const Tensor& tensor) const {
    const Tensor::Result& result = *tensor.result();
    const auto calls = calls_.find(result.node->layer.get());
    std::int64_t index = 0;  // inputs are made, not called
    if (calls != calls_.end()) index = std::ranges::find(calls->second, result.node.get()) - calls->second.begin();
    return Json::array({result.node->layer->name(), index, result.index});
  }

  Json reference(const Tensor& tensor) const {
    return Json{{"class_name", "__keras_tensor__"},
                {"config",
                 {{"shape", written(tensor.shape())},
                  {"dtype", keras_dtype(tensor.dtype())},
                  {"keras_history", history(tensor)}}}};
  }

  Json call(const Node& node) const {
    std::size_t next = 0;
    if (const auto* operation = dynamic_cast<const ops::OperationImpl*>(node.layer.get()))
      return call_of(*operation, [&] { return reference(node.inputs.at(next++)); });
    Json args = Json::array();
    while (next < node.positional) args.push_back(reference(node.inputs[next++]));
    const std::string_view class_name = node.layer->class_name();
    const bool projects = class_name == "MultiHeadAttention" || class_name == "GroupQueryAttention";
    Json kwargs = Json::object();
    if (class_name == "CategoryEncoding" && args.size() == 2) {
      kwargs["count_weights"] = args[1];
      args.erase(1);
    }
    if (args.size() > 1 && !projects && class_name != "Softmax") args = Json::array({std::move(args)});
    for (const auto& [flag, value] :
         {std::pair("training", node.call.training),
          std::pair("return_attention_scores", node.call.return_attention_scores),
          std::pair("use_causal_mask", node.call.use_causal_mask), std::pair("reverse", node.call.reverse)}) {
      if (value) kwargs[flag] = true;
    }
    // Behind the arguments a node holds the tensors of its call, in the order of Call::tensors.
    Call how = node.call;
    std::map<const Tensor*, Json> given;
    for (const Tensor* tensor : how.tensors()) given[tensor] = reference(node.inputs.at(next++));
    if (const auto it = given.find(&how.attention_mask); it != given.end()) kwargs["attention_mask"] = it->second;
    Json masks = Json::array();
    for (const Tensor& mask : how.mask.list) masks.push_back(given.contains(&mask) ? given[&mask] : Json());
    static constexpr const char* kMasks[] = {"query_mask", "value_mask", "key_mask"};
    for (std::size_t i = 0; projects && i < masks.size(); ++i) {
      if (!masks[i].is_null()) kwargs[kMasks[i]] = masks[i];
    }
    if (!projects && !masks.empty()) kwargs["mask"] = node.positional == 1 ? masks[0] : masks;
    return Json{{"args", std::move(args)}, {"kwargs", std::move(kwargs)}};
  }

  std::map<const LayerBase*, std::vector<const Node*>> calls_;
};

/// {"class_name", "config"}; layers that a layer wraps are written in full there, too.
Json legacy_envelope(const Layer& layer, const Style& style) {
  if (const auto* operation = dynamic_cast<const ops::OperationImpl*>(&layer.base())) {
    Diagnostic problem = error("config-class", fmt::format("the operation {} has no name in a .h5: Keras takes it for "
                                                           "a layer",
                                                           operation->def().name));
    problem.layer = layer.name();
    throw Error(problem.note("a .keras has one, or a layer does the same"));
  }
  const Json full = layer_envelope(layer, style);
  const bool is_registered = full["registered_name"].is_string() && !layer.base().is_model();
  const Json class_name = is_registered ? full["registered_name"] : Json(layer.base().keras_class());
  return Json{{"class_name", class_name}, {"config", full["config"]}};
}

Json model_config(const FunctionalImpl& model, const Style& style) {
  const bool sequential = model.class_name() == "Sequential";
  Json out{{"name", model.name()}, {"trainable", model.trainable()}};
  if (sequential) out["dtype"] = policy_of(model);
  out["layers"] = Json::array();
  const CallWriter calls(model);
  for (const Layer& layer : sequential ? model.layers : model.operations) {
    Json one = style.legacy ? legacy_envelope(layer, style) : layer_envelope(layer, style);
    if (!sequential) {
      one["name"] = layer.name();
      one["inbound_nodes"] = calls.calls_of(layer);
    }
    out["layers"].push_back(std::move(one));
  }
  if (sequential) {
    out["build_input_shape"] = input_shape(model, style);
    return out;
  }
  std::set<std::string> taken;  // by the inputs, too
  out["input_layers"] = calls.ends(model.inputs, model.input_names, taken);
  out["output_layers"] = calls.ends(model.outputs, model.output_names, taken);
  return out;
}

nlohmann::json parsed(std::string_view text) {
  Expected<nlohmann::json> json = parse_json(text, "the configuration");
  if (!json) throw Error(json.problem());
  return *std::move(json);
}

void add_shapes(const FunctionalImpl& model, WrittenShapes& shapes) {
  shapes.merge(written_shapes(model));
  for (const Layer& layer : model.layers) {
    if (const auto* inner = dynamic_cast<const FunctionalImpl*>(&layer.base())) add_shapes(*inner, shapes);
  }
}

Style style_of(const Layer& layer) {
  Style style;
  std::map<const LayerBase*, int> counts;
  if (const auto* model = dynamic_cast<const FunctionalImpl*>(&layer.base())) {
    count_models(*model, counts, style.ids);
    add_shapes(*model, style.shapes);
  }
  return style;
}

// What a `.keras` said of objects that are shared.
Json without_ids(Json value) {
  if (value.is_object()) value.erase("shared_object_id");
  if (value.is_structured()) {
    for (Json& each : value) each = without_ids(std::move(each));
  }
  return value;
}

std::string text_of(const Json& value) {
  try {
    return python_json(value);
  } catch (const Json::exception&) {
    throw Error(error("field-value", "a text of the configuration is not UTF-8"));
  }
}

}  // namespace

std::string get_config(const Layer& layer) { return text_of(config_of(layer, style_of(layer))); }

std::string config_json(const Model& model, const Json& compile_config) {
  Json out = layer_envelope(model, style_of(model));
  out["compile_config"] = compile_config;
  return text_of(out);
}

std::string legacy_json(const Model& model) {
  Style style = style_of(model);
  style.ids.clear();
  style.legacy = true;
  return text_of(without_ids(legacy_envelope(model, style)));
}

std::string to_json(const Model& model) {
  Json out = layer_envelope(model, style_of(model));
  out["keras_version"] = kKerasVersion;
  return text_of(out);
}

Model model_from_json(std::string_view text) { return model_from_config(parsed(text), kKerasMajor).model; }

Model clone_model(const Model& model) { return model_from_json(to_json(model)); }

Layer layer_from_config(std::string_view class_name, std::string_view config) {
  nlohmann::json envelope{{"class_name", class_name}, {"config", parsed(config)}};
  if (class_name.find('>') != std::string_view::npos) envelope["registered_name"] = class_name;
  return layer_from_envelope(envelope, kKerasMajor);
}

}  // namespace tusk
