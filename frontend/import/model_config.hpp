// The configuration of a model ({"class_name", "config", ...}) as a Model without weights.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "frontend/model/model.hpp"

namespace tusk {

struct ConfiguredModel {
  Model model;
  std::map<std::string, Layer, std::less<>> layers;                            // by name
  std::map<std::string, std::shared_ptr<ConfiguredModel>, std::less<>> inner;  // layers that are models
};

/// Functional and Sequential, one inside of the other or not, as Keras 2 and 3 write them. Throws an Error: one that
/// lists every layer that is not supported, or the first thing that is wrong.
ConfiguredModel model_from_config(const nlohmann::json& config, int keras_major);

/// A layer by itself, from {"class_name", "config"}.
Layer layer_from_envelope(const nlohmann::json& envelope, int keras_major);

}  // namespace tusk
