#include "codegen/cpp/print_value.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>
#include <cmath>

#include "codegen/cpp/print_loop.hpp"
#include "ir/loop/names.hpp"
#include "ir/loop/rows.hpp"

namespace tusk::cpp {
namespace {

using loop::Value;
using loop::ValueRef;

std::string scalar_name(DType type) {
  switch (type) {
    case DType::f32:
      return "float";
    case DType::f64:
      return "double";
    case DType::i32:
      return "std::int32_t";
    case DType::u32:
      return "std::uint32_t";
    case DType::i64:
    case DType::index:
      return "std::int64_t";
    case DType::boolean:
      return "bool";
    default:
      return "void";  // storage types are never computed in
  }
}

bool is_literal(const ValueRef& value) { return value->kind == Value::Kind::literal; }

std::string integer_literal(std::int64_t value, DType type) {
  // The least value has no literal of its own: its minus sign would apply to a number that does not fit.
  if (type == DType::u32) return fmt::format("{}U", static_cast<std::uint32_t>(value));
  if (type == DType::i32 && value == INT32_MIN) return "(-2147483647 - 1)";
  if (value == INT64_MIN) return "(-9223372036854775807 - 1)";
  return std::to_string(value);
}

}  // namespace

std::string type_name(const loop::Type& type) {
  if (type.lanes == 1) return scalar_name(type.element);
  if (type.element == DType::boolean) return fmt::format("tusk::maskx{}", type.lanes);
  return fmt::format("tusk::{}x{}", name_of(type.element), type.lanes);
}

std::string_view storage_name(DType type) {
  switch (type) {
    case DType::f32:
      return "float";
    case DType::f64:
      return "double";
    case DType::f16:
    case DType::bf16:
      return "std::uint16_t";
    case DType::i8:
      return "std::int8_t";
    case DType::u8:
    case DType::boolean:
      return "std::uint8_t";
    case DType::i32:
      return "std::int32_t";
    case DType::u32:
      return "std::uint32_t";
    case DType::i64:
    case DType::index:
      return "std::int64_t";
  }
  return "void";
}

std::string_view storage_tag(DType type) {
  if (type == DType::boolean) return "bit";
  return is_storage_only(type) ? name_of(type) : "";
}

std::string float_literal(double value, DType type) {
  const bool single = type == DType::f32;
  if (std::isnan(value)) return fmt::format("tusk::nan<{}>", single ? "float" : "double");
  if (std::isinf(value)) {
    return fmt::format("{}tusk::infinity<{}>", value < 0 ? "-" : "", single ? "float" : "double");
  }
  char buffer[40];
  const std::to_chars_result end = single ? std::to_chars(buffer, std::end(buffer), static_cast<float>(value))
                                          : std::to_chars(buffer, std::end(buffer), value);
  std::string out(buffer, end.ptr);
  if (out.find_first_of(".e") == std::string::npos) out += ".0";
  return single ? out + "F" : out;
}

Text ValuePrinter::fail(std::string message) {
  if (!problem_) problem_ = error("codegen-cpp", std::move(message));
  return {"0", Level::primary};
}

std::string ValuePrinter::operand(const ValueRef& value, Level least) {
  const Text text = print(value);
  return text.level < least ? "(" + text.str + ")" : text.str;
}

std::string ValuePrinter::address(const std::string& buffer, const ValueRef& index) {
  const auto it = bindings_.find(buffer);
  if (it == bindings_.end()) return fail(fmt::format("buffer `{}` is not defined", buffer)).str;
  return fmt::format("{}[{}]", it->second.identifier, top(index));
}

bool ValuePrinter::non_negative(const ValueRef& value) const {
  return loop::is_non_negative(value, [this](const std::string& name) {
    const auto it = bindings_.find(name);
    return it != bindings_.end() && it->second.non_negative;
  });
}

Text ValuePrinter::print(const ValueRef& value) {
  if (value->type.lanes > 1 && size_of(value->type.element) != 4 && value->type.element != DType::boolean) {
    return fail(fmt::format("no vectors of {} in C++", name_of(value->type.element)));
  }
  switch (value->kind) {
    case Value::Kind::literal:
      return literal(value->type, value->literal);
    case Value::Kind::name: {
      const auto it = bindings_.find(value->name);
      if (it == bindings_.end()) return fail(fmt::format("name `{}` is not defined", value->name));
      return {it->second.identifier};
    }
    case Value::Kind::row:
      return row(*value);
    case Value::Kind::load:
      return load(*value);
    case Value::Kind::splat:
      return {fmt::format("tusk::splat{}({})", value->type.lanes, top(value->operands[0]))};
    case Value::Kind::ramp:
      return {fmt::format("tusk::ramp<{}>()", type_name(value->type))};
    case Value::Kind::first:
      return runtime("first", *value);
    case Value::Kind::tree:
      return tree(*value);
  }
  return fail("unknown kind of value");
}

Text ValuePrinter::literal(const loop::Type& type, const loop::Literal& value) {
  if (type.lanes != 1) {
    return {fmt::format("tusk::splat{}({})", type.lanes, literal({type.element, 1}, value).str)};
  }
  std::string text;
  if (is_float(type.element)) {
    text = float_literal(value.as_double(), type.element);
  } else {
    const std::int64_t integer = value.is_integer ? value.integer : static_cast<std::int64_t>(value.real);
    if (type.element == DType::boolean) return {integer != 0 ? "true" : "false"};
    text = integer_literal(integer, type.element);
    if (type.element == DType::i64) return {"std::int64_t{" + text + "}"};
  }
  return {text, text[0] == '-' ? Level::unary : Level::primary};
}

Text ValuePrinter::call(const std::string& function, const Value& value) {
  std::string arguments;
  for (const ValueRef& operand : value.operands) {
    std::string text = top(operand);
    // The runtime's functions take their type from the first argument: an index literal would be an int.
    if (arguments.empty() && is_literal(operand) && operand->type == loop::Type{DType::index, 1}) {
      text = "std::int64_t{" + text + "}";
    }
    arguments += (arguments.empty() ? "" : ", ") + text;
  }
  return {fmt::format("{}({})", function, arguments)};
}

Text ValuePrinter::runtime(std::string_view function, const Value& value) {
  return call(fmt::format("tusk::{}", function), value);
}

Text ValuePrinter::binary(const Value& value, std::string_view symbol, Level own, Level left, Level right) {
  return {fmt::format("{} {} {}", operand(value.operands[0], left), symbol, operand(value.operands[1], right)), own};
}

Text ValuePrinter::row(const Value& value) {
  const Row& row = *value.row;
  if (row.basic == Basic::none) {
    const std::string name = loop::row_function_name(row, value.operands.back()->type);
    const std::string* function = function_of_(name);
    return function == nullptr ? fail(fmt::format("the module has no function `{}`", name)) : call(*function, value);
  }
  if (row.basic == Basic::convert) return convert(value);
  if (row.basic == Basic::bitcast) return runtime(row.name, value);
  const loop::Type& type = value.operands[0]->type;
  const bool floating = is_float(type.element);
  const bool wraps =
      type.element == DType::index || type.element == DType::u32;  // operators of C++ do what the row does
  if (floating && row.basic == Basic::fma && muladd_) {
    return {fmt::format("{} * {} + {}", operand(value.operands[0], Level::product),
                        operand(value.operands[1], Level::unary), operand(value.operands[2], Level::quotient)),
            Level::sum};
  }
  if (floating || wraps) {
    // Sums and products of integers may be regrouped, those of floats never.
    switch (row.basic) {
      case Basic::add:
        return binary(value, "+", Level::sum, Level::sum, floating ? Level::quotient : Level::sum);
      case Basic::sub:
        return binary(value, "-", Level::sum, Level::sum, Level::quotient);
      case Basic::mul:
        return binary(value, "*", Level::product, Level::product, floating ? Level::unary : Level::product);
      default:
        break;
    }
  }
  if (floating && row.basic == Basic::div) return binary(value, "/", Level::quotient, Level::product, Level::unary);
  if (floating && row.basic == Basic::neg) return {"-" + operand(value.operands[0], Level::primary), Level::unary};
  switch (row.basic) {
    case Basic::eq:
      return type.element == DType::boolean && type.lanes > 1
                 ? runtime("mask_eq", value)
                 : binary(value, "==", Level::equality, Level::sum, Level::sum);
    case Basic::ne:
      return type.element == DType::boolean && type.lanes > 1
                 ? runtime("bit_xor", value)
                 : binary(value, "!=", Level::equality, Level::sum, Level::sum);
    case Basic::lt:
      return binary(value, "<", Level::relation, Level::sum, Level::sum);
    case Basic::le:
      return binary(value, "<=", Level::relation, Level::sum, Level::sum);
    case Basic::gt:
      return binary(value, ">", Level::relation, Level::sum, Level::sum);
    case Basic::ge:
      return binary(value, ">=", Level::relation, Level::sum, Level::sum);
    default:
      break;
  }
  if (type.lanes == 1) return scalar_operator(value);
  switch (row.basic) {
    case Basic::logical_and:
      return runtime("bit_and", value);
    case Basic::logical_or:
      return runtime("bit_or", value);
    case Basic::logical_xor:
      return runtime("bit_xor", value);
    case Basic::logical_not:
      return runtime("mask_not", value);
    default:
      return runtime(row.name, value);
  }
}

bool ValuePrinter::reads(const ValueRef& value) {
  return value->kind == Value::Kind::load || std::any_of(value->operands.begin(), value->operands.end(), reads);
}

// Rows on scalars that have an operator in C++; all others are calls.
Text ValuePrinter::scalar_operator(const Value& value) {
  const ValueRef& a = value.operands[0];
  const DType type = a->type.element;
  const bool boolean = type == DType::boolean;
  const auto bits = [&](std::string_view symbol) {
    return binary(value, symbol, Level::bits, Level::unary, Level::unary);
  };
  switch (value.row->basic) {
    case Basic::select: {
      // As arguments, loads are read in any case: no condition is on them (`guard`). And zeros of floats keep their
      // sign.
      const auto is_zero = [](const ValueRef& one) {
        return is_literal(one) && is_float(one->type.element) && one->literal.as_double() == 0;
      };
      const bool eager = reads(value.operands[1]) || reads(value.operands[2]) || is_zero(value.operands[1]) ||
                         is_zero(value.operands[2]);
      std::string yes = eager ? top(value.operands[1]) : operand(value.operands[1], Level::logical_or);
      if (is_literal(value.operands[1]) && value.type.element == DType::index) yes = "std::int64_t{" + yes + "}";
      if (eager) return {fmt::format("tusk::select({}, {}, {})", top(a), yes, top(value.operands[2]))};
      return {fmt::format("{} ? {} : {}", operand(a, Level::logical_or), yes,
                          operand(value.operands[2], Level::logical_or)),
              Level::choice};
    }
    case Basic::logical_and:
      if (boolean && reads(value.operands[1])) return runtime("bit_and", value);
      return boolean ? binary(value, "&&", Level::logical_and, Level::logical_and, Level::equality) : bits("&");
    case Basic::logical_or:
      if (boolean && reads(value.operands[1])) return runtime("bit_or", value);
      // Compilers want parentheses around && inside of ||.
      return boolean ? binary(value, "||", Level::logical_or, Level::equality, Level::equality) : bits("|");
    case Basic::logical_xor:
      return boolean ? binary(value, "!=", Level::equality, Level::sum, Level::sum) : bits("^");
    case Basic::logical_not:
      return {"!" + operand(a, Level::unary), Level::unary};
    case Basic::div:
    case Basic::rem:
      if (type == DType::index) return index_division(value);
      break;
    case Basic::shl:
    case Basic::shr:
      if (type == DType::u32 && is_literal(value.operands[1])) {
        return {fmt::format("{} {} {}", operand(a, Level::unary), value.row->basic == Basic::shl ? "<<" : ">>",
                            value.operands[1]->literal.integer & 31),
                Level::bits};
      }
      break;
    default:
      break;
  }
  return runtime(value.row->name, value);
}

// Floor division: C++ truncates, which is the same where nothing is negative.
Text ValuePrinter::index_division(const Value& value) {
  const bool div = value.row->basic == Basic::div;
  const ValueRef& by = value.operands[1];
  if (non_negative(value.operands[0]) && is_literal(by) && by->literal.integer > 0) {
    return binary(value, div ? "/" : "%", Level::quotient, Level::product, Level::unary);
  }
  return {fmt::format("tusk::{}({}, {})", div ? "floor_div" : "floor_rem", top(value.operands[0]), top(by))};
}

Text ValuePrinter::convert(const Value& value) {
  const DType target = value.row->target;
  const DType source = value.operands[0]->type.element;
  const bool vector = value.type.lanes > 1;
  if (vector && source == DType::boolean && target != DType::boolean) {
    // 0 and 1 are exact in every type, so storage types need no rounding.
    return {fmt::format("tusk::from_mask<{}>({})", type_name(value.type), top(value.operands[0]))};
  }
  if (target == DType::i8 || target == DType::u8) return runtime(fmt::format("wrap_{}", name_of(target)), value);
  if (target == DType::f16 || target == DType::bf16) return runtime(fmt::format("round_{}", name_of(target)), value);
  if (value.type == value.operands[0]->type) return print(value.operands[0]);
  if (target == DType::boolean && !vector) {
    const std::string zero = source == DType::boolean ? "false" : literal({source, 1}, kernel::literal_of_int(0)).str;
    return {fmt::format("{} != {}", operand(value.operands[0], Level::sum), zero), Level::equality};
  }
  if (vector && target == DType::boolean) return runtime("to_mask", value);
  const bool saturates = is_float(source) && !is_float(target);
  const std::string function = vector ? "tusk::convert" : saturates ? "tusk::saturate" : "static_cast";
  return {fmt::format("{}<{}>({})", function, type_name(value.type), top(value.operands[0]))};
}

Text ValuePrinter::load(const Value& value) {
  const auto it = bindings_.find(value.name);
  if (it == bindings_.end()) return fail(fmt::format("buffer `{}` is not defined", value.name));
  const DType element = it->second.element;
  const loop::Type scalar{value.type.element, 1};
  // The indices of a read under a condition are read under it, too.
  const bool outside = guard(value.type.lanes == 1 && (value.has_mask || guarded_));
  const std::string base = guarded_ ? fmt::format("tusk::guarded({})", it->second.identifier) : it->second.identifier;
  const std::string place = fmt::format("{}[{}]", base, top(value.operands[0]));
  guard(outside);
  if (value.type.lanes == 1) {
    Text text;
    switch (element) {
      case DType::f16:
      case DType::bf16:
        text = {fmt::format("tusk::{}_value({})", name_of(element), place)};
        break;
      case DType::i8:
      case DType::u8:
        text = {"std::int32_t{" + place + "}"};
        break;
      case DType::boolean:
        text = {place + " != 0", Level::equality};
        break;
      default:
        text = {place};
        break;
    }
    if (!value.has_mask) return text;
    return {fmt::format("{} ? {} : {}", operand(value.operands[1], Level::logical_or), text.str,
                        literal(scalar, value.literal).str),
            Level::choice};
  }
  const std::string_view tag = storage_tag(element);
  const std::string types = type_name(value.type) + (tag.empty() ? "" : fmt::format(", tusk::{}", tag));
  if (!value.has_mask) return {fmt::format("tusk::load<{}>(&{})", types, place)};
  const ValueRef count = loop::first_lanes(value.operands[1]);
  return {fmt::format("tusk::{}<{}>(&{}, {}, {})", count ? "load_first" : "load_masked", types, place,
                      top(count ? count : value.operands[1]), literal(scalar, value.literal).str)};
}

Text ValuePrinter::tree(const Value& value) {
  switch (value.row->basic) {
    case Basic::add:
    case Basic::mul:
    case Basic::min:
    case Basic::max:
    case Basic::logical_and:
    case Basic::logical_or:
      return {fmt::format("tusk::tree_{}({})", value.row->name, top(value.operands[0]))};
    default:
      return fail(fmt::format("no tree of `{}`", value.row->name));
  }
}

}  // namespace tusk::cpp
