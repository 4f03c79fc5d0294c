// Regularizers and constraints as files have them.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "frontend/model/penalty.hpp"

namespace tusk {

/// From {"class_name": ..., "config": {...}}, a name, or what Keras 1 wrote; none if it is of no class that there is
/// here, which only a training needs to know.
std::optional<Regularizer> regularizer_of(const nlohmann::json& given);
std::optional<Constraint> constraint_of(const nlohmann::json& given);

}  // namespace tusk
