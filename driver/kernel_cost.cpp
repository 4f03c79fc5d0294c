#include "driver/kernel_cost.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "ir/kernel/affine.hpp"
#include "ir/kernel/print.hpp"
#include "ir/loop/rows.hpp"
#include "passes/contraction.hpp"
#include "passes/register_tile.hpp"

namespace tusk {
namespace {

using kernel::Expr;
using kernel::ExprRef;
using kernel::Index;
using kernel::Kernel;
using kernel::Reduce;
using kernel::Reducer;
using kernel::Schedule;
using kernel::Stage;

struct Operations {
  double flops = 0;
  double slots = 0;  // in the time of so many products and sums
  void add(double times, double flops_of_one, double slots_of_one) {
    flops += times * flops_of_one;
    slots += times * slots_of_one;
  }
};

Operations of_row(const Row& row, DType type);

Operations of_value(const loop::ValueRef& value) {
  Operations out;
  if (!value) return out;
  if (value->kind == loop::Value::Kind::row) out = of_row(*value->row, value->operands[0]->type.element);
  for (const loop::ValueRef& operand : value->operands) {
    const Operations inner = of_value(operand);
    out.add(1, inner.flops, inner.slots);
  }
  return out;
}

// Conversions between integers and indices cost nothing that counts; a function costs what its body does.
Operations of_row(const Row& row, DType type) {
  Operations out;
  if (row.basic == Basic::bitcast) return out;
  const loop::Func* body = row.basic == Basic::none ? loop::row_body(row, type) : nullptr;
  if (body == nullptr) {
    out.add(1, row.basic == Basic::fma ? 2 : 1, slots_of(row.basic));
    return out;
  }
  for (const loop::Stmt& stmt : body->body) {
    const Operations inner = of_value(stmt.value);
    out.add(1, inner.flops, inner.slots);
  }
  const Operations last = of_value(body->result);
  out.add(1, last.flops, last.slots);
  return out;
}

class KernelCounter {
 public:
  KernelCounter(const Kernel& kernel, const Schedule& schedule, const ValueOf& value_of)
      : kernel_(kernel), schedule_(schedule), value_of_(value_of) {}

  std::map<std::string, double> reads;  // of tensors with a buffer, how often an element is read

  double extent(const Dim& dim) const { return static_cast<double>(std::max<std::int64_t>(0, dim.value(value_of_))); }

  double points(const Stage& stage) const { return product_of(stage.indices); }

  // What a stage at root takes, with what is inline in it.
  Operations of_stage(const Stage& stage) {
    Operations out;
    std::set<std::string> seen;
    count(stage, {}, points(stage), seen, out);
    return out;
  }

  double terms(const Stage& stage) const {
    return terms_of(stage, [&](const Dim& dim) { return extent(dim); });
  }

 private:
  double product_of(const std::vector<Index>& indices) const {
    double out = 1;
    for (const Index& index : indices) out *= extent(index.extent);
    return out;
  }

  // The stage at indices `at`, so many times. `seen`: what is computed at this point already.
  void count(const Stage& stage, const std::map<std::string, ExprRef>& at, double times, std::set<std::string>& seen,
             Operations& out) {
    if (!stage.reduce) {
      expression(stage.expr, at, times, seen, out);
      return;
    }
    const Reduce& reduce = *stage.reduce;
    if (reduce.from) expression(reduce.from, at, times, seen, out);
    const double all = times * terms(stage);
    std::set<std::string> inside;
    const bool is_fma = reduce.kind == Reducer::dot;
    expression(stage.expr, at, all, inside, out);
    // The product of a dot is counted with its operands.
    out.add(all, 1, is_fma ? 0 : 1);
    for (const kernel::Equality& equality : reduce.where) expression(equality.value, at, all, inside, out);
  }

  void expression(const ExprRef& expr, const std::map<std::string, ExprRef>& at, double times,
                  std::set<std::string>& seen, Operations& out) {
    kernel::for_each_node(kernel::substitute(expr, at), [&](const ExprRef& node) {
      if (node->kind == Expr::Kind::row && node->type != DType::index && node->operands[0]->type != DType::index) {
        const Operations row = of_row(*node->row, node->operands[0]->type);
        out.add(times, row.flops, row.slots);
      }
      if (node->kind != Expr::Kind::load || !seen.insert(kernel::print(node)).second) return;
      if (!schedule_.is_inline(node->name)) {
        reads[node->name] += times;
        return;
      }
      const Stage& inner = *kernel_.stage(node->name);
      std::map<std::string, ExprRef> there;
      for (std::size_t k = 0; k < inner.indices.size(); ++k) there[inner.indices[k].name] = node->operands[k];
      count(inner, there, times, seen, out);
    });
  }

  const Kernel& kernel_;
  const Schedule& schedule_;
  const ValueOf& value_of_;
};

// Elements of a tensor as it lies in memory: what is broadcast is there once.
double elements(const kernel::Tensor& tensor, const KernelCounter& counter) {
  double out = 1;
  for (std::size_t k = 0; k < tensor.shape.size(); ++k) {
    if (tensor.strides[k] != Dim(0)) out *= counter.extent(tensor.shape[k]);
  }
  return out;
}

double memory_cycles(double bytes, const TargetMachine& target) {
  if (bytes <= static_cast<double>(target.l1)) return bytes / (target.loads * 4 * target.lanes);
  const Bandwidth& known = target.bandwidth;
  const double rate = bytes <= static_cast<double>(target.l2)   ? known.l2
                      : bytes <= static_cast<double>(target.l3) ? known.l3
                                                                : known.dram;
  return rate == 0 ? 0 : bytes / rate;
}

}  // namespace

KernelCost cost_of(const kernel::Program& program, const kernel::Function& function, const kernel::Step& step,
                   const TargetMachine& target, const ValueOf& value_of) {
  const auto id = static_cast<std::size_t>(step.kernel);
  Kernel kernel = program.kernels[id];
  Schedule schedule = program.schedules[id];
  std::vector<kernel::AddedStage> added;
  const RangeOf range_of = [&](std::string_view symbol) {
    const std::int64_t value = value_of(symbol);
    return Range{value, value};
  };
  const scheduling::Choice choice{kernel, schedule, added, function, step, target, range_of};
  KernelCounter counter(kernel, schedule, value_of);
  KernelCost out;
  for (const Stage& stage : kernel.stages) {
    if (schedule.is_inline(stage.name)) continue;
    const Operations all = counter.of_stage(stage);
    out.flops += all.flops;
    kernel::StageSchedule plain;
    plain.stage = stage.name;
    const kernel::StageSchedule* record = schedule.of(stage.name);
    const kernel::StageSchedule& how = record != nullptr ? *record : plain;
    const auto lanes = static_cast<double>(how.vector.count);
    double cycles = all.slots / target.fmas / lanes;
    // Loads and latency of its tile, for each term.
    if (const auto contraction = contraction_of(kernel, schedule, stage)) {
      const double term = scheduling::cycles_of_term(choice, *contraction, how);
      const double sums = counter.points(stage) * counter.terms(*kernel.stage(contraction->stage));
      if (std::isfinite(term)) cycles = std::max(cycles, term * sums / lanes);
    }
    out.cycles += cycles;
  }
  for (std::size_t k = 0; k < kernel.params.size(); ++k) {
    const kernel::Tensor& tensor = function.tensors[static_cast<std::size_t>(step.args[k])];
    out.bytes += static_cast<double>(size_of(tensor.type)) *
                 std::min(elements(tensor, counter), counter.reads[kernel.params[k].name]);
  }
  for (const int result : step.results) {
    const kernel::Tensor& tensor = function.tensors[static_cast<std::size_t>(result)];
    out.bytes += static_cast<double>(size_of(tensor.type)) * elements(tensor, counter);
  }
  out.compute = out.flops / (2 * target.fmas * target.lanes);
  out.memory = memory_cycles(out.bytes, target);
  out.cycles = std::max(out.cycles, out.memory);
  return out;
}

}  // namespace tusk
