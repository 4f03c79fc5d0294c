// Reductions as loops: where equalities remove indices (W1, W2), terms in their lanes and blocks (N3, N4).
#include <fmt/format.h>
#include <algorithm>

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
  const int lanes = acc->type.lanes;
  if (kind == Reducer::dot && is_float(acc->type.element)) {
    const ValueRef a = wide(value(stage.expr->operands[0]), lanes);
    const ValueRef b = wide(value(stage.expr->operands[1]), lanes);
    return loop::apply("fma", {a, b, acc});
  }
  return combine(kind, acc, wide(value(stage.expr), lanes));
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
    return Solvable{equality.index, 1, position(equality.value)};  // W1
  }
  if (open.size() != 1) return std::nullopt;
  Solvable out;
  out.removed = open[0];
  Position rest = here().at.at(equality.index);
  rest.base = loop::simplified(loop::apply("sub", {rest.base, loop::dim_value(affine->offset)}));
  for (const auto& [name, coefficient] : affine->terms) {
    if (name == out.removed) {
      out.stride = coefficient.constant();
      continue;
    }
    const Position& at = here().at.at(name);
    rest.base = integer("sub", rest.base, integer("mul", at.base, loop::dim_value(coefficient)));
    if (at.lane != 0) rest.lane -= at.lane * coefficient.constant();
  }
  if (tile_ != nullptr) rest.base = arranged(rest.base);
  out.position = rest;
  return out;
}

// Binds the index that an equality removes, in every register. False where the terms do not exist; nothing where that
// differs from register to register, or shows at run time only.
std::optional<bool> KernelLowering::bind_removed(const kernel::Equality& equality, const Solvable& solvable) {
  const ValueRef stride = loop::index_literal(solvable.stride);
  std::vector<Position> places;
  int exist = 0;
  int known = 0;
  at_each_point([&](std::size_t) {
    Position place = solve(equality)->position;
    const ValueRef rest = integer_here("rem", place.base, stride);
    if (place.lane % solvable.stride != 0) throw IllegalSchedule{"terms exist in some lanes only"};
    if (rest->kind == loop::Value::Kind::literal) {
      ++known;
      exist += rest->literal.integer == 0 ? 1 : 0;
    }
    places.push_back({integer_here("div", place.base, stride), place.lane / solvable.stride});
  });
  const int all = static_cast<int>(points_.size());
  if (known != all || (exist != 0 && exist != all)) return std::nullopt;
  if (exist == 0) return false;
  kernel::add_removed_bounds(bounds_, equality, solvable.removed, solvable.stride, layout_.range_of);
  at_each_point([&](std::size_t k) {
    here().at[solvable.removed] = places[k];
    here().shared.clear();
  });
  return true;
}

// Every register by itself, where their terms differ.
Values KernelLowering::each_alone(const Stage& stage, const Progress& progress, const Values& acc, const ValueRef& low,
                                  const ValueRef& high) {
  Values out = acc;
  const std::size_t count = points_.size();
  const std::vector<Point> all = points_;
  for (std::size_t p = 0; p < count; ++p) {
    points_ = {all[p]};
    here_ = 0;
    Values own;
    for (std::size_t k = p; k < acc.size(); k += count) own.push_back(acc[k]);
    own = descend(stage, progress, own, low, high);
    for (std::size_t k = p; k < acc.size(); k += count) out[k] = own[k / count];
    points_ = all;
  }
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
    const bool affine = kernel::affine_of(equality.value).has_value();
    std::optional<Solvable> solvable;
    if (affine) {
      solvable = solve(equality);
      if (!solvable) continue;
      if (tile_ != nullptr) {
        const std::optional<bool> exist = bind_removed(equality, *solvable);
        if (exist == false) return acc;
        progress.solved[k] = exist.has_value();
        if (exist) continue;
      }
    } else if (progress.level < reduce.indices.size()) {
      continue;
    }
    if (points_.size() > 1) return each_alone(stage, progress, acc, low, high);
    progress.solved[k] = true;
    ValueRef condition;
    if (affine) {
      if (solvable->position.lane != 0) throw IllegalSchedule{"terms exist in some lanes only"};
      if (solvable->stride == 1) {
        bind(solvable->removed, solvable->position.base);
        continue;
      }
      const ValueRef at = let("at", solvable->position.base);
      const ValueRef stride = loop::index_literal(solvable->stride);
      condition = loop::apply("eq", {loop::apply("rem", {at, stride}), loop::index_literal(0)});
      bind(solvable->removed, integer("div", at, stride));
    } else {
      const Position left = position(kernel::index(equality.index));
      if (left.lane != 0) throw IllegalSchedule{"terms exist in some lanes only"};
      condition = loop::apply("eq", {value(equality.value), left.base});
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
  if (is_unrolled(index, first, last)) return unrolled(stage, next, acc, index, first, last);
  return loop_over(
      index.name, first, last, 1, acc, hints(stage, acc.size()),
      [&](const ValueRef&, const Values& carried) { return descend(stage, next, carried, nullptr, nullptr); });
}

bool KernelLowering::is_unrolled(const kernel::Index& index, const ValueRef& first, const ValueRef& last) const {
  const bool numbers = first->kind == loop::Value::Kind::literal && last->kind == loop::Value::Kind::literal;
  return tile_ != nullptr && numbers && std::ranges::find(how_->unroll, index.name) != how_->unroll.end();
}

// The terms of an index one after the other, so that what depends on it is a number.
Values KernelLowering::unrolled(const Stage& stage, const Progress& next, Values acc, const kernel::Index& index,
                                const ValueRef& first, const ValueRef& last) {
  for (std::int64_t at = first->literal.integer; at < last->literal.integer; ++at) {
    const auto points = points_;
    const auto bounds = bounds_;
    const auto computed = computed_;  // what is read stays within its term: kept longer, it would fill the registers
    bind(index.name, loop::index_literal(at));
    bounds_[index.name] = {Dim(at), Dim(at)};
    Values sums = descend(stage, next, acc, nullptr, nullptr);
    for (std::size_t k = 0; k < acc.size(); ++k) {
      if (sums[k] != acc[k]) acc[k] = let(stage.name, sums[k]);
    }
    points_ = points;
    bounds_ = bounds;
    computed_ = computed;
  }
  return acc;
}

Values KernelLowering::step(const Stage& stage, const Values& acc) {
  const Reducer kind = stage.reduce->kind;
  Values out(acc.size());
  const std::size_t count = points_.size();
  at_each_point([&](std::size_t p) {
    if (kind != Reducer::argmax && kind != Reducer::argmin) {
      out[p] = accumulate(stage, acc[p]);
      // Compilers keep the order of statements more or less: each sum right behind what it reads needs few registers.
      if (count > 1) out[p] = let(stage.name, out[p]);
      return;
    }
    const ValueRef x = let("x", value(stage.expr));
    const ValueRef better = let("better", row_of(kind == Reducer::argmax ? "gt" : "lt", {x, acc[p]}));
    const Position index = here().at.at(stage.reduce->indices[0].name);
    const ValueRef at = loop::apply("i32", {index.base});
    out[p] = row_of("select", {better, x, acc[p]});
    out[count + p] = row_of("select", {better, at, acc[count + p]});
  });
  return out;
}

// The innermost reduce index r goes to lane r mod L; a last partial group leaves the other lanes untouched.
Values KernelLowering::lanes(const Stage& stage, const Progress& next, const Values& acc, const kernel::Index& index,
                             const ValueRef& first, const ValueRef& last) {
  const auto points = static_cast<std::ptrdiff_t>(points_.size());
  const std::int64_t count = stage.reduce->lanes;
  const auto of_lane = [&](const Values& values, std::int64_t l) {
    return Values(values.begin() + l * points, values.begin() + (l + 1) * points);
  };
  const auto lane = [&](const ValueRef& at, const Values& values) {
    const auto outer = points_;  // an index that `where` removes is another one in each lane
    bind(index.name, at);
    Values result = descend(stage, next, values, nullptr, nullptr);
    points_ = outer;
    for (Point& point : points_) point.shared.clear();
    return result;
  };
  const ValueRef length = integer("sub", last, first);
  const ValueRef rest = integer("rem", length, loop::index_literal(count));
  const ValueRef whole = integer("sub", last, rest);
  const auto all = [&](const ValueRef& at, const Values& carried) {
    Values out;
    for (std::int64_t l = 0; l < count; ++l) {
      const Values sums = lane(integer("add", at, loop::index_literal(l)), of_lane(carried, l));
      out.insert(out.end(), sums.begin(), sums.end());
    }
    return out;
  };
  const bool no_group = loop::print(whole) == loop::print(first);
  Values sums = no_group ? acc : loop_over(index.name, first, whole, count, acc, hints(stage, acc.size()), all);
  const bool known = rest->kind == loop::Value::Kind::literal;
  for (std::int64_t l = 0; l + 1 < count; ++l) {
    if (known && l >= rest->literal.integer) break;
    const ValueRef at = integer("add", whole, loop::index_literal(l));
    Values own = of_lane(sums, l);
    if (known) {
      own = lane(at, own);
      for (ValueRef& sum : own) sum = let(stage.name, sum);
    } else {
      own = branch(loop::apply("lt", {loop::index_literal(l), rest}), hints(stage, own.size()), own,
                   [&] { return lane(at, own); });
    }
    std::ranges::copy(own, sums.begin() + l * points);
  }
  return sums;
}

// What the first lane of a sum starts from: `from` where it begins, else the identity.
Values KernelLowering::starts(const Stage& stage, bool begins) {
  const Reduce& reduce = *stage.reduce;
  Values out;
  at_each_point([&](std::size_t) {
    out.push_back(begins && reduce.from ? let(stage.name, value(reduce.from)) : identity(stage));
  });
  return out;
}

// One block: all its lanes, the first from `starts`, to one value for each register.
Values KernelLowering::block_value(const Stage& stage, const ValueRef& low, const ValueRef& high,
                                   const Values& starts) {
  const Reduce& reduce = *stage.reduce;
  const std::size_t count = points_.size();
  const bool picks = reduce.kind == Reducer::argmax || reduce.kind == Reducer::argmin;
  Values acc;
  for (std::int64_t l = 0; l < (picks ? 1 : reduce.lanes); ++l) {
    at_each_point([&](std::size_t p) {
      const ValueRef start =
          picks    ? loop::literal({stage.expr->type, 1}, graph::identity_of(reduce.kind, stage.expr->type))
          : l == 0 ? starts[p]
                   : identity(stage);
      acc.push_back(wide(start, here().lanes));
    });
  }
  if (picks) {
    at_each_point([&](std::size_t) {
      acc.push_back(wide(loop::literal({DType::i32, 1}, kernel::literal_of_int(0)), here().lanes));
    });
  }
  const auto points = points_;
  Values sums = descend(stage, {0, std::vector<bool>(reduce.where.size(), false)}, acc, low, high);
  points_ = points;
  for (Point& point : points_) point.shared.clear();
  const auto from = sums.begin() + static_cast<std::ptrdiff_t>(count);
  if (picks) return {from, sums.end()};
  for (std::size_t half = sums.size() / count / 2; half >= 1; half /= 2) {
    for (std::size_t k = 0; k < half * count; ++k)
      sums[k] = let(stage.name, combine(reduce.kind, sums[k], sums[k + half * count]));
  }
  return {sums.begin(), from};
}

// The blocks from low to high, combined in their order with what stands before them.
Values KernelLowering::blocks(const Stage& stage, const ValueRef& low, const ValueRef& high, Values head) {
  const std::int64_t count = stage.reduce->block;
  if (is_unrolled(stage.reduce->indices[0], low, high)) {
    for (std::int64_t at = low->literal.integer; at < high->literal.integer; at += count) {
      const ValueRef end = loop::index_literal(std::min(at + count, high->literal.integer));
      const Values block = block_value(stage, loop::index_literal(at), end, starts(stage, false));
      for (std::size_t k = 0; k < block.size(); ++k)
        head[k] = let(stage.name, combine(stage.reduce->kind, head[k], block[k]));
    }
    return head;
  }
  return loop_over("block", low, high, count, head, hints(stage, head.size()),
                   [&](const ValueRef& begin, const Values& carried) {
                     const ValueRef end = integer("min", integer("add", begin, loop::index_literal(count)), high);
                     Values block = block_value(stage, begin, end, starts(stage, false));
                     for (std::size_t k = 0; k < block.size(); ++k)
                       block[k] = combine(stage.reduce->kind, carried[k], block[k]);
                     return block;
                   });
}

// One part of a sum that rests in memory between its parts.
Values KernelLowering::part_value(const Stage& stage) {
  const auto rested = [&] {
    Values out;
    at_each_point([&](std::size_t) { out.push_back(stored(stage)); });
    return out;
  };
  const ValueRef goes_on = loop::apply("ne", {part_low_, loop::index_literal(0)});
  const std::int64_t count = stage.reduce->block;
  if (count == 0) {
    Values begin = starts(stage, true);
    at_each_point([&](std::size_t p) { begin[p] = wide(begin[p], here().lanes); });
    return block_value(stage, part_low_, part_high_, branch(goes_on, hints(stage, begin.size()), begin, rested));
  }
  const bool is_block = how_->outer.count == count;
  const ValueRef end =
      is_block ? part_high_ : integer("min", integer("add", part_low_, loop::index_literal(count)), part_high_);
  const Values first = block_value(stage, part_low_, end, starts(stage, false));
  const Values head = branch(goes_on, hints(stage, first.size()), first, [&] {
    Values sums = rested();
    for (std::size_t k = 0; k < sums.size(); ++k) sums[k] = combine(stage.reduce->kind, sums[k], first[k]);
    return sums;
  });
  return is_block ? head : blocks(stage, end, part_high_, head);
}

Values KernelLowering::reduction(const Stage& stage, const Reduce& reduce) {
  kernel::add_bounds(bounds_, reduce.indices);
  for (const kernel::Index& index : reduce.indices) {
    for (Point& point : points_) point.at.erase(index.name);
  }
  if (in_parts_ == &stage) return part_value(stage);
  const bool is_cut = reduce.block > 0 && reduce.indices[0].extent.range(layout_.range_of).high > reduce.block;
  if (!is_cut) return block_value(stage, nullptr, nullptr, starts(stage, true));
  const ValueRef end = loop::dim_value(reduce.indices[0].extent);
  const ValueRef count = loop::index_literal(reduce.block);
  const Values head = block_value(stage, loop::index_literal(0), integer("min", count, end), starts(stage, true));
  return blocks(stage, count, end, head);
}

}  // namespace tusk::lowering
