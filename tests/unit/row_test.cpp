// The table of scalar rows, and every body against its reference.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <vector>

#include "ir/base/philox.hpp"
#include "ir/loop/rows.hpp"
#include "ir/row/row.hpp"
#include "tests/unit/run_row.hpp"

namespace tusk {
namespace {

constexpr float kSpecial[] = {0.0F,
                              -0.0F,
                              1.0F,
                              -1.0F,
                              0.5F,
                              -0.5F,
                              2.0F,
                              -2.0F,
                              3.0F,
                              100.0F,
                              -100.0F,
                              1e-45F,
                              -1e-45F,
                              std::numeric_limits<float>::min(),
                              -std::numeric_limits<float>::min(),
                              std::numeric_limits<float>::max(),
                              std::numeric_limits<float>::lowest(),
                              std::numeric_limits<float>::infinity(),
                              -std::numeric_limits<float>::infinity(),
                              std::numeric_limits<float>::quiet_NaN()};

// Operands: the special values in all pairs, then floats of every exponent, then a range where rows are interesting.
std::vector<float> samples(int arity, std::size_t operand) {
  std::vector<float> out;
  for (const float a : kSpecial) {
    for (const float b : kSpecial) out.push_back(operand == 0 ? a : b);
    if (arity == 1) out.push_back(a);
  }
  std::mt19937 random(static_cast<std::uint32_t>(7 + operand));
  std::uniform_real_distribution<float> unit(-1, 1);
  for (int i = 0; i < 5000; ++i) out.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random())));
  for (int i = 0; i < 2500; ++i) out.push_back(unit(random));
  for (int i = 0; i < 2500; ++i) out.push_back(20 * unit(random));
  return out;
}

// The distance of a float from the true value, in units of the last place of the float nearest to it.
double ulps(float y, double truth) {
  const auto nearest = static_cast<float>(truth);
  if (std::isnan(y) || std::isnan(nearest)) return std::isnan(y) && std::isnan(nearest) ? 0 : 1e9;
  if (std::isinf(y) || std::isinf(nearest)) return y == nearest ? 0 : 1e9;
  if (truth == 0) return std::bit_cast<std::uint32_t>(y) == std::bit_cast<std::uint32_t>(nearest) ? 0 : 1e9;
  const int exponent = std::max(std::ilogb(nearest), -126);
  return std::fabs(static_cast<double>(y) - truth) / std::ldexp(1.0, exponent - 23);
}

// The unit of the error below 0, where these rows are sums that may vanish: the last place of this.
double least_unit(const Row& row, double a) {
  if (row.name == "lgamma" && a < 0) return 1;
  if (row.name == "digamma" && a < 0) return std::max(1.0, std::log(1 - a));
  return 0;
}

TEST(Rows, NamesAreUniqueAndFound) {
  std::set<std::string_view> names;
  for (const Row& row : rows()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_EQ(row_named(row.name), &row);
    EXPECT_FALSE(row.doc.empty()) << row.name;
    EXPECT_TRUE(row.arity >= 1 && row.arity <= (row.name == "philox" ? 4 : 3)) << row.name;
    EXPECT_TRUE(row.reference != nullptr || row.typing == Typing::bitcast || row.name == "philox") << row.name;
  }
  EXPECT_EQ(row_named("no such row"), nullptr);
  EXPECT_EQ(row_of(Basic::fma).name, "fma");
  EXPECT_EQ(convert_row(DType::bf16).name, "bf16");
}

// The vectors that its authors publish (Random123, kat_vectors).
TEST(Philox, KnownAnswers) {
  using Words = std::array<std::uint32_t, 4>;
  constexpr std::uint32_t kAll = 0xffffffff;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({kAll, kAll, kAll, kAll}, {kAll, kAll}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, TheRowIsTheFirstWord) {
  std::mt19937 random(5);
  std::vector<std::vector<std::uint32_t>> x(4);
  for (std::vector<std::uint32_t>& words : x) {
    words = {0, 0xffffffff};
    while (words.size() < 4096) words.push_back(static_cast<std::uint32_t>(random()));
  }
  for (const int lanes : {1, 16}) {
    const std::vector<std::uint32_t> y = run_row<std::uint32_t>(*row_named("philox"), DType::u32, x, lanes);
    for (std::size_t i = 0; i < y.size(); ++i)
      ASSERT_EQ(y[i], philox({x[0][i], x[1][i], 0, 0}, {x[2][i], x[3][i]})[0]) << i;
  }
}

TEST(Rows, TypesFollowFromOperands) {
  const auto type = [](std::string_view row, std::vector<DType> operands) {
    return row_type(*row_named(row), operands);
  };
  using enum DType;
  EXPECT_EQ(type("add", {f32, f32}), f32);
  EXPECT_EQ(type("add", {f32, i32}), std::nullopt);
  EXPECT_EQ(type("add", {boolean, boolean}), std::nullopt);
  EXPECT_EQ(type("add", {f16, f16}), std::nullopt);
  EXPECT_EQ(type("add", {f32}), std::nullopt);
  EXPECT_EQ(type("lt", {index, index}), boolean);
  EXPECT_EQ(type("eq", {boolean, boolean}), boolean);
  EXPECT_EQ(type("lt", {boolean, boolean}), std::nullopt);
  EXPECT_EQ(type("select", {boolean, i64, i64}), i64);
  EXPECT_EQ(type("select", {i32, i64, i64}), std::nullopt);
  EXPECT_EQ(type("shl", {i64, u32}), i64);
  EXPECT_EQ(type("shl", {i32, i64}), std::nullopt);
  EXPECT_EQ(type("shl", {index, index}), std::nullopt);
  EXPECT_EQ(type("i8", {f32}), i32);
  EXPECT_EQ(type("bf16", {f64}), f32);
  EXPECT_EQ(type("as_u32", {f32}), u32);
  EXPECT_EQ(type("as_u32", {f64}), std::nullopt);
  EXPECT_EQ(type("as_u32", {boolean}), std::nullopt);
  EXPECT_EQ(type("mulhi", {u32, u32}), u32);
  EXPECT_EQ(type("mulhi", {i64, i64}), std::nullopt);
  EXPECT_EQ(type("exp", {i32}), std::nullopt);
  EXPECT_EQ(type("and", {boolean, boolean}), boolean);
  EXPECT_EQ(type("not", {i32}), std::nullopt);
  EXPECT_EQ(type("div", {index, index}), index);
  EXPECT_EQ(type("abs", {index}), std::nullopt);
}

TEST(Rows, BodiesAreCloseToTheirReference) {
  for (const Row& row : rows()) {
    if (row.basic != Basic::none || row.domain == Domain::integer) continue;
    ASSERT_NE(loop::row_body(row, DType::f32), nullptr) << row.name;
    std::vector<std::vector<float>> x;
    for (int k = 0; k < row.arity; ++k) x.push_back(samples(row.arity, static_cast<std::size_t>(k)));
    const std::vector<float> y = run_row<float>(row, DType::f32, x);
    double worst = 0;
    std::string where;
    for (std::size_t i = 0; i < y.size(); ++i) {
      const double a = static_cast<double>(x[0][i]);
      const double b = row.arity > 1 ? static_cast<double>(x[1][i]) : 0;
      const double truth = row.reference(a, b, 0);
      // N8: a result that would be denormal may be 0.
      if (std::fabs(truth) < 0x1p-126 && y[i] == 0) continue;
      if (row.name == "turned" && !std::isfinite(a)) continue;  // promises nothing
      double error = ulps(y[i], truth);
      if (const double least = least_unit(row, a); std::fabs(truth) < least)
        error = std::ldexp(std::fabs(static_cast<double>(y[i]) - truth), 23 - std::ilogb(least));
      if (error <= worst) continue;
      worst = error;
      where = fmt::format("{}({}, {}) = {}, should be {}", row.name, a, b, y[i], truth);
    }
    EXPECT_LE(worst, row.ulp) << where;
    RecordProperty(std::string(row.name), fmt::format("{:.3f}", worst));
  }
}

template <class T>
void check_integer_bodies(DType type) {
  std::mt19937_64 random(3);
  const std::vector<T> edges = {0,
                                1,
                                2,
                                3,
                                7,
                                static_cast<T>(-1),
                                static_cast<T>(-2),
                                static_cast<T>(-3),
                                10,
                                static_cast<T>(-10),
                                1000003,
                                static_cast<T>(-1000003)};
  std::vector<T> a, b;
  for (const T x : edges) {
    for (const T z : edges) {
      a.push_back(x);
      b.push_back(z);
    }
  }
  for (int i = 0; i < 2000; ++i) {
    a.push_back(static_cast<T>(static_cast<std::int64_t>(random() >> 34) - (std::int64_t{1} << 29)));
    b.push_back(static_cast<T>(static_cast<std::int64_t>(random() >> (34 + i % 29)) - (i % 64)));
  }
  for (const Row& row : rows()) {
    if (row.basic != Basic::none || row.inner || loop::row_body(row, type) == nullptr) continue;
    const std::vector<T> y = row.arity == 1 ? run_row<T>(row, type, {a}) : run_row<T>(row, type, {a, b});
    for (std::size_t i = 0; i < y.size(); ++i) {
      double truth = row.reference(static_cast<double>(a[i]), static_cast<double>(b[i]), 0);
      if (row.arity == 2 && b[i] == 0) truth = 0;  // integers: what is divided by 0 is 0
      EXPECT_EQ(static_cast<double>(y[i]), truth) << row.name << " " << a[i] << " " << b[i];
    }
  }
}

// N8: machines that flush denormals and machines that do not agree on these, so they give none.
TEST(Rows, NoDenormalLeavesExpSigmoidAndTanh) {
  std::vector<float> x;
  for (float tiny = std::numeric_limits<float>::denorm_min(); tiny < 1e-37F; tiny *= 2) {
    x.push_back(tiny);
    x.push_back(-tiny);
  }
  for (float at = -110; at < -85; at += 0.0625F) x.push_back(at);
  for (const std::string_view name : {"exp", "sigmoid", "tanh"}) {
    const std::vector<float> y = run_row<float>(*row_named(name), DType::f32, {x});
    for (std::size_t k = 0; k < y.size(); ++k) {
      EXPECT_NE(std::fpclassify(y[k]), FP_SUBNORMAL) << name << ' ' << x[k];
      EXPECT_EQ(std::signbit(y[k]), name == "tanh" && std::signbit(x[k]));
    }
  }
}

TEST(Rows, IntegerBodiesAreExact) {
  check_integer_bodies<std::int32_t>(DType::i32);
  check_integer_bodies<std::uint32_t>(DType::u32);
  check_integer_bodies<std::int64_t>(DType::i64);
}

}  // namespace
}  // namespace tusk
