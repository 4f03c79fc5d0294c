// Random valid kernels, from a seed, and how one is run.
//
//   KernelCase c = generate_kernel(7);
//   std::vector<Array> in = inputs_of(c);  // one for each parameter
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ir/kernel/kernel.hpp"
#include "ir/kernel/program.hpp"
#include "tests/property/random_common.hpp"

namespace tusk::random_tests {

struct KernelCase {
  std::uint64_t seed = 0;
  kernel::Kernel kernel;
  Symbols symbols;
  bool tame = true;
};

KernelCase generate_kernel(std::uint64_t seed);
std::vector<Array> inputs_of(const KernelCase& c);

/// The ranges that a kernel's symbols have here: 1..64.
RangeOf kernel_ranges();

/// Gives stages at root tiles, registers, orders of loops, splits and terms written out, at random: some cannot be
/// done, and verify or lowering says so.
void add_tiles(const kernel::Kernel& kernel, kernel::Schedule& schedule, Rng& rng);

/// Lowers the kernel on dense tensors and runs it by the loop interpreter: its results in order. Memory that it writes
/// is filled with `poison` before.
Expected<std::vector<Array>> run_kernel(const kernel::Kernel& kernel, const kernel::Schedule& schedule,
                                        bool brute_force_where, const std::vector<Array>& inputs,
                                        const Symbols& symbols, std::byte poison);

/// What broke, or nothing: text, schedules against each other, each stage against the reference.
std::optional<Failure> broken_kernel(const KernelCase& c);
/// Fewer results and stages, simpler formulas, while the same law breaks.
KernelCase shrunk(const KernelCase& c, const Failure& failure);
/// Text that `tusk-opt -` reads.
std::string text_of(const KernelCase& c);

}  // namespace tusk::random_tests
