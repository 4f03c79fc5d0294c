// Configurations of Keras 1 in the words of Keras 2.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace tusk {

/// Renames classes and arguments of every layer of a model, where they have another name only. What Keras 2 no longer
/// has keeps its name, and is refused by it.
void modernize_keras1(nlohmann::json& model);

}  // namespace tusk
