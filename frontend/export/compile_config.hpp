// What model.compile was given, as `compile_config` of a file has it.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "frontend/training/compile_options.hpp"

namespace tusk {

/// Names stay names, lists lists and dicts dicts; the optimizer is written out, with its learning rate of now. Throws
/// [config-class] for a class that files cannot name.
nlohmann::ordered_json compile_config(const CompileOptions& options, const Optimizer& optimizer);
/// The same as `training_config` of a `.h5`: classes without their modules, the optimizer as it trains.
nlohmann::ordered_json legacy_compile_config(const CompileOptions& options, const Optimizer& optimizer);

}  // namespace tusk
