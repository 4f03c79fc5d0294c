// The two formats behind Weights. Only weight_*.cpp include this.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "frontend/files/hdf5.hpp"
#include "frontend/import/weights.hpp"

namespace tusk {

/// `model.weights.h5` of Keras 2.12 and later: a group for each object, addressed by classes and counters.
Expected<std::shared_ptr<Weights::Store>> read_weight_groups(const Hdf5File& file);
/// Files of Keras 1 and 2 and `save("x.h5")` of Keras 3: one ordered list of weights for each top-level layer.
Expected<std::shared_ptr<Weights::Store>> read_weight_lists(const Hdf5File& file);

/// Path of the layers from outside in, for messages.
using LayerPath = std::vector<std::string_view>;

/// A diagnostic that names the layer.
Diagnostic weight_error(const LayerPath& path, std::string message);
/// Reads an array; refuses another shape than the variable's, if there is one. Problems name layer and variable.
Expected<Array> read_weight(const Hdf5File& file, const std::string& dataset, const LayerPath& path,
                            const VariableSpec* variable);
/// True if the layer lists the variables of the layers inside it, too: it says which it wants and they do not.
bool wants_inner(const LayerWeights& layer);
/// "2 weights (kernel, bias)".
std::string count_text(const std::vector<VariableSpec>& variables);

}  // namespace tusk
