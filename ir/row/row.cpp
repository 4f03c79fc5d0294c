// The table of scalar rows: what all three IRs know of arithmetic.
#include "ir/row/row.hpp"

#include <bit>
#include <cassert>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <numbers>
#include <unordered_map>
#include <vector>

#include "ir/base/array.hpp"
#include "ir/base/convert.hpp"

namespace tusk {
namespace {

using Reference = double (*)(double, double, double);
using Derivative = std::initializer_list<std::string_view>;

// References of more than an expression.

double sign(double a) { return a > 0 ? 1 : a < 0 ? -1 : a; }

double floor_mod(double a, double b) {
  const double r = std::fmod(a, b);
  if (r == 0) return std::copysign(0.0, b);  // as Python: zeros have the sign of b, too
  return (r < 0) != (b < 0) ? r + b : r;
}

// As Python and NumPy: 1 // -inf is -1, x // 0 is x / 0.
double floor_div(double a, double b) {
  if (b == 0) return a / b;
  if (!std::isfinite(a) || std::isnan(b)) return std::nan("");
  if (std::isinf(b)) return a != 0 && (a < 0) != (b < 0) ? -1 : a / b;
  const double whole = (a - floor_mod(a, b)) / b;
  return whole == 0 ? std::copysign(0.0, a / b) : std::nearbyint(whole);
}

double mulhi(double a, double b) {
  const __int128 product = static_cast<__int128>(saturate<std::int64_t>(a)) * saturate<std::int64_t>(b);
  return static_cast<double>(static_cast<std::int64_t>(product >> 32));
}

long double digamma_of_positive(long double a) {
  long double sum = 0;
  for (; a < 24; ++a) sum -= 1 / a;
  constexpr long double kTerms[] = {1 / 12.0L,  -1 / 120.0L,     1 / 252.0L, -1 / 240.0L,
                                    1 / 132.0L, -691 / 32760.0L, 1 / 12.0L};
  const long double z = 1 / (a * a);
  long double series = 0;
  long double power = z;
  for (const long double term : kTerms) {
    series += term * power;
    power *= z;
  }
  return sum + (std::log(a) - 0.5L / a - series);
}

// By upward recurrence to Bernoulli's series. In long double, which keeps digits near the zero at 1.46.
double digamma(double a) {
  constexpr long double kPi = std::numbers::pi_v<long double>;
  if (a <= 0 && a == std::floor(a)) return std::nan("");
  if (a < 0) {
    const auto x = static_cast<long double>(a);
    const long double d = x - std::round(x);  // cot is odd, and cot(x) is tan(pi/2 - x)
    const long double cot =
        std::fabs(d) < 0.25L ? 1 / std::tan(kPi * d) : std::copysign(std::tan(kPi * (0.5L - std::fabs(d))), d);
    return static_cast<double>(digamma_of_positive(1 - x) - kPi * cot);
  }
  return static_cast<double>(digamma_of_positive(a));
}

// a b less the nearest multiple of c.
double product_modulo(double a, double b, double c) {
  const __int128 product = static_cast<__int128>(saturate<std::int64_t>(a)) * saturate<std::int64_t>(b);
  const auto modulus = saturate<std::int64_t>(c);
  if (modulus == 0) return 0;
  const auto rest = static_cast<double>(static_cast<std::int64_t>(product % modulus));
  return rest - c * std::nearbyint(rest / c);
}

std::int64_t whole(double a) { return saturate<std::int64_t>(a); }
double real(std::int64_t a) { return static_cast<double>(a); }

template <class Int>
double wrapped(double a) {
  return static_cast<double>(static_cast<Int>(saturate<std::int64_t>(a)));
}

// What `turned` packs into one float: |a| = q right angles + r, |r| <= pi/4, as the bits of r plus q << 28.
double turned(double a) {
  if (std::fabs(a) < 1 || std::isnan(a)) return std::fabs(a);
  const double angle = std::atan2(std::sin(std::fabs(a)), std::cos(a));
  const double q = std::nearbyint(angle / (std::numbers::pi / 2));
  const auto r = static_cast<float>(angle - q * (std::numbers::pi / 2));
  const auto turns = static_cast<std::uint32_t>(static_cast<int>(q) & 3);
  return static_cast<double>(std::bit_cast<float>(std::bit_cast<std::uint32_t>(r) + (turns << 28)));
}

// Newton's method on erf, or on erfc where |a| is near 1 and 1 - |a| is exact.
double erfinv(double a) {
  const double x = std::fabs(a);
  if (!(x < 1)) return x == 1 ? std::copysign(std::numeric_limits<double>::infinity(), a) : std::nan("");
  // Winitzki's formula is within 0.2 % everywhere, so that four steps reach the last bits.
  const double w = std::log1p(-x * x);
  const double t = 2 / (std::numbers::pi * 0.147) + w / 2;
  double y = std::sqrt(std::sqrt(t * t - w / 0.147) - t);
  for (int step = 0; step < 4; ++step) {
    const double slope = 2 * std::numbers::inv_sqrtpi * std::exp(-y * y);
    y -= (x < 0.5 ? std::erf(y) - x : (1 - x) - std::erfc(y)) / slope;
  }
  return x < 1e-9 ? a / (2 * std::numbers::inv_sqrtpi) : std::copysign(y, a);
}

// Constructors of table lines.

Row with(Row row, Derivative derivative) {
  std::size_t i = 0;
  for (const std::string_view text : derivative) row.derivative[i++] = text;
  return row;
}

Row basic(std::string_view name, int arity, Basic op, Domain domain, Reference reference, Derivative derivative,
          std::string_view doc) {
  return with({.name = name, .arity = arity, .basic = op, .domain = domain, .reference = reference, .doc = doc},
              derivative);
}

Row compare(std::string_view name, Basic op, Domain domain, Reference reference, std::string_view doc) {
  return {.name = name,
          .arity = 2,
          .basic = op,
          .typing = Typing::compare,
          .domain = domain,
          .reference = reference,
          .doc = doc};
}

Row shift(std::string_view name, Basic op, Reference reference, std::string_view doc) {
  return {.name = name,
          .arity = 2,
          .basic = op,
          .typing = Typing::shift,
          .domain = Domain::integer,
          .reference = reference,
          .doc = doc};
}

Row convert(std::string_view name, DType target, Reference reference, std::string_view derivative,
            std::string_view doc) {
  return with({.name = name,
               .basic = Basic::convert,
               .typing = Typing::convert,
               .domain = Domain::any,
               .target = target,
               .reference = reference,
               .doc = doc},
              {derivative});
}

Row bitcast(std::string_view name, DType target) {
  return {.name = name,
          .basic = Basic::bitcast,
          .typing = Typing::bitcast,
          .domain = Domain::number,
          .target = target,
          .doc = "the same bits as another type of equal size"};
}

Row body(std::string_view name, int arity, double ulp, Reference reference, Derivative derivative, std::string_view doc,
         Domain domain = Domain::floating) {
  return with({.name = name, .arity = arity, .domain = domain, .reference = reference, .ulp = ulp, .doc = doc},
              derivative);
}

Row inner(Row row) {
  row.inner = true;
  return row;
}

#define TUSK_OF_A(...) [](double a, double, double) -> double { return __VA_ARGS__; }
#define TUSK_OF_AB(...) [](double a, double b, double) -> double { return __VA_ARGS__; }
#define TUSK_OF_ABC(...) [](double a, double b, double c) -> double { return __VA_ARGS__; }

std::vector<Row> table() {
  using enum Domain;
  return {
      // Arithmetic. Integers wrap.
      basic("add", 2, Basic::add, number, TUSK_OF_AB(a + b), {"1", "1"}, "a + b"),
      basic("sub", 2, Basic::sub, number, TUSK_OF_AB(a - b), {"1", "-1"}, "a - b"),
      basic("mul", 2, Basic::mul, number, TUSK_OF_AB(a * b), {"b", "a"}, "a * b"),
      basic("div", 2, Basic::div, number, TUSK_OF_AB(a / b), {"1 / b", "-y / b"},
            "a / b; integers truncate, a / 0 = 0, the least / -1 = the least; index: floor, a / 0 = 0"),
      basic("rem", 2, Basic::rem, integer, TUSK_OF_AB(b == 0 ? 0 : std::fmod(a, b)), {},
            "remainder of div: sign of a, a rem 0 = 0; index: floor, 0 <= rem < b"),
      basic("mulhi", 2, Basic::mulhi, integer, TUSK_OF_AB(mulhi(a, b)), {}, "the high 32 bits of a * b; i32 and u32"),
      basic("neg", 1, Basic::neg, number, TUSK_OF_A(-a), {"-1"}, "-a; flips the sign of zero, too"),
      basic("abs", 1, Basic::abs, number, TUSK_OF_A(std::fabs(a)), {"select(a < 0, -1, select(a > 0, 1, a))"},
            "|a|; integers wrap: the least stays"),
      basic("min", 2, Basic::min, number, TUSK_OF_AB(a < b ? a : b), {"select(a <= b, 1, 0)", "select(a <= b, 0, 1)"},
            "a < b ? a : b: the second if one is NaN (N6)"),
      basic("max", 2, Basic::max, number, TUSK_OF_AB(a > b ? a : b), {"select(a >= b, 1, 0)", "select(a >= b, 0, 1)"},
            "a > b ? a : b: the second if one is NaN (N6)"),
      basic("fma", 3, Basic::fma, number, TUSK_OF_ABC(std::fma(a, b, c)), {"b", "a", "1"},
            "a * b + c, rounded once; integers wrap"),
      basic("sqrt", 1, Basic::sqrt, floating, TUSK_OF_A(std::sqrt(a)), {"0.5 / y"}, "square root, rounded once"),
      basic("floor", 1, Basic::floor, floating, TUSK_OF_A(std::floor(a)), {"0"}, "the integer below"),
      basic("ceil", 1, Basic::ceil, floating, TUSK_OF_A(std::ceil(a)), {"0"}, "the integer above"),
      basic("trunc", 1, Basic::trunc, floating, TUSK_OF_A(std::trunc(a)), {"0"}, "the integer towards zero"),
      basic("rint", 1, Basic::rint, floating, TUSK_OF_A(std::nearbyint(a)), {"0"},
            "the nearest integer, ties to even; like floor, ceil and trunc it keeps the sign of a: rint(-0.3) = -0"),

      // Comparisons: false if one operand is NaN, but for ne.
      compare("eq", Basic::eq, any, TUSK_OF_AB(a == b), "a == b"),
      compare("ne", Basic::ne, any, TUSK_OF_AB(a != b), "a != b"),
      compare("lt", Basic::lt, number, TUSK_OF_AB(a < b), "a < b"),
      compare("le", Basic::le, number, TUSK_OF_AB(a <= b), "a <= b"),
      compare("gt", Basic::gt, number, TUSK_OF_AB(a > b), "a > b"),
      compare("ge", Basic::ge, number, TUSK_OF_AB(a >= b), "a >= b"),
      with({.name = "select",
            .arity = 3,
            .basic = Basic::select,
            .typing = Typing::select,
            .domain = any,
            .reference = TUSK_OF_ABC(a != 0 ? b : c),
            .doc = "a ? b : c"},
           {"", "select(a, 1, 0)", "select(a, 0, 1)"}),

      // Bits.
      basic("and", 2, Basic::logical_and, integer_or_bool, TUSK_OF_AB(real(whole(a) & whole(b))), {}, "bitwise and"),
      basic("or", 2, Basic::logical_or, integer_or_bool, TUSK_OF_AB(real(whole(a) | whole(b))), {}, "bitwise or"),
      basic("xor", 2, Basic::logical_xor, integer_or_bool, TUSK_OF_AB(real(whole(a) ^ whole(b))), {},
            "bitwise exclusive or"),
      basic("not", 1, Basic::logical_not, boolean, TUSK_OF_A(a == 0), {},
            "of a bool; the bits of an integer are inverted by xor(a, -1)"),
      shift("shl", Basic::shl, TUSK_OF_AB(std::ldexp(a, static_cast<int>(whole(b) & 63))),
            "a << b, the count modulo the width"),
      shift("shr", Basic::shr, TUSK_OF_AB(std::floor(std::ldexp(a, -static_cast<int>(whole(b) & 63)))),
            "a >> b, the count modulo the width; signed types keep the sign"),

      // Conversions: float to integer truncates and saturates, NaN gives 0; integer to integer wraps.
      convert("f32", DType::f32, TUSK_OF_A(static_cast<double>(static_cast<float>(a))), "1", "to f32"),
      convert("f64", DType::f64, TUSK_OF_A(a), "1", "to f64"),
      convert("i32", DType::i32, TUSK_OF_A(real(saturate<std::int32_t>(a))), "",
              "to i32; from a float it truncates and saturates, NaN gives 0"),
      convert("u32", DType::u32, TUSK_OF_A(real(saturate<std::uint32_t>(a))), "", "to u32, likewise"),
      convert("i64", DType::i64, TUSK_OF_A(real(whole(a))), "", "to i64, likewise"),
      convert("bool", DType::boolean, TUSK_OF_A(a != 0), "", "a != 0"),
      convert("index", DType::index, TUSK_OF_A(real(whole(a))), "", "to an index"),
      convert("f16", DType::f16, TUSK_OF_A(static_cast<double>(f16_value(f16_bits(static_cast<float>(a))))), "1",
              "rounded to f16, as an f32"),
      convert("bf16", DType::bf16, TUSK_OF_A(static_cast<double>(bf16_value(bf16_bits(static_cast<float>(a))))), "1",
              "rounded to bf16, as an f32"),
      convert("i8", DType::i8, TUSK_OF_A(wrapped<std::int8_t>(real(saturate<std::int32_t>(a)))), "",
              "to i32, then wrapped to 8 bits, as an i32"),
      convert("u8", DType::u8, TUSK_OF_A(wrapped<std::uint8_t>(real(saturate<std::int32_t>(a)))), "",
              "to i32, then wrapped to 8 bits without sign, as an i32"),
      bitcast("as_f32", DType::f32),
      bitcast("as_i32", DType::i32),
      bitcast("as_u32", DType::u32),
      bitcast("as_f64", DType::f64),
      bitcast("as_i64", DType::i64),

      // Rows with a body.
      body("relu", 1, 0.5, TUSK_OF_A(0 > a ? 0 : a), {"select(y > 0, 1, 0)"}, "max(0, a)", number),
      body("sign", 1, 0.5, TUSK_OF_A(sign(a)), {"0"}, "1, -1, or a where that is 0 or NaN", number),
      inner(body("product_modulo", 3, 0.5, TUSK_OF_ABC(product_modulo(a, b, c)), {},
                 "a b less the nearest multiple of c, exact; for mod", integer)),
      body("mod", 2, 0.5, TUSK_OF_AB(floor_mod(a, b)), {"1", "-floordiv(a, b)"},
           "a less floor(a / b) b, exact but where b is added to a tiny a; the sign of b (as in Python)", number),
      body("floordiv", 2, 0.5, TUSK_OF_AB(floor_div(a, b)), {"0", "0"},
           "floor(a / b), of the exact quotient (as in Python)", number),
      body("rsqrt", 1, 1.5, TUSK_OF_A(1 / std::sqrt(a)), {"-0.5 * y * y * y"}, "1 / sqrt(a)"),
      body("exp", 1, 1, TUSK_OF_A(std::exp(a)), {"y"}, "e^a; no denormal results (N8)"),
      body("exp2", 1, 1, TUSK_OF_A(std::exp2(a)), {"y * 0.6931471805599453"}, "2^a"),
      body("expm1", 1, 1.6, TUSK_OF_A(std::expm1(a)), {"y + 1"}, "e^a - 1"),
      body("log", 1, 1, TUSK_OF_A(std::log(a)), {"1 / a"}, "natural logarithm"),
      body("log2", 1, 1.1, TUSK_OF_A(std::log2(a)), {"1.4426950408889634 / a"}, "logarithm to base 2"),
      body("log10", 1, 1, TUSK_OF_A(std::log10(a)), {"0.4342944819032518 / a"}, "logarithm to base 10"),
      body("log1p", 1, 1.5, TUSK_OF_A(std::log1p(a)), {"1 / (1 + a)"}, "log(1 + a)"),
      inner(body("turned", 1, 4, TUSK_OF_A(turned(a)), {},
                 "|a| taken into [-pi/4, pi/4], with the count of right angles packed beside; for sin, cos, tan")),
      body("sin", 1, 1.6, TUSK_OF_A(std::sin(a)), {"cos(a)"}, "sine of radians"),
      body("cos", 1, 1.6, TUSK_OF_A(std::cos(a)), {"-sin(a)"}, "cosine of radians"),
      body("tan", 1, 3.8, TUSK_OF_A(std::tan(a)), {"1 + y * y"}, "tangent of radians"),
      body("asin", 1, 2.1, TUSK_OF_A(std::asin(a)), {"1 / sqrt((1 - a) * (1 + a))"}, "inverse of sin"),
      body("acos", 1, 1.1, TUSK_OF_A(std::acos(a)), {"-1 / sqrt((1 - a) * (1 + a))"}, "inverse of cos"),
      body("atan", 1, 1.4, TUSK_OF_A(std::atan(a)), {"1 / (1 + a * a)"}, "inverse of tan"),
      body("atan2", 2, 1.6, TUSK_OF_AB(std::atan2(a, b)), {"b / (a * a + b * b)", "-a / (a * a + b * b)"},
           "angle of the point (b, a)"),
      body("sinh", 1, 1.5, TUSK_OF_A(std::sinh(a)), {"cosh(a)"}, "hyperbolic sine"),
      body("cosh", 1, 1.5, TUSK_OF_A(std::cosh(a)), {"sinh(a)"}, "hyperbolic cosine"),
      body("asinh", 1, 1.9, TUSK_OF_A(std::asinh(a)), {"1 / sqrt(a * a + 1)"}, "inverse of sinh"),
      body("acosh", 1, 2.1, TUSK_OF_A(std::acosh(a)), {"1 / sqrt((a - 1) * (a + 1))"}, "inverse of cosh"),
      body("atanh", 1, 2.2, TUSK_OF_A(std::atanh(a)), {"1 / ((1 - a) * (1 + a))"}, "inverse of tanh"),
      body("tanh", 1, 1.5, TUSK_OF_A(std::tanh(a)), {"(1 - y) * (1 + y)"}, "hyperbolic tangent"),
      body("sigmoid", 1, 2, TUSK_OF_A(1 / (1 + std::exp(-a))), {"y * (1 - y)"},
           "1 / (1 + e^-a); no denormal results (N8)"),
      body("erf", 1, 1.1, TUSK_OF_A(std::erf(a)), {"1.1283791670955126 * exp(-(a * a))"}, "error function"),
      body("erfc", 1, 3, TUSK_OF_A(std::erfc(a)), {"-1.1283791670955126 * exp(-(a * a))"}, "1 - erf(a)"),
      body("erfinv", 1, 4.1, TUSK_OF_A(erfinv(a)), {"0.8862269254527580 * exp(y * y)"}, "inverse of erf"),
      body("lgamma", 1, 14, TUSK_OF_A(std::lgamma(a)), {"digamma(a)"},
           "log |gamma(a)|; its ULP are those of max(|y|, 1) where a < 0"),
      body("digamma", 1, 3, TUSK_OF_A(digamma(a)), {},
           "derivative of lgamma; NaN at 0, -1, -2, ...; its ULP are those of max(|y|, log(1 - a), 1) where a < 0"),
      body("pow", 2, 2.1, TUSK_OF_AB(std::pow(a, b)),
           {"b * pow(a, b - 1)", "select(a > 0, y * log(select(a > 0, a, 1)), 0)"},
           "a^b; its derivative in b is 0 where a <= 0"),
      inner(body("philox", 4, 0, nullptr, {}, "random bits of a counter and a key (ir/base/philox.hpp), of u32",
                 integer)),
  };
}

#undef TUSK_OF_A
#undef TUSK_OF_AB
#undef TUSK_OF_ABC

const std::vector<Row>& all_rows() {
  static const std::vector<Row> rows = table();
  return rows;
}

// On indices there is only what addresses need.
bool fits_index(Basic op) {
  switch (op) {
    case Basic::add:
    case Basic::sub:
    case Basic::mul:
    case Basic::div:
    case Basic::rem:
    case Basic::min:
    case Basic::max:
      return true;
    default:
      return op >= Basic::eq && op <= Basic::select;
  }
}

bool accepts(const Row& row, DType type) {
  if (type == DType::index && row.typing != Typing::convert) return fits_index(row.basic);
  if (row.basic == Basic::mulhi) return type == DType::i32 || type == DType::u32;
  switch (row.domain) {
    case Domain::any:
      return true;
    case Domain::number:
      return type != DType::boolean;
    case Domain::floating:
      return is_float(type);
    case Domain::integer:
      return is_integer(type);
    case Domain::integer_or_bool:
      return !is_float(type);
    case Domain::boolean:
      return type == DType::boolean;
  }
  return false;
}

}  // namespace

std::span<const Row> rows() { return all_rows(); }

const Row* row_named(std::string_view name) {
  static const auto by_name = [] {
    std::unordered_map<std::string_view, const Row*> out;
    for (const Row& row : all_rows()) out.emplace(row.name, &row);
    return out;
  }();
  const auto it = by_name.find(name);
  return it == by_name.end() ? nullptr : it->second;
}

const Row& row_of(Basic basic) {
  assert(basic != Basic::none && basic != Basic::convert && basic != Basic::bitcast);
  for (const Row& row : all_rows()) {
    if (row.basic == basic) return row;
  }
  assert(false && "every basic operation has a row");
  return all_rows().front();
}

const Row& convert_row(DType target) { return *row_named(name_of(target)); }

std::optional<DType> row_type(const Row& row, std::span<const DType> operands) {
  if (operands.size() != static_cast<std::size_t>(row.arity)) return std::nullopt;
  for (const DType type : operands) {
    if (is_storage_only(type)) return std::nullopt;
  }
  const DType first = operands[0];
  switch (row.typing) {
    case Typing::same:
    case Typing::compare:
      for (const DType type : operands) {
        if (type != first) return std::nullopt;
      }
      if (!accepts(row, first)) return std::nullopt;
      return row.typing == Typing::same ? first : DType::boolean;
    case Typing::select:
      if (first != DType::boolean || operands[1] != operands[2]) return std::nullopt;
      return operands[1];
    case Typing::shift: {
      const DType count = operands[1];
      if (!accepts(row, first) || (count != first && count != DType::i32 && count != DType::u32)) return std::nullopt;
      return first;
    }
    case Typing::convert:
      return register_type(row.target);
    case Typing::bitcast:
      if (!accepts(row, first) || size_of(first) != size_of(row.target)) return std::nullopt;
      return row.target;
  }
  return std::nullopt;
}

}  // namespace tusk
