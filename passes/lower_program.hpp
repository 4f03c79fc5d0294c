// Kernel IR -> loop IR: kernels become loop functions, functions become entries that call them.
#pragma once

#include "ir/base/expected.hpp"
#include "ir/kernel/program.hpp"
#include "ir/loop/loop.hpp"

namespace tusk {

struct LowerOptions {
  bool empty_schedule = false;     // every stage at root
  bool brute_force_where = false;  // see KernelLayout
};

/// Requires: planned memory (with the same schedule). Ensures: one loop function for each kernel and layout, shared by
/// equal ones; one entry for each function, whose buffers are its inputs, outputs, constants, states and the arena,
/// whose scalars are the module's symbols.
Expected<loop::Module> lower_program(const kernel::Program& program, const LowerOptions& options = {});

}  // namespace tusk
