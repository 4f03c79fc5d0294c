// The weights of a model as `model.weights.h5` has them: the counterpart of import/weight_groups.cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "frontend/files/hdf5_writer.hpp"
#include "frontend/model/model.hpp"
#include "frontend/training/optimizer.hpp"

namespace tusk {

/// The attribute of a layer in Python that holds one of the layers inside of it; files have it in their paths. Custom
/// layers have the name of the inner layer there.
std::string part_name(const LayerBase& layer, std::size_t child);

/// A group for each layer, an array for each variable with its value of now. Of an optimizer, if there is one and it is
/// built: its variables.
Hdf5Tree weight_tree(const Model& model, const Optimizer& optimizer = {});

}  // namespace tusk
