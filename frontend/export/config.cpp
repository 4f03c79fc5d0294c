#include "frontend/export/config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "frontend/export/field_writer.hpp"
#include "frontend/export/operation_writer.hpp"
#include "frontend/files/json.hpp"
#include "frontend/import/layer_list.hpp"
#include "frontend/import/model_config.hpp"

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

Json model_config(const FunctionalImpl& model, const SharedIds& ids);
Json layer_envelope(const Layer& layer, const SharedIds& ids);

/// name, trainable, dtype and the fields. What a file said is kept, with what is of training only.
Json config_of(const Layer& layer, const SharedIds& ids) {
  const LayerBase& base = layer.base();
  if (const auto* model = dynamic_cast<const FunctionalImpl*>(&base)) return model_config(*model, ids);
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
  FieldWriter writer(base, [&](const Layer& inner) { return layer_envelope(inner, ids); });
  known->write(base, writer);
  if (!base.trainable()) out["trainable"] = false;  // some of Keras' layers do not take it
  if (dynamic_cast<const InputLayerImpl*>(&base) == nullptr)
    out["dtype"] = envelope("keras", "DTypePolicy", Json{{"name", base.dtype_policy().name}});
  if (base.activity_regularizer()) out["activity_regularizer"] = FieldWriter::written(base.activity_regularizer());
  out.update(writer.json);
  return out;
}

Json layer_envelope(const Layer& layer, const SharedIds& ids) {
  const LayerBase& base = layer.base();
  if (const auto* operation = dynamic_cast<const ops::OperationImpl*>(&base))
    return envelope(module_of(operation->def()), operation->def().name, config_of(layer, ids));
  const bool functional = base.is_model() && base.class_name() != "Sequential";
  Json out = envelope(functional        ? "keras.src.models.functional"
                      : base.is_model() ? "keras"
                                        : "keras.layers",
                      base.class_name(), config_of(layer, ids));
  if (const KnownLayer* known = base.is_model() ? nullptr : known_layer_of(base)) {
    if (const std::size_t end = known->class_name.find('>'); end != std::string::npos) {
      out["module"] = known->class_name.substr(0, end);
      out["registered_name"] = known->class_name;
    }
  }
  if (const auto id = ids.find(&base); id != ids.end()) out["shared_object_id"] = id->second;
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
    Json shape = Json::array();
    for (const Dim& dim : tensor.shape()) shape.push_back(dim.is_constant() ? Json(dim.constant()) : Json());
    return Json{
        {"class_name", "__keras_tensor__"},
        {"config", {{"shape", shape}, {"dtype", keras_dtype(tensor.dtype())}, {"keras_history", history(tensor)}}}};
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

Json model_config(const FunctionalImpl& model, const SharedIds& ids) {
  Json out{{"name", model.name()}, {"trainable", model.trainable()}, {"layers", Json::array()}};
  const bool sequential = model.class_name() == "Sequential";
  const CallWriter calls(model);
  for (const Layer& layer : sequential ? model.layers : model.operations) {
    Json one = layer_envelope(layer, ids);
    if (!sequential) {
      one["name"] = layer.name();
      one["inbound_nodes"] = calls.calls_of(layer);
    }
    out["layers"].push_back(std::move(one));
  }
  if (sequential) return out;
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

SharedIds shared_ids(const Layer& layer) {
  SharedIds ids;
  std::map<const LayerBase*, int> counts;
  if (const auto* model = dynamic_cast<const FunctionalImpl*>(&layer.base())) count_models(*model, counts, ids);
  return ids;
}

std::string text_of(const Json& value) {
  try {
    return python_json(value);
  } catch (const Json::exception&) {
    throw Error(error("field-value", "a text of the configuration is not UTF-8"));
  }
}

}  // namespace

std::string get_config(const Layer& layer) { return text_of(config_of(layer, shared_ids(layer))); }

std::string config_json(const Model& model, std::string_view compile_config) {
  Json out = layer_envelope(model, shared_ids(model));
  out["compile_config"] = Json(value_or_throw(parse_json(compile_config, "what compile was given")));
  return text_of(out);
}

std::string to_json(const Model& model) {
  Json out = layer_envelope(model, shared_ids(model));
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
