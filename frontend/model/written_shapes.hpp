// The shapes that Keras writes down for the calls of a model: its own rules give them, and they are not always those of
// the arrays that it computes.
#pragma once

#include <map>
#include <vector>

#include "frontend/model/model.hpp"

namespace tusk {

/// Of the results of each call.
using WrittenShapes = std::map<const Node*, std::vector<Shape>>;

/// A layer behind such a result is shaped for what is written there.
WrittenShapes written_shapes(const FunctionalImpl& model);

}  // namespace tusk
