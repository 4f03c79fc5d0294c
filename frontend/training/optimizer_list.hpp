// Which optimizers and schedules there are: by class for configurations, by name for compile.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/training/optimizer.hpp"
#include "frontend/training/optimizer_map.hpp"

namespace tusk {

/// "adam", "RMSprop": Keras' names in any case, with defaults. Throws [training-name] for any other.
Optimizer optimizer_named(std::string_view name);

/// An optimizer from {"class_name": ..., "config": {...}}, as files have it, or from a name. Throws what is wrong in
/// it.
Optimizer optimizer_from_config(const nlohmann::json& config);

/// The same for an OptimizerMap, whose keys are an object or, in their order, a list of pairs.
optimizers::OptimizerMap optimizer_map_from_config(const nlohmann::json& config);

/// The same for a schedule.
Schedule schedule_from_config(const nlohmann::json& config);

/// The other way: {"module", "class_name", "config", ...}, with the learning rate of now. Throws [config-class].
nlohmann::ordered_json optimizer_config(const Optimizer& optimizer);
nlohmann::ordered_json schedule_config(const Schedule& schedule);

/// The classes, in alphabetical order.
std::vector<std::string_view> optimizer_classes();

}  // namespace tusk
