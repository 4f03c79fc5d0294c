// Compiled with -ffast-math, with which GCC takes the vector functions of glibc (libmvec). What that does to NaN, to
// infinities and to the sign of zero does not matter: rows.cpp has such results from Row::reference.
#include "bench/rows_fast.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace tusk::bench {
namespace {

#define TUSK_EACH(...)                                  \
  [](const float* in, double* out, std::size_t count) { \
    for (std::size_t i = 0; i < count; ++i) {           \
      const double a = static_cast<double>(in[i]);      \
      out[i] = __VA_ARGS__;                             \
    }                                                   \
    return true;                                        \
  }

double greatest(const float* x, std::size_t n) {
  return static_cast<double>(std::fmax(std::fabs(x[0]), std::fabs(x[n - 1])));
}
double least(const float* x, std::size_t n) {
  return static_cast<double>(std::fmin(std::fabs(x[0]), std::fabs(x[n - 1])));
}

// erfinv by Newton's method on `excess`, erf(y) - x or a form of it. Winitzki's formula is within 0.2 %; four steps
// reach the last bits.
template <class Excess>
double newton(double a, Excess excess) {
  const double v = std::fabs(a);
  const double w = std::log((1 - v) * (1 + v));
  const double t = 2 / (std::numbers::pi * 0.147) + w / 2;
  double root = std::sqrt(std::sqrt(t * t - w / 0.147) - t);
  for (int step = 0; step < 4; ++step) {
    root -= excess(v, root) * std::exp(root * root) / (2 * std::numbers::inv_sqrtpi);
  }
  return std::copysign(root, a);
}

double erfinv_near_0(double a) {
  const double b = a / (2 * std::numbers::inv_sqrtpi);
  const double z = b * b;
  return b * (1 + z * (1.0 / 3 + z * (7.0 / 30)));
}
double erfinv_inner(double a) {
  return newton(a, [](double v, double root) { return std::erf(root) - v; });
}
double erfinv_outer(double a) {
  return newton(a, [](double v, double root) { return (1 - v) - std::erfc(root); });
}

bool erfinv(const float* x, double* y, std::size_t n) {
  if (greatest(x, n) >= 1) return false;
  const Fast near_0 = TUSK_EACH(erfinv_near_0(a));
  const Fast inner = TUSK_EACH(erfinv_inner(a));
  const Fast outer = TUSK_EACH(erfinv_outer(a));
  return (greatest(x, n) < 0x1p-10 ? near_0 : least(x, n) < 0.5 ? inner : outer)(x, y, n);
}

// log |a gamma(a)| is a power series.
double lgamma_near_0(double a) {
  constexpr double zeta3 = 1.2020569031595942854;
  return a * (-std::numbers::egamma + a * (std::numbers::pi * std::numbers::pi / 12 - a * (zeta3 / 3))) -
         std::log(std::fabs(a));
}
// Stirling's series.
double lgamma_large(double a) {
  constexpr double log_root = 0.91893853320467274178;  // log(2 pi) / 2
  const double b = 1 / a;
  const double z = b * b;
  return (a - 0.5) * std::log(a) - a + log_root + b * (1.0 / 12 - z * (1.0 / 360 - z * (1.0 / 1260)));
}

// Ten steps up, then Bernoulli's series.
double digamma_of_positive(double a) {
  double sum = 0;
  for (int i = 0; i < 10; ++i) sum += 1 / (a + i);
  const double b = a + 10;
  const double z = 1 / (b * b);
  return std::log(b) - 0.5 / b - z * (1.0 / 12 - z * (1.0 / 120 - z * (1.0 / 252 - z / 240))) - sum;
}

bool lgamma(const float* x, double* y, std::size_t n) {
  const Fast near_0 = TUSK_EACH(lgamma_near_0(a));
  const Fast large = TUSK_EACH(lgamma_large(a));
  if (greatest(x, n) < 0x1p-12) return near_0(x, y, n);
  return x[0] > 0 && least(x, n) >= 64 && large(x, y, n);
}

// ---- sin, cos and tan of large numbers, for which libmvec calls a scalar function

using Fixed = unsigned __int128;  // a fraction of a turn, in units of 2^-128

// The fraction of 2^exponent / (2 pi), 2 <= exponent <= 104.
Fixed turns_of_power(int exponent) {
  // 2 / pi, after the point.
  constexpr std::uint64_t words[] = {0xa2f9836e4e441529, 0xfc2757d1f534ddc0, 0xdb6295993c439041, 0xfe5163abdebbc561};
  const int bit = exponent - 2;
  const auto word = [&](int k) {
    const std::uint64_t* from = &words[bit / 64 + k];
    return bit % 64 == 0 ? from[0] : from[0] << bit % 64 | from[1] >> (64 - bit % 64);
  };
  return Fixed{word(0)} << 64 | word(1);
}

/// A block of inputs, each q right angles (0 to 3) and an angle of at most pi/4.
struct Reduced {
  double q[kMostInputs];
  double angle[kMostInputs];
};

// |x|, exact but for the 2^-104 of a turn that the product loses. What is below 2^25 is left to libmvec.
bool reduce(const float* x, std::size_t n, Reduced& out) {
  if (!(least(x, n) >= 0x1p25 && greatest(x, n) < 0x1p127) || n > kMostInputs) return false;
  int exponent = 0;
  Fixed power = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(x[i]);
    const int own = static_cast<int>(bits >> 23 & 255) - 150;
    if (own != exponent) exponent = own, power = turns_of_power(own);
    const Fixed turns = power * ((bits & 0x7fffff) | 0x800000);
    const Fixed q = (turns + (Fixed{1} << 125)) >> 126;
    const auto rest = static_cast<__int128>(turns - (q << 126)) >> 62;
    out.q[i] = static_cast<double>(static_cast<std::int64_t>(q));
    out.angle[i] = static_cast<double>(static_cast<std::int64_t>(rest)) * (std::numbers::pi * 0x1p-65);
  }
  return true;
}

template <class Join>
bool each_reduced(const float* x, double* y, std::size_t n, Join join) {
  Reduced reduced;
  if (!reduce(x, n, reduced)) return false;
  for (std::size_t i = 0; i < n; ++i) {
    y[i] = join(std::sin(reduced.angle[i]), std::cos(reduced.angle[i]), reduced.q[i], static_cast<double>(x[i]));
  }
  return true;
}

bool sin_of_any(const float* x, double* y, std::size_t n) {
  const Fast small = TUSK_EACH(std::sin(a));
  return each_reduced(x, y, n,
                      [](double s, double c, double q, double a) {
                        const double v = q == 0 || q == 2 ? s : c;
                        return (q >= 2) != (a < 0) ? -v : v;
                      }) ||
         small(x, y, n);
}

bool cos_of_any(const float* x, double* y, std::size_t n) {
  const Fast small = TUSK_EACH(std::cos(a));
  return each_reduced(x, y, n,
                      [](double s, double c, double q, double) {
                        const double v = q == 0 || q == 2 ? c : s;
                        return q == 1 || q == 2 ? -v : v;
                      }) ||
         small(x, y, n);
}

bool tan_of_any(const float* x, double* y, std::size_t n) {
  const Fast small = TUSK_EACH(std::tan(a));
  return each_reduced(x, y, n,
                      [](double s, double c, double q, double a) {
                        const double v = q == 0 || q == 2 ? s / c : -c / s;
                        return a < 0 ? -v : v;
                      }) ||
         small(x, y, n);
}

// ----

struct Entry {
  std::string_view row;
  Fast fast;
};

constexpr Entry kFast[] = {
    {"sqrt", TUSK_EACH(std::sqrt(a))},
    {"rsqrt", TUSK_EACH(1 / std::sqrt(a))},
    {"exp", TUSK_EACH(std::exp(a))},
    {"exp2", TUSK_EACH(std::exp2(a))},
    {"expm1", TUSK_EACH(std::expm1(a))},
    {"log", TUSK_EACH(std::log(a))},
    {"log2", TUSK_EACH(std::log2(a))},
    {"log10", TUSK_EACH(std::log10(a))},
    {"log1p", TUSK_EACH(std::log1p(a))},
    {"sin", sin_of_any},
    {"cos", cos_of_any},
    {"tan", tan_of_any},
    {"asin", TUSK_EACH(std::asin(a))},
    {"acos", TUSK_EACH(std::acos(a))},
    {"atan", TUSK_EACH(std::atan(a))},
    {"sinh", TUSK_EACH(std::sinh(a))},
    {"cosh", TUSK_EACH(std::cosh(a))},
    {"tanh", TUSK_EACH(std::tanh(a))},
    {"asinh", TUSK_EACH(std::asinh(a))},
    {"acosh", TUSK_EACH(std::acosh(a))},
    {"atanh", TUSK_EACH(std::atanh(a))},
    {"sigmoid", TUSK_EACH(1 / (1 + std::exp(-a)))},
    {"erf", TUSK_EACH(std::erf(a))},
    {"erfc", TUSK_EACH(std::erfc(a))},
    {"erfinv", erfinv},
    {"lgamma", lgamma},
    {"digamma", TUSK_EACH(digamma_of_positive(a))},
};

}  // namespace

Fast fast_reference(std::string_view row) {
  for (const Entry& entry : kFast) {
    if (entry.row == row) return entry.fast;
  }
  return nullptr;
}

}  // namespace tusk::bench
