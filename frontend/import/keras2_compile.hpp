// What Keras 2 wrote of `compile`, and of its optimizers, in the words of Keras 3.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "frontend/model/model.hpp"
#include "frontend/training/optimizer.hpp"

namespace tusk {

/// `training_config` of a `.h5` (`is_h5`) or `compile_config` of a `.keras`, changed into that of a `.keras` of Keras
/// 3: names, arguments, rates that decay. Outputs are those of the model. Throws [training-config] for optimizers that
/// follow another rule in Keras 3.
void modernize_compile(nlohmann::json& config, const std::vector<std::string>& outputs, bool is_h5);

/// Variables of such an optimizer as they stand in a file, in the order and number in which Keras 3 has them. `given`
/// is its configuration before modernize_compile. What does not fit stays as it is.
std::vector<Array> modern_state(const nlohmann::json& given, const Optimizer& optimizer, const Model& model,
                                std::vector<Array> values);

}  // namespace tusk
