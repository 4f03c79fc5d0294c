// Operations (keras.ops) in a file: {"class_name", "config", "inbound_nodes": [{"args", "kwargs"}]}.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "frontend/import/layer_config.hpp"
#include "frontend/ops/operation.hpp"

namespace tusk::layer_config {

/// The operation of a layer's envelope, or null if it is none that is known.
const ops::OperationDef* operation_of(const json& envelope);

/// The arguments of a call: those of the configuration, then positional ones for the parameters that are left, then
/// those by name. Empty tensors stand where results of other layers are read, `reads` in their order.
ops::Arguments arguments_of(const ops::OperationDef& def, const json& config, const json& node,
                            const std::string& layer, std::vector<Reference>& reads);

}  // namespace tusk::layer_config
