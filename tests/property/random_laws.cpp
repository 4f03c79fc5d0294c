#include "tests/property/random_laws.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

#include "ir/graph/parse.hpp"
#include "ir/graph/print.hpp"
#include "ir/graph/verify.hpp"
#include "ir/kernel/affine.hpp"
#include "ir/kernel/parse.hpp"
#include "ir/kernel/print.hpp"
#include "ir/kernel/verify.hpp"
#include "ir/loop/parse.hpp"
#include "ir/loop/print.hpp"
#include "ir/loop/verify.hpp"
#include "tests/property/random_records.hpp"

namespace tusk::random_tests {
namespace {

Status verify_kernels(const kernel::Program& program) {
  for (std::size_t i = 0; i < program.kernels.size(); ++i) {
    Status ok = kernel::verify(program.kernels[i], program.range_of());
    if (ok) ok = kernel::verify(program.kernels[i], program.schedules[i]);
    if (!ok) {
      ok.problem().note(kernel::print(program.kernels[i]));
      return ok;
    }
  }
  return done();
}

Status verify(const Ir& ir) {
  struct {
    Status operator()(const graph::Module& module) const { return graph::verify(module); }
    Status operator()(const kernel::Program& program) const { return verify_kernels(program); }
    Status operator()(const Lowered& low) const { return loop::verify(low.loops); }
  } visitor;
  return std::visit(visitor, ir);
}

// print, parse, print on the two lower heights.
std::optional<Failure> broken_lower_text(const Lowered& low) {
  const std::string program = kernel::print(low.program);
  const Expected<kernel::Program> read = kernel::parse_program(program);
  if (!read) return Failure{"text of kernels", read.problem().str() + program};
  if (const std::string again = kernel::print(*read); again != program)
    return Failure{"text of kernels", program + "became\n" + again};
  const std::string loops = loop::print(low.loops);
  const Expected<loop::Module> read_loops = loop::parse(loops);
  if (!read_loops) return Failure{"text of loops", read_loops.problem().str() + loops};
  if (const std::string again = loop::print(*read_loops); again != loops)
    return Failure{"text of loops", loops + "became\n" + again};
  return std::nullopt;
}

graph::Module with_fixed_symbols(graph::Module module, const Symbols& symbols) {
  for (graph::Symbol& symbol : module.symbols) symbol.low = symbol.high = symbols.at(symbol.name);
  return module;
}

// W3, which alone can be run in two ways.
bool has_data_where(const kernel::Program& program) {
  for (const kernel::Kernel& kernel : program.kernels) {
    for (const kernel::Stage& stage : kernel.stages) {
      if (!stage.reduce) continue;
      for (const kernel::Equality& equality : stage.reduce->where) {
        if (!kernel::affine_of(equality.value)) return true;
      }
    }
  }
  return false;
}

// Runs of one graph on the same inputs, each compared with the first.
struct Runs {
  explicit Runs(const GraphCase& c) : graph(c), inputs(inputs_of(c)) {
    plain.fold_batch_norm = false;  // it changes bits
  }

  Expected<std::vector<Array>> run(const Lowered& low, std::byte poison) const {
    return run_loops(low.program, low.loops, graph.module.functions[0].name, inputs, graph.symbols, poison);
  }
  std::optional<Failure> first(const Expected<Lowered>& low) {
    Expected<std::vector<Array>> out = run(*low, kNan);
    if (!out) return Failure{"run", out.problem().str() + loop::print(low->loops)};
    results = *std::move(out);
    return std::nullopt;
  }
  std::optional<Failure> compare(const std::string& law, const Expected<Lowered>& low, std::byte poison) const {
    if (!low) return Failure{"passes, " + law, low.problem().str()};
    const Expected<std::vector<Array>> again = run(*low, poison);
    if (!again) return Failure{"run, " + law, again.problem().str()};
    const std::string text = difference(results, *again);
    if (text.empty()) return std::nullopt;
    return Failure{law, text + "\n" + loop::print(low->loops)};
  }

  const GraphCase& graph;
  std::vector<Array> inputs;
  std::vector<Array> results;
  PassOptions plain;
};

}  // namespace

TargetMachine with_small_caches(TargetMachine target, std::string_view name) {
  target.name = name;
  target.l1 = 64;
  target.l2 = 4096;
  target.page = 256;
  if (target.fork > 0) target.fork = 1;
  return target;
}

std::span<const TargetMachine> small_targets() { return test_targets().last(2); }

std::span<const TargetMachine> test_targets() {
  static const std::vector<TargetMachine> all = [] {
    const std::span<const TargetMachine> real = targets().subspan(1);
    std::vector<TargetMachine> out(real.begin(), real.end());
    out.push_back(with_small_caches(**target_named("znver4"), "znver4, small caches"));
    out.push_back(with_small_caches(**target_named("haswell"), "haswell, small caches"));
    return out;
  }();
  return all;
}

Expected<Lowered> lowered(const graph::Module& module, const PassOptions& options, bool checked) {
  std::optional<Diagnostic> problem;
  Expected<Ir> out = run_pipeline(module, options, "", [&](const Pass& pass, const Ir& ir) {
    if (problem || !checked) return;
    if (Status ok = verify(ir); !ok) {
      problem = ok.problem();
      problem->note(fmt::format("after {}", pass.name));
      problem->note(print(ir));
    }
  });
  if (!out) return out.problem();
  if (problem) return *problem;
  return std::get<Lowered>(*std::move(out));
}

std::optional<Failure> broken_text(const GraphCase& graph) {
  if (const Status ok = graph::verify(graph.module); !ok) return Failure{"verify", ok.problem().str()};
  const std::string text = graph::print(graph.module);
  const Expected<graph::Module> read = graph::parse(text);
  if (!read) return Failure{"text of graphs", read.problem().str()};
  if (const std::string again = graph::print(*read); again != text) return Failure{"text of graphs", again};
  if (const Status ok = graph::verify(*read); !ok) return Failure{"text of graphs, verify", ok.problem().str()};
  return std::nullopt;
}

// Register tiles of a machine (law 4).
std::optional<Failure> broken_target(const GraphCase& graph, Runs& runs, const TargetMachine& target) {
  PassOptions other = runs.plain;
  other.target = &target;
  std::vector<kernel::ScheduleRecord> chosen;
  if (auto broken = broken_records(graph.module, other, chosen)) return broken;
  PassOptions changed = other;
  Rng rng(graph.seed);
  changed.records = changed_records(graph.module, chosen, rng);
  const Expected<Lowered> by_records = lowered(graph.module, changed, true);
  if (by_records || !by_records.problem().code.starts_with("schedule-")) {
    std::string text;
    for (const kernel::ScheduleRecord& record : changed.records) text += print(record);
    if (auto broken = runs.compare(fmt::format("records (law 4)\n{}", text), by_records, kOther)) return broken;
  }
  const Expected<Lowered> low = lowered(graph.module, other, true);
  if (low) {
    if (const std::string text = loop::print(low->loops); loop::print(*loop::parse(text)) != text)
      return Failure{"text of loops", text};
  }
  return runs.compare(fmt::format("schedule for {} (law 4)", target.name), low, kOther);
}

// All have their turn.
const TargetMachine& target_of(const GraphCase& graph) { return test_targets()[graph.seed % test_targets().size()]; }

std::optional<Failure> broken_engines(const GraphCase& graph, std::vector<Array>& out) {
  Runs runs(graph);
  const Expected<Lowered> fused = lowered(graph.module, runs.plain, true);
  if (!fused) return Failure{"passes", fused.problem().str()};
  if (auto broken = broken_lower_text(*fused)) return broken;
  if (auto broken = runs.first(fused)) return broken;
  out = runs.results;
  if (auto broken = runs.compare("poisoned arena (law 9)", fused, kOther)) return broken;
  PassOptions other = runs.plain;
  other.empty_schedule = true;
  if (auto broken = runs.compare("empty schedule (law 4)", lowered(graph.module, other, true), kOther)) return broken;
  if (auto broken = broken_target(graph, runs, target_of(graph))) return broken;
  if (has_data_where(fused->program)) {
    other.empty_schedule = graph.seed % 2 == 0;
    other.brute_force_where = true;
    if (auto broken = runs.compare("where by brute force (law 4)", lowered(graph.module, other, false), kOther))
      return broken;
  }
  if (graph.symbols.empty()) return std::nullopt;
  const graph::Module fixed = with_fixed_symbols(graph.module, graph.symbols);
  return runs.compare("symbols fixed (law 8)", lowered(fixed, runs.plain, false), kNan);
}

std::optional<Failure> broken_schedules(const GraphCase& graph) {
  Runs runs(graph);
  const Expected<Lowered> fused = lowered(graph.module, runs.plain, true);
  if (!fused) return Failure{"passes", fused.problem().str()};
  if (auto broken = runs.first(fused)) return broken;
  if (auto broken = broken_target(graph, runs, target_of(graph))) return broken;
  PassOptions other = runs.plain;
  other.empty_schedule = true;
  other.brute_force_where = graph.seed % 4 == 0;
  return runs.compare("empty schedule (law 4)", lowered(graph.module, other, false), kOther);
}

std::optional<Failure> broken_targets(const GraphCase& graph) {
  Runs runs(graph);
  PassOptions plain = runs.plain;
  plain.empty_schedule = true;
  const Expected<Lowered> fused = lowered(graph.module, plain, true);
  if (!fused) return Failure{"passes", fused.problem().str()};
  if (auto broken = runs.first(fused)) return broken;
  for (const TargetMachine& target : small_targets()) {
    if (auto broken = broken_target(graph, runs, target)) return broken;
  }
  return broken_target(graph, runs, target_of(graph));
}

std::optional<Failure> broken_law(const GraphCase& graph, bool differences) {
  std::optional<Failure> broken;
  try {
    std::vector<Array> results;
    broken = broken_text(graph);
    if (!broken) broken = broken_engines(graph, results);
    if (!broken) broken = broken_op(graph, results);
    if (!broken) broken = broken_gradient(graph, differences);
  } catch (const std::exception& problem) {
    broken = Failure{"exception", problem.what()};
  }
  return broken;
}

}  // namespace tusk::random_tests
