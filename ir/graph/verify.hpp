// Checks that a module is well formed: the engine of the pass `shape-check`, run after every pass in tests.
#pragma once

#include "ir/graph/graph.hpp"

namespace tusk::graph {

/// Names are unique, every value is defined once and before it is read (a region may read outer values), and the shape
/// rule, run again on every op, gives the types that stand there and no condition that the function does not require
/// (law 2).
Status verify(const Module& module);
Status verify(const Module& module, const Function& function);

}  // namespace tusk::graph
