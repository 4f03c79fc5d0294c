// A kernel point by point, straight from docs/ir.md section 3: naive on purpose, and no code of the lowering.
#pragma once

#include <map>
#include <string>

#include "ir/kernel/kernel.hpp"
#include "tests/property/random_common.hpp"

namespace tusk::random_tests {

/// Exact: in double, sums in any order. Rounded: every row rounds to its type, sums run in the order of N3, so that the
/// bits of kernels of basic rows are known.
enum class Arithmetic : std::uint8_t { exact, rounded };

struct Reference {
  Array value;          // exact: f64 for floats; rounded: the stage's type
  Array terms;          // f64: the sum of the absolute values of all that was added
  std::string problem;  // a load without `else` that left its tensor
};

/// The whole stage; `tensors` holds parameters and stages above.
Reference evaluate(const kernel::Stage& stage, const std::map<std::string, Array>& tensors, const Symbols& symbols,
                   Arithmetic arithmetic);

/// Whether all rows of the stage are basic.
bool is_basic(const kernel::Stage& stage);

}  // namespace tusk::random_tests
