// The configurations of layers in a file, and how they are called: plain reading, before anything is built.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "frontend/model/tensor.hpp"

namespace tusk::layer_config {

using nlohmann::json;

/// A result that a call or an output reads.
struct Reference {
  std::string layer;
  std::int64_t node = 0, tensor = 0;
};

struct CallConfig {
  std::vector<Reference> inputs;
  std::vector<std::optional<Reference>> masks;  // of the inputs, in their order; none: what they carry
  std::optional<Reference> attention_mask;
  Call how;  // without tensors

  /// Calls `visit` on everything that the call reads.
  template <class Visit>
  void each(Visit&& visit) {
    for (Reference& reference : inputs) visit(reference);
    for (std::optional<Reference>& mask : masks) {
      if (mask) visit(*mask);
    }
    if (attention_mask) visit(*attention_mask);
  }
};

struct LayerConfig {
  std::string name, class_name;
  const json* config = nullptr;
  const json* envelope = nullptr;
  std::vector<CallConfig> calls;
};

/// A class as register_layer knows it, or "" with the reason why there is none.
struct ClassOf {
  std::string known;
  std::string why;
};

/// input_layers and output_layers: one reference, a list of them, or a dict, whose keys are names.
struct Ends {
  std::vector<Reference> references;
  std::vector<std::string> keys;  // of a dict, in the order of the references, which Keras sorts
};

/// Throws an Error at a layer.
[[noreturn]] void fail(std::string code, std::string message, std::string layer = {});
/// A member that is a text, else "".
std::string text_of(const json& object, const char* key);
/// "outer/name".
std::string joined(const std::string& path, const std::string& name);

/// The layers of a model among layers: those of its configuration, which early versions wrote as a bare list.
const json* layers_of(const json& envelope);

/// The envelope of the layer inside of one that wraps it, or null.
const json* wrapped_layer(const json& envelope);

/// What a layer of a file is here.
ClassOf class_of(const json& envelope, const std::string& class_name);

/// The name of a layer: its own, or that of its configuration.
std::string name_of(const json& envelope);

/// Layers that are not supported, also those of models inside: the reason, and the layer's path.
void find_unsupported(const json& layers, const std::string& path,
                      std::vector<std::pair<std::string, std::string>>& out);

/// The one error for all layers that cannot be read: those that are not supported (reason and path), and those with
/// problems of their own. Requires: there is one.
Diagnostic refusal(const std::vector<std::pair<std::string, std::string>>& unsupported,
                   const std::vector<Diagnostic>& problems);

/// {"class_name": ..., "config": ...} of a model or layer.
bool is_envelope(const json& value);

/// The ids of the layers of one class and name: null is none.
struct Occurrences {
  json first = {};
  std::optional<json> later = {};  // of the second one
  bool equal = true;               // those behind it have the same
};

/// Occurrences of a layer in several models have an id, but for the first one. Where two layers have one class and
/// name, which of them an id means cannot be told.
void check_shared(const json& layers, const std::string& path, std::map<std::string, Occurrences>& met);

/// {"class_name": "__keras_tensor__", ...}: what it refers to.
Reference tensor_reference(const json& value, const std::string& layer);

/// One entry of inbound_nodes, as Keras 2 or 3 writes it.
CallConfig call_of(const json& node, const std::string& layer);

/// Adds the references of input_layers or output_layers.
void find_ends(const json& value, const char* what, Ends& ends);

}  // namespace tusk::layer_config
