// Which metrics there are, by class.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>
#include <vector>

#include "frontend/training/metric.hpp"

namespace tusk {

/// A metric from {"class_name": ..., "config": {...}}, as files have it. Throws what is wrong in it.
Metric metric_from_config(const nlohmann::json& config);

/// A metric with defaults, called as it was typed: "mse", "mean_squared_error", "MeanSquaredError". Throws
/// [training-name] for a name that Keras does not have. ("accuracy" depends on shapes: compile knows them.)
Metric metric_named(std::string_view name);

/// The other way: {"module", "class_name", "config", ...}. Throws [config-class].
nlohmann::ordered_json metric_config(const Metric& metric);

/// The classes, in alphabetical order.
std::vector<std::string_view> metric_classes();

}  // namespace tusk
