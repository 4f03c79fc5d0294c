// Whole models as Keras 3 writes them to `.h5`: the counterpart of import/weight_lists.cpp.
#pragma once

#include "frontend/files/hdf5_writer.hpp"
#include "frontend/model/model.hpp"

namespace tusk {

/// Architecture, a list of weights for each layer, and of a compiled model what compile was given and the optimizer's
/// state.
Hdf5Tree legacy_tree(const Model& model);

}  // namespace tusk
