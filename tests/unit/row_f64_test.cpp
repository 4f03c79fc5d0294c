// The bodies of rows in double, against the functions of long double, which has 11 bits more on x86. TUSK_FULL=1 takes
// 16 times the operands; the numbers, for docs/performance.md, are properties in --gtest_output=xml.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <numbers>
#include <ostream>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "ir/loop/rows.hpp"
#include "ir/row/row.hpp"
#include "tests/unit/run_row.hpp"

namespace tusk {
namespace {

using Real = long double;
using Truth = Real (*)(Real, Real);

constexpr int kLanes = 16;

// ---- What the library does not have

Real sign(Real a) { return a > 0 ? 1 : a < 0 ? -1 : a; }

Real erfinv(Real a) {
  const Real x = std::fabs(a);
  if (!(x < 1)) return x == 1 ? std::copysign(std::numeric_limits<Real>::infinity(), a) : std::nan("");
  if (x < 1e-10L) return a * std::sqrt(std::numbers::pi_v<Real>) / 2;
  // Winitzki's formula is within 0.2 %: four steps of Newton.
  const Real w = std::log1p(-x * x);
  const Real t = 2 / (std::numbers::pi_v<Real> * 0.147L) + w / 2;
  Real y = std::sqrt(std::sqrt(t * t - w / 0.147L) - t);
  for (int step = 0; step < 4; ++step) {
    const Real slope = 2 * std::numbers::inv_sqrtpi_v<Real> * std::exp(-y * y);
    y -= (x < 0.5L ? std::erf(y) - x : (1 - x) - std::erfc(y)) / slope;
  }
  return std::copysign(y, a);
}

// Near its zero Taylor's series, whose coefficients are those of digamma there; else up to 24 and Bernoulli's series.
Real digamma(Real a) {
  if (a <= 0 && a == std::floor(a)) return std::nan("");
  if (a < 0) {
    const Real d = a - std::round(a);
    const Real turn = std::fabs(d) < 0.25L ? 1 / std::tan(std::numbers::pi_v<Real> * std::fabs(d))
                                           : std::tan(std::numbers::pi_v<Real> * (0.5L - std::fabs(d)));
    const Real cot = std::copysign(turn, d);
    return digamma(1 - a) - std::numbers::pi_v<Real> * cot;
  }
  const Real near = (a - 0x1.762d86356be3fp0L) - 9.549995429965697715184e-17L;
  if (std::fabs(near) < 0.02L) {
    constexpr Real kTaylor[] = {0.9676722454476211704274L,  -0.4427631689835921060929L,  0.2584997609556510106244L,
                                -0.1639427054424065275043L, 0.1078240506912623657572L,   -0.07219956125645471092612L,
                                0.04880428816414310722509L, -0.03316112647484735929226L, 0.02259764823221810465962L,
                                -0.0154247659049489591388L, 0.01053879161661217538812L,  -0.00720453438635686824097L,
                                0.004926781395729853446354L};
    Real y = 0;
    for (auto term = std::rbegin(kTaylor); term != std::rend(kTaylor); ++term) y = (y + *term) * near;
    return y;
  }
  Real sum = 0;
  for (; a < 24; ++a) sum -= 1 / a;
  constexpr Real kTerms[] = {1 / 12.0L, -1 / 120.0L, 1 / 252.0L, -1 / 240.0L, 1 / 132.0L, -691 / 32760.0L, 1 / 12.0L};
  Real series = 0;
  for (auto term = std::rbegin(kTerms); term != std::rend(kTerms); ++term) series = (series + *term) / (a * a);
  return sum + (std::log(a) - 0.5L / a - series);
}

Real mod(Real a, Real b) {
  const Real r = std::fmod(a, b);
  if (r == 0) return std::copysign(Real{0}, b);
  return (r < 0) != (b < 0) ? r + b : r;
}

// The floor of a / b: whole numbers below 2^53 are exact here.
Real floordiv(Real a, Real b) {
  if (b == 0) return a / b;
  if (std::isinf(a) || std::isnan(a) || std::isnan(b)) return std::nan("");
  if (std::isinf(b)) return a != 0 && (a < 0) != (b < 0) ? -1 : a / b;
  Real r = std::fmod(a, b);
  Real whole = (a - r) / b;
  whole = std::fabs(whole) < 0x1p62L ? std::round(whole) : whole;
  if (r != 0 && (r < 0) != (b < 0)) whole -= 1;
  return whole == 0 ? std::copysign(Real{0}, a / b) : whole;
}

// ---- Rows and where they are interesting

struct Case {
  std::string_view row;
  Truth truth;
  double low, high;       // a range for operands
  double ulp = 2;         // the bound
  double ulp_muladd = 3;  // under profile muladd
};

#define TUSK_OF_A(...) [](Real a, Real) -> Real { return __VA_ARGS__; }
#define TUSK_OF_AB(...) [](Real a, Real b) -> Real { return __VA_ARGS__; }

const Case kCases[] = {
    {"relu", TUSK_OF_A(0 > a ? 0 : a), -9, 9, 0, 0},
    {"sign", TUSK_OF_A(sign(a)), -9, 9, 0, 0},
    {"mod", TUSK_OF_AB(mod(a, b)), -1000, 1000, 0.5, 0.5},
    {"floordiv", TUSK_OF_AB(floordiv(a, b)), -1000, 1000, 0.501, 0.501},  // the truth has 64 bits, too
    {"rsqrt", TUSK_OF_A(1 / std::sqrt(a)), 0, 9},
    {"exp", TUSK_OF_A(std::exp(a)), -750, 720},
    {"exp2", TUSK_OF_A(std::exp2(a)), -1090, 1030},
    {"expm1", TUSK_OF_A(std::expm1(a)), -45, 712},
    {"log", TUSK_OF_A(std::log(a)), 0, 4},
    {"log2", TUSK_OF_A(std::log2(a)), 0, 4},
    {"log10", TUSK_OF_A(std::log10(a)), 0, 4},
    {"log1p", TUSK_OF_A(std::log1p(a)), -1, 4},
    {"sin", TUSK_OF_A(std::sin(a)), -100, 100},
    {"cos", TUSK_OF_A(std::cos(a)), -100, 100},
    {"tan", TUSK_OF_A(std::tan(a)), -100, 100},
    {"asin", TUSK_OF_A(std::asin(a)), -1, 1},
    {"acos", TUSK_OF_A(std::acos(a)), -1, 1},
    {"atan", TUSK_OF_A(std::atan(a)), -9, 9},
    {"atan2", TUSK_OF_AB(std::atan2(a, b)), -9, 9},
    {"sinh", TUSK_OF_A(std::sinh(a)), -712, 712},
    {"cosh", TUSK_OF_A(std::cosh(a)), -712, 712},
    {"asinh", TUSK_OF_A(std::asinh(a)), -8, 8},
    {"acosh", TUSK_OF_A(std::acosh(a)), 1, 9},
    {"atanh", TUSK_OF_A(std::atanh(a)), -1, 1},
    {"tanh", TUSK_OF_A(std::tanh(a)), -21, 21},
    {"sigmoid", TUSK_OF_A(1 / (1 + std::exp(-a))), -720, 40},
    {"erf", TUSK_OF_A(std::erf(a)), -6, 6},
    {"erfc", TUSK_OF_A(std::erfc(a)), -7, 28, 2, 5},
    {"erfinv", TUSK_OF_A(erfinv(a)), -1, 1, 2, 3.5},
    {"lgamma", TUSK_OF_A(std::lgamma(a)), -30, 30, 2, 8},
    {"digamma", TUSK_OF_A(digamma(a)), -30, 30, 2, 4},
    {"pow", TUSK_OF_AB(std::pow(a, b)), 0, 30, 2, 2000},
};

#undef TUSK_OF_A
#undef TUSK_OF_AB

constexpr double kSpecialDoubles[] = {0.0,
                                      1.0,
                                      0.5,
                                      2.0,
                                      3.0,
                                      100.0,
                                      1e22,
                                      0x1p-1074,
                                      0x1p-1022,
                                      0x1p52,
                                      1 - 0x1p-53,
                                      1 + 0x1p-52,
                                      1e-20,
                                      1e300,
                                      std::numeric_limits<double>::max(),
                                      std::numeric_limits<double>::infinity(),
                                      std::numeric_limits<double>::quiet_NaN()};

// `count` of them: special values in all pairs, then by turns bits at random, the range, powers of 2 about 1 with both
// signs, and values near 1.
std::vector<double> samples(const Case& c, std::size_t operand, std::size_t count, std::uint64_t seed) {
  std::vector<double> out;
  for (const double a : kSpecialDoubles) {
    for (const double b : kSpecialDoubles) {
      for (const int signs : {0, 1, 2, 3}) {
        const double x = operand == 0 ? a : b;
        out.push_back((signs >> operand & 1) != 0 ? -x : x);
      }
    }
  }
  std::mt19937_64 random(11 + operand + 100 * seed);
  std::uniform_real_distribution<double> range(c.low, c.high), unit(-1, 1), exponent(-60, 12);
  while (out.size() < count) {
    switch (out.size() % 8) {
      case 0:
      case 1:
        out.push_back(std::bit_cast<double>(random()));
        break;
      case 2:
      case 3:
        out.push_back(std::copysign(std::exp2(exponent(random)), unit(random)));
        break;
      case 4:
        out.push_back(1 + unit(random) * std::exp2(exponent(random) - 12));
        break;
      default:
        out.push_back(range(random));
    }
  }
  return out;
}

// In units of the last place of the truth, or of `least` where that is more.
double ulps(double y, Real truth, double least) {
  const auto nearest = static_cast<double>(truth);
  constexpr double kWrong = 1e9;
  if (std::isnan(y) || std::isnan(nearest)) return std::isnan(y) && std::isnan(nearest) ? 0 : kWrong;
  if (std::isinf(y) || std::isinf(nearest)) return y == nearest ? 0 : kWrong;
  if (truth == 0) return y == 0 && std::signbit(y) == std::signbit(nearest) ? 0 : kWrong;
  const int exponent = std::max(std::ilogb(std::max(std::fabs(truth), static_cast<Real>(least))), -1022);
  return static_cast<double>(std::ldexp(std::fabs(static_cast<Real>(y) - truth), 52 - exponent));
}

// Below 0 these are sums that may vanish.
double least_unit(std::string_view row, double a) {
  if (row == "lgamma" && a < 0) return 1;
  if (row == "digamma" && a < 0) return std::max(1.0, std::log(1 - a));
  return 0;
}

/// The worst errors of a row, in units of the last place.
struct Worst {
  double error = 0;
  double below_0 = 0;  // where least_unit is more than 0
  std::string where;
};

void measure(const Case& c, loop::Profile profile, std::size_t count, std::uint64_t seed, Worst& worst) {
  const Row& row = *row_named(c.row);
  std::vector<std::vector<double>> x;
  for (int k = 0; k < row.arity; ++k) x.push_back(samples(c, static_cast<std::size_t>(k), count, seed));
  const std::vector<double> y = run_row<double>(row, DType::f64, x, kLanes, profile);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double a = x[0][i];
    const double b = row.arity > 1 ? x[1][i] : 0;
    const Real truth = c.truth(a, b);
    if (std::fabs(truth) < 0x1p-1022L && truth != 0) {
      // N8: a result that would be denormal may be 0, and that of these rows is.
      const bool flushes = c.row == "exp" || c.row == "sigmoid" || c.row == "tanh";
      EXPECT_TRUE(y[i] == 0 || (!flushes && std::fabs(static_cast<Real>(y[i]) - truth) <= 1000 * 0x1p-1074L))
          << c.row << " " << a << " " << b << " is " << y[i];
      continue;
    }
    const double least = least_unit(c.row, a);
    const double error = ulps(y[i], truth, least);
    if (least > 0) {
      worst.below_0 = std::max(worst.below_0, error);
    } else if (error > worst.error) {
      worst.error = error;
      worst.where = fmt::format("{}({:a}, {:a}) = {}, should be {}", c.row, a, b, y[i], static_cast<double>(truth));
    }
  }
}

void PrintTo(const Case& c, std::ostream* out) { *out << c.row; }

class RowsInDouble : public testing::TestWithParam<Case> {
 protected:
  void check(loop::Profile profile, std::size_t count) {
    if (std::numeric_limits<Real>::digits < 64) GTEST_SKIP() << "long double is not longer than double here";
    const Case& c = GetParam();
    const char* full = std::getenv("TUSK_FULL");
    const std::uint64_t seeds = full != nullptr && full[0] == '1' ? 16 : 1;
    Worst worst;
    for (std::uint64_t seed = 0; seed < seeds; ++seed) measure(c, profile, count, seed, worst);
    EXPECT_LE(worst.error, profile == loop::Profile::fma ? c.ulp : c.ulp_muladd) << worst.where;
    EXPECT_LE(worst.below_0, 8);
    RecordProperty("ulp", fmt::format("{:.3f}", worst.error));
    if (worst.below_0 > 0) RecordProperty("ulp below 0", fmt::format("{:.3f}", worst.below_0));
  }
};

TEST_P(RowsInDouble, AreCloseToLongDouble) { check(loop::Profile::fma, std::size_t{1} << 20); }
TEST_P(RowsInDouble, AreCloseUnderMuladd) { check(loop::Profile::muladd, std::size_t{1} << 17); }
INSTANTIATE_TEST_SUITE_P(Rows, RowsInDouble, testing::ValuesIn(kCases),
                         [](const auto& c) { return std::string(c.param.row); });

TEST(Rows, AllHaveABodyInDoubleAndACase) {
  for (const Row& row : rows()) {
    if (row.basic != Basic::none || row.inner) continue;
    EXPECT_NE(loop::row_body(row, DType::f64), nullptr) << row.name;
    EXPECT_TRUE(std::ranges::any_of(kCases, [&](const Case& c) { return c.row == row.name; })) << row.name;
  }
}

// Quotients of every size, under both profiles, to the last bit.
template <class T>
void check_remainders(DType type) {
  const Row& row = *row_named("mod");
  std::mt19937_64 random(5);
  std::vector<T> a, b;
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  for (int i = 0; i < 200'000; ++i) {
    a.push_back(std::bit_cast<T>(static_cast<Bits>(random())));
    b.push_back(std::bit_cast<T>(static_cast<Bits>(random())));
    if (i % 4 == 0) b.back() = std::bit_cast<T>(static_cast<Bits>(random() % 1000));                   // denormal
    if (i % 4 == 1) a.back() = b.back() * static_cast<T>(static_cast<std::int64_t>(random() % 1000));  // a multiple
  }
  for (const loop::Profile profile : {loop::Profile::fma, loop::Profile::muladd}) {
    const std::vector<T> y = run_row<T>(row, type, {a, b}, kLanes, profile);
    for (std::size_t i = 0; i < y.size(); ++i) {
      T truth = std::fmod(a[i], b[i]);
      if (truth != 0 && (truth < 0) != (b[i] < 0)) truth += b[i];
      if (truth == 0) truth = std::copysign(truth, b[i]);
      const bool equal = std::isnan(truth) ? std::isnan(y[i]) : std::bit_cast<Bits>(truth) == std::bit_cast<Bits>(y[i]);
      ASSERT_TRUE(equal) << fmt::format("mod({:a}, {:a}) = {:a}, should be {:a}", a[i], b[i], y[i], truth);
    }
  }
}

TEST(Rows, RemaindersAreExact) {
  check_remainders<float>(DType::f32);
  check_remainders<double>(DType::f64);
}

}  // namespace
}  // namespace tusk
