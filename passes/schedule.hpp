// How each kernel runs on a target: a function of the kernel, the strides of its tensors and the target alone.
#pragma once

#include "ir/kernel/program.hpp"
#include "ir/target/target_machine.hpp"

namespace tusk {

/// Gives every stage at root its register tile, and puts copies in front of contractions: operands whose lanes lie
/// apart are transposed, operands that are read out of range get a border. No sum changes, so no bit does.
/// Requires: layouts are chosen, memory is not planned. Example (haswell): dense: y[n,o] with lanes along o
///   => tile y : n 6, o 16; vector y : o 8
kernel::Program schedule(kernel::Program program, const TargetMachine& target);

}  // namespace tusk
