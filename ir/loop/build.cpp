// Builders of loop IR values, index arithmetic of dims, and its simplification.
#include <fmt/format.h>
#include <algorithm>
#include <cassert>
#include <optional>
#include <set>

#include "ir/loop/loop.hpp"

namespace tusk::loop {
namespace {

ValueRef make(Value value) { return std::make_shared<const Value>(std::move(value)); }

std::optional<std::int64_t> constant(const ValueRef& value) {
  if (value->kind != Value::Kind::literal || value->type != kIndex) return std::nullopt;
  return value->literal.integer;
}

// Two's complement: what the interpreter and both printers compute.
std::int64_t wrap_add(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
std::int64_t wrap_neg(std::int64_t a) { return static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(a)); }
std::int64_t wrap_mul(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
}

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  if (b == 0) return 0;
  if (b == -1) return wrap_neg(a);
  return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

std::int64_t floor_rem(std::int64_t a, std::int64_t b) {
  if (b == 0 || b == -1) return 0;
  return a % b + (a % b != 0 && (a < 0) != (b < 0) ? b : 0);
}

std::optional<std::int64_t> folded(Basic op, std::int64_t a, std::int64_t b) {
  switch (op) {
    case Basic::add:
      return wrap_add(a, b);
    case Basic::sub:
      return wrap_add(a, wrap_neg(b));
    case Basic::mul:
      return wrap_mul(a, b);
    case Basic::div:
      return floor_div(a, b);
    case Basic::rem:
      return floor_rem(a, b);
    case Basic::min:
      return std::min(a, b);
    case Basic::max:
      return std::max(a, b);
    default:
      return std::nullopt;
  }
}

// x + c as a sum or a difference, whichever has a positive number.
ValueRef offset(const ValueRef& x, std::int64_t c) {
  if (c == 0) return x;
  if (c < 0 && wrap_neg(c) > 0) return apply("sub", {x, index_literal(-c)});
  return apply("add", {x, index_literal(c)});
}

// The parts x and c of x + c or x - c.
std::optional<std::pair<ValueRef, std::int64_t>> offset_parts(const ValueRef& value) {
  if (value->kind != Value::Kind::row || value->type != kIndex || value->operands.size() != 2) return std::nullopt;
  const std::optional<std::int64_t> c = constant(value->operands[1]);
  if (!c || (value->row->basic != Basic::add && value->row->basic != Basic::sub)) return std::nullopt;
  return std::pair{value->operands[0], value->row->basic == Basic::add ? *c : wrap_neg(*c)};
}

// One rule at the top of an index row whose operands are simple already.
ValueRef simplified_index_row(const ValueRef& value) {
  if (value->operands.size() != 2) return value;
  const Basic op = value->row->basic;
  const ValueRef& x = value->operands[0];
  const ValueRef& y = value->operands[1];
  const std::optional<std::int64_t> a = constant(x);
  const std::optional<std::int64_t> b = constant(y);
  if (a && b) {
    const std::optional<std::int64_t> result = folded(op, *a, *b);
    return result ? index_literal(*result) : value;
  }
  switch (op) {
    case Basic::add:
      if (a) return simplified_index_row(apply("add", {y, x}));  // numbers last
      [[fallthrough]];
    case Basic::sub:
      if (b) {
        const std::int64_t c = op == Basic::add ? *b : wrap_neg(*b);
        if (const auto parts = offset_parts(x)) return offset(parts->first, wrap_add(parts->second, c));
        return offset(x, c);
      }
      if (op == Basic::sub && equal(x, y)) return index_literal(0);
      return value;
    case Basic::mul:
      if (a) return simplified_index_row(apply("mul", {y, x}));
      if (b == 0) return index_literal(0);
      if (b == 1) return x;
      if (b && x->kind == Value::Kind::row && x->row->basic == Basic::mul) {
        if (const auto inner = constant(x->operands[1])) {
          return apply("mul", {x->operands[0], index_literal(wrap_mul(*inner, *b))});
        }
      }
      return value;
    case Basic::div:
      return b == 1 ? x : value;
    case Basic::rem:
      return b == 1 ? index_literal(0) : value;
    case Basic::min:
    case Basic::max:
      return equal(x, y) ? x : value;
    default:
      return value;
  }
}

ValueRef atom_value(const Dim::Atom& atom) {
  switch (atom.kind) {
    case Dim::Atom::Kind::symbol: {
      const ValueRef symbol = name(atom.name, kIndex);
      return atom.divisor == 1 ? symbol : apply("div", {symbol, index_literal(atom.divisor)});
    }
    case Dim::Atom::Kind::floor_div:
      return apply("div", {dim_value(*atom.inner), index_literal(atom.divisor)});
    case Dim::Atom::Kind::max0:
      return apply("max", {dim_value(*atom.inner), index_literal(0)});
  }
  return nullptr;
}

}  // namespace

std::string str(const Type& type) {
  return type.lanes == 1 ? std::string(name_of(type.element)) : fmt::format("{}x{}", name_of(type.element), type.lanes);
}

const Func* Module::func(std::string_view wanted) const {
  for (const Func& func : funcs) {
    if (func.name == wanted) return &func;
  }
  return nullptr;
}

ValueRef literal(Type type, Literal value) {
  assert(!is_storage_only(type.element));
  if (type.lanes != 1) return splat(type.lanes, literal({type.element, 1}, value));
  // One form for each number: floats are real and rounded, the rest are integers.
  if (type.element == DType::f32) {
    const float rounded = value.is_integer ? static_cast<float>(value.integer) : static_cast<float>(value.real);
    value = kernel::literal_of(static_cast<double>(rounded));
  } else if (type.element == DType::f64) {
    value = kernel::literal_of(value.as_double());
  } else {
    assert(value.is_integer);
    value = kernel::literal_of_int(value.integer);
  }
  return make({.kind = Value::Kind::literal, .type = type, .literal = value});
}

ValueRef index_literal(std::int64_t value) { return literal(kIndex, kernel::literal_of_int(value)); }

ValueRef name(std::string name, Type type) {
  return make({.kind = Value::Kind::name, .type = type, .name = std::move(name)});
}

ValueRef apply(const Row& row, std::vector<ValueRef> operands) {
  std::vector<DType> elements;
  for (const ValueRef& operand : operands) {
    assert(operand->type.lanes == operands[0]->type.lanes && "operands of a row have equally many lanes");
    elements.push_back(operand->type.element);
  }
  const std::optional<DType> element = row_type(row, elements);
  assert(element && "the row accepts its operands");
  const Type type{*element, operands[0]->type.lanes};
  return make({.kind = Value::Kind::row, .type = type, .row = &row, .operands = std::move(operands)});
}

ValueRef apply(std::string_view row, std::vector<ValueRef> operands) {
  const Row* found = row_named(row);
  assert(found != nullptr);
  return apply(*found, std::move(operands));
}

ValueRef load(std::string buffer, Type type, ValueRef address) {
  assert(!is_storage_only(type.element) && address->type == kIndex);
  return make({.kind = Value::Kind::load, .type = type, .name = std::move(buffer), .operands = {std::move(address)}});
}

ValueRef load_masked(std::string buffer, Type type, ValueRef address, ValueRef mask, Literal otherwise) {
  assert(address->type == kIndex && (mask->type == Type{DType::boolean, type.lanes}));
  const Literal rounded = literal({type.element, 1}, otherwise)->literal;
  return make({.kind = Value::Kind::load,
               .type = type,
               .literal = rounded,
               .name = std::move(buffer),
               .operands = {std::move(address), std::move(mask)},
               .has_mask = true});
}

ValueRef splat(int lanes, ValueRef scalar) {
  assert(lanes > 1 && scalar->type.lanes == 1);
  const Type type{scalar->type.element, lanes};
  return make({.kind = Value::Kind::splat, .type = type, .operands = {std::move(scalar)}});
}

ValueRef ramp(int lanes) {
  assert(lanes > 1);
  return make({.kind = Value::Kind::ramp, .type = {DType::i32, lanes}});
}

ValueRef first(ValueRef count, ValueRef a, ValueRef b) {
  assert(count->type == kIndex && a->type == b->type);
  const Type type = a->type;
  return make({.kind = Value::Kind::first, .type = type, .operands = {std::move(count), std::move(a), std::move(b)}});
}

ValueRef tree(const Row& row, ValueRef vector) {
  const Type type{vector->type.element, 1};
  assert(row.arity == 2 && row.typing == Typing::same && (vector->type.lanes & (vector->type.lanes - 1)) == 0);
  return make({.kind = Value::Kind::tree, .type = type, .row = &row, .operands = {std::move(vector)}});
}

bool reads_any(const ValueRef& value, const std::set<std::string>& names) {
  return names.contains(value->name) ||
         std::ranges::any_of(value->operands, [&](const ValueRef& operand) { return reads_any(operand, names); });
}

bool equal(const ValueRef& a, const ValueRef& b) {
  if (a == b) return true;
  if (a->kind != b->kind || a->type != b->type || a->name != b->name || a->row != b->row ||
      a->has_mask != b->has_mask || !(a->literal == b->literal) || a->operands.size() != b->operands.size()) {
    return false;
  }
  return std::equal(a->operands.begin(), a->operands.end(), b->operands.begin(), equal);
}

ValueRef dim_value(const Dim& dim) {
  ValueRef sum;
  for (const Dim::Term& term : dim.terms()) {
    // A stepped symbol is a multiple of its step: 32 * (height // 32) is height.
    std::int64_t coefficient = term.coefficient;
    ValueRef product;
    for (const Dim::Atom& atom : term.factors) {
      const bool exact = atom.kind == Dim::Atom::Kind::symbol && coefficient % atom.divisor == 0;
      if (exact) coefficient /= atom.divisor;
      const ValueRef factor = exact ? name(atom.name, kIndex) : atom_value(atom);
      product = product ? apply("mul", {product, factor}) : factor;
    }
    if (!product) {
      sum = sum ? offset(sum, coefficient) : index_literal(coefficient);
      continue;
    }
    const bool subtract = sum && coefficient < 0;
    if (subtract) coefficient = -coefficient;
    if (coefficient != 1) product = apply("mul", {product, index_literal(coefficient)});
    sum = sum ? apply(subtract ? "sub" : "add", {sum, product}) : product;
  }
  return sum ? sum : index_literal(0);
}

ValueRef simplified(const ValueRef& value) {
  Value copy = *value;
  bool changed = false;
  for (ValueRef& operand : copy.operands) {
    ValueRef simple = simplified(operand);
    changed = changed || simple != operand;
    operand = std::move(simple);
  }
  const ValueRef out = changed ? make(std::move(copy)) : value;
  return out->kind == Value::Kind::row && out->type == kIndex ? simplified_index_row(out) : out;
}

}  // namespace tusk::loop
