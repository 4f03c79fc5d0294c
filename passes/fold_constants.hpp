// Graph IR -> graph IR: what depends on constants alone is computed by the compiler.
#pragma once

#include "ir/base/expected.hpp"
#include "ir/graph/graph.hpp"

namespace tusk {

/// %s = map.add @variance, 0.001  %r = map.rsqrt %s   =>   const @...r
/// The ops are lowered and run by the loop interpreter with the same orders of sums, so folding changes no bit (N12). A
/// result that is larger than what it is made of by more than 1 MB stays (a broadcast is cheaper than its bytes).
/// Requires: composites expanded.
Status fold_constants(graph::Module& module);

}  // namespace tusk
