// Graph IR -> graph IR: exact rewrites.
#pragma once

#include "ir/base/expected.hpp"
#include "ir/graph/graph.hpp"

namespace tusk {

/// Rewrites by named rules until none applies, then drops ops that nothing reads. Every rule is exact for every input,
/// signs of zero, infinities and denormals included (N2, so `x + 0` stays: it is not x for x = -0). Requires and
/// ensures: a verified module.
Status simplify(graph::Module& module);

}  // namespace tusk
