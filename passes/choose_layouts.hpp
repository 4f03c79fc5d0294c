// Kernel IR -> kernel IR: which tensors are views of others.
#pragma once

#include "ir/kernel/program.hpp"

namespace tusk {

/// Two rules, both without knowledge of ops. A kernel that only reads elements at an affine index becomes a view with
/// other strides (slice, transpose, broadcast). A copy into a part of a larger tensor, or into a result, vanishes where
/// the producer can store there (concat, results).
/// Requires: fused. Ensures: fewer steps, the same values.
kernel::Program choose_layouts(kernel::Program program);

}  // namespace tusk
