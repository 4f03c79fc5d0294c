// Composite ops become their bodies.
#pragma once

#include "ir/graph/graph.hpp"

namespace tusk {

///   %y = silu %x : f32[4]        becomes        %y.s = map.sigmoid %x : f32[4]
///                                               %y = map.mul %x, %y.s : f32[4]
///
/// Ensures that no op with a body is left, in regions neither. It stands behind differentiate, which knows better
/// gradients of whole composites.
Status expand_composites(graph::Module& module);

}  // namespace tusk
