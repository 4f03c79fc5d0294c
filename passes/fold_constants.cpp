#include "passes/fold_constants.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <map>

#include "ir/graph/op.hpp"
#include "ir/graph/rewrite.hpp"
#include "passes/lower.hpp"
#include "passes/lower_program.hpp"
#include "passes/plan_memory.hpp"
#include "passes/run_loops.hpp"

namespace tusk {
namespace {

using graph::Operand;

constexpr std::int64_t kGrowth = 1 << 20;  // bytes that folding may add

bool is_static(const graph::Type& type) {
  return std::all_of(type.shape.begin(), type.shape.end(), [](const Dim& dim) { return dim.is_constant(); });
}

std::int64_t bytes_of(const graph::Type& type) { return product(type.shape).constant() * size_of(type.dtype); }

// Runs a function without parameters.
Expected<std::vector<Array>> run(const graph::Module& module) {
  TRY(kernel::Program lowered, lower(module));
  const kernel::Program program = plan_memory(std::move(lowered));
  Symbols symbols;
  for (const kernel::Symbol& symbol : program.symbols) symbols[symbol.name] = symbol.low;
  TRY(const loop::Module loops, lower_program(program));
  return run_loops(program, loops, program.functions[0].name, {}, symbols);
}

// What is read by ops that are not folded, or leaves the function.
std::vector<bool> read_by_rest(const graph::Function& function, const std::vector<bool>& folds) {
  std::vector<bool> read(function.values.size(), false);
  const auto mark = [&](const Operand& operand) {
    if (operand.kind == Operand::Kind::value) read[static_cast<std::size_t>(operand.id)] = true;
  };
  for (std::size_t k = 0; k < folds.size(); ++k) {
    if (!folds[k]) graph::for_each_operand(function.ops[k], mark);
  }
  for (const Operand& result : function.results) mark(result);
  for (const graph::Update& update : function.updates) mark(update.value);
  return read;
}

// The ops that depend on constants alone. One whose results are much larger than the constants that they come from, as
// a factor that is broadcast, folds only where all that reads it does.
std::vector<bool> foldable(const graph::Module& module, const graph::Function& function) {
  std::vector<bool> folds;
  for (const graph::Op& op : function.ops) folds.push_back(op.regions.empty() && op.def->name != "const");
  std::vector<bool> read(function.values.size(), false);
  std::vector<bool> before;
  for (int turn = 0; turn < 2 || before != folds; ++turn) {
    before = folds;
    std::vector<std::int64_t> from(function.values.size(), -1);  // bytes of constants; -1: not folded
    const auto bytes_behind = [&](const Operand& operand) -> std::int64_t {
      switch (operand.kind) {
        case Operand::Kind::value:
          return from[static_cast<std::size_t>(operand.id)];
        case Operand::Kind::global:
          return module.globals[static_cast<std::size_t>(operand.id)].is_state
                     ? -1
                     : bytes_of(type_of(module, function, operand));
        case Operand::Kind::literal:
          return 0;
        case Operand::Kind::dim:
          return operand.dim.is_constant() ? 0 : -1;
      }
      return -1;
    };
    for (std::size_t k = 0; k < folds.size(); ++k) {
      const graph::Op& op = function.ops[k];
      std::int64_t in = 0;
      for (const Operand& operand : op.operands) {
        const std::int64_t bytes = bytes_behind(operand);
        folds[k] = folds[k] && bytes >= 0;
        in = std::min(in + std::max<std::int64_t>(bytes, 0), std::int64_t{1} << 40);
      }
      std::int64_t out = 0;
      bool is_read = false;
      for (const int result : op.results) {
        const graph::Type& type = function.values[static_cast<std::size_t>(result)].type;
        folds[k] = folds[k] && is_static(type);
        if (folds[k]) out += bytes_of(type);
        is_read = is_read || read[static_cast<std::size_t>(result)];
      }
      folds[k] = folds[k] && !(is_read && out > in + kGrowth);
      if (!folds[k]) continue;
      for (const int result : op.results) from[static_cast<std::size_t>(result)] = in;
    }
    read = read_by_rest(function, folds);
  }
  return folds;
}

Status fold_function(graph::Module& module, graph::Function& function) {
  const std::vector<bool> folds = foldable(module, function);
  std::vector<bool> known(function.values.size(), false);
  graph::Function part;  // computes all of them
  part.name = "folded";
  part.values = function.values;
  std::vector<graph::Op> rest;
  for (std::size_t k = 0; k < folds.size(); ++k) {
    graph::Op& op = function.ops[k];
    if (folds[k]) {
      for (const int result : op.results) known[static_cast<std::size_t>(result)] = true;
    }
    (folds[k] ? part.ops : rest).push_back(std::move(op));
  }
  function.ops = std::move(rest);
  if (part.ops.empty()) return done();
  // Only what the rest still reads becomes a constant.
  std::vector<int> wanted;
  const auto want = [&](const Operand& operand) {
    if (operand.kind == Operand::Kind::value && known[static_cast<std::size_t>(operand.id)] &&
        std::find(wanted.begin(), wanted.end(), operand.id) == wanted.end()) {
      wanted.push_back(operand.id);
    }
  };
  for (const graph::Op& op : function.ops) graph::for_each_operand(op, want);
  for (const Operand& result : function.results) want(result);
  for (const graph::Update& update : function.updates) want(update.value);
  for (const int id : wanted) {
    part.results.push_back(Operand::value(id));
    part.result_names.push_back(fmt::format("folded_{}", id));
  }
  graph::Module alone;
  alone.profile = module.profile;
  alone.symbols = module.symbols;
  alone.globals = module.globals;
  graph::remove_dead_ops(part);
  alone.functions.push_back(std::move(part));
  TRY(const std::vector<Array> values, run(alone));
  std::map<int, int> global_of;
  for (std::size_t k = 0; k < wanted.size(); ++k) {
    const graph::Value& value = function.values[static_cast<std::size_t>(wanted[k])];
    std::string path = fmt::format("{}/{}", function.name, value.name);
    while (module.global_named(path) >= 0) path += "_";
    global_of[wanted[k]] = static_cast<int>(module.globals.size());
    module.globals.push_back({path, value.type, false, false, values[k], ""});
  }
  const auto replace = [&](Operand& operand) {
    if (operand.kind != Operand::Kind::value) return;
    if (const auto it = global_of.find(operand.id); it != global_of.end()) operand = Operand::global(it->second);
  };
  for (graph::Op& op : function.ops) graph::for_each_operand(op, replace);
  for (Operand& result : function.results) replace(result);
  for (graph::Update& update : function.updates) replace(update.value);
  return done();
}

// Constants that no function reads any more.
void drop_unread_constants(graph::Module& module) {
  std::vector<bool> read(module.globals.size(), false);
  const auto mark = [&](const Operand& operand) {
    if (operand.kind == Operand::Kind::global) read[static_cast<std::size_t>(operand.id)] = true;
  };
  for (const graph::Function& function : module.functions) {
    for (const graph::Op& op : function.ops) graph::for_each_operand(op, mark);
    for (const Operand& result : function.results) mark(result);
    for (const graph::Update& update : function.updates) {
      mark(update.value);
      read[static_cast<std::size_t>(update.global)] = true;
    }
  }
  std::vector<int> moved(module.globals.size(), -1);
  std::vector<graph::Global> kept;
  for (std::size_t i = 0; i < module.globals.size(); ++i) {
    if (!read[i] && !module.globals[i].is_state) continue;
    moved[i] = static_cast<int>(kept.size());
    kept.push_back(std::move(module.globals[i]));
  }
  module.globals = std::move(kept);
  const auto renumber = [&](Operand& operand) {
    if (operand.kind == Operand::Kind::global) operand.id = moved[static_cast<std::size_t>(operand.id)];
  };
  for (graph::Function& function : module.functions) {
    for (graph::Op& op : function.ops) graph::for_each_operand(op, renumber);
    for (Operand& result : function.results) renumber(result);
    for (graph::Update& update : function.updates) {
      renumber(update.value);
      update.global = moved[static_cast<std::size_t>(update.global)];
    }
  }
}

}  // namespace

Status fold_constants(graph::Module& module) {
  for (graph::Function& function : module.functions) CHECK(fold_function(module, function));
  drop_unread_constants(module);
  return done();
}

}  // namespace tusk
