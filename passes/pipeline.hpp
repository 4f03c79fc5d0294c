// The compiler as a table of passes.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ir/base/expected.hpp"
#include "ir/graph/graph.hpp"
#include "ir/kernel/program.hpp"
#include "ir/kernel/records.hpp"
#include "ir/loop/loop.hpp"
#include "ir/target/target_machine.hpp"

namespace tusk {

/// Kernel IR with its loops: what the printers read.
struct Lowered {
  kernel::Program program;
  loop::Module loops;
};

/// A module at some height.
using Ir = std::variant<graph::Module, kernel::Program, Lowered>;

struct PassOptions {
  bool fold_batch_norm = true;     // N12: changes bits, named in the manifest
  bool empty_schedule = false;     // every stage at root
  bool brute_force_where = false;  // rule W3 by comparison, for tests
  const TargetMachine* target = &generic_target();
  std::vector<kernel::ScheduleRecord> records = {};   // in the place of what `schedule` would choose
  std::function<void(const std::string&)> note = {};  // hears what a user should know
};

struct Pass {
  std::string_view name;
  std::string_view doc;
  Expected<Ir> (*run)(Ir ir, const PassOptions& options);
};

/// The passes in order, from a graph to loops.
std::span<const Pass> pipeline();
/// Passes that are not part of it: `differentiate` for every function of a module.
std::span<const Pass> extra_passes();
const Pass* pass_named(std::string_view name);

/// Runs the pipeline on a graph, up to and including the pass `stop_after` (empty: all). `observe` sees the module
/// after each pass.
Expected<Ir> run_pipeline(graph::Module module, const PassOptions& options, std::string_view stop_after = {},
                          const std::function<void(const Pass&, const Ir&)>& observe = {});

/// The text form, whatever the height.
std::string print(const Ir& ir);

}  // namespace tusk
