// Reductions as loops: where equalities remove indices (W1, W2), terms in their lanes and blocks (N3, N4).
#include <fmt/format.h>

#include "ir/loop/print.hpp"
#include "ir/ops/common.hpp"
#include "passes/kernel_lowering.hpp"

namespace tusk::lowering {
namespace {

using kernel::Reduce;
using kernel::Reducer;
using kernel::Stage;
using loop::ValueRef;

// The combination of two partial results: the first one in order is the accumulator (N3).
ValueRef combine(Reducer kind, const ValueRef& acc, const ValueRef& x) {
  switch (kind) {
    case Reducer::dot:
    case Reducer::sum:
      return loop::apply("add", {acc, x});
    case Reducer::prod:
      return loop::apply("mul", {acc, x});
    case Reducer::max:
      return loop::apply("max", {x, acc});  // x > acc ? x : acc (N6)
    case Reducer::min:
      return loop::apply("min", {x, acc});
    case Reducer::all:
      return loop::apply("and", {acc, x});
    case Reducer::any:
      return loop::apply("or", {acc, x});
    default:
      return x;
  }
}

std::vector<std::string> hints(const Stage& stage, std::size_t count) {
  if (count == 1) return {stage.name};
  std::vector<std::string> names;
  for (std::size_t k = 0; k < count; ++k) names.push_back(fmt::format("{}{}", stage.name, k));
  return names;
}

}  // namespace

ValueRef identity(const Stage& stage) {
  const DType type = register_type(stage.type);
  return loop::literal({type, 1}, graph::identity_of(stage.reduce->kind, stage.type));
}

// One more term: a chain of fma for a dot of floats (N3), else the combination with the term.
ValueRef KernelLowering::accumulate(const Stage& stage, const ValueRef& acc) {
  const Reducer kind = stage.reduce->kind;
  if (kind == Reducer::dot && is_float(acc->type.element)) {
    const ValueRef a = value(stage.expr->operands[0]);
    const ValueRef b = value(stage.expr->operands[1]);
    return loop::apply("fma", {a, b, acc});
  }
  return combine(kind, acc, value(stage.expr));
}

// Splits an equality `index == value` at its removed index p into value = s*p + rest. Nothing where no index is removed
// that is not bound yet, or the value is data.
std::optional<Solvable> KernelLowering::solve(const kernel::Equality& equality) {
  const std::optional<kernel::Affine> affine = kernel::affine_of(equality.value);
  if (!affine) return std::nullopt;
  std::vector<std::string> open;
  for (const auto& [name, coefficient] : affine->terms) {
    if (!bound(name)) open.push_back(name);
  }
  if (!bound(equality.index)) {
    if (!open.empty()) return std::nullopt;
    return Solvable{equality.index, 1, value(equality.value)};  // W1
  }
  if (open.size() != 1) return std::nullopt;
  Solvable out;
  out.removed = open[0];
  ValueRef rest = loop::simplified(loop::apply("sub", {env_.at(equality.index), loop::dim_value(affine->offset)}));
  for (const auto& [name, coefficient] : affine->terms) {
    if (name == out.removed) {
      out.stride = coefficient.constant();
    } else {
      rest = integer("sub", rest, integer("mul", env_.at(name), loop::dim_value(coefficient)));
    }
  }
  out.position = rest;
  return out;
}

Values KernelLowering::descend(const Stage& stage, Progress progress, const Values& acc, const ValueRef& low,
                               const ValueRef& high) {
  const Reduce& reduce = *stage.reduce;
  // An equality is applied at the outermost loop where only its removed index is open (W1, W2), or, by brute force,
  // where its data can be read.
  for (std::size_t k = 0; k < reduce.where.size(); ++k) {
    if (progress.solved[k]) continue;
    const kernel::Equality& equality = reduce.where[k];
    ValueRef condition;
    if (kernel::affine_of(equality.value)) {
      const std::optional<Solvable> solvable = solve(equality);
      if (!solvable) continue;
      progress.solved[k] = true;
      if (solvable->stride == 1) {
        bind(solvable->removed, solvable->position);
        continue;
      }
      const ValueRef position = let("at", solvable->position);
      const ValueRef stride = loop::index_literal(solvable->stride);
      condition = loop::apply("eq", {loop::apply("rem", {position, stride}), loop::index_literal(0)});
      bind(solvable->removed, integer("div", position, stride));
    } else {
      if (progress.level < reduce.indices.size()) continue;
      progress.solved[k] = true;
      condition = loop::apply("eq", {value(equality.value), env_.at(equality.index)});
    }
    return branch(condition, hints(stage, acc.size()), acc, [&] { return descend(stage, progress, acc, low, high); });
  }
  if (progress.level == reduce.indices.size()) return step(stage, acc);
  const kernel::Index& index = reduce.indices[progress.level];
  const bool outermost = progress.level == 0;
  const bool innermost = progress.level + 1 == reduce.indices.size();
  Progress next = progress;
  ++next.level;
  const ValueRef first = outermost && low ? low : loop::index_literal(0);
  const ValueRef last = outermost && high ? high : loop::dim_value(index.extent);
  if (innermost && reduce.lanes > 1) return lanes(stage, next, acc, index, first, last);
  return loop_over(
      index.name, first, last, 1, acc, hints(stage, acc.size()),
      [&](const ValueRef&, const Values& carried) { return descend(stage, next, carried, nullptr, nullptr); });
}

Values KernelLowering::step(const Stage& stage, const Values& acc) {
  const Reducer kind = stage.reduce->kind;
  if (kind != Reducer::argmax && kind != Reducer::argmin) return {accumulate(stage, acc[0])};
  const ValueRef x = let("x", value(stage.expr));
  const ValueRef better = let("better", loop::apply(kind == Reducer::argmax ? "gt" : "lt", {x, acc[0]}));
  const ValueRef at = loop::apply("i32", {env_.at(stage.reduce->indices[0].name)});
  return {loop::apply("select", {better, x, acc[0]}), loop::apply("select", {better, at, acc[1]})};
}

// The innermost reduce index r goes to lane r mod L; a last partial group leaves the other lanes untouched.
Values KernelLowering::lanes(const Stage& stage, const Progress& next, const Values& acc, const kernel::Index& index,
                             const ValueRef& first, const ValueRef& last) {
  const auto count = static_cast<std::int64_t>(acc.size());
  const auto lane = [&](const ValueRef& at, const ValueRef& value) {
    const auto env = env_;  // an index that `where` removes is another one in each lane
    bind(index.name, at);
    ValueRef result = descend(stage, next, {value}, nullptr, nullptr)[0];
    env_ = env;
    shared_.clear();
    return result;
  };
  const ValueRef length = integer("sub", last, first);
  const ValueRef rest = integer("rem", length, loop::index_literal(count));
  const ValueRef whole = integer("sub", last, rest);
  const auto all = [&](const ValueRef& at, const Values& carried) {
    Values out;
    for (std::int64_t l = 0; l < count; ++l) {
      out.push_back(lane(integer("add", at, loop::index_literal(l)), carried[static_cast<std::size_t>(l)]));
    }
    return out;
  };
  const bool no_group = loop::print(whole) == loop::print(first);
  Values sums = no_group ? acc : loop_over(index.name, first, whole, count, acc, hints(stage, acc.size()), all);
  const bool known = rest->kind == loop::Value::Kind::literal;
  for (std::int64_t l = 0; l + 1 < count; ++l) {
    if (known && l >= rest->literal.integer) break;
    const ValueRef at = integer("add", whole, loop::index_literal(l));
    ValueRef& sum = sums[static_cast<std::size_t>(l)];
    if (known) {
      sum = let(stage.name, lane(at, sum));
    } else {
      sum = branch(loop::apply("lt", {loop::index_literal(l), rest}), {stage.name}, {sum},
                   [&] { return Values{lane(at, sum)}; })[0];
    }
  }
  return sums;
}

// One block: all its lanes, from `from` or the identity, to one value.
ValueRef KernelLowering::block_value(const Stage& stage, const ValueRef& low, const ValueRef& high, bool begins) {
  const Reduce& reduce = *stage.reduce;
  Values acc;
  for (std::int64_t l = 0; l < reduce.lanes; ++l) acc.push_back(identity(stage));
  if (begins && reduce.from) acc[0] = let(stage.name, value(reduce.from));
  if (reduce.kind == Reducer::argmax || reduce.kind == Reducer::argmin) {
    acc = {loop::literal({stage.expr->type, 1}, graph::identity_of(reduce.kind, stage.expr->type)),
           loop::literal({DType::i32, 1}, kernel::literal_of_int(0))};
  }
  const auto env = env_;
  Values sums = descend(stage, {0, std::vector<bool>(reduce.where.size(), false)}, acc, low, high);
  env_ = env;
  shared_.clear();
  if (reduce.kind == Reducer::argmax || reduce.kind == Reducer::argmin) return sums[1];
  for (std::size_t half = sums.size() / 2; half >= 1; half /= 2) {
    for (std::size_t l = 0; l < half; ++l) sums[l] = let(stage.name, combine(reduce.kind, sums[l], sums[l + half]));
  }
  return sums[0];
}

ValueRef KernelLowering::reduction(const Stage& stage, const Reduce& reduce) {
  kernel::add_bounds(bounds_, reduce.indices);
  for (const kernel::Index& index : reduce.indices) env_.erase(index.name);
  if (reduce.block == 0) return block_value(stage, nullptr, nullptr, true);
  const Dim& extent = reduce.indices[0].extent;
  if (extent.range(layout_.range_of).high <= reduce.block) return block_value(stage, nullptr, nullptr, true);
  const ValueRef end = loop::dim_value(extent);
  const auto cut = [&](const ValueRef& begin) {
    return integer("min", integer("add", begin, loop::index_literal(reduce.block)), end);
  };
  const ValueRef zero = loop::index_literal(0);
  const ValueRef head = block_value(stage, zero, cut(zero), true);
  return loop_over("block", loop::index_literal(reduce.block), end, reduce.block, {head}, {stage.name},
                   [&](const ValueRef& begin, const Values& carried) {
                     return Values{combine(reduce.kind, carried[0], block_value(stage, begin, cut(begin), false))};
                   })[0];
}

}  // namespace tusk::lowering
