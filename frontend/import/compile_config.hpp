// `compile_config` of a file as what model.compile is given.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "frontend/training/compile_options.hpp"

namespace tusk {

/// Of a `.keras`, or `training_config` of a `.h5`. Throws what is wrong in it: [training-config], [training-name].
CompileOptions compile_options_from(const nlohmann::json& config);

}  // namespace tusk
