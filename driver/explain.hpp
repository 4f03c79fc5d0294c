// What each kernel of a model does, how it is scheduled and how long it should take, before any code is written; and
// the records of its schedules.
#pragma once

#include <string>
#include <vector>

#include "driver/kernel_cost.hpp"
#include "ir/base/expected.hpp"
#include "ir/graph/graph.hpp"
#include "ir/kernel/records.hpp"
#include "ir/target/target_machine.hpp"
#include "passes/pipeline.hpp"

namespace tusk {

/// A step that calls a kernel.
struct KernelRow {
  std::string layer, kernel;
  kernel::ScheduleRecord record;  // how it runs
  std::string text;               // its normal form
  double times = 1;               // the rounds of the loops around it
  bool conditional = false;       // it runs in some calls only
  KernelCost cost;                // of one time, at the greatest sizes
};

struct FunctionRows {
  std::string name;
  std::vector<KernelRow> rows;     // in the order in which they run
  double least = 0, greatest = 0;  // cycles of a call, predicted, at the least and the greatest sizes
};

struct Explanation {
  const TargetMachine* target = nullptr;
  std::string sizes;  // "batch 1..64"
  std::vector<FunctionRows> functions;
};

/// Runs the passes up to the schedules, as compiling with these options would. Fails as compiling would.
Expected<Explanation> explain(graph::Module module, const PassOptions& options);

/// As a table for each function; `full`: with the kernels and their schedules.
std::string print(const Explanation& explanation, bool full);

/// The records of all kernels, as `--schedules` reads them, each under its kernel as a comment.
std::string print_records(const Explanation& explanation);

}  // namespace tusk
