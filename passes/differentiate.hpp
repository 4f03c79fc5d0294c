// Gradients of a function, as one more function.
#pragma once

#include "ir/graph/graph.hpp"

namespace tusk {

struct DifferentiateOptions {
  bool globals = false;  // also gradients of the trainable states and the floating consts that the function reads
};

/// NAME_grad of a function NAME.
///
///   func f(%x: f32[4]) -> (%y) {                func f_grad(%x: f32[4], %d_y: f32[4]) -> (%d_x) {
///     %y = map.exp %x            becomes          %y = map.exp %x
///   }                                             %d_x = map.mul %d_y, %y
///                                               }
///
/// Parameters: those of f, then d_NAME for each floating result. Results: d_NAME for each floating parameter, zeros
/// where nothing depends on it; then, if asked for, d_PATH for globals, in their order. Updates are left out. Requires
/// a verified function. Ensures the same. It stands before expand_composites, since composites carry gradients of their
/// own. An op on the way without a gradient is an error that names it and its layer.
Expected<graph::Function> differentiate(graph::Module& module, const graph::Function& function,
                                        const DifferentiateOptions& options = {});

}  // namespace tusk
