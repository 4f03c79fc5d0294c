// The rules of kernels and schedules (docs/ir.md section 3). Every error names the kernel, the stage and the rule.
#pragma once

#include "ir/base/expected.hpp"
#include "ir/kernel/program.hpp"

namespace tusk::kernel {

/// Types, names, indices, order of sums, and that every load lies in its tensor for all values of the symbols (G5).
Status verify(const Kernel& kernel, const RangeOf& range_of);

/// Whether the schedule is legal for a verified kernel.
Status verify(const Kernel& kernel, const Schedule& schedule);

/// A whole program: its kernels and schedules, and that names are unique, symbols have values, views lie inside of what
/// they view, and steps give kernels tensors of the types that these take, of which they write no input and no
/// constant; and that nothing is read before it is written.
Status verify(const Program& program);
/// The same without the kernels and schedules themselves, for passes that leave those as they are.
Status verify_functions(const Program& program);
/// On each way through the branches of a function, steps read what is written before, and every output is written.
Status verify_written(const Program& program, const Function& function);

}  // namespace tusk::kernel
