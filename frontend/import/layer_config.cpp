#include "frontend/import/layer_config.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>

#include "frontend/files/bytes.hpp"
#include "frontend/import/fields.hpp"
#include "frontend/import/layer_list.hpp"
#include "frontend/import/operation_config.hpp"

namespace tusk::layer_config {
namespace {

constexpr std::size_t kMaxName = 4096;

bool all_null(const json& value) {
  if (value.is_structured()) return std::ranges::all_of(value, all_null);
  return value.is_null();
}

}  // namespace

[[noreturn]] void fail(std::string code, std::string message, std::string layer) {
  Diagnostic problem = error(std::move(code), std::move(message));
  problem.layer = std::move(layer);
  throw Error(std::move(problem));
}

std::string text_of(const json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

const json* layers_of(const json& envelope) {
  const std::string class_name = text_of(envelope, "class_name");
  if (class_name != "Functional" && class_name != "Model" && class_name != "Sequential") return nullptr;
  const auto config = envelope.find("config");
  if (config == envelope.end()) return nullptr;
  if (config->is_array() && class_name == "Sequential") return &*config;
  if (!config->is_object() || !config->contains("layers") || !(*config)["layers"].is_array()) return nullptr;
  return &(*config)["layers"];
}

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
    if (const ops::OperationDef* def = operation_of(envelope)) return {std::string(def->name), {}};
    return {{}, fmt::format("operation {} ({})", class_name, module)};
  }
  if (class_name == "Lambda") {
    return {{},
            "Lambda: Python bytecode, which is never decoded; write its function in C++ as a custom layer "
            "(register_layer), or rewrite it in Keras with layers such as Rescaling"};
  }
  if (class_name == "Hashing" || class_name == "HashedCrossing" || class_name == "StringLookup" ||
      class_name == "TextVectorization") {
    return {{},
            class_name +
                ": texts and their hashes; cut the model behind it, so that it begins with the integer ids "
                "that the layer gives"};
  }
  if (class_name == "Functional" || class_name == "Model" || class_name == "Sequential") {
    return {{}, fmt::format("{} without layers", class_name)};
  }
  if (is_keras_class(class_name)) return {{}, class_name};
  return {{}, fmt::format("{}, which is unknown{}", class_name, near_class(class_name))};
}

namespace {

Diagnostic unsupported_layers(const std::vector<std::pair<std::string, std::string>>& unsupported) {
  std::vector<std::string> reasons;
  std::map<std::string, std::vector<std::string>> layers;  // by reason
  for (const auto& [reason, layer] : unsupported) {
    std::vector<std::string>& names = layers[reason];
    if (names.empty()) reasons.push_back(reason);
    names.push_back(in_quotes(layer));
  }
  Diagnostic problem =
      unsupported.size() == 1
          ? error("layer-unsupported",
                  fmt::format("layer{} is not supported in this release: {}",
                              unsupported.front().second.empty() ? "" : " " + in_quotes(unsupported.front().second),
                              reasons.front()))
          : error("layer-unsupported", fmt::format("{} layers are not supported in this release", unsupported.size()));
  if (unsupported.size() == 1) problem.layer = unsupported.front().second;
  for (const std::string& reason : unsupported.size() == 1 ? std::vector<std::string>() : reasons) {
    const std::vector<std::string>& names = layers[reason];
    problem.note(fmt::format("{} x {}: {}", names.size(), reason, fmt::join(names, ", ")));
  }
  problem.note(
      "`tusk layers` lists those that are supported: rewrite the model with them, cut it in front of the first other "
      "layer, or write the layer in C++ (register_layer)");
  return problem;
}

}  // namespace

Diagnostic refusal(const std::vector<std::pair<std::string, std::string>>& unsupported,
                   const std::vector<Diagnostic>& problems) {
  if (unsupported.empty() && problems.size() == 1) return problems.front();
  Diagnostic out = unsupported.empty() ? error("layers", fmt::format("{} layers cannot be read", problems.size()))
                                       : unsupported_layers(unsupported);
  for (const Diagnostic& problem : problems) {
    if (!unsupported.empty() && problem.code == "layer-unsupported") continue;  // it stands there
    std::vector<std::string> lines{
        fmt::format("layer {}: {} [{}]", in_quotes(problem.layer), problem.message, problem.code)};
    lines.insert(lines.end(), problem.notes.begin(), problem.notes.end());
    out.note(fmt::format("{}", fmt::join(lines, "; ")));
  }
  return out;
}

bool is_envelope(const json& value) {
  return value.is_object() && value.contains("class_name") && value["class_name"].is_string() &&
         value.contains("config") && (value["config"].is_object() || value["config"].is_array());
}

std::string joined(const std::string& path, const std::string& name) {
  return path.empty() ? name : fmt::format("{}/{}", path, name);
}

const json* wrapped_layer(const json& envelope) {
  const auto config = envelope.find("config");
  if (config == envelope.end() || !config->is_object()) return nullptr;
  const auto layer = config->find("layer");
  return layer != config->end() && layer->is_object() ? &*layer : nullptr;
}

std::string name_of(const json& envelope) {
  std::string name = text_of(envelope, "name");
  if (name.empty() && envelope.contains("config") && envelope["config"].is_object())
    name = text_of(envelope["config"], "name");
  if (name.size() > kMaxName) {
    fail("model-config",
         fmt::format("the name of a layer has {} characters, at most {} are read", name.size(), kMaxName));
  }
  return name;
}

namespace {

void add_unsupported(const json& envelope, const std::string& path,
                     std::vector<std::pair<std::string, std::string>>& out) {
  if (!envelope.is_object()) return;
  const std::string at = joined(path, name_of(envelope));
  if (const json* inner = layers_of(envelope)) {
    find_unsupported(*inner, at, out);
    return;
  }
  const ClassOf found = class_of(envelope, text_of(envelope, "class_name"));
  if (found.known.empty() || !envelope.contains("config")) {
    if (found.known.empty()) out.emplace_back(found.why, at);
    return;
  }
  if (const json* wrapped = wrapped_layer(envelope)) add_unsupported(*wrapped, at, out);
  // A layer as an activation.
  const json& config = envelope["config"];
  if (!config.is_object() || !config.contains("activation") || operation_of(envelope) != nullptr) return;
  const json& activation = config["activation"];
  if (activation.is_object() && text_of(activation, "class_name") != "function") add_unsupported(activation, at, out);
}

}  // namespace

void find_unsupported(const json& layers, const std::string& path,
                      std::vector<std::pair<std::string, std::string>>& out) {
  for (const json& envelope : layers) add_unsupported(envelope, path, out);
}

void check_shared(const json& layers, const std::string& path, std::map<std::string, Occurrences>& met) {
  for (const json& envelope : layers) {
    if (!envelope.is_object()) continue;
    const std::string at = joined(path, name_of(envelope));
    const json last = envelope.value("shared_object_id", json());
    const auto [place, is_first] =
        met.try_emplace(fmt::format("{}/{}", text_of(envelope, "class_name"), name_of(envelope)), Occurrences{last});
    Occurrences& others = place->second;
    if (!is_first) {
      if (!others.later) others.later = last;
      others.equal = others.equal && last == *others.later;
      const bool shared = !others.first.is_null() || !others.later->is_null() || !last.is_null();
      const bool fits =
          !others.later->is_null() && others.equal && (others.first.is_null() || others.first == *others.later);
      if (shared && !fits) {
        fail("model-shared",
             fmt::format("several models have a layer {}, and which of them are the same layer cannot be told from the "
                         "file; give different layers different names and save it again",
                         in_quotes(name_of(envelope))),
             at);
      }
    }
    if (const json* inner = layers_of(envelope); inner != nullptr && last.is_null()) check_shared(*inner, at, met);
  }
}

namespace {

std::int64_t index_of(const json& value, const std::string& layer) {
  if (!value.is_number_integer())
    fail("graph-reference", fmt::format("{} is no index of a node", json_text(value)), layer);
  const auto index = value.get<std::int64_t>();
  if (std::abs(index) > INT32_MAX || (value.is_number_unsigned() && value.get<std::uint64_t>() > INT32_MAX))
    fail("graph-reference", fmt::format("there is no node {}", json_text(value)), layer);
  return index;
}

/// ["name", node, tensor] and, in Keras 2, arguments behind it.
bool is_reference(const json& value) {
  return value.is_array() && (value.size() == 3 || value.size() == 4) && value[0].is_string();
}

Reference reference_of(const json& value, const std::string& layer) {
  return {value[0].get<std::string>(), index_of(value[1], layer), index_of(value[2], layer)};
}

bool is_keras_tensor(const json& value) {
  return value.is_object() && text_of(value, "class_name") == "__keras_tensor__";
}

/// A tensor of an argument by name: of Keras 3 or, a bare reference, of Keras 2.
std::optional<Reference> named_tensor(const json& value, const std::string& layer) {
  if (is_keras_tensor(value)) return tensor_reference(value, layer);
  if (is_reference(value)) return reference_of(value, layer);
  return std::nullopt;
}

// Keras 3: {"args": [tensor or list], "kwargs": {...}}.
void find_tensors(const json& value, const std::string& layer, std::vector<Reference>& out) {
  if (value.is_array()) {
    for (const json& entry : value) find_tensors(entry, layer, out);
    return;
  }
  if (is_keras_tensor(value)) {
    out.push_back(tensor_reference(value, layer));
    return;
  }
  if (value.is_object() && !value.empty() && !value.contains("class_name")) {  // a dict of inputs, flat by sorted key
    for (const auto& [key, entry] : value.items()) find_tensors(entry, layer, out);
    return;
  }
  fail("call-argument", fmt::format("it is called with {}, which is no tensor of the model", json_text(value)), layer);
}

// The arguments of attention layers by name; others of them are positional.
constexpr std::string_view kInputs[] = {"query", "value", "key", "count_weights"};
constexpr std::string_view kMasks[] = {"query_mask", "value_mask", "key_mask"};

class Keywords {
 public:
  Keywords(CallConfig& call, std::string layer) : call_(call), layer_(std::move(layer)) {}

  void take(const json& kwargs) {
    for (const std::string_view input : kInputs) {
      const auto it = kwargs.find(input);
      if (it == kwargs.end() || it->is_null()) continue;
      if (const std::optional<Reference> tensor = named_tensor(*it, layer_)) {
        call_.inputs.push_back(*tensor);
      } else {
        refuse(std::string(input), *it);
      }
    }
    for (const auto& [key, value] : kwargs.items()) take(key, value);
  }

 private:
  void take(const std::string& key, const json& value) {
    if (std::ranges::find(kInputs, key) != std::end(kInputs) || key == "name") return;
    if (all_null(value)) return;  // a mask for each input
    static constexpr std::pair<std::string_view, bool Call::*> kFlags[] = {
        {"training", &Call::training},
        {"return_attention_scores", &Call::return_attention_scores},
        {"use_causal_mask", &Call::use_causal_mask},
        {"reverse", &Call::reverse}};
    for (const auto& [flag, member] : kFlags) {
      if (key == flag && value.is_boolean()) {
        call_.how.*member = value.get<bool>();
        return;
      }
    }
    if (key == "mask") {
      const bool one = named_tensor(value, layer_).has_value();
      if (!one && !value.is_array()) refuse(key, value);
      for (const json& entry : one ? json::array({value}) : value) {
        call_.masks.push_back(named_tensor(entry, layer_));
        if (!call_.masks.back() && !entry.is_null()) refuse(key, value);
      }
      return;
    }
    const auto mask = std::ranges::find(kMasks, key);
    const std::optional<Reference> tensor = named_tensor(value, layer_);
    if (mask != std::end(kMasks) && tensor) {
      call_.masks.resize(std::max<std::size_t>(call_.masks.size(), static_cast<std::size_t>(mask - kMasks) + 1));
      call_.masks[static_cast<std::size_t>(mask - kMasks)] = tensor;
    } else if (key == "attention_mask" && tensor) {
      call_.attention_mask = tensor;
    } else {
      refuse(key, value);
    }
  }

  [[noreturn]] void refuse(const std::string& key, const json& value) const {
    fail("call-argument",
         fmt::format("it is called with {} = {}, which is not supported in this release", key, json_text(value)),
         layer_);
  }

  CallConfig& call_;
  std::string layer_;
};

}  // namespace

Reference tensor_reference(const json& value, const std::string& layer) {
  const auto config = value.find("config");
  if (config == value.end() || !config->is_object() || !config->contains("keras_history") ||
      !is_reference((*config)["keras_history"])) {
    fail("call-argument", fmt::format("it is called with {}, which is no tensor of the model", json_text(value)),
         layer);
  }
  return reference_of((*config)["keras_history"], layer);
}

CallConfig call_of(const json& node, const std::string& layer) {
  CallConfig call;
  Keywords keywords(call, layer);
  if (node.is_object() && node.contains("args")) {
    find_tensors(node["args"], layer, call.inputs);
    if (node.contains("kwargs") && node["kwargs"].is_object()) keywords.take(node["kwargs"]);
    return call;
  }
  // Keras 2: a list of references, the arguments by name on the first of them and again on the others.
  const json leaves = is_reference(node) ? json::array({node}) : node;
  if (!leaves.is_array()) fail("call-argument", fmt::format("{} is no call of a layer", json_text(node)), layer);
  for (const json& leaf : leaves) {
    if (!is_reference(leaf)) fail("call-argument", fmt::format("{} is no tensor of the model", json_text(leaf)), layer);
    call.inputs.push_back(reference_of(leaf, layer));
  }
  if (!leaves.empty() && leaves[0].size() == 4 && leaves[0][3].is_object()) keywords.take(leaves[0][3]);
  return call;
}

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

}  // namespace tusk::layer_config
