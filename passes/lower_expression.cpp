// Expressions of a kernel as values of the loop IR, in the register of one point.
#include <fmt/format.h>
#include <algorithm>

#include "ir/loop/linear.hpp"
#include "ir/loop/print.hpp"
#include "passes/kernel_lowering.hpp"

namespace tusk::lowering {
namespace {

using kernel::Expr;
using kernel::ExprRef;
using kernel::Stage;
using loop::ValueRef;

bool has_registers(DType type) {
  return type == DType::f32 || type == DType::i32 || type == DType::u32 || type == DType::boolean;
}

}  // namespace

ValueRef first_lanes(const ValueRef& count, int lanes) {
  const loop::Type type{DType::boolean, lanes};
  return loop::first(count, loop::literal(type, kernel::literal_of_int(1)),
                     loop::literal(type, kernel::literal_of_int(0)));
}

// Index arithmetic: in a tile, whose registers differ by numbers only, in normal form.
ValueRef KernelLowering::arranged(ValueRef index) const {
  if (tile_ == nullptr) return loop::simplified(index);
  return loop::normal(index, [this](const std::string& name) {
    const auto it = steps_.find(name);
    return it == steps_.end() ? std::int64_t{1} : it->second;
  });
}

ValueRef KernelLowering::integer_here(std::string_view row, ValueRef a, ValueRef b) const {
  return arranged(loop::apply(row, {std::move(a), std::move(b)}));
}

// A scalar in every lane.
ValueRef KernelLowering::wide(const ValueRef& value, int lanes) {
  if (value->type.lanes == lanes) return value;
  if (value->type.lanes != 1) throw IllegalSchedule{"registers of different lanes meet"};
  if (!has_registers(value->type.element))
    throw IllegalSchedule{fmt::format("no registers of {}", name_of(value->type.element))};
  if (value->kind != loop::Value::Kind::name) return loop::splat(lanes, value);
  const std::string key = fmt::format("splat {} {}", lanes, value->name);
  if (const auto it = computed_.find(key); it != computed_.end()) return it->second;
  return computed_[key] = let(value->name, loop::splat(lanes, value));
}

ValueRef KernelLowering::row_of(const Row& row, Values operands) {
  int lanes = 1;
  for (const ValueRef& operand : operands) lanes = std::max(lanes, operand->type.lanes);
  if (lanes == 1) return loop::apply(row, std::move(operands));
  for (ValueRef& operand : operands) operand = wide(operand, lanes);
  ValueRef result = loop::apply(row, std::move(operands));
  if (!has_registers(result->type.element))
    throw IllegalSchedule{fmt::format("no registers of {}", name_of(result->type.element))};
  return result;
}

ValueRef KernelLowering::row_of(std::string_view row, Values operands) {
  return row_of(*row_named(row), std::move(operands));
}

// Where an index expression is, lane by lane.
Position KernelLowering::position(const ExprRef& expr) {
  if (expr->kind == Expr::Kind::index) return here().at.at(expr->name);
  if (expr->kind == Expr::Kind::dim) return {loop::dim_value(expr->dim)};
  if (expr->kind != Expr::Kind::row) return {value(expr)};
  std::vector<Position> x;
  bool along_lanes = false;
  for (const ExprRef& operand : expr->operands) {
    x.push_back(operand->type == DType::index ? position(operand) : Position{value(operand)});
    along_lanes = along_lanes || x.back().lane != 0;
  }
  Values bases;
  for (const Position& operand : x) {
    if (operand.base->type.lanes != 1) throw IllegalSchedule{"an index is data that differs from lane to lane"};
    bases.push_back(operand.base);
  }
  Position out{arranged(loop::apply(*expr->row, bases))};
  if (!along_lanes) return out;
  const auto number = [&](std::size_t k) -> std::optional<std::int64_t> {
    if (x[k].base->kind != loop::Value::Kind::literal || x[k].lane != 0) return std::nullopt;
    return x[k].base->literal.integer;
  };
  switch (expr->row->basic) {
    case Basic::add:
      out.lane = x[0].lane + x[1].lane;
      return out;
    case Basic::sub:
      out.lane = x[0].lane - x[1].lane;
      return out;
    case Basic::mul:
      if (const auto factor = number(1)) return {out.base, x[0].lane * *factor};
      if (const auto factor = number(0)) return {out.base, x[1].lane * *factor};
      break;
    case Basic::div:
    case Basic::rem:
      // All lanes in one block of the divisor: the quotient is theirs, the remainder runs on.
      if (const auto by = number(1); by && x[0].lane > 0) {
        const ValueRef rest = arranged(loop::apply("rem", {x[0].base, x[1].base}));
        const std::int64_t last = (here().lanes - 1) * x[0].lane;
        if (rest->kind == loop::Value::Kind::literal && rest->literal.integer + last < *by)
          return {out.base, expr->row->basic == Basic::div ? 0 : x[0].lane};
      }
      break;
    default:
      break;
  }
  throw IllegalSchedule{"an index is no sum along the lanes"};
}

ValueRef KernelLowering::address_of(const Tensor& tensor, const std::vector<Position>& at) const {
  ValueRef address = loop::index_literal(0);
  for (std::size_t i = 0; i < at.size(); ++i) {
    address = integer("add", address, integer("mul", at[i].base, loop::dim_value(tensor.strides[i])));
  }
  return tile_ == nullptr ? address : arranged(address);
}

// How far apart neighbouring lanes lie in memory: 0 or 1.
std::int64_t KernelLowering::lane_stride(const Tensor& tensor, const std::vector<Position>& at) const {
  Dim stride(0);
  for (std::size_t i = 0; i < at.size(); ++i) stride += tensor.strides[i] * Dim(at[i].lane);
  if (stride == Dim(0)) return 0;
  if (stride != Dim(1)) throw IllegalSchedule{fmt::format("lanes lie {} elements apart", stride.str())};
  return 1;
}

// The condition that an `else` load reads inside; null if it always does.
ValueRef KernelLowering::inside(const Shape& shape, const std::vector<ExprRef>& indices,
                                const std::vector<Position>& at) {
  ValueRef all;
  const auto require = [&](ValueRef condition) { all = all ? loop::apply("and", {all, condition}) : condition; };
  for (std::size_t i = 0; i < at.size(); ++i) {
    const auto [low, high] = kernel::bounds_of(indices[i], bounds_, layout_.range_of);
    const bool above = low && kernel::at_least_zero(*low, layout_.range_of);
    const bool below = high && kernel::at_least_zero(shape[i] - Dim(1) - *high, layout_.range_of);
    if (above && below) continue;
    if (at[i].lane != 0) throw IllegalSchedule{"lanes may lie out of range"};
    if (!above) require(loop::apply("ge", {at[i].base, loop::index_literal(0)}));
    if (!below) require(loop::apply("lt", {at[i].base, loop::dim_value(shape[i])}));
  }
  return all;
}

ValueRef KernelLowering::value(const ExprRef& expr) {
  if (expr->kind == Expr::Kind::literal) return loop::literal({expr->type, 1}, expr->value);
  if (expr->kind == Expr::Kind::load) return load(expr);
  if (expr->type == DType::index && (expr->kind != Expr::Kind::row || expr->operands[0]->type == DType::index)) {
    const Position at = position(expr);
    if (at.lane != 0) throw IllegalSchedule{"an index along the lanes is used as a number"};
    return at.base;
  }
  if (const auto it = here().shared.find(expr.get()); it != here().shared.end()) return it->second;
  if (tile_ != nullptr && expr->row->basic == Basic::convert && expr->operands[0]->type == DType::index) {
    const Position at = position(expr->operands[0]);
    if (at.lane != 0) return numbers_along(*expr->row, at);
  }
  Values operands;
  for (const ExprRef& operand : expr->operands) operands.push_back(value(operand));
  ValueRef result =
      expr->row->basic == Basic::bitcast ? bits_of(*expr->row, operands[0]) : row_of(*expr->row, std::move(operands));
  if (expr->type == DType::index) return loop::simplified(result);
  if (uses_[expr.get()] > 1) {
    result = let("t", std::move(result));
    here().shared[expr.get()] = result;
  }
  return result;
}

// An index as a number of each lane: integers only, whose sums wrap as the conversion does.
ValueRef KernelLowering::numbers_along(const Row& row, const Position& at) {
  if (row.target != DType::i32 && row.target != DType::u32)
    throw IllegalSchedule{"an index along the lanes is used as a number"};
  const int lanes = here().lanes;
  const ValueRef step = loop::literal({DType::i32, lanes}, kernel::literal_of_int(at.lane));
  const ValueRef ramp = loop::apply("mul", {loop::ramp(lanes), step});
  const ValueRef start = loop::splat(lanes, loop::apply(row, {at.base}));
  return loop::apply("add", {start, row.target == DType::i32 ? ramp : loop::apply("u32", {ramp})});
}

// The bits of a NaN are the machine's (x86 and ARM make different ones): all are those of the quiet one without a
// sign.
ValueRef KernelLowering::bits_of(const Row& row, const ValueRef& x) {
  const DType from = x->type.element;
  if (!is_float(from) || is_float(row.target)) return row_of(row, {x});
  const ValueRef named = let("t", x);
  const std::int64_t nan = from == DType::f64 ? 0x7ff8000000000000 : 0x7fc00000;
  return row_of("select", {row_of("ne", {named, named}), loop::literal({row.target, 1}, kernel::literal_of_int(nan)),
                           row_of(row, {named})});
}

// How often each node of a formula is used: nodes used twice get a name.
void KernelLowering::count_uses(const ExprRef& expr) {
  if (++uses_[expr.get()] > 1) return;
  for (const ExprRef& operand : expr->operands) count_uses(operand);
}

std::string KernelLowering::key_of(const Expr& load, const std::vector<Position>& at, const ValueRef& mask) const {
  std::string key = load.name;
  for (const Position& index : at) {
    key += "," + loop::print(index.base);
    if (index.lane != 0) key += fmt::format(" by {}", index.lane);
  }
  if (mask) key += " else " + kernel::literal_str(load.value, load.type);
  return key;
}

ValueRef KernelLowering::load(const ExprRef& expr) {
  std::vector<Position> at;
  for (const ExprRef& index : expr->operands) at.push_back(position(index));
  const Stage* stage = kernel_.stage(expr->name);
  const bool inlined = stage != nullptr && schedule_.is_inline(expr->name);
  const Tensor* tensor = inlined ? nullptr : &tensors_.at(expr->name);
  const ValueRef mask =
      expr->has_else ? inside(inlined ? shape_of(*stage) : tensor->shape, expr->operands, at) : nullptr;
  if (!inlined) return read(*expr, *tensor, at, mask);
  const std::string key = key_of(*expr, at, mask);
  if (const auto it = computed_.find(key); it != computed_.end()) return it->second;
  ValueRef result;
  if (mask) {
    const int lanes = point_of(*stage, at).lanes;
    const ValueRef otherwise = loop::literal({expr->type, lanes}, expr->value);
    result = branch(mask, {expr->name}, {otherwise}, [&] { return Values{wide(compute(*stage, at), lanes)}; })[0];
  } else {
    result = let(expr->name, compute(*stage, at));
  }
  computed_[key] = result;
  return result;
}

// An element, or one for each lane. In a tile, what several registers read is read once, and addresses inside of its
// loops start at the place of the tile: written out in full, compilers keep a pointer for each.
ValueRef KernelLowering::read(const Expr& load, const Tensor& tensor, const std::vector<Position>& at,
                              const ValueRef& mask) {
  const auto made = [&](const std::string& buffer, const ValueRef& address, int lanes, const ValueRef& condition) {
    const loop::Type type{load.type, lanes};
    return condition ? loop::load_masked(buffer, type, address, condition,
                                         load.has_else ? load.value : kernel::literal_of_int(0))
                     : loop::load(buffer, type, address);
  };
  const ValueRef address = address_of(tensor, at);
  if (tile_ == nullptr) return made(load.name, address, 1, mask);
  const int lanes = lane_stride(tensor, at) == 0 ? 1 : here().lanes;
  if (lanes > 1 && !has_registers(load.type))
    throw IllegalSchedule{fmt::format("no registers of {}", name_of(load.type))};
  ValueRef condition = lanes > 1 ? nullptr : mask;
  if (lanes > 1 && here().count) condition = first_lanes(here().count, lanes);
  std::string key = fmt::format("{} {} at {}", load.name, lanes, loop::print(address));
  if (condition) key += " if " + loop::print(condition);
  if (mask) key += " where " + loop::print(mask);
  if (mask) key += " else " + kernel::literal_str(load.value, load.type);
  if (const auto it = computed_.find(key); it != computed_.end()) return it->second;
  loop::Linear outer;
  loop::Linear inner = loop::linear_of(address);
  std::erase_if(inner.terms, [&](const loop::Linear::Term& term) {
    const bool moves = loop::any_name(term.atom, [&](const std::string& name) { return inner_.contains(name); });
    const bool is_place = loop::any_name(term.atom, [&](const std::string& name) { return places_.contains(name); });
    const bool hoisted = term.coefficient > 0 && is_place && !moves;
    if (hoisted) outer.terms.push_back(term);
    return hoisted;
  });
  if (lanes > 1 && mask) {  // one condition for all lanes
    const ValueRef otherwise = loop::literal({load.type, lanes}, load.value);
    return computed_[key] = branch(mask, {load.name}, {otherwise},
                                   [&] { return Values{made(load.name, address, lanes, condition)}; })[0];
  }
  ValueRef result;
  const bool subtracts =
      inner.constant < 0 || std::ranges::any_of(inner.terms, [](const auto& term) { return term.coefficient < 0; });
  // Where something is subtracted, or there is a condition, the place itself may lie outside of the buffer.
  if (out_ == tile_ || outer.terms.empty() || mask || subtracts || conditions_ > 0) {
    result = made(load.name, address, lanes, condition);
  } else {
    const ValueRef place = loop::value_of(outer);
    std::string& pointer = pointers_[load.name + " at " + loop::print(place)];
    if (pointer.empty()) {
      pointer = fresh(load.name);
      loop::Stmt stmt;
      stmt.kind = loop::Stmt::Kind::buffer;
      stmt.name = pointer;
      stmt.type = {tensor.type, 1};
      stmt.base = load.name;
      stmt.address = place;
      tile_->push_back(std::move(stmt));
    }
    result = made(pointer, loop::value_of(inner), lanes, condition);
  }
  return computed_[key] = let(load.name, result);
}

}  // namespace tusk::lowering
