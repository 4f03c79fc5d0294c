// Which metrics there are, by class.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>
#include <vector>

#include "frontend/training/metric.hpp"

namespace tusk {

/// A metric from {"class_name": ..., "config": {...}}, as files have it. Throws what is wrong in it.
Metric metric_from_config(const nlohmann::json& config);

/// The classes, in alphabetical order.
std::vector<std::string_view> metric_classes();

}  // namespace tusk
