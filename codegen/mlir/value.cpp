#include "codegen/mlir/value.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "ir/loop/names.hpp"
#include "ir/loop/rows.hpp"

namespace tusk::mlir {
namespace {

using loop::Type;
using loop::Value;
using loop::ValueRef;

constexpr Type kTruth{DType::boolean, 1};
constexpr std::string_view kNoDoubles = "this machine computes no doubles (float64); compile for it by --backend cpp";

bool is_signed(DType type) { return type != DType::u32 && type != DType::boolean; }

// A number that MLIR reads back as the same bits: it reads decimals as doubles.
std::string float_text(double value, DType type) {
  const auto single = static_cast<float>(value);
  std::string text = type == DType::f32 ? fmt::format("{}", single) : fmt::format("{}", value);
  if (text.find('.') == std::string::npos) text.insert(std::min(text.find('e'), text.size()), ".0");
  const double read = std::strtod(text.c_str(), nullptr);
  if (type == DType::f32) {
    const auto bits = std::bit_cast<std::uint32_t>(single);
    if (std::isfinite(value) && std::bit_cast<std::uint32_t>(static_cast<float>(read)) == bits) return text;
    return fmt::format("0x{:08X}", bits);
  }
  const auto bits = std::bit_cast<std::uint64_t>(value);
  if (std::isfinite(value) && std::bit_cast<std::uint64_t>(read) == bits) return text;
  return fmt::format("0x{:016X}", bits);
}

std::string_view predicate_of(Basic basic) {
  switch (basic) {
    case Basic::eq:
      return "eq";
    case Basic::ne:
      return "ne";
    case Basic::lt:
      return "lt";
    case Basic::le:
      return "le";
    case Basic::gt:
      return "gt";
    case Basic::ge:
      return "ge";
    default:
      return "";
  }
}

}  // namespace

std::string type_text(const Type& type, const Options& options) {
  std::string element;
  switch (type.element) {
    case DType::f32:
      element = "f32";
      break;
    case DType::f64:
      element = "f64";
      break;
    case DType::boolean:
      element = "i1";
      break;
    case DType::i64:
      element = "i64";
      break;
    case DType::index:
      element = fmt::format("i{}", options.index_bits);
      break;
    default:
      element = "i32";
      break;
  }
  return type.lanes == 1 ? element : fmt::format("vector<{}x{}>", type.lanes, element);
}

std::string ValuePrinter::fail(std::string message) {
  if (!problem_) problem_ = error("codegen-mlir", std::move(message));
  return "%problem";
}

std::string ValuePrinter::op(std::string_view name, Type type, const std::string& a, const std::string& b,
                             const std::string& c) {
  std::string text = fmt::format("{} {}", name, a);
  if (!b.empty()) text += ", " + b;
  if (!c.empty()) text += ", " + c;
  return body_->pure(text + " : " + this->type(type));
}

std::string ValuePrinter::cast(std::string_view name, const std::string& value, Type from, Type to) {
  const std::string before = type(from);
  const std::string after = type(to);
  if (before == after) return value;
  return body_->pure(fmt::format("arith.{} {} : {} to {}", name, value, before, after));
}

std::string ValuePrinter::compare(std::string_view name, const std::string& predicate, Type type, const std::string& a,
                                  const std::string& b) {
  return body_->pure(fmt::format("arith.{} {}, {}, {} : {}", name, predicate, a, b, this->type(type)));
}

std::string ValuePrinter::choose(const std::string& mask, const std::string& yes, const std::string& no, Type type) {
  const std::string masks = type.lanes == 1 ? "" : this->type({DType::boolean, type.lanes}) + ", ";
  return body_->pure(fmt::format("arith.select {}, {}, {} : {}{}", mask, yes, no, masks, this->type(type)));
}

std::string ValuePrinter::support(std::string_view name, const std::string& value, Type from, Type to) {
  const std::string function = fmt::format("{}.x{}", name, from.lanes);
  support_.insert(function);
  return body_->pure(fmt::format("func.call @{}({}) : ({}) -> {}", function, value, type(from), type(to)));
}

std::string ValuePrinter::splat(const std::string& scalar, Type type) {
  if (type.lanes == 1) return scalar;
  return body_->pure(
      fmt::format("vector.broadcast {} : {} to {}", scalar, this->type({type.element, 1}), this->type(type)));
}

bool ValuePrinter::is_wide(DType integer) const {
  return integer == DType::i64 || (integer == DType::index && options_.index_bits == 64);
}

std::string ValuePrinter::literal_text(Type type, const loop::Literal& value) const {
  if (is_float(type.element)) return float_text(value.as_double(), type.element);
  const std::int64_t integer = value.is_integer ? value.integer : static_cast<std::int64_t>(value.real);
  if (type.element == DType::boolean) return integer != 0 ? "true" : "false";
  return is_wide(type.element) ? fmt::format("{}", integer) : fmt::format("{}", static_cast<std::int32_t>(integer));
}

std::string ValuePrinter::constant(Type type, const loop::Literal& value) {
  const std::string text = literal_text(type, value);
  if (type.lanes > 1) return body_->in_front(fmt::format("arith.constant dense<{}> : {}", text, this->type(type)));
  if (type == kTruth) return body_->in_front("arith.constant " + text);
  return body_->in_front(fmt::format("arith.constant {} : {}", text, this->type(type)),
                         type == loop::kIndex ? "c." + text : "");
}

bool ValuePrinter::non_negative(const ValueRef& value) const {
  return loop::is_non_negative(value, [this](const std::string& name) {
    const auto it = bindings_->find(name);
    return it != bindings_->end() && it->second.non_negative;
  });
}

std::string ValuePrinter::print(const ValueRef& value) {
  const Value& v = *value;
  switch (v.kind) {
    case Value::Kind::literal:
      return constant(v.type, v.literal);
    case Value::Kind::name: {
      const auto it = bindings_->find(v.name);
      return it == bindings_->end() ? fail(fmt::format("name `{}` is not defined", v.name)) : it->second.ssa;
    }
    case Value::Kind::row:
      return row(v);
    case Value::Kind::load:
      return load(v);
    case Value::Kind::splat:
      if (v.operands[0]->kind == Value::Kind::literal) return constant(v.type, v.operands[0]->literal);
      return splat(print(v.operands[0]), v.type);
    case Value::Kind::ramp: {
      std::vector<int> count;
      for (int lane = 0; lane < v.type.lanes; ++lane) count.push_back(lane);
      return body_->in_front(fmt::format("arith.constant dense<[{}]> : {}", fmt::join(count, ", "), type(v.type)));
    }
    case Value::Kind::first: {
      const std::string mask = first(v.operands[0], v.type.lanes);
      const std::string yes = print(v.operands[1]);
      return choose(mask, yes, print(v.operands[2]), v.type);
    }
    case Value::Kind::tree:
      return tree(v);
  }
  return fail("unknown kind of value");
}

std::string ValuePrinter::row(const Value& v) {
  const Type operand = v.operands[0]->type;
  std::vector<std::string> x;
  for (const ValueRef& each : v.operands) x.push_back(print(each));
  switch (v.row->basic) {
    case Basic::none: {
      std::vector<std::string> types;
      for (const ValueRef& each : v.operands) types.push_back(type(each->type));
      const std::string function = "row." + loop::row_function_name(*v.row, v.operands.back()->type);
      support_.insert(function);
      return body_->pure(fmt::format("func.call @{}({}) : ({}) -> {}", function, fmt::join(x, ", "),
                                     fmt::join(types, ", "), type(v.type)));
    }
    case Basic::convert:
      return convert(v.row->target, operand, x[0]);
    case Basic::bitcast:
      return cast("bitcast", x[0], operand, v.type);
    case Basic::select:
      return choose(x[0], x[1], x[2], v.type);
    case Basic::shl:
    case Basic::shr:
      return shift(v, x[0], x[1]);
    case Basic::div:
    case Basic::rem:
      if (operand.element == DType::index) return floor_divide(v, x[0], x[1]);
      break;
    default:
      break;
  }
  return basic(*v.row, operand, x);
}

// A row whose operands have one type.
std::string ValuePrinter::basic(const Row& row, Type type, const std::vector<std::string>& x) {
  if (type.element == DType::f64 && !options_.has_wide) return fail(std::string(kNoDoubles));
  const bool floating = is_float(type.element);
  const auto arith = [&](std::string_view name) {
    return op(fmt::format("arith.{}{}", name, floating ? "f" : "i"), type, x[0], x[1]);
  };
  const auto test = [&](std::string_view predicate) {
    if (floating)
      return compare("cmpf", fmt::format("{}{}", predicate == "ne" ? "u" : "o", predicate), type, x[0], x[1]);
    const bool equality = predicate == "eq" || predicate == "ne";
    return compare("cmpi",
                   fmt::format("{}{}",
                               equality                  ? ""
                               : is_signed(type.element) ? "s"
                                                         : "u",
                               predicate),
                   type, x[0], x[1]);
  };
  switch (row.basic) {
    case Basic::add:
      return arith("add");
    case Basic::sub:
      return arith("sub");
    case Basic::mul:
      return arith("mul");
    case Basic::div:
      return floating ? arith("div") : divide(Basic::div, type, x[0], x[1]);
    case Basic::rem:
      return divide(Basic::rem, type, x[0], x[1]);
    case Basic::mulhi: {
      const Type wide{DType::i64, type.lanes};
      const std::string_view extend = is_signed(type.element) ? "extsi" : "extui";
      const std::string a = cast(extend, x[0], type, wide);
      const std::string product = op("arith.muli", wide, a, cast(extend, x[1], type, wide));
      return cast("trunci", op("arith.shrui", wide, product, integer(32, wide)), wide, type);
    }
    case Basic::neg:
      return floating ? op("arith.negf", type, x[0]) : op("arith.subi", type, integer(0, type), x[0]);
    case Basic::abs:
      if (floating) return op("math.absf", type, x[0]);
      if (!is_signed(type.element)) return x[0];
      return choose(compare("cmpi", "slt", type, x[0], integer(0, type)),
                    op("arith.subi", type, integer(0, type), x[0]), x[0], type);
    case Basic::min:
      return choose(test("lt"), x[0], x[1], type);
    case Basic::max:
      return choose(test("gt"), x[0], x[1], type);
    case Basic::fma:
      return fused(type, x);
    case Basic::sqrt:
      return op("math.sqrt", type, x[0]);
    case Basic::floor:
    case Basic::ceil:
    case Basic::trunc:
    case Basic::rint:
      return whole(row, type, x[0]);
    case Basic::logical_and:
      return op("arith.andi", type, x[0], x[1]);
    case Basic::logical_or:
      return op("arith.ori", type, x[0], x[1]);
    case Basic::logical_xor:
      return op("arith.xori", type, x[0], x[1]);
    case Basic::logical_not:
      return op("arith.xori", type, x[0], integer(1, type));
    default:
      break;
  }
  if (const std::string_view predicate = predicate_of(row.basic); !predicate.empty()) return test(predicate);
  return fail(fmt::format("no operation for the row `{}`", row.name));
}

std::string ValuePrinter::whole(const Row& row, Type type, const std::string& x) {
  if (!options_.has_rounding) return support(fmt::format("{}_{}", row.name, name_of(type.element)), x, type, type);
  return op(fmt::format("math.{}", row.basic == Basic::rint ? "roundeven" : row.name), type, x);
}

std::string ValuePrinter::fused(Type type, const std::vector<std::string>& x) {
  const bool floating = is_float(type.element);
  if (!floating || options_.muladd) {
    const std::string_view kind = floating ? "f" : "i";
    const std::string product = op(fmt::format("arith.mul{}", kind), type, x[0], x[1]);
    return op(fmt::format("arith.add{}", kind), type, product, x[2]);
  }
  if (type.element == DType::f64 && !options_.has_fma_f64)
    return fail("this machine has no fma of doubles; use --profile muladd, or --backend cpp");
  if (options_.has_fma) return op("math.fma", type, x[0], x[1], x[2]);
  const std::string function = fmt::format("fma_f32.x{}", type.lanes);
  support_.insert(function);
  const std::string t = this->type(type);
  return body_->pure(
      fmt::format("func.call @{}({}, {}, {}) : ({}, {}, {}) -> {}", function, x[0], x[1], x[2], t, t, t, t));
}

// Of a / 0 and of the least / -1, which have no quotient, the divisor is 1 until the end.
std::string ValuePrinter::divide(Basic basic, Type type, const std::string& a, const std::string& b) {
  if (type.element == DType::i64 && !options_.has_wide)
    return fail("this machine divides no int64; compile for it by --backend cpp, or make the numbers int32");
  const bool quotient = basic == Basic::div;
  const std::string zero = integer(0, type);
  const std::string by_zero = compare("cmpi", "eq", type, b, zero);
  if (!is_signed(type.element)) {
    const std::string safe = choose(by_zero, integer(1, type), b, type);
    return choose(by_zero, zero, op(quotient ? "arith.divui" : "arith.remui", type, a, safe), type);
  }
  const std::string by_minus = compare("cmpi", "eq", type, b, integer(-1, type));
  const std::string special = op("arith.ori", {DType::boolean, type.lanes}, by_zero, by_minus);
  const std::string safe = choose(special, integer(1, type), b, type);
  const std::string result = op(quotient ? "arith.divsi" : "arith.remsi", type, a, safe);
  const std::string negated = quotient ? op("arith.subi", type, zero, a) : zero;
  return choose(by_zero, zero, choose(by_minus, negated, result, type), type);
}

std::string ValuePrinter::floor_divide(const Value& v, const std::string& a, const std::string& b) {
  const bool quotient = v.row->basic == Basic::div;
  const ValueRef& by = v.operands[1];
  const bool by_literal = by->kind == Value::Kind::literal && by->literal.integer > 0;
  if (by_literal && non_negative(v.operands[0]))
    return op(quotient ? "arith.divui" : "arith.remui", loop::kIndex, a, b);
  const std::string zero = integer(0, loop::kIndex);
  const std::string whole = by_literal ? op("arith.divsi", loop::kIndex, a, b) : divide(Basic::div, loop::kIndex, a, b);
  const std::string rest = by_literal ? op("arith.remsi", loop::kIndex, a, b) : divide(Basic::rem, loop::kIndex, a, b);
  const std::string apart = compare("cmpi", "slt", loop::kIndex, op("arith.xori", loop::kIndex, rest, b), zero);
  const std::string adjust = op("arith.andi", kTruth, apart, compare("cmpi", "ne", loop::kIndex, rest, zero));
  if (quotient)
    return choose(adjust, op("arith.subi", loop::kIndex, whole, integer(1, loop::kIndex)), whole, loop::kIndex);
  return choose(adjust, op("arith.addi", loop::kIndex, rest, b), rest, loop::kIndex);
}

// The count modulo the width.
std::string ValuePrinter::shift(const Value& v, const std::string& a, const std::string& b) {
  const Type type = v.type;
  const Type count = v.operands[1]->type;
  const bool wide = is_wide(type.element);
  const bool wide_count = is_wide(count.element);
  std::string n = wide == wide_count ? b : cast(wide ? "extui" : "trunci", b, count, type);
  n = op("arith.andi", type, n, integer(wide ? 63 : 31, type));
  if (v.row->basic == Basic::shl) return op("arith.shli", type, a, n);
  return op(is_signed(type.element) ? "arith.shrsi" : "arith.shrui", type, a, n);
}

std::string ValuePrinter::convert(DType target, Type from, const std::string& x) {
  const Type to{register_type(target), from.lanes};
  const auto width = [&](DType type) {
    return type == DType::boolean ? 1 : type == DType::index ? options_.index_bits : 8 * size_of(type);
  };
  if (target == DType::f16 || target == DType::bf16) {
    const Type word{DType::u32, from.lanes};
    const std::string bits =
        support(fmt::format("{}_bits", name_of(target)), convert(DType::f32, from, x), {DType::f32, from.lanes}, word);
    return support(fmt::format("{}_value", name_of(target)), bits, word, to);
  }
  if (target == DType::i8 || target == DType::u8) {
    const std::string narrow = from.lanes == 1 ? "i8" : fmt::format("vector<{}xi8>", from.lanes);
    const std::string cut =
        body_->pure(fmt::format("arith.trunci {} : {} to {}", convert(DType::i32, from, x), type(to), narrow));
    return body_->pure(
        fmt::format("arith.{} {} : {} to {}", target == DType::i8 ? "extsi" : "extui", cut, narrow, type(to)));
  }
  if (from.element == to.element) return x;
  if (!options_.has_wide) {
    if (from.element == DType::f64 || to.element == DType::f64) return fail(std::string(kNoDoubles));
    if (from.element == DType::i64 && to.element == DType::f32) return support("f32_of_i64", x, from, to);
    if (from.element == DType::f32 && to.element == DType::i64) return support("i64_of_f32", x, from, to);
  }
  if (from.element == DType::boolean) return cast(is_float(to.element) ? "uitofp" : "extui", x, from, to);
  if (to.element == DType::boolean) {
    if (is_float(from.element)) return compare("cmpf", "une", from, x, constant(from, kernel::literal_of(0.0)));
    return compare("cmpi", "ne", from, x, integer(0, from));
  }
  if (is_float(from.element) && is_float(to.element))
    return cast(to.element == DType::f32 ? "truncf" : "extf", x, from, to);
  if (is_float(to.element)) return cast(is_signed(from.element) ? "sitofp" : "uitofp", x, from, to);
  if (is_float(from.element)) {
    // Truncates, saturates, and makes 0 of a NaN.
    const auto suffix = [&](Type type) {
      const std::string element =
          is_float(type.element) ? fmt::format("f{}", width(type.element)) : fmt::format("i{}", width(type.element));
      return type.lanes == 1 ? element : fmt::format("v{}{}", type.lanes, element);
    };
    return body_->pure(fmt::format("llvm.call_intrinsic \"llvm.fpto{}i.sat.{}.{}\"({}) : ({}) -> {}",
                                   is_signed(to.element) ? "s" : "u", suffix(to), suffix(from), x, type(from),
                                   type(to)));
  }
  const int before = width(from.element);
  const int after = width(to.element);
  if (before == after) return x;
  return cast(before > after ? "trunci" : is_signed(from.element) ? "extsi" : "extui", x, from, to);
}

// Lanes l and l + L/2, again and again.
std::string ValuePrinter::tree(const Value& v) {
  Type now = v.operands[0]->type;
  std::string value = print(v.operands[0]);
  while (now.lanes > 1) {
    const Type half{now.element, now.lanes / 2};
    const auto part = [&](int from) {
      std::vector<int> lanes;
      for (int lane = 0; lane < half.lanes; ++lane) lanes.push_back(from + lane);
      return body_->pure(fmt::format("vector.shuffle {}, {} [{}] : {}, {}", value, value, fmt::join(lanes, ", "),
                                     type(now), type(now)));
    };
    const std::string low = part(0);
    const std::string high = part(half.lanes);
    // A vector of one lane has a type of its own.
    if (half.lanes == 1) {
      const std::string of_one = type(now);
      const auto lane = [&](int at) {
        return body_->pure(fmt::format("vector.extract {}[{}] : {} from {}", value, at, type(half), of_one));
      };
      const std::string a = lane(0);
      return basic(*v.row, half, {a, lane(1)});
    }
    value = basic(*v.row, half, {low, high});
    now = half;
  }
  return value;
}

}  // namespace tusk::mlir
