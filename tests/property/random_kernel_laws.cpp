// The laws on one kernel, and its shrinking.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <map>
#include <set>

#include "ir/kernel/affine.hpp"
#include "ir/kernel/parse.hpp"
#include "ir/kernel/print.hpp"
#include "ir/kernel/verify.hpp"
#include "ir/loop/interpret.hpp"
#include "ir/loop/print.hpp"
#include "ir/loop/verify.hpp"
#include "passes/lower_kernel.hpp"
#include "tests/property/random_graph.hpp"
#include "tests/property/random_kernel.hpp"
#include "tests/property/random_reference.hpp"

namespace tusk::random_tests {
namespace {

using kernel::Expr;
using kernel::ExprRef;
using kernel::Kernel;
using kernel::Schedule;
using kernel::Stage;

// Whether a small error inside the stage can change more than a small amount.
bool decides(const Stage& stage) {
  bool out = false;
  for (const ExprRef& expr : kernel::expressions_of(stage)) {
    kernel::for_each_node(expr, [&](const ExprRef& node) {
      if (node->kind != Expr::Kind::row || node->type == DType::index) return;
      const Basic basic = node->row->basic;
      const bool steps = node->row->typing == Typing::compare || basic == Basic::floor || basic == Basic::ceil ||
                         basic == Basic::trunc || basic == Basic::rint || basic == Basic::convert;
      out = out || steps;
    });
  }
  return out;
}

bool tame_values(const std::map<std::string, Array>& tensors) {
  for (const auto& [name, x] : tensors) {
    for (std::int64_t i = 0; i < x.size(); ++i) {
      if (is_float(x.dtype()) && !(std::abs(x.at(i)) < 50)) return false;
    }
  }
  return true;
}

std::string indices_of(const Array& array, std::int64_t at) {
  std::vector<std::int64_t> out(array.shape().size());
  for (std::size_t i = out.size(); i-- > 0;) {
    out[i] = at % array.shape()[i];
    at /= array.shape()[i];
  }
  return fmt::format("[{}]", fmt::join(out, ","));
}

std::optional<Failure> broken_stage(const KernelCase& c, const Stage& stage,
                                    const std::map<std::string, Array>& tensors, const Array& got) {
  const auto report = [&](std::string_view law, std::int64_t i, double wanted) {
    return Failure{std::string(law),
                   fmt::format("stage {} at {}: {}, reference {}", stage.name, indices_of(got, i), got.at(i), wanted)};
  };
  if (is_basic(stage)) {
    const Reference reference = evaluate(stage, tensors, c.symbols, Arithmetic::rounded);
    if (!reference.problem.empty()) return Failure{"proof of ranges (G5)", reference.problem};
    if (reference.value.shape() != got.shape()) return Failure{"shape", stage.name};
    for (std::int64_t i = 0; i < got.size(); ++i) {
      const double a = got.at(i);
      const double b = reference.value.at(i);
      const bool same = is_float(got.dtype()) ? (a == b && std::signbit(a) == std::signbit(b)) || (a != a && b != b)
                                              : got.int_at(i) == reference.value.int_at(i);
      if (!same) return report("bits of the reference (N2, N3)", i, b);
    }
    return std::nullopt;
  }
  const Reference reference = evaluate(stage, tensors, c.symbols, Arithmetic::exact);
  if (!reference.problem.empty()) return Failure{"proof of ranges (G5)", reference.problem};
  if (!is_float(stage.type) || decides(stage) || !c.tame || !tame_values(tensors)) return std::nullopt;
  const double unit = stage.type == DType::f16 ? 0x1p-10 : stage.type == DType::bf16 ? 0x1p-7 : 0x1p-19;
  for (std::int64_t i = 0; i < got.size(); ++i) {
    const double a = got.at(i);
    const double b = reference.value.at(i);
    // Beyond these sizes an inner term may overflow or cancel.
    if (!(reference.terms.at(i) < 1e4) || !(std::abs(b) < 1e4) || a != a) continue;
    if (std::abs(a - b) > unit * std::max(1.0, reference.terms.at(i)) * 100) return report("near the reference", i, b);
  }
  return std::nullopt;
}

std::optional<Failure> broken_text(const Kernel& kernel) {
  const std::string text = kernel::print(kernel);
  const Expected<Kernel> read = kernel::parse_kernel(text);
  if (!read) return Failure{"text", read.problem().str()};
  if (const std::string again = kernel::print(*read); again != text) return Failure{"text", "became\n" + again};
  if (const Status ok = kernel::verify(*read, kernel_ranges()); !ok) return Failure{"text, verify", ok.problem().str()};
  return std::nullopt;
}

std::optional<Failure> any_broken(const KernelCase& c) {
  if (const Status ok = kernel::verify(c.kernel, kernel_ranges()); !ok) return Failure{"verify", ok.problem().str()};
  if (auto broken = broken_text(c.kernel)) return broken;
  const std::vector<Array> inputs = inputs_of(c);
  Kernel all = c.kernel;
  all.results.clear();
  for (const Stage& stage : all.stages) all.results.push_back(stage.name);
  const auto values = run_kernel(all, {}, false, inputs, c.symbols, kNan);
  if (!values) return Failure{"run", values.problem().str()};
  std::map<std::string, Array> tensors;
  for (std::size_t k = 0; k < inputs.size(); ++k) tensors[c.kernel.params[k].name] = inputs[k];
  for (std::size_t k = 0; k < all.stages.size(); ++k) {
    if (auto broken = broken_stage(c, all.stages[k], tensors, (*values)[k])) return broken;
    tensors[all.stages[k].name] = (*values)[k];
  }
  // Schedules: everything inline that may be, a part of it, nothing; W3 both ways.
  Rng rng(seed_of(c.seed, "schedule"));
  for (int round = 0; round < 4; ++round) {
    Schedule schedule;
    for (const Stage& stage : c.kernel.stages) {
      const bool result = std::ranges::find(c.kernel.results, stage.name) != c.kernel.results.end();
      if (!result && (round == 0 || (round == 1 && rng.chance(50)))) schedule.inline_stages.push_back(stage.name);
    }
    add_tiles(c.kernel, schedule, rng);
    if (!kernel::verify(c.kernel, schedule)) continue;
    const bool brute = round == 3 || (round == 1 && rng.chance(50));
    const auto results = run_kernel(c.kernel, schedule, brute, inputs, c.symbols, round % 2 == 0 ? kOther : kNan);
    if (!results && results.problem().code == "schedule-lanes") continue;
    if (!results) return Failure{"run, schedule", results.problem().str() + kernel::print(schedule, c.kernel.name)};
    for (std::size_t k = 0; k < results->size(); ++k) {
      const std::string text = difference(tensors.at(c.kernel.results[k]), (*results)[k]);
      if (text.empty()) continue;
      return Failure{brute ? "where by brute force (law 4)" : "schedules (law 4)",
                     fmt::format("result {}, {}\n{}", k, text, kernel::print(schedule, c.kernel.name))};
    }
  }
  return std::nullopt;
}

// Every way to make an expression smaller by one step: a node by one of its operands of the same type.
std::vector<ExprRef> smaller(const ExprRef& expr) {
  std::vector<ExprRef> out;
  for (const ExprRef& operand : expr->operands) {
    if (operand->type == expr->type) out.push_back(operand);
  }
  if (expr->kind == Expr::Kind::row && expr->type != DType::index)
    out.push_back(kernel::literal(expr->type, kernel::literal_of_int(1)));
  for (std::size_t i = 0; i < expr->operands.size(); ++i) {
    for (ExprRef& less : smaller(expr->operands[i])) {
      Expr copy = *expr;
      copy.operands[i] = std::move(less);
      out.push_back(std::make_shared<const Expr>(std::move(copy)));
    }
  }
  return out;
}

std::vector<Stage> smaller(const Stage& stage) {
  std::vector<Stage> out;
  const auto keep = [&](const auto& change) {
    out.push_back(stage);
    change(out.back());
  };
  if (stage.reduce) {
    if (stage.reduce->lanes > 1) keep([](Stage& s) { s.reduce->lanes = 1; });
    if (stage.reduce->block > 0) keep([](Stage& s) { s.reduce->block = 0; });
    if (stage.reduce->from) keep([](Stage& s) { s.reduce->from = nullptr; });
    if (!stage.reduce->where.empty()) keep([](Stage& s) { s.reduce->where.clear(); });
    if (stage.reduce->indices.size() > 1) keep([](Stage& s) { s.reduce->indices.pop_back(); });
    for (std::size_t i = 0; i < stage.reduce->indices.size(); ++i) {
      if (stage.reduce->indices[i].extent != Dim(2)) keep([&](Stage& s) { s.reduce->indices[i].extent = Dim(2); });
    }
    if (stage.reduce->from) {
      for (const ExprRef& less : smaller(stage.reduce->from)) keep([&](Stage& s) { s.reduce->from = less; });
    }
  }
  if (stage.type != DType::f32) keep([](Stage& s) { s.type = DType::f32; });
  for (std::size_t i = 0; i < stage.indices.size(); ++i) {
    keep([&](Stage& s) { s.indices.erase(s.indices.begin() + static_cast<std::ptrdiff_t>(i)); });
    if (stage.indices[i].extent != Dim(1)) keep([&](Stage& s) { s.indices[i].extent = Dim(1); });
    if (stage.indices[i].extent != Dim(2)) keep([&](Stage& s) { s.indices[i].extent = Dim(2); });
  }
  for (const ExprRef& less : smaller(stage.expr)) keep([&](Stage& s) { s.expr = less; });
  return out;
}

void drop_unread_params(Kernel& kernel) {
  std::set<std::string> read;
  for (const Stage& stage : kernel.stages) {
    for (const ExprRef& expr : kernel::expressions_of(stage))
      kernel::for_each_load(expr, [&](const ExprRef& load) { read.insert(load->name); });
  }
  std::erase_if(kernel.params, [&](const kernel::Param& p) { return !read.contains(p.name); });
}

}  // namespace

void add_tiles(const Kernel& kernel, Schedule& schedule, Rng& rng) {
  for (const Stage& stage : kernel.stages) {
    const auto is_inline = [&](const Stage& other) {
      return std::ranges::find(schedule.inline_stages, other.name) != schedule.inline_stages.end();
    };
    if (is_inline(stage) || rng.chance(25)) continue;
    kernel::StageSchedule record;
    record.stage = stage.name;
    for (const kernel::Index& index : stage.indices) {
      if (rng.chance(40)) record.tile.push_back({index.name, 1 + rng.below(4)});
      if (rng.chance(15)) record.split.push_back({index.name, 2 + rng.below(2)});
      if (rng.chance(30)) record.order.insert(record.order.begin(), index.name);
    }
    if (!stage.indices.empty() && rng.chance(60)) {
      record.vector = {rng.pick(stage.indices).name, std::int64_t{1} << (1 + rng.below(3))};
      if (rng.chance(70)) record.vector.index = stage.indices.back().name;
      std::erase_if(record.tile, [&](const kernel::IndexCount& tile) { return tile.index == record.vector.index; });
      if (rng.chance(50)) record.tile.push_back({record.vector.index, record.vector.count * (1 + rng.below(3))});
    }
    for (const Stage& other : kernel.stages) {
      if (!other.reduce || (other.name != stage.name && !is_inline(other))) continue;
      for (const kernel::Index& index : other.reduce->indices) {
        if (rng.chance(40)) record.unroll.push_back(index.name);
      }
    }
    if (stage.reduce && !stage.reduce->indices.empty() && (stage.reduce->block > 0 || stage.reduce->lanes == 1) &&
        rng.chance(40)) {
      const std::int64_t block = std::max<std::int64_t>(1, stage.reduce->block);
      record.outer = {stage.reduce->indices[0].name, block * (1 + rng.below(2))};
      if (rng.chance(75)) {
        const std::int64_t at = rng.below(static_cast<std::int64_t>(record.order.size()) + 1);
        record.order.insert(record.order.begin() + at, record.outer.index);
      }
    }
    for (const kernel::Index& index : stage.indices) {
      if (rng.chance(40)) record.parallel.push_back(index.name);
    }
    record.grain = record.parallel.empty() ? 1 : 1 + rng.below(4);
    schedule.stages.push_back(std::move(record));
  }
}

Expected<std::vector<Array>> run_kernel(const Kernel& kernel, const Schedule& schedule, bool brute_force_where,
                                        const std::vector<Array>& inputs, const Symbols& symbols, std::byte poison) {
  const ValueOf of = [&](std::string_view name) { return symbols.at(std::string(name)); };
  KernelLayout layout;
  layout.range_of = kernel_ranges();
  layout.brute_force_where = brute_force_where;
  std::vector<Array> arrays = inputs;
  const auto add = [&](const Stage& stage) {
    const Shape dims = kernel::buffer_shape(kernel, schedule, stage);
    layout.strides.push_back(kernel::dense_strides(dims));
    std::vector<std::int64_t> shape;
    for (const Dim& dim : dims) shape.push_back(dim.value(of));
    arrays.emplace_back(stage.type, shape);
    if (stage.type != DType::boolean) std::ranges::fill(arrays.back().writable_bytes(), poison);
  };
  for (const kernel::Param& param : kernel.params) layout.strides.push_back(kernel::dense_strides(param.shape));
  for (const std::string& result : kernel.results) add(*kernel.stage(result));
  for (const Stage* stage : scratch_stages(kernel, schedule)) add(*stage);
  loop::Module module;
  TRY(loop::Func func, lower_kernel(kernel, schedule, layout, "k"));
  module.funcs.push_back(std::move(func));
  CHECK(loop::verify(module));
  std::vector<loop::BufferArg> buffers;
  for (Array& array : arrays) {
    const std::span<std::byte> bytes = array.writable_bytes();
    buffers.push_back({bytes.data(), static_cast<std::int64_t>(bytes.size())});
  }
  std::vector<std::int64_t> scalars;
  for (const std::string& symbol : symbols_of(kernel, layout)) scalars.push_back(of(symbol));
  loop::Interpreter interpreter(module);
  if (Status ok = interpreter.run("k", buffers, scalars); !ok) {
    ok.problem().note(loop::print(module));
    return ok.problem();
  }
  const auto first = arrays.begin() + static_cast<std::ptrdiff_t>(kernel.params.size());
  return std::vector<Array>(first, first + static_cast<std::ptrdiff_t>(kernel.results.size()));
}

std::optional<Failure> broken_kernel(const KernelCase& c) {
  try {
    return any_broken(c);
  } catch (const std::exception& problem) {
    return Failure{"exception", problem.what()};
  }
}

KernelCase shrunk(const KernelCase& c, const Failure& failure) {
  KernelCase best = c;
  int trials = 0;
  const auto attempt = [&](Kernel next) {
    drop_unread_params(next);
    if (++trials > 3000 || next.results.empty() || !kernel::verify(next, kernel_ranges())) return false;
    KernelCase candidate = best;
    candidate.kernel = std::move(next);
    const auto broken = broken_kernel(candidate);
    if (!broken || broken->law != failure.law) return false;
    best = std::move(candidate);
    return true;
  };
  bool changed = true;
  while (changed) {
    changed = false;
    for (std::size_t k = best.kernel.stages.size(); k-- > 0;) {
      Kernel next = best.kernel;
      std::erase(next.results, next.stages[k].name);
      if (attempt(next)) changed = true;
      // The stage becomes a parameter, or goes.
      next = best.kernel;
      const Stage stage = next.stages[k];
      std::erase(next.results, stage.name);
      next.stages.erase(next.stages.begin() + static_cast<std::ptrdiff_t>(k));
      next.params.push_back({stage.name, stage.type, shape_of(stage), false});
      if (attempt(next)) changed = true;
    }
    for (std::size_t k = 0; k < best.kernel.stages.size(); ++k) {
      for (bool again = true; again;) {
        again = false;
        for (const Stage& less : smaller(best.kernel.stages[k])) {
          Kernel next = best.kernel;
          next.stages[k] = less;
          if (!attempt(std::move(next))) continue;
          changed = again = true;
          break;
        }
      }
    }
  }
  return best;
}

std::string text_of(const KernelCase& c) {
  std::string out = fmt::format("# seed {}", c.seed);
  for (const auto& [symbol, value] : c.symbols) out += fmt::format(", {} = {}", symbol, value);
  out += "\n";
  const std::vector<Array> inputs = inputs_of(c);
  for (std::size_t k = 0; k < inputs.size(); ++k)
    out += fmt::format("# {} = {}\n", c.kernel.params[k].name, str(inputs[k]));
  return out + kernel::print(c.kernel);
}

}  // namespace tusk::random_tests
