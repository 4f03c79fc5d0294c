// Graph IR -> kernel IR: every op becomes a kernel that is called on tensors.
#pragma once

#include "ir/base/expected.hpp"
#include "ir/graph/graph.hpp"
#include "ir/kernel/program.hpp"

namespace tusk {

/// %y = map.relu %x  =>  kernel relu(x: f32[4]) -> (y) { y[i<4] = relu(x[i]) }  and a step  y = relu(x)
/// Requires: verified, composites expanded. Ensures: one kernel for each step; tensors are dense; reshapes are views.
Expected<kernel::Program> lower(const graph::Module& module);

}  // namespace tusk
