// Which losses there are: by class for configurations, by name for compile.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/training/loss.hpp"

namespace tusk {

/// "mse", "mean_squared_error", "MeanSquaredError": Keras' names, with defaults. Throws [training-name] for any other.
Loss loss_named(std::string_view name);

/// A loss from {"class_name": ..., "config": {...}}, as files have it, or from a name. Throws what is wrong in it.
Loss loss_from_config(const nlohmann::json& config);

/// The other way: {"module", "class_name", "config", ...}. Throws [config-class].
nlohmann::ordered_json loss_config(const Loss& loss);

/// The classes, in alphabetical order.
std::vector<std::string_view> loss_classes();

}  // namespace tusk
