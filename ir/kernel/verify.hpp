// The rules of kernels and schedules (docs/ir.md section 3). Every error names the kernel, the stage and the rule.
#pragma once

#include "ir/base/expected.hpp"
#include "ir/kernel/kernel.hpp"

namespace tusk::kernel {

/// Types, names, indices, order of sums, and that every load lies in its tensor for all values of the symbols (G5).
Status verify(const Kernel& kernel, const RangeOf& range_of);

/// Whether the schedule is legal for a verified kernel.
Status verify(const Kernel& kernel, const Schedule& schedule);

}  // namespace tusk::kernel
