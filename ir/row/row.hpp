// Scalar rows: the scalar functions that all three IRs share, one table (row.cpp).
// A basic row is known to the printers and interpreters; every other row has a body in IR text over basic rows
// (bodies.inc).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "ir/base/dtype.hpp"

namespace tusk {

/// The basic rows: all that a code generator has to know of arithmetic.
enum class Basic : std::uint8_t {
  none,  // the row has a body
  add,
  sub,
  mul,
  div,
  rem,
  mulhi,
  neg,
  abs,
  min,
  max,
  fma,
  sqrt,
  floor,
  ceil,
  trunc,
  rint,
  eq,
  ne,
  lt,
  le,
  gt,
  ge,
  select,
  logical_and,
  logical_or,
  logical_xor,
  logical_not,
  shl,
  shr,
  convert,  // named by the target type: f32(x), i8(x) (wraps, stays in i32), bf16(x) (rounds, stays in f32)
  bitcast,  // as_f32, as_i32, as_u32, as_f64, as_i64
};

/// How many products and sums a processor computes in the time of one basic row: quotients and roots are not pipelined
/// (https://uops.info, for x86-64 since 2015; ARM's are no faster).
constexpr double slots_of(Basic basic) {
  return basic == Basic::div || basic == Basic::rem || basic == Basic::sqrt ? 10 : 1;
}

/// How the result type follows from the operand types.
enum class Typing : std::uint8_t {
  same,     // all operands and the result have one type
  compare,  // two operands of one type, bool
  select,   // bool, then two of one type
  shift,    // integer value, i32 or u32 or equal type count; the value's type
  convert,  // any type to `target`
  bitcast,  // a type of equal size to `target`
};

/// Which operand types a row accepts.
enum class Domain : std::uint8_t { any, number, floating, integer, integer_or_bool, boolean };

struct Row {
  std::string_view name;
  int arity = 1;
  Basic basic = Basic::none;
  Typing typing = Typing::same;
  Domain domain = Domain::floating;
  DType target = DType::f32;  // convert and bitcast
  /// The value in double arithmetic: the meaning, to which bodies are close. Integer rows are exact for 53 bits. None
  /// of bitcasts and philox, which are no functions of numbers.
  double (*reference)(double, double, double) = nullptr;
  /// For each operand a factor of dy in terms of a, b, c (operands) and y (result), as infix text ("y * (1 - y)"); ""
  /// is zero. Empty table entry (no text at all for a differentiable domain) means: not differentiable.
  std::string_view derivative[3] = {};
  /// Worst error of the f32 body, in units of the last place; 0 for a basic row, which rounds once. Bodies of f64 are
  /// within 2 (docs/performance.md).
  double ulp = 0;
  std::string_view doc;
  bool inner = false;  // serves the bodies of other rows and ops only
};

std::span<const Row> rows();
const Row* row_named(std::string_view name);
/// The row of a basic operation other than convert and bitcast.
const Row& row_of(Basic basic);
const Row& convert_row(DType target);

/// The type of row(operands), or nothing where the row does not accept them. Operand types are register types.
std::optional<DType> row_type(const Row& row, std::span<const DType> operands);

}  // namespace tusk
