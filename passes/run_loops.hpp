// A lowered function as a callable on arrays, by the loop interpreter: constant folding, self-test values, and tests.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ir/base/array.hpp"
#include "ir/base/expected.hpp"
#include "ir/kernel/program.hpp"
#include "ir/loop/loop.hpp"

namespace tusk {

/// Values of symbols by name.
using Symbols = std::map<std::string, std::int64_t>;

/// Values of states by path.
using States = std::map<std::string, Array>;

constexpr std::byte kPoison{0xff};  // four of them are a NaN

/// Results in order, in their dtypes. `inputs` have the dtypes and shapes of the function's inputs under `symbols`.
/// Arena and results are filled with `poison` before (law 9; a bool has no such value). An error if an input is
/// written. `states`: those that are not in it have their first values; afterwards it holds what the function left.
Expected<std::vector<Array>> run_loops(const kernel::Program& program, const loop::Module& loops,
                                       std::string_view function, const std::vector<Array>& inputs,
                                       const Symbols& symbols, std::byte poison = kPoison, States* states = nullptr);

}  // namespace tusk
