// The recorded calls of an emitted package.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "codegen/cpp/package.hpp"
#include "ir/graph/graph.hpp"
#include "passes/pipeline.hpp"
#include "passes/run_loops.hpp"

namespace tusk {

/// Points of all stages that a call runs through, those of their sums included.
double work_of(const kernel::Program& program, const kernel::Function& function, const Symbols& symbols);

/// One call of each function of `lowered`, which came of `module`. The loop interpreter computes what it should give;
/// for work that would take it seconds, the compiled output does, if there is a C++ compiler, checked once against the
/// double interpreter. Calls of more than 64 MB or 10^11 operations are not recorded; `note` hears of them, and of code
/// that no compiler builds. `threads`: functions take them. `jit`: the target, if the MLIR back end compiles the calls.
Expected<std::vector<cpp::SelfTest>> self_tests(const graph::Module& module, const Lowered& lowered, bool threads,
                                                const TargetMachine* jit,
                                                const std::function<void(const std::string&)>& note = {});

}  // namespace tusk
