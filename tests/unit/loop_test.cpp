// Loop IR: text, verification, and the interpreter.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "ir/base/array.hpp"
#include "ir/loop/interpret.hpp"
#include "ir/loop/loop.hpp"
#include "ir/loop/parse.hpp"
#include "ir/loop/print.hpp"
#include "ir/loop/rows.hpp"
#include "ir/loop/verify.hpp"

namespace tusk::loop {
namespace {

Module parsed(std::string_view text) {
  Expected<Module> module = parse(text);
  EXPECT_TRUE(module) << module.problem().str() << text;
  return module ? *module : Module{};
}

std::string parse_error(std::string_view text) {
  const Expected<Module> module = parse(text);
  return module ? "" : module.problem().str();
}

std::string verify_error(std::string_view text) {
  const Status status = verify(parsed(text));
  return status ? "" : status.problem().str();
}

template <class T>
BufferArg buffer(std::vector<T>& data) {
  return {reinterpret_cast<std::byte*>(data.data()), static_cast<std::int64_t>(data.size() * sizeof(T))};
}

template <class... T>
std::string run(std::string_view text, std::vector<std::int64_t> scalars, std::vector<T>&... buffers) {
  const Module module = parsed(text);
  Interpreter interpreter(module);
  const std::vector<BufferArg> args = {buffer(buffers)...};
  const Status status = interpreter.run(module.funcs.at(0).name, args, scalars);
  return status ? "" : status.problem().str();
}

// One value of type R computed from scalars by an expression.
template <class R>
R evaluate(std::string_view type, std::string_view expression) {
  std::vector<R> out(1);
  const std::string text = fmt::format("loop f(out: {}*) {{ store out[0], {} }}", type, expression);
  EXPECT_EQ(run(text, {}, out), "");
  return out[0];
}

bool same_bits(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// --- Text.

constexpr std::string_view kCanonical[] = {
    R"(loop nothing() {
}
)",
    R"(note "dense: layer `hidden`"
loop dense(image: f32* const "[batch,784]", wp: f32* const align 64, b: f32* const, act: f32*, batch: index) {
  parallel 3 for n = 0 to batch - rem(batch, 2) step 1 {
    for o = 0 to 64 step 32 {
      b0 = load f32x16 b[o]
      c0, c1 = for k = 0 to 784 step 1 carry (a0 = b0, a1 = splat 16 f32(-0.5)) {
        w0 = load f32x16 wp[o*784 + k*32]
        x0 = splat 16 load image[n*784 + k]
        yield fma(x0, w0, a0), add(fma(splat 16 load image[(n + 1)*784 + k], w0, a1), 0.5)
      }
      store act[n*64 + o], max(0, c0)
      store act[n*64 + o + 16], c1 mask lt(ramp 16, splat 16 i32(batch - o))
    }
  }
  barrier
  note "the rest"
}
)",
    R"(loop values(x: f32*, h: f16* const, i: i32*, n: index, flag: bool) {
  a = load f32x8 x[n] mask first(n, splat 8 flag, 0) else -inf
  s = tree add(a)
  t = sub(s, sub(s, 1e-05))
  u = select(gt(t, 0), t, neg(0.25))
  v = shl(load i[div(n, 3)], 3)
  w = shr(i32(f32(n)), u32(v))
  c = i32(7)
  d = f32(i32(7))
  e = min(n, 3) - (n - 1)*(2 - n)
  p = n < 3
  q = and(p, not(flag))
  r0, r1 = if q {
    yield f32(1), e
  } else {
    z = f16(load h[e])
    yield z, 4
  }
  if r1 == 0 {
    store x[0], r0
  }
  f64_one = f64(0.1)
  k = as_u32(r0)
}
)",
    R"(row twice(x: f32x16) -> f32x16 {
  y = mul(x, 2)
  return select(lt(y, 0), neg(y), 0)
}
)",
    R"(loop inner(x: f32*, n: index) {
}

loop entry(arena: u8* align 64, x: f32*, n: index) {
  let a: f32* = arena + n*4 + 64
  let b: f32* = a + 3
  call inner(b, n + 1)
  for i = 0 to 10 step 1 {
    call inner(x, i)
  }
}
)",
};

TEST(Text, PrintAndParseAreInverse) {
  for (const std::string_view text : kCanonical) {
    const Module module = parsed(text);
    EXPECT_EQ(print(module), text);
    const Status status = verify(module);
    EXPECT_TRUE(status) << status.problem().str();
  }
}

TEST(Text, InfixIsSugar) {
  const Module module = parsed(R"(row f(x: f32, k: i32) -> f32 {
  a = x * 2 + 1 / x - -x        # comments end with the line
  b = 1 + 2 < x
  c = k << 2 + 1 & 0xff | k ^ 1
  d = -0 * x
  return select(x != a, (x + 1) * 0x1p-3, as_f32(k >> 1))
})");
  EXPECT_EQ(print(module), R"(row f(x: f32, k: i32) -> f32 {
  a = sub(add(mul(x, 2), div(1, x)), neg(x))
  b = lt(add(1, 2), x)
  c = or(and(shl(k, add(2, 1)), 255), xor(k, 1))
  d = mul(-0, x)
  return select(ne(x, a), mul(add(x, 1), 0.125), as_f32(shr(k, 1)))
}
)");
  EXPECT_EQ(print(parsed(print(module))), print(module));
}

TEST(Text, BodiesOfRowsRoundTrip) {
  for (const Row& row : rows()) {
    for (const DType type : {DType::f32, DType::f64, DType::i32, DType::u32, DType::i64}) {
      if (row_body(row, type) == nullptr) continue;
      for (const int lanes : {1, 16}) {
        Module module{{row_function(row, {type, lanes})}};
        EXPECT_EQ(print(parsed(print(module))), print(module));
        const Status status = verify(module);
        EXPECT_TRUE(status) << status.problem().str() << print(module);
      }
    }
  }
}

TEST(Text, ErrorsPointAtTheirCause) {
  const auto in = [](std::string_view body) {
    return parse_error(fmt::format("loop f(x: f32*, n: index) {{ {} }}", body));
  };
  EXPECT_EQ(in("width = n store x[n], load x[widht]"),
            "loop IR:1:58: error: `widht` is not defined here; did you mean `width`? [syntax]\n"
            "  loop f(x: f32*, n: index) { width = n store x[n], load x[widht] }\n"
            "                                                           ^\n");
  EXPECT_NE(in("y = relux(load x[0])").find("there is no row `relux`; did you mean `relu`?"), std::string::npos);
  EXPECT_NE(in("y = add(load x[0], n)").find("`add` does not take f32, index"), std::string::npos);
  EXPECT_NE(in("y = add(load f32x4 x[0], load x[1])").find("splat LANES x"), std::string::npos);
  EXPECT_NE(in("y = 0.5").find("the number 0.5 needs a type: f32(...)"), std::string::npos);
  EXPECT_NE(in("y = n n = 3").find("`n` is defined twice"), std::string::npos);
  EXPECT_NE(in("y = load f16 x[0]").find("f16 lives in memory only, in registers it is f32"), std::string::npos);
  EXPECT_NE(in("y = load i32x4 x[0]").find("a load of i32x4 from a buffer of f32 gives f32"), std::string::npos);
  EXPECT_NE(in("store x[load x[0]], 1").find("this is f32, wanted is index"), std::string::npos);
  EXPECT_NE(in("a, b = for i = 0 to 3 step 1 carry (c = 0) { yield c }").find("2 results for 1 value"),
            std::string::npos);
  EXPECT_NE(in("a = for i = 0 to 3 step 1 carry (c = 0) { }").find("0 yielded, 1 carried"), std::string::npos);
  EXPECT_NE(in("a = if n < 3 { yield 1 }").find("an if with results has an else"), std::string::npos);
  EXPECT_NE(in("y = i32(0.5)").find("0.5 is not i32"), std::string::npos);
  EXPECT_NE(in("y = i32(0x80000000)").find("2147483648 is out of the range of i32"), std::string::npos);
  EXPECT_NE(in("for = 3").find("expected a name"), std::string::npos);
  EXPECT_NE(in("mask = 3").find("`mask` is reserved"), std::string::npos);
  EXPECT_NE(in("y = tree add(load x[0])").find("a tree combines a vector"), std::string::npos);
  EXPECT_NE(in("y = fma(splat 4 -(splat 4 1), load x[0], 1)").find("splat of a vector"), std::string::npos);
  EXPECT_NE(in("if n < 3 { y = n } z = y").find("`y` is not defined here"), std::string::npos);
}

TEST(Text, DeepNestingIsAnError) {
  std::string deep = "loop f(n: index) { y = ";
  for (int i = 0; i < 100000; ++i) deep += "(";
  EXPECT_NE(parse_error(deep).find("nesting is too deep"), std::string::npos);
  deep = "loop f(n: index) { y = n";
  for (int i = 0; i < 100000; ++i) deep += " + n";
  EXPECT_NE(parse_error(deep).find("nesting is too deep"), std::string::npos);
  deep = "loop f(n: index) { y = ";
  for (int i = 0; i < 100000; ++i) deep += "- splat 2 ";
  EXPECT_NE(parse_error(deep).find("nesting is too deep"), std::string::npos);
  deep = "loop f(n: index) { ";
  for (int i = 0; i < 100000; ++i) deep += "if n < 3 { ";
  EXPECT_NE(parse_error(deep).find("nesting is too deep"), std::string::npos);
}

// Every beginning, and every text with one token less, parses or fails, and does nothing else.
TEST(Text, DamagedTextIsAnError) {
  for (const std::string_view text : kCanonical) {
    for (std::size_t cut = 0; cut < text.size(); ++cut) {
      const std::string without = std::string(text.substr(0, cut)) + std::string(text.substr(cut + 1));
      if (const Expected<Module> module = parse(without)) {
        EXPECT_EQ(print(parsed(print(*module))), print(*module));
        (void)Interpreter(*module).run("nothing", {}, {});
      }
      (void)parse(text.substr(0, cut));
    }
  }
}

// --- Builders.

TEST(Build, DimsBecomeIndexArithmetic) {
  const Dim batch = Dim::symbol("batch");
  const Dim height = Dim::symbol("height", 32);
  const auto text = [](const Dim& dim) { return print(dim_value(dim)); };
  EXPECT_EQ(text(Dim(0)), "0");
  EXPECT_EQ(text(Dim(7)), "7");
  EXPECT_EQ(text(batch * Dim(3) + Dim(2)), "batch*3 + 2");
  EXPECT_EQ(text(batch - Dim(2)), "batch - 2");
  EXPECT_EQ(text(Dim(5) - batch), "batch*-1 + 5");
  EXPECT_EQ(text(batch * batch - Dim(2) * batch), "batch*batch - batch*2");
  EXPECT_EQ(text(height), "height");
  EXPECT_EQ(text(height.floor_div(16)), "div(height, 32)*2");
  EXPECT_EQ(text((batch + Dim(1)).floor_div(2)), "div(batch + 1, 2)");
  EXPECT_EQ(text((batch - Dim(3)).max0()), "max(batch - 3, 0)");
}

TEST(Build, SimplifiedFoldsIndices) {
  const auto text = [](std::string_view expression) {
    const Module module = parsed(fmt::format("loop f(n: index, m: index) {{ y = {} }}", expression));
    return print(simplified(module.funcs[0].body[0].value));
  };
  EXPECT_EQ(text("n*1 + 0"), "n");
  EXPECT_EQ(text("n*0 + m"), "m");
  EXPECT_EQ(text("2*3 + n"), "n + 6");
  EXPECT_EQ(text("n + 3 - 5"), "n - 2");
  EXPECT_EQ(text("n - 2 + 2"), "n");
  EXPECT_EQ(text("n*4*8"), "n*32");
  EXPECT_EQ(text("div(n, 1) + rem(n, 1)"), "n");
  EXPECT_EQ(text("div(-7, 2)*100 + rem(-7, 2)"), "-399");
  EXPECT_EQ(text("div(7, 0) + rem(7, 0)"), "0");
  EXPECT_EQ(text("min(n, n) - max(n, n)"), "0");
  EXPECT_EQ(text("n + -3"), "n - 3");
}

// --- Verification.

TEST(Verify, RefusesWhatIsWrong) {
  EXPECT_EQ(verify_error("loop f(x: f32* const) { store x[0], 1 }"),
            "error: in `f`: a store into `x`, which is const [loop-const]\n");
  EXPECT_NE(verify_error("loop f(n: index) { for i = 0 to n step 0 { } }").find("the step of `i` is 0"),
            std::string::npos);
  EXPECT_NE(verify_error("loop f(n: index) { a = parallel for i = 0 to n step 1 carry (b = 0) { yield b } }")
                .find("the parallel loop `i` carries a value"),
            std::string::npos);
  EXPECT_NE(verify_error("loop f(n: index) { parallel for i = 1 to n step 1 { } }").find("`i` does not count 0, 1, 2"),
            std::string::npos);
  EXPECT_NE(
      verify_error("loop f(n: index) { parallel 2 for i = 0 to n step 2 { } }").find("`i` does not count 0, 1, 2"),
      std::string::npos);
  EXPECT_NE(verify_error("loop f(n: index) { parallel for i = 0 to n step 1 { parallel for j = 0 to n step 1 { } } }")
                .find("the parallel loop `j` stands in another one"),
            std::string::npos);
  EXPECT_NE(verify_error("loop f() { call g() }").find("`g`, which does not exist"), std::string::npos);
  EXPECT_NE(verify_error("loop f() { call f() }").find("`f` calls itself"), std::string::npos);
  EXPECT_NE(verify_error("loop f() { call g() } loop g() { call f() }").find("calls itself"), std::string::npos);
  EXPECT_NE(
      verify_error("loop g(x: f32*) { } loop f(y: i32*) { call g(y) }").find("`x` of `g` is f32*, found `y`, i32*"),
      std::string::npos);
  EXPECT_NE(verify_error("loop g(x: f32*) { } loop f(y: f32* const) { call g(y) }").find("`y` is const"),
            std::string::npos);
  EXPECT_NE(verify_error("loop g(n: index) { } loop f() { call g() }").find("takes 1 arguments, found 0"),
            std::string::npos);
  EXPECT_NE(verify_error("loop f() { } loop f() { }").find("`f` is defined twice"), std::string::npos);
  EXPECT_NE(verify_error("row f(x: f32) -> f32 { if x < 0 { } return x }").find("made of values only"),
            std::string::npos);
}

TEST(Verify, RefusesWhatOnlyBuildersCanMake) {
  const auto problem = [](Stmt stmt) {
    Func func;
    func.name = "f";
    func.buffers = {{"x", DType::f32, false, 0, {}}};
    func.body = {std::move(stmt)};
    const Status status = verify(Module{{func}});
    return status ? std::string() : status.problem().message;
  };
  const ValueRef one = literal({DType::f32, 1}, kernel::literal_of(1));
  Stmt let;
  let.name = "y";
  let.type = {DType::i32, 1};
  let.value = one;
  EXPECT_EQ(problem(let), "in `f`: `y` is f32, wanted is i32");
  let.value = name("z", let.type);
  EXPECT_EQ(problem(let), "in `f`: `z` is used where it is not defined");
  let.type = {DType::f32, 1};
  let.value = load("nope", let.type, index_literal(0));
  EXPECT_EQ(problem(let), "in `f`: buffer `nope` is not defined");
  let.value = one;
  let.name = "for";
  EXPECT_EQ(problem(let), "in `f`: `for` cannot be a name");
  let.name = "a b";
  EXPECT_EQ(problem(let), "in `f`: `a b` cannot be a name");
  Stmt loop;
  loop.kind = Stmt::Kind::loop;
  loop.name = "i";
  loop.low = index_literal(0);
  loop.high = index_literal(3);
  loop.carries = {{"c", "r", {DType::f32, 1}, one}};
  EXPECT_EQ(problem(loop), "in `f`: 0 yielded, 1 carried");
  loop.yields = {index_literal(0)};
  EXPECT_EQ(problem(loop), "in `f`: the yield to `r` is index, wanted is f32");
}

// --- The interpreter.

constexpr std::string_view kGemm = R"(
# c[m,n] = sum_k a[m,k] b[k,n] from 0, columns in vectors of 16 with a masked tail
loop gemm(a: f32* const, b: f32* const, c: f32*, m: index, k: index, n: index) {
  full = n - rem(n, 16)
  for i = 0 to m step 1 {
    for j = 0 to full step 16 {
      s = for p = 0 to k step 1 carry (t = splat 16 f32(0)) {
        yield fma(splat 16 load a[i*k + p], load f32x16 b[p*n + j], t)
      }
      store c[i*n + j], s
    }
    rest = i32(n - full)
    on = ramp 16 < splat 16 rest
    u = for q = 0 to k step 1 carry (v = splat 16 f32(0)) {
      w = load f32x16 b[q*n + full] mask on else 0
      yield fma(splat 16 load a[i*k + q], w, v)
    }
    store c[i*n + full], u mask on
  }
})";

TEST(Interpret, GemmWithVectorsAndMasks) {
  constexpr int kM = 5, kK = 37, kN = 43;
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> a(kM * kK), b(kK * kN), c(kM * kN, -1), expected(kM * kN);
  for (float& x : a) x = normal(random);
  for (float& x : b) x = normal(random);
  ASSERT_EQ(run(kGemm, {kM, kK, kN}, a, b, c), "");
  for (std::size_t i = 0; i < kM; ++i) {
    for (std::size_t j = 0; j < kN; ++j) {
      float sum = 0;
      for (std::size_t k = 0; k < kK; ++k) sum = std::fma(a[i * kK + k], b[k * kN + j], sum);
      EXPECT_TRUE(same_bits(c[i * kN + j], sum)) << i << " " << j;
    }
  }
}

TEST(Interpret, MuladdRoundsTwice) {
  const Module module = parsed("loop f(x: f32*) { store x[3], fma(load x[0], load x[1], load x[2]) }");
  const float e = std::numeric_limits<float>::epsilon();
  std::vector<float> x = {1 + e, 1 - e, -1, 0};
  const BufferArg arg[] = {buffer(x)};
  ASSERT_TRUE(Interpreter(module).run("f", arg, {}));
  EXPECT_EQ(x[3], -e * e);
  ASSERT_TRUE(Interpreter(module, Profile::muladd).run("f", arg, {}));
  EXPECT_EQ(x[3], 0);
}

TEST(Interpret, FmaIsExact) {
  // Against p + c rounded to odd in double, then to float (exact for float operands).
  std::mt19937 random(2);
  std::vector<float> x(3 * 4096), y(4096);
  for (float& v : x) v = std::bit_cast<float>(static_cast<std::uint32_t>(random() & 0x83ffffffU) | 0x3c000000U);
  ASSERT_EQ(run(R"(loop f(x: f32* const, y: f32*, n: index) {
    for i = 0 to n step 1 { store y[i], fma(load x[i], load x[i + n], load x[i + 2*n]) } })",
                {4096}, x, y),
            "");
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double p = static_cast<double>(x[i]) * static_cast<double>(x[i + 4096]);
    const double c = static_cast<double>(x[i + 8192]);
    double s = p + c;
    const double bb = s - p;
    const double error = (p - (s - bb)) + (c - bb);
    if (error != 0 && (std::bit_cast<std::uint64_t>(s) & 1U) == 0) {
      s = std::nextafter(
          s, error > 0 ? std::numeric_limits<double>::infinity() : -std::numeric_limits<double>::infinity());
    }
    EXPECT_TRUE(same_bits(y[i], static_cast<float>(s))) << i;
  }
}

TEST(Interpret, TreeAndFirst) {
  std::vector<float> x(16), y(3);
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (float& v : x) v = normal(random);
  ASSERT_EQ(run(R"(loop f(x: f32* const, y: f32*, n: index) {
    v = load f32x16 x[0]
    store y[0], tree add(v)
    store y[1], tree max(v)
    store y[2], tree add(first(n, v, splat 16 f32(0)))
  })",
                {5}, x, y),
            "");
  std::vector<float> halves = x;
  for (std::size_t half = 8; half >= 1; half /= 2) {
    for (std::size_t l = 0; l < half; ++l) halves[l] += halves[l + half];
  }
  EXPECT_EQ(y[0], halves[0]);
  EXPECT_EQ(y[1], *std::max_element(x.begin(), x.end()));
  EXPECT_EQ(y[2], (x[0] + x[4]) + x[2] + (x[1] + x[3]));
}

TEST(Interpret, CarriesSwapAtOnce) {
  std::vector<std::int32_t> out(3);
  ASSERT_EQ(run(R"(loop f(out: i32*, n: index) {
    a, b = for i = 0 to n step 1 carry (x = i32(0), y = i32(1)) { yield y, add(x, y) }
    c, d = for j = 0 to 3 step 1 carry (p = a, q = b) { yield q, p }
    e = for k = 5 to 5 step 1 carry (r = d) { yield i32(0) }
    store out[0], a
    store out[1], c
    store out[2], e
  })",
                {10}, out),
            "");
  EXPECT_EQ(out, (std::vector<std::int32_t>{55, 89, 55}));
}

TEST(Interpret, BranchesAndCalls) {
  std::vector<std::int32_t> out(8, -1);
  ASSERT_EQ(run(R"(
  loop main(out: i32*, n: index) {
    for i = 0 to n step 1 {
      let at: i32* = out + i
      v = if i < 2 { yield i32(i) } else { w = mul(i32(i), 10) yield w }
      call put(at, v)
      if i == n - 1 { store out[n], 7 }
    }
  }
  loop put(x: i32*, v: i32) { store x[0], add(v, 1) })",
                {5}, out),
            "");
  EXPECT_EQ(out, (std::vector<std::int32_t>{1, 2, 21, 31, 41, 7, -1, -1}));
}

TEST(Interpret, OutOfRangeIsAnError) {
  std::vector<float> x(8);
  const auto error_of = [&](std::string_view body, std::int64_t n) {
    return run(fmt::format("loop f(x: f32*, n: index) {{ {} }}", body), {n}, x);
  };
  EXPECT_EQ(error_of("store x[n], 1", 8), "error: in `f`: store to x[8], which has 8 elements [loop-range]\n");
  EXPECT_EQ(error_of("y = load x[n]", -1), "error: in `f`: load of x[-1], which has 8 elements [loop-range]\n");
  EXPECT_EQ(error_of("y = load f32x4 x[n]", 5),
            "error: in `f`: load of x[5] of 4 lanes, which has 8 elements [loop-range]\n");
  EXPECT_EQ(error_of("y = load f32x4 x[n]", 4), "");
  EXPECT_NE(error_of("y = load f32x4 x[n]", std::numeric_limits<std::int64_t>::max()), "");
  EXPECT_NE(error_of("y = load f32x4 x[n]", std::numeric_limits<std::int64_t>::min()), "");
  EXPECT_NE(error_of("store x[n], splat 4 f32(0)", std::numeric_limits<std::int64_t>::max()), "");
  EXPECT_EQ(error_of("y = load f32x4 x[n] mask ramp 4 < splat 4 3 else 0", 5), "");
  EXPECT_NE(error_of("y = load f32x4 x[n] mask ramp 4 < splat 4 3 else 0", 6), "");
  EXPECT_EQ(error_of("y = load x[n] mask (n < 8) else 0", 9), "");
  EXPECT_NE(error_of("let y: f64* = x + n z = load y[3]", 2), "");
  EXPECT_NE(error_of("let y: f32* = x + n", 9), "");
  EXPECT_NE(error_of("let y: f32* = x + n", -1), "");
}

// --- Arithmetic.

TEST(Arithmetic, IntegersWrap) {
  const auto i32 = [](std::string_view e) { return evaluate<std::int32_t>("i32", e); };
  const auto u32 = [](std::string_view e) { return evaluate<std::uint32_t>("u32", e); };
  const auto i64 = [](std::string_view e) { return evaluate<std::int64_t>("i64", e); };
  constexpr std::int32_t kLeast = std::numeric_limits<std::int32_t>::min();
  EXPECT_EQ(i32("i32(2147483647) + 1"), kLeast);
  EXPECT_EQ(i32("i32(-2147483648) - 1"), 2147483647);
  EXPECT_EQ(i32("i32(65536) * 65536"), 0);
  EXPECT_EQ(i32("fma(i32(65536), 65536, 5)"), 5);
  EXPECT_EQ(i32("i32(-7) / 2"), -3);
  EXPECT_EQ(i32("i32(7) / 0"), 0);
  EXPECT_EQ(i32("i32(-2147483648) / -1"), kLeast);
  EXPECT_EQ(i32("rem(i32(-7), 2)"), -1);
  EXPECT_EQ(i32("rem(i32(7), 0)"), 0);
  EXPECT_EQ(i32("rem(i32(-2147483648), -1)"), 0);
  EXPECT_EQ(i32("neg(i32(-2147483648))"), kLeast);
  EXPECT_EQ(i32("abs(i32(-2147483648))"), kLeast);
  EXPECT_EQ(i32("mulhi(i32(-2), 0x7fffffff)"), -1);
  EXPECT_EQ(u32("mulhi(u32(0xffffffff), 0xffffffff)"), 0xfffffffeU);
  EXPECT_EQ(u32("u32(7) / 0"), 0U);
  EXPECT_EQ(u32("u32(3) - 5"), 0xfffffffeU);
  EXPECT_EQ(i32("i32(1) << 33"), 2);
  EXPECT_EQ(i32("i32(-8) >> 1"), -4);
  EXPECT_EQ(i32("shr(i32(-8), u32(33))"), -4);
  EXPECT_EQ(u32("u32(0x80000000) >> 31"), 1U);
  EXPECT_EQ(i64("i64(1) << 65"), 2);
  EXPECT_EQ(i64("i64(1) << -1"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(i64("shl(i64(1), i32(40))"), std::int64_t{1} << 40);
  EXPECT_EQ(i64("i64(-9223372036854775808) / -1"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(i32("i32(12) & 10 | 1 ^ 3"), 10);
  EXPECT_EQ(i32("i32(div(-7, 2)) * 10 + i32(rem(-7, 2))"), -39);
  EXPECT_EQ(i32("i32(div(7, -2)) * 10 + i32(rem(7, -2))"), -41);
  EXPECT_EQ(i32("i32(div(7, 0)) + i32(rem(7, 0))"), 0);
}

TEST(Arithmetic, ConversionsAreDefined) {
  const auto i32 = [](std::string_view e) { return evaluate<std::int32_t>("i32", e); };
  EXPECT_EQ(i32("i32(f32(-1.9))"), -1);
  EXPECT_EQ(i32("i32(f32(1e10))"), std::numeric_limits<std::int32_t>::max());
  EXPECT_EQ(i32("i32(f32(-1e10))"), std::numeric_limits<std::int32_t>::min());
  EXPECT_EQ(i32("i32(f32(nan))"), 0);
  EXPECT_EQ(i32("i8(i32(200))"), -56);
  EXPECT_EQ(i32("u8(i32(-1))"), 255);
  EXPECT_EQ(i32("i8(f32(1e10))"), -1);
  EXPECT_EQ(i32("i32(u32(0xffffffff))"), -1);
  EXPECT_EQ(i32("i32(i64(0x100000007))"), 7);
  EXPECT_EQ(i32("i32(bool(f32(nan)))"), 1);
  EXPECT_EQ(i32("i32(bool(f32(-0)))"), 0);
  EXPECT_EQ(evaluate<std::uint32_t>("u32", "u32(f32(-3))"), 0U);
  EXPECT_EQ(evaluate<std::uint32_t>("u32", "u32(f32(inf))"), 0xffffffffU);
  EXPECT_EQ(evaluate<float>("f32", "f32(u32(0xffffffff))"), 4294967296.0F);
  EXPECT_EQ(evaluate<float>("f32", "f32(i32(16777217))"), 16777216.0F);
  EXPECT_EQ(evaluate<std::uint32_t>("u32", "as_u32(f32(-0))"), 0x80000000U);
  EXPECT_EQ(evaluate<double>("f64", "as_f64(as_i64(f64(0.1)))"), 0.1);
}

TEST(Arithmetic, FloatsFollowN6) {
  const auto f32 = [](std::string_view e) { return evaluate<float>("f32", e); };
  EXPECT_TRUE(same_bits(f32("max(f32(nan), 1)"), 1));
  EXPECT_TRUE(same_bits(f32("max(f32(1), nan)"), kNan));
  EXPECT_TRUE(same_bits(f32("max(f32(-0), 0)"), 0.0F));
  EXPECT_TRUE(same_bits(f32("max(f32(0), -0)"), -0.0F));
  EXPECT_TRUE(same_bits(f32("min(f32(nan), 1)"), 1));
  EXPECT_TRUE(same_bits(f32("min(f32(1), nan)"), kNan));
  EXPECT_TRUE(same_bits(f32("min(f32(-0), 0)"), 0.0F));
  EXPECT_TRUE(same_bits(f32("relu(f32(nan))"), kNan));
  EXPECT_TRUE(same_bits(f32("relu(f32(-0))"), -0.0F));
  EXPECT_TRUE(same_bits(f32("relu(f32(-3))"), 0.0F));
  EXPECT_TRUE(same_bits(f32("neg(f32(0))"), -0.0F));
  EXPECT_TRUE(same_bits(f32("abs(f32(-0))"), 0.0F));
  EXPECT_TRUE(same_bits(f32("rint(f32(2.5))"), 2));
  EXPECT_TRUE(same_bits(f32("rint(f32(-0.3))"), -0.0F));
  EXPECT_TRUE(same_bits(f32("floor(f32(-0.3))"), -1));
  EXPECT_TRUE(same_bits(f32("ceil(f32(-0.3))"), -0.0F));
  EXPECT_TRUE(same_bits(f32("trunc(f32(-1.7))"), -1));
  EXPECT_TRUE(same_bits(f32("f32(1) / 0"), kInf));
  EXPECT_TRUE(same_bits(f32("sqrt(f32(-0))"), -0.0F));
  EXPECT_TRUE(same_bits(f32("sqrt(f32(-1))"), kNan));
  EXPECT_TRUE(same_bits(f32("select(f32(nan) < 1, 1, 2)"), 2));
  EXPECT_TRUE(same_bits(f32("select(f32(nan) != nan, 1, 2)"), 1));
  EXPECT_TRUE(same_bits(f32("f32(1e-45) * 0.5"), 0));
  EXPECT_TRUE(same_bits(f32("f32(1e-45) + 1e-45"), 2.8e-45F));
}

TEST(Arithmetic, StorageTypesRound) {
  const auto f32 = [](std::string_view e) { return evaluate<float>("f32", e); };
  EXPECT_EQ(f32("f16(f32(0.1))"), 0.0999755859375F);
  EXPECT_EQ(f32("f16(f32(65520))"), kInf);
  EXPECT_EQ(f32("bf16(f32(0.1))"), 0.10009765625F);
  std::vector<std::uint16_t> h = {f16_bits(1.5F), 0}, b = {bf16_bits(-2.5F), 0};
  std::vector<std::int8_t> s = {-3, 0};
  std::vector<std::uint8_t> u = {200, 0}, t = {2, 9};
  ASSERT_EQ(run(R"(loop f(h: f16*, b: bf16*, s: i8*, u: u8*, t: bool*) {
    store h[1], load h[0] + 0.1
    store b[1], load b[0] * 1.01
    store s[1], load s[0] * 50
    store u[1], load u[0] + 100
    store t[1], not(load t[0])
  })",
                {}, h, b, s, u, t),
            "");
  EXPECT_EQ(h[1], f16_bits(1.6F));
  EXPECT_EQ(b[1], bf16_bits(-2.525F));
  EXPECT_EQ(s[1], static_cast<std::int8_t>(-150));
  EXPECT_EQ(u[1], 44);
  EXPECT_EQ(t[1], 0);
}

}  // namespace
}  // namespace tusk::loop
