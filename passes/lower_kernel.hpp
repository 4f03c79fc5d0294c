// Kernel IR -> loop IR: one kernel with its schedule becomes one loop function.
#pragma once

#include <string>
#include <vector>

#include "ir/base/expected.hpp"
#include "ir/kernel/kernel.hpp"
#include "ir/loop/loop.hpp"

namespace tusk {

/// How a kernel is lowered: strides (in elements) for every tensor that has a buffer, and ranges of symbols.
struct KernelLayout {
  /// Parameters, then results that are no inout parameters, then the other stages at root, in their order.
  std::vector<std::vector<Dim>> strides;
  RangeOf range_of;
  /// Rule W3 by comparing every term with every element: slow, and the test of the direct form.
  bool brute_force_where = false;
};

/// The symbols of a lowered kernel, in the order of its scalar arguments.
std::vector<std::string> symbols_of(const kernel::Kernel& kernel, const KernelLayout& layout);

/// kernel z(x: f32[n]) -> (y) { y[i<n] = relu(x[i]) }  =>  loop z(x: f32* const, y: f32*, n: index) { for i ... }
/// Requires: the kernel and the schedule are verified. Every stage keeps its order of sums (N3), so the bits do not
/// depend on the schedule. Errors: schedule-lanes where registers cannot lie as the schedule says with these strides.
Expected<loop::Func> lower_kernel(const kernel::Kernel& kernel, const kernel::Schedule& schedule,
                                  const KernelLayout& layout, std::string name);

}  // namespace tusk
