// Laws 5, 7 and 10 of docs/ir.md section 8 on the first function of a module, for given inputs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ir/graph/graph.hpp"
#include "passes/run_loops.hpp"
#include "tests/property/random_common.hpp"

namespace tusk::random_tests {

/// Law 5: what a program gives does not depend on which of the passes that may be left out have run.
std::optional<Failure> broken_passes(const graph::Module& module, const std::vector<Array>& inputs,
                                     const Symbols& symbols);

/// Law 7: a batch in one call gives what its elements give in calls of their own. `left_out`, if not empty, says why
/// the function is not held to it: it has no batch, or the double interpreter finds that elements depend on each other.
std::optional<Failure> broken_batch(const graph::Module& module, const std::vector<Array>& inputs,
                                    const Symbols& symbols, std::string& left_out);

/// Law 10. (That nothing is written beyond the arena, the loop interpreter sees: it has no byte more.)
std::optional<Failure> broken_arena(const graph::Module& module);

}  // namespace tusk::random_tests
