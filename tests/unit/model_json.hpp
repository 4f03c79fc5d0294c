// The configuration of a model as files of Keras have it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace tusk {

using nlohmann::json;

/// What a call reads: a result of a layer's call.
inline json tensor(const char* layer, int node = 0, int index = 0) {
  return {{"class_name", "__keras_tensor__"},
          {"config", {{"shape", {nullptr, 4}}, {"dtype", "float32"}, {"keras_history", {layer, node, index}}}}};
}

/// `calls`: of each, its arguments.
inline json layer(const char* class_name, json config, json calls) {
  json nodes = json::array();
  for (const json& args : calls) nodes.push_back({{"args", args}, {"kwargs", json::object()}});
  const std::string name = config["name"];
  return {{"module", "keras.layers"},
          {"class_name", class_name},
          {"config", std::move(config)},
          {"registered_name", nullptr},
          {"name", name},
          {"inbound_nodes", nodes}};
}

/// With an input `x` of four numbers.
inline json functional(json layers, json outputs) {
  layers.insert(layers.begin(), layer("InputLayer", {{"batch_shape", {nullptr, 4}}, {"name", "x"}}, json::array()));
  return {{"class_name", "Functional"},
          {"config", {{"name", "m"}, {"layers", layers}, {"input_layers", {"x", 0, 0}}, {"output_layers", outputs}}}};
}

}  // namespace tusk
