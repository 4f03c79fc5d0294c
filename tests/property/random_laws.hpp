// The laws of docs/ir.md section 8 on one graph. Each gives what broke, or nothing.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/target/target_machine.hpp"
#include "passes/pipeline.hpp"
#include "tests/property/random_differences.hpp"
#include "tests/property/random_graph.hpp"

namespace tusk::random_tests {

/// All of them; `differences` also compares gradients with differences (slow).
std::optional<Failure> broken_law(const GraphCase& graph, bool differences);

/// Laws 1 and 2 on the graph's text.
std::optional<Failure> broken_text(const GraphCase& graph);
/// Laws 1, 2, 4, 8 and 9: the passes, and the bits of all schedules. Gives the results by `out`.
std::optional<Failure> broken_engines(const GraphCase& graph, std::vector<Array>& out);
/// Laws 4 and 9 alone, by fewer ways.
std::optional<Failure> broken_schedules(const GraphCase& graph);
/// Law 4 for the machines with small caches, and for another one, all of which have their turn.
std::optional<Failure> broken_targets(const GraphCase& graph);
/// Law 3, op by op: every value of the graph is made a result, which must not change a bit; then every op is run in
/// double on the very operands that it had in float, so that errors do not add up and no decision differs.
std::optional<Failure> broken_op(const GraphCase& graph, const std::vector<Array>& results);
/// Law 6, and laws 1, 2, 4, 9 of the gradient. What was compared, by `slopes`.
std::optional<Failure> broken_gradient(const GraphCase& graph, bool differences, Slopes* slopes = nullptr);

/// The module with every scan of fixed length unrolled, composites expanded, and every value a result; `results` are
/// the operands that the results of the first function have become.
graph::Module with_all_values(const graph::Module& module, std::vector<graph::Operand>& results);

/// All machines but `generic`, and two with caches of some bytes, on which small cases take what large ones do
/// elsewhere: panels, sums in parts, blocks as stages.
std::span<const TargetMachine> test_targets();
/// Those two alone.
std::span<const TargetMachine> small_targets();
/// The machine with caches of some bytes, and that name.
TargetMachine with_small_caches(TargetMachine target, std::string_view name);

/// The pipeline; `checked`: every height verified on the way.
Expected<Lowered> lowered(const graph::Module& module, const PassOptions& options, bool checked);

}  // namespace tusk::random_tests
