// Weights of a file for a model that is there already.
#pragma once

#include <filesystem>

#include "frontend/import/weights.hpp"
#include "frontend/model/model.hpp"

namespace tusk {

/// model.load_weights(): from `.weights.h5`, `.keras` or an older `.h5`. The model has to have the layers, in their
/// order, of the one that was saved; if anything does not fit, it keeps its weights. A compiled model takes the state
/// of its optimizer, too, if the file has one that fits.
Status load_weights(const std::filesystem::path& path, const Model& model);

/// Says in the tree where the layers inside of a layer are; `weights` of the layer has their variables, too.
void add_parts(LayerWeights& node, const LayerBase& layer);

}  // namespace tusk
