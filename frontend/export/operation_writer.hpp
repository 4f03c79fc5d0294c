// Operations of keras.ops in configurations: the counterpart of import/operation_config.hpp.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "frontend/ops/operation.hpp"

namespace tusk {

/// "keras.src.ops.numpy": where Keras has the class of an operation.
std::string module_of(const ops::OperationDef& def);
/// What makes an operation: the parameters that are not of its call.
nlohmann::ordered_json config_of(const ops::OperationImpl& operation);
/// {"args", "kwargs"} of its call. `next` gives the tensors of the call, in the order in which the arguments have them.
nlohmann::ordered_json call_of(const ops::OperationImpl& operation,
                               const std::function<nlohmann::ordered_json()>& next);

}  // namespace tusk
