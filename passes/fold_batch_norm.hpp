// Graph IR -> graph IR: batch normalization as part of the constant weights before it.
#pragma once

#include "ir/base/expected.hpp"
#include "ir/graph/graph.hpp"

namespace tusk {

/// %z = contract %x, @k, %b {...}  %y = normalize %z, @mean, @variance, @gamma, @beta
///   =>  %f = rsqrt(@variance + epsilon) * @gamma   %k1 = @k * %f   %b1 = (b - @mean) * %f + @beta
///       %y = contract %x, %k1, %b1 {...}
/// The new weights are ops on constants, which fold_constants computes. Applies where all of them are constants and the
/// product has no other reader. It changes bits (N12), so the module's list of passes names it.
/// Requires: composites not expanded.
Status fold_batch_norm(graph::Module& module);

}  // namespace tusk
