// Kernel IR -> kernel IR: neighbours become stages of one kernel.
#pragma once

#include "ir/kernel/program.hpp"

namespace tusk {

/// z = dense(x, w, b)  y = relu(z)  =>  one kernel with the stages z and y, z computed where y reads it.
/// Three rules: a kernel that only reads elements elsewhere (broadcast, transpose, slice, pad) is substituted into the
/// loads of its consumers; an elementwise kernel joins the kernel that makes its operand (epilogue); an elementwise
/// producer joins a reduction that reads each element once.
/// Requires: one kernel for each step. Ensures: no formula and no order of a sum changes, so no bit does (N1).
kernel::Program fuse(kernel::Program program);

}  // namespace tusk
