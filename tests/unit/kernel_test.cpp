// Kernel IR: text, rules, order of sums, index arithmetic.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ir/kernel/affine.hpp"
#include "ir/kernel/parse.hpp"
#include "ir/kernel/print.hpp"
#include "ir/kernel/verify.hpp"

namespace tusk::kernel {
namespace {

Range range_of(std::string_view symbol) { return {1, symbol == "batch" ? 64 : 128}; }

Kernel parsed(std::string_view text) {
  Expected<Kernel> kernel = parse_kernel(text);
  if (!kernel) {
    ADD_FAILURE() << kernel.problem().str() << "\nin\n" << text;
    return {};
  }
  return *kernel;
}

// --- text

// The examples of docs/ir.md section 3 in canonical form.
const std::vector<std::string> kExamples = {
    R"(kernel dense(image: f32[batch,784], w: f32[784,64], b: f32[64]) -> (act) {
  z[n<batch, o<64] = dot k<784 from b[o] : image[n,k] * w[k,o]
  act[n,o] = relu(z[n,o])
}
)",
    R"(kernel dense_2(x: f32[batch,64], w: f32[64,10], b: f32[10]) -> (logits) loc("dense_2") {
  logits[n<batch, o<10] = dot k<64 from b[o] lanes 4 : x[n,k] * w[k,o]
}
)",
    R"(kernel conv1(x: f32[batch,28,28,8], k: f32[3,3,8,32], b: f32[32]) -> (pool) {
  z[n<batch, y<28, u<28, o<32] = dot i<3, j<3, c<8 from b[o] : x[n, y+i-1, u+j-1, c else 0] * k[i,j,c,o]
  a[n,y,u,o] = relu(z[n,y,u,o])
  pool[n, p<14, q<14, o] = max i<2, j<2 : a[n, 2*p+i, 2*q+j, o]
}
)",
    R"(kernel lstm_step(xw: f32[batch,4,128], h: f32[batch,128], c: f32[batch,128], r: f32[128,4,128]) -> (c1, h1) {
  z[n<batch, g<4, u<128] = dot k<128 from xw[n,g,u] : h[n,k] * r[k,g,u]
  c1[n,u] = sigmoid(z[n,1,u]) * c[n,u] + sigmoid(z[n,0,u]) * tanh(z[n,2,u])
  h1[n,u] = sigmoid(z[n,3,u]) * tanh(c1[n,u])
}
)",
    R"(kernel dense_wgrad(x: f32[batch,784], dz: f32[batch,64], inout w: f32[784,64], lr: f32) -> (w) {
  g[k<784, o<64] = dot n<batch block 256 : x[n,k] * dz[n,o]
  w[k,o] = w[k,o] - lr[] * g[k,o]
}
)",
    R"(kernel softmax(x: f32[batch,1000]) -> (y) {
  m[n<batch] = max j<1000 lanes 16 : x[n,j]
  e[n,j] = exp(x[n,j] - m[n])
  s[n] = sum j lanes 16 : e[n,j]
  r[n] = 1 / s[n]
  y[n,j] = e[n,j] * r[n]
}
)",
    R"(kernel attention(q: f32[batch,time,8,64], k: f32[batch,time,8,64], v: f32[batch,time,8,64], mask: bool[batch,time]) -> (y) {
  s[n<batch, h<8, t<time, u<time] = dot d<64 : q[n,t,h,d] * k[n,u,h,d]
  x[n,h,t,u] = select(mask[n,u], s[n,h,t,u], -1000000000)
  m[n,h,t] = max u block 256 : x[n,h,t,u]
  e[n,h,t,u] = exp(x[n,h,t,u] - m[n,h,t])
  r[n,h,t] = sum u block 256 : e[n,h,t,u]
  w[n,h,t,u] = e[n,h,t,u] * (1 / r[n,h,t])
  y[n,t,h,d] = dot u block 256 : w[n,h,t,u] * v[n,u,h,d]
}
)",
    R"(kernel bottleneck(x: f32[batch,56,56,24], we: f32[24,144], wd: f32[3,3,144], wp: f32[144,24]) -> (y) {
  a[n<batch, i<56, j<56, c<144] = dot k<24 : x[n,i,j,k] * we[k,c]
  ea[n,i,j,c] = min(relu(a[n,i,j,c]), 6)
  d[n, p<56, q<56, c] = dot i<3, j<3 : ea[n, p+i-1, q+j-1, c else 0] * wd[i,j,c]
  ed[n,p,q,c] = min(relu(d[n,p,q,c]), 6)
  y[n, p, q, o<24] = dot c : ed[n,p,q,c] * wp[c,o]
}
)",
    R"(kernel embedding_grad(ids: i32[batch,time], dy: f32[batch,time,64]) -> (grad) {
  grad[v<10000, d<64] = sum n<batch, t<time where v == ids[n,t] : dy[n,t,d]
}
)",
    R"(kernel dgrad(dy: f32[batch,28,28,64], k: f32[3,3,32,64]) -> (dx) {
  dx[n<batch, h<56, w<56, c<32] = dot i<3, j<3, o<64 where h == 2*p + i - 1, w == 2*q + j - 1 : dy[n,p,q,o else 0] * k[i,j,c,o]
}
)",
    R"(kernel unpool(tap: u8[batch,14,14,32], dy: f32[batch,14,14,32]) -> (dx) {
  dx[n<batch, h<28, w<28, c<32] = sum i<2, j<2 where h == 2*p + i, w == 2*q + j : select(tap[n,p,q,c else 255] == i32(2*i + j), dy[n,p,q,c else 0], 0)
}
)",
    // A forward conv whose equality removes the input's index.
    R"(kernel valid_conv(x: f32[batch,30,8], k: f32[3,8,16]) -> (y) {
  y[n<batch, p<14, o<16] = dot i<3, c<8 where h == 2*p + i : x[n,h,c] * k[i,c,o]
}
)",
    R"(kernel lookup(table: f32[10000,64], ids: i32[batch,time]) -> (y) {
  y[n<batch, t<time, d<64] = table[min(max(ids[n,t], 0), 9999), d]
}
)",
    R"(kernel types(a: i8[5], b: f16[5], c: bool[5], d: i64[5]) -> (s, f, t, m, l, all_) {
  s[]: i32 = dot i<5 : a[i] * a[i]
  f[i]: f16 = b[i] * -0.5 + f32(a[i] + i32(i) / 2)
  t[i]: u8 = select(c[i], a[i], 255)
  m[]: i32 = argmax i : b[i]
  l[i]: i64 = shl(d[i], 3) - rem(d[i], 7)
  all_[]: bool = all i : c[i] == true
}
)",
    R"(kernel shapes(x: f32[batch,2*time], y: f32[time//2 + 1]) -> (z, w) {
  z[n<batch, i<6*time] = x[n, i//3] + y[i//12 else 0] / f32(time)
  w[i<2*time] = x[0, 2*time-1-i] + x[0, i % 2]
}
)",
};

// (x // a) // b is x // (a*b) only where a*b is a number.
TEST(Dims, QuotientsOfQuotients) {
  const Dim x = Dim::symbol("x");
  EXPECT_EQ(x.floor_div(3).floor_div(5), x.floor_div(15));
  const std::int64_t large = std::int64_t{1} << 40;
  const Dim both = x.floor_div(large).floor_div(large);
  EXPECT_EQ(both.value([](std::string_view) { return std::numeric_limits<std::int64_t>::max(); }), 0);
  const Dim shifted = (x.floor_div(large) + Dim(large)).floor_div(3);
  EXPECT_EQ(shifted.value([&](std::string_view) { return 5 * large; }), (5 + large) / 3);
}

TEST(Dims, ProductsOfQuotientsReadBack) {
  const Dim batch = Dim::symbol("batch");
  EXPECT_EQ((batch.floor_div(2) * (batch + Dim(2)).floor_div(3)).str(), "(batch//2)*((batch + 2)//3)");
  EXPECT_EQ((batch + Dim(2)).floor_div(3).str(), "(batch + 2)//3");
  EXPECT_EQ((Dim(2) * (batch + Dim(2)).floor_div(3)).str(), "2*((batch + 2)//3)");
}

TEST(KernelText, ExamplesRoundTripAndVerify) {
  for (const std::string& text : kExamples) {
    const Kernel kernel = parsed(text);
    EXPECT_EQ(print(kernel), text);
    const Status ok = verify(kernel, range_of);
    EXPECT_TRUE(ok) << ok.problem().str();
  }
}

TEST(KernelText, LoadsAsIndicesAreConverted) {
  const Kernel kernel =
      parsed("kernel f(x: f32[9], i: i32[3]) -> (y) { y[n<3] = x[i[n] else 0] + x[i[n] + n else 0] }");
  const ExprRef first = kernel.stages[0].expr->operands[0]->operands[0];
  EXPECT_TRUE(equal(first, apply("index", {load("i", DType::i32, {index("n")})})));
  const ExprRef second = kernel.stages[0].expr->operands[1]->operands[0];
  EXPECT_TRUE(equal(second, apply("add", {first, index("n")})));
  EXPECT_EQ(print(kernel.stages[0].expr), "x[i[n] else 0] + x[i[n]+n else 0]");
  EXPECT_EQ(print(apply("eq", {first, first})), "index(i[n]) == i[n]");
  EXPECT_EQ(print(apply("i32", {first})), "i32(index(i[n]))");
}

TEST(KernelText, SymbolsThatAreNotDeclaredAreOpen) {
  const Kernel kernel = parsed("kernel mean(s: f32) -> (y) { y[] = s / f32(batch) }");
  EXPECT_EQ(print(kernel), "kernel mean(s: f32) -> (y) {\n  y[] = s[] / f32(batch)\n}\n");
}

TEST(KernelText, Precedence) {
  const auto printed = [](std::string_view expr) {
    const Kernel kernel =
        parsed("kernel f(a: f32, b: f32, c: f32, p: bool) -> (y) { y[] = " + std::string(expr) + " }");
    return kernel.stages.empty() ? "" : print(kernel.stages[0].expr, DType::f32);
  };
  for (const std::string text : {"a[] + b[] + c[]",
                                 "a[] + (b[] + c[])",
                                 "a[] - (b[] - c[])",
                                 "(a[] + b[]) * c[]",
                                 "a[] * b[] + c[]",
                                 "a[] / (b[] * c[])",
                                 "a[] / b[] * c[]",
                                 "-a[] * b[]",
                                 "-(a[] * b[])",
                                 "a[] - -b[]",
                                 "a[] * -1",
                                 "-1 * a[]",
                                 "neg(1) * a[]",
                                 "fma(a[], 2, -0.5)",
                                 "select(a[] < 0, 0, a[])",
                                 "select((a[] < b[]) == (b[] < c[]), 1, 2)",
                                 "1 / a[]",
                                 "inf",
                                 "-inf",
                                 "nan",
                                 "-0",
                                 "1e-05",
                                 "0.1",
                                 "f32(f64(0.1))",
                                 "f32(f64(a[]) + 0.1)",
                                 "select(p[], a[], -1000000000)",
                                 "f32(i32(p[]))",
                                 "as_f32(u32(1065353216))",
                                 "f32(shl(i32(1), 3))",
                                 "select(i32(1) < 2, 1, 2)",
                                 "max(a[], max(1, 2))"}) {
    EXPECT_EQ(printed(text), text);
  }
  EXPECT_EQ(printed("((a) + ((b)))"), "a[] + b[]");
  EXPECT_EQ(printed("2*3 + a"), "2 * 3 + a[]");  // numbers are not folded: that is two roundings
}

TEST(KernelText, IndexExpressions) {
  const auto printed = [](std::string_view expr) {
    const Kernel kernel =
        parsed("kernel f(x: f32[batch*time]) -> (y) { y[i<time, j<batch] = x[" + std::string(expr) + " else 0] }");
    return kernel.stages.empty() ? "" : print(kernel.stages[0].expr->operands[0], DType::index);
  };
  for (const std::string text :
       {"i*batch + j", "i - (j - 1)", "2*(i + 1)", "(i + j)//2", "i//2*2", "i//(1 + 1)", "(2*i + 1) % 4",
        "i*(batch + 1)", "0 - i", "batch - 1 - j", "-batch + j", "i*(2*batch)", "min(i, batch - 1)",
        "max0(batch - time) + i", "(batch + 1)//2 + i", "select(i < 3, i, j)"}) {
    EXPECT_EQ(printed(text), text == "i//(1 + 1)" ? "i//2" : text);
  }
  EXPECT_EQ(printed("-i"), "0 - i");
  EXPECT_EQ(printed("2*batch + 3*batch - 1"), "5*batch - 1");
}

TEST(KernelText, SchedulesAndManyKernels) {
  const std::string text =
      "kernel a(x: f32[n]) -> (y) { z[i<n] = exp(x[i])  y[i] = z[i] * 2 }\n"
      "schedule a { at z : innermost registers }\n"
      "kernel b(x: f32[m]) -> (y) { y[i<m] = x[i] }  # the end\n";
  const Expected<Kernels> kernels = parse_kernels(text);
  ASSERT_TRUE(kernels) << kernels.problem().str();
  ASSERT_EQ(kernels->kernels.size(), 2U);
  EXPECT_EQ(kernels->schedules[0].inline_stages, std::vector<std::string>{"z"});
  EXPECT_TRUE(kernels->schedules[1].inline_stages.empty());
  EXPECT_EQ(print(kernels->schedules[0], "a"), "schedule a {\n  at z : innermost registers\n}\n");
  EXPECT_EQ(print(kernels->schedules[1], "b"), "");
}

const std::string kProgram = R"(program "mnist" profile fma
symbol batch in 1..64
symbol height in 32..512 step 32
symbol time in 1..100
const @dense/kernel: f32[784,64]
const @dense/bias: f32[3] = [1, -0, 1e-05]
const @ids: i32[2,2] = [1, -2, 3, 4]
const @"a b": bool[2] = [1, 0]
const @scale: f32 = [0.1]

kernel dense(x: f32[batch,784], w: f32[784,64]) -> (y) loc("dense", "relu") {
  z[n<batch, o<64] = dot k<784 : x[n,k] * w[k,o]
  y[n,o] = relu(z[n,o])
}
schedule dense {
  at z : innermost registers
  tile y : n 4
  vector y : o 8
  order y : o, n
  parallel y : o, n by 12
}

kernel half(x: f32[height//2]) -> (y) {
  y[i<height//2] = x[i]
}

kernel accumulate(inout s: f32[batch], x: f32[batch]) -> (s) {
  s[n<batch] = s[n] + x[n]
}

func predict(x, h) -> (y, g) arena 4096 bound 2048 {
  requires "time >= 2"
  tensor x: f32[batch,784] input
  tensor h: f32[height//2] input
  tensor w: f32[784,64] const @dense/kernel
  tensor y: f32[batch,64] output
  tensor g: f32[height//2] output
  tensor z: f32[batch,64] arena 128
  tensor all: f32[batch,time] arena 256 strides [time + 1,1]
  tensor s: f32[batch] arena 0
  tensor at: f32[batch] view all + time - position - 1 strides [time + 1]
  y = dense(x, w) scratch z loc("dense")
  g = half(h)
  for position < time loc("rnn") {
    s = accumulate(s, at)
    for inner < 3 {
      s = accumulate(s, at)
    }
  }
}
)";

TEST(KernelText, ProgramsRoundTrip) {
  const Expected<Program> program = parse_program(kProgram);
  ASSERT_TRUE(program) << program.problem().str();
  EXPECT_EQ(print(*program), kProgram);
  const Function& function = program->functions[0];
  EXPECT_EQ(function.tensors[3].strides, (std::vector<Dim>{Dim(64), Dim(1)}));
  EXPECT_EQ(function.tensors[8].base, 6);
  EXPECT_EQ(program->globals[0].value.size(), 784 * 64);
  EXPECT_EQ(program->globals[0].value.at(9), 0.0);
  EXPECT_TRUE(std::signbit(program->globals[1].value.at(1)));
  EXPECT_EQ(function.tensors[1].shape[0], Dim::symbol("height", 32).floor_div(2));
}

// --- errors of the parser

TEST(KernelText, Errors) {
  const std::string head = "kernel f(x: f32[9], i: i32[9], s: f32) -> (y) { ";
  const std::pair<std::string, std::string> cases[] = {
      {"y[n] = x[n] }", "index `n` has no extent here and no declaration above: write n<..."},
      {"y[n<9, n<9] = x[n] }", "the stage has two indices `n`"},
      {"y[n<9] = z[n] }", "there is no parameter or earlier stage `z`"},
      {"y[n<9] = x }", "`x` is a tensor of rank 1; write x[...]"},
      {"y[n<9] = x[n,n] }", "`x` has rank 1, found 2 indices"},
      {"y[n<9] = x[x[n]] }", "this is f32, wanted is index"},
      {"y[n<9] = i[n] }", "this is i32, wanted is f32"},
      {"y[n<9] = x[n] + i[n] }", "this is i32, wanted is f32"},
      {"y[n<9] = epx(x[n]) }", "there is no row `epx`; did you mean `exp`?"},
      {"y[n<9] = exp(x[n], 1) }", "`exp` takes 1 operand, found 2"},
      {"y[n<9] = f32(exp(i[n])) }", "`exp` does not take i32"},
      {"y[n<9] = select(1 < 2, 1, 2) }", "the number 1 needs a type: f32(...)"},
      {"y[n<9] = f32(i[n] + 0.5) }", "0.5 is not i32"},
      {"y[n<9] = f32(i[n] + 3000000000) }", "3000000000 is out of the range of i32"},
      {"y[n<9] = x[n/2] }", "the division of indices is written //"},
      {"y[n<9] = x[n] // 2 }", "// divides indices; numbers are divided by /"},
      {"y[n<9] = x[n//n] }", "an index is divided by a positive number"},
      {"y[n<9] = f16(1) }", "the number needs a type: f16(f32(...))"},
      {"y[n<9] = x[max0(n)] }", "max0 is of a dimension"},
      {"y[else<9] = s }", "`else` is reserved and cannot be a name"},
      {"y[n<9] = sum k<9 lane 4 : x[k] }", "expected where, from, lanes, block or `:`, found `lane`"},
      {"y[n<9] = s y[n] = s }", "there are two stages `y`"},
      {"z[n<9] = s }", "the result `y` is no stage"},
      {"y[n<9]: f33 = s }", "`f33` is not a type of elements"},
      {"y[n<9] = x[n else 1.5.2] }", "`1.5.2` is not a number"},
  };
  for (const auto& [text, message] : cases) {
    const Expected<Kernel> kernel = parse_kernel(head + text);
    ASSERT_FALSE(kernel) << text;
    EXPECT_NE(kernel.problem().message.find(message), std::string::npos) << text << "\n" << kernel.problem().message;
  }
  EXPECT_FALSE(parse_kernel(""));
  EXPECT_FALSE(parse_kernel("kernel f() -> (y) { y[] = " + std::string(5000, '(') + "1"));
  EXPECT_FALSE(parse_kernel("kernel f() -> (y) { y[] = " + std::string(5000, '-') + "1"));
}

TEST(KernelText, ErrorsOfPrograms) {
  const std::string head =
      "program \"p\" profile fma symbol batch in 1..4 const @c: f32[2] = [1, 2] "
      "kernel f(x: f32[2]) -> (y) { y[i<2] = x[i] } ";
  const std::pair<std::string, std::string> cases[] = {
      {"kernel g(x: f32[time]) -> (y) { y[i<2] = x[0] }", "`time` is not a declared symbol"},
      {"kernel g(x: f32[2]) -> (y) { y[i<2] = f32(time) }", "`time` is no index, scalar or symbol here"},
      {"schedule g { }", "there is no kernel `g` above"},
      {"schedule f { at z : innermost registers }", "kernel `f` has no stage `z`"},
      {"const @d: f32[batch]", "constants and states have fixed shapes"},
      {"func m(x) -> (y) { }", "there is no tensor `x`"},
      {"func m() -> () { tensor a: f32[2] const @d }", "there is no constant @d"},
      {"func m() -> () { tensor a: f32[2] view b }", "there is no tensor `b`"},
      {"func m() -> () { tensor a: f32[2] input tensor b: f32[2] view a strides [1] tensor c: f32[2] view b }",
       "the base of a view is no view itself"},
      {"func m() -> () { tensor a: f32[2] input tensor b: f32[2] view a + position }",
       "`position` is no symbol of the program and of no loop"},
      {"func m() -> () { tensor a: f32[2] input tensor a: f32[2] input }", "there are two tensors `a`"},
      {"func m() -> () { tensor a: f32[2] input strides [1,1] }", "there is one stride for each axis"},
      {"func m() -> () { tensor a: f32[2] input a = g(a) }", "there is no kernel `g`"},
      {"func m() -> () { tensor a: f32[2] input a = f(a, a) }",
       "kernel `f` has 1 parameter and 1 result, found 2 and 1"},
      {"tensor", "expected symbol, const, state, kernel, schedule or func, found `tensor`"},
  };
  for (const auto& [text, message] : cases) {
    const Expected<Program> program = parse_program(head + text);
    ASSERT_FALSE(program) << text;
    EXPECT_EQ(program.problem().message, message) << text;
  }
}

// --- the verifier

std::string verdict(const Kernel& kernel) {
  const Status ok = verify(kernel, range_of);
  return ok ? "" : ok.problem().code + ": " + ok.problem().message;
}

TEST(KernelVerify, ErrorsOfTexts) {
  const std::string head = "kernel f(x: f32[9], b: f32[9], ids: i32[4]) -> (y) { ";
  const std::string stage = "kernel `f`, stage `y`: ";
  const std::pair<std::string, std::string> cases[] = {
      {"y[] = dot k<9 : x[k] }", "kernel-g4: " + stage + "dot needs a product as its top node (rule G4)"},
      {"y[] = sum k<9 from b[k] : x[k] }", "kernel-from: " + stage + "`from` uses the reduce index `k`"},
      {"y[] = sum k<9 lanes 3 : x[k] }", "kernel-order: " + stage + "lanes are a power of two, found 3"},
      {"y[]: bool = all k<9 lanes 2 : x[k] < 0 }", "kernel-order: " + stage + "all has one lane and no block"},
      {"y[v<9] = sum k<4 where v == ids[k] block 2 : x[k] }",
       "kernel-order: " + stage + "a reduction by data has one lane and no block"},
      {"y[]: i32 = argmax k<3, l<3 : x[k] }", "kernel-argument: " + stage + "argmax has exactly one reduce index"},
      {"y[] = argmax k<3 : x[k] }", "kernel-argument: " + stage + "argmax gives i32, the stage is f32"},
      {"y[v<3]: i32 = argmin k<3 where v == p + k : x[k] }",
       "kernel-argument: " + stage + "argmin has neither `from` nor `where`"},
      {"y[] = all k<9 : x[k] }", "kernel-type: " + stage + "all of f32"},
      {"y[]: bool = sum k<9 : x[k] < 0 }", "kernel-type: " + stage + "sum of bool"},
      {"y[n<9] = x[n] x_[batch<9] = x[batch] z[i<batch] = x[0] }",
       "kernel-name: kernel `f`, stage `x_`: index `batch` has the name of a symbol"},
      {"y[n<10] = x[n] }", "kernel-g5: " + stage + "index 0 of `x`, n, may lie outside 0 .. 8 (rule G5)"},
      {"y[n<9] = x[n - 1] }", "kernel-g5: " + stage + "index 0 of `x`, n - 1, may lie outside 0 .. 8 (rule G5)"},
      {"y[n<4] = x[ids[n]] }", "kernel-g5: " + stage + "index 0 of `x`, ids[n], may lie outside 0 .. 8 (rule G5)"},
      {"y[n<4] = x[min(ids[n], 8)] }",
       "kernel-g5: " + stage + "index 0 of `x`, min(ids[n], 8), may lie outside 0 .. 8 (rule G5)"},
      {"y[n<time] = x[n] }", "kernel-g5: " + stage + "index 0 of `x`, n, may lie outside 0 .. 8 (rule G5)"},
      {"y[h<9] = sum i<3 where h == p + i : x[p] }",
       "kernel-g5: " + stage + "index 0 of `x`, p, may lie outside 0 .. 8 (rule G5)"},
      {"y[h<9] = sum i<3 where h == i + 1 : x[h] }",
       "kernel-where: " + stage + "`h == i + 1` removes one index, found none; all are declared"},
      {"y[h<9] = sum i<3 where h == p + q : x[h] }",
       "kernel-where: " + stage + "`h == p + q` removes one index, found p, q; declare the others"},
      {"y[h<9] = sum i<3 where h == 3 - p : x[h] }",
       "kernel-where: " + stage + "`h == 3 - p`: the factor of `p` is a positive number (rule W2)"},
      {"y[h<9] = sum i<3 where p == ids[i] : x[h] }",
       "kernel-where: " + stage + "`p == ids[i]` is solved by data, so `p` is an index of the stage (rule W3)"},
      {"y[h<9] = sum i<3 where h == ids[i], q == h + i : x[h] }",
       "kernel-where: " + stage + "`h == ids[i]` is solved by data and stands alone (rule W3)"},
      {"b[n<9] = x[n] y[n] = x[n] }",
       "kernel-inout: kernel `f`, stage `b`: a parameter has this name and is not inout"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(verdict(parsed(head + text)), message) << text;

  const std::string inout = "kernel f(x: f32[9], inout w: f32[9]) -> (";
  const std::pair<std::string, std::string> more[] = {
      {"y) { y[n<9] = w[n] }", "kernel-inout: kernel `f`: no stage gives the new value of `w`"},
      {"y) { w[n<9] = w[n] y[n] = x[n] }",
       "kernel-inout: kernel `f`, stage `w`: the new value of an inout parameter is a result"},
      {"w) { w[n<8] = w[n] }", "kernel-inout: kernel `f`, stage `w`: the parameter is f32[9], the stage f32[8]"},
      {"w) { w[n<9] = w[8-n] }",
       "kernel-inout: kernel `f`, stage `w`: the old value is read only at the element that is written"},
      {"w) { w[n<9] = w[n] + x[n] }", ""},
      {"w, w) { w[n<9] = w[n] + x[n] }", "kernel-result: kernel `f`: the result `w` is named twice"},
  };
  for (const auto& [text, message] : more) EXPECT_EQ(verdict(parsed(inout + text)), message) << text;
  EXPECT_EQ(verdict(parsed("kernel f(i: i32[4], inout w: f32[9]) -> (w) { w[v<9] = sum k<4 where v == i[k] : w[v] }")),
            "kernel-inout: kernel `f`, stage `w`: a reduction by data reads the old value only in `from`");
  EXPECT_EQ(verdict(parsed("kernel f(i: i32[4], u: f32[4], inout w: f32[9]) -> (w) { w[v<9] = sum k<4 where v == i[k] "
                           "from w[v] : u[k] }")),
            "");
}

// What no text can say.
TEST(KernelVerify, ErrorsOfRecords) {
  const Kernel good = parsed("kernel f(x: f32[9]) -> (y) { z[n<9] = x[n]  y[n] = sum k<9 from x[n] : z[k] }");
  ASSERT_EQ(verdict(good), "");
  const auto changed = [&](auto change) {
    Kernel kernel = good;
    change(kernel);
    return verdict(kernel);
  };
  EXPECT_EQ(changed([](Kernel& k) { k.name = "a b"; }), "kernel-name: kernel `a b`: this is no name");
  EXPECT_EQ(changed([](Kernel& k) { k.params[0].name = "from"; }),
            "kernel-name: kernel `f`: `from` is no name of a parameter");
  EXPECT_EQ(changed([](Kernel& k) { k.params.push_back(k.params[0]); }),
            "kernel-name: kernel `f`: two parameters are named `x`");
  EXPECT_EQ(changed([](Kernel& k) { k.params[0].type = DType::index; }),
            "kernel-type: kernel `f`: parameter `x` has a type of elements, not index");
  EXPECT_EQ(changed([](Kernel& k) { k.results.clear(); }), "kernel-result: kernel `f`: there is no result");
  EXPECT_EQ(changed([](Kernel& k) { k.results = {"q"}; }), "kernel-result: kernel `f`: the result `q` is no stage");
  EXPECT_EQ(changed([](Kernel& k) { k.stages[0].name = "2"; }), "kernel-name: kernel `f`, stage `2`: this is no name");
  EXPECT_EQ(changed([](Kernel& k) { k.stages[0].name = "y"; }),
            "kernel-name: kernel `f`, stage `y`: a stage above has this name");
  EXPECT_EQ(changed([](Kernel& k) { k.stages[0].type = DType::index; }),
            "kernel-type: kernel `f`, stage `z`: a stage has a type of elements, not index");
  EXPECT_EQ(changed([](Kernel& k) { k.stages[0].expr = nullptr; }),
            "kernel-type: kernel `f`, stage `z`: the stage has no formula");
  EXPECT_EQ(changed([](Kernel& k) { k.stages[0].indices[0].name = "x y"; }),
            "kernel-name: kernel `f`, stage `z`: `x y` is no name of an index");
  EXPECT_EQ(changed([](Kernel& k) { k.stages[1].reduce->indices[0].name = "n"; }),
            "kernel-name: kernel `f`, stage `y`: two indices are named `n`");
  EXPECT_EQ(changed([](Kernel& k) { k.stages[1].reduce->indices.clear(); }),
            "kernel-reduce: kernel `f`, stage `y`: sum has no index");
  EXPECT_EQ(changed([](Kernel& k) { k.stages[0].expr = index("n"); }),
            "kernel-type: kernel `f`, stage `z`: the formula is index, the stage computes f32");
  EXPECT_EQ(changed([](Kernel& k) { k.stages[0].expr = load("x", DType::f32, {index("m")}); }),
            "kernel-index: kernel `f`, stage `z`: `m` in the formula is no index of the stage");
  EXPECT_EQ(changed([](Kernel& k) { k.stages[0].expr = load("y", DType::f32, {index("n")}); }),
            "kernel-load: kernel `f`, stage `z`: the formula reads `y`, which is not above");
  EXPECT_EQ(changed([](Kernel& k) { k.stages[0].expr = load("q", DType::f32, {index("n")}); }),
            "kernel-load: kernel `f`, stage `z`: the formula reads `q`, which is neither a parameter nor a stage");
  EXPECT_EQ(changed([](Kernel& k) { k.stages[0].expr = load("x", DType::f32, {}); }),
            "kernel-load: kernel `f`, stage `z`: `x` has rank 1, found 0 indices");
  EXPECT_EQ(changed([](Kernel& k) { k.stages[0].expr = load("x", DType::i32, {index("n")}); }),
            "kernel-type: kernel `f`, stage `z`: a load of `x` is f32, found i32");
  EXPECT_EQ(
      changed([](Kernel& k) { k.stages[0].expr = load("x", DType::f32, {literal(DType::i32, literal_of_int(0))}); }),
      "kernel-type: kernel `f`, stage `z`: index 0 of `x` is i32");
  EXPECT_EQ(changed([](Kernel& k) { k.stages[1].reduce->from = literal(DType::i32, literal_of_int(0)); }),
            "kernel-type: kernel `f`, stage `y`: `from` is i32, the stage computes f32");
  EXPECT_EQ(changed([](Kernel& k) {
              k.stages[1].reduce->where = {{"h", literal(DType::i32, literal_of_int(0))}};
            }),
            "kernel-where: kernel `f`, stage `y`: `h ==` is followed by no index");
  EXPECT_EQ(changed([](Kernel& k) {
              Expr wrong = *apply("add", {load("x", DType::f32, {index("n")}), load("x", DType::f32, {index("n")})});
              wrong.type = DType::i32;
              k.stages[0].expr = std::make_shared<const Expr>(wrong);
            }),
            "kernel-type: kernel `f`, stage `z`: row `add` of f32, f32 is not i32");
  EXPECT_EQ(changed([](Kernel& k) {
              k.stages[0].expr =
                  load("x", DType::f32, {apply("div", {index("n"), literal(DType::index, literal_of_int(0))})});
            }),
            "kernel-index: kernel `f`, stage `z`: an index is divided by a positive number");
  EXPECT_EQ(changed([](Kernel& k) {
              Expr half;
              half.type = DType::f16;
              k.stages[0].expr = std::make_shared<const Expr>(half);
            }),
            "kernel-type: kernel `f`, stage `z`: a number of f16, which lives in memory only");
}

TEST(KernelVerify, SymbolicRanges) {
  for (const std::string text : {
           "kernel f(x: f32[batch,time]) -> (y) { y[n<batch, t<time//2] = x[n, 2*t+1] }",  // slice, step 2
           "kernel f(x: f32[batch,time]) -> (y) { y[n<batch, t<(time+1)//2] = x[n, 2*t] }",
           "kernel f(x: f32[batch,time]) -> (y) { y[n<batch, t<time] = x[n, time-1-t] }",           // flip
           "kernel f(x: f32[batch,time,3]) -> (y) { y[n<batch, m<3*time] = x[n, m//3, m % 3] }",    // split
           "kernel f(x: f32[6*batch]) -> (y) { y[n<batch, i<2, j<3] = x[6*n+3*i+j] }",              // merge
           "kernel f(x: f32[batch], i: i64[4]) -> (y) { y[n<4] = x[max(min(i[n], batch-1), 0)] }",  // clamp
           "kernel f(x: f32[batch,10]) -> (y) { y[n<batch, p<4] = max i<3 : x[n, 2*p+i] }",
           "kernel f(x: f32[9]) -> (y) { y[h<7] = sum i<3 where h == p - i : x[p] }",  // W2, proved
       }) {
    EXPECT_EQ(verdict(parsed(text)), "") << text;
  }
}

TEST(KernelVerify, Schedules) {
  const Kernel kernel = parsed(
      "kernel f(inout w: f32[9], g: f32[9]) -> (w, y) { a[n<9] = w[n] * 2  b[n] = w[8-n]  c[n] = a[n] + 1  w[n] = c[n] "
      " d[n] = w[n] "
      "y[n] = d[n] + g[n] }");
  ASSERT_EQ(verdict(kernel), "");
  const auto said = [&](std::vector<std::string> stages) {
    const Status ok = verify(kernel, Schedule{std::move(stages)});
    return ok ? "" : ok.problem().code + ": " + ok.problem().message;
  };
  EXPECT_EQ(said({}), "");
  EXPECT_EQ(said({"a", "c", "d"}), "");
  EXPECT_EQ(said({"q"}), "schedule-stage: schedule of kernel `f`: there is no stage `q`");
  EXPECT_EQ(said({"a", "a"}), "schedule-stage: schedule of kernel `f`: stage `a` is named twice");
  EXPECT_EQ(said({"y"}), "schedule-result: schedule of kernel `f`: `y` is a result, which stands at root");
  const Kernel late = parsed("kernel f(inout w: f32[9]) -> (w, y) { a[n<9] = w[n] * 2  w[n] = 0  y[n] = a[n] }");
  const Status after = verify(late, Schedule{{"a"}});
  ASSERT_FALSE(after);
  EXPECT_EQ(after.problem().message,
            "schedule of kernel `f`: stage `y` reads `a` inline, which wants the old value of `w`");
  const Kernel crossed = parsed("kernel f(inout w: f32[9]) -> (w) { a[n<9] = w[8-n]  b[n] = a[n]  w[n] = b[n] }");
  EXPECT_TRUE(verify(crossed, Schedule{{"b"}}));
  EXPECT_TRUE(verify(crossed, Schedule{{"a"}}));
  EXPECT_FALSE(verify(crossed, Schedule{{"a", "b"}}));
}

// --- order of sums (N4)

TEST(KernelOrder, Table) {
  struct Case {
    std::string stage;
    std::int64_t lanes, block;
  };
  const Case cases[] = {
      {"y[n<batch, o<64] = dot k<784 : x[k] * x[k]", 1, 0},
      {"y[n<batch, o<63] = dot k<784 : x[k] * x[k]", 2, 0},
      {"y[n<batch, o<16] = dot k<784 : x[k] * x[k]", 2, 0},
      {"y[n<batch, o<15] = dot k<784 : x[k] * x[k]", 8, 0},
      {"y[n<batch, o<8] = dot k<784 : x[k] * x[k]", 8, 0},
      {"y[n<batch, o<7] = dot k<784 : x[k] * x[k]", 16, 0},
      {"y[n<batch, o<7] = dot k<15 : x[k] * x[k]", 8, 0},
      {"y[n<batch, o<7] = dot k<784, i<3 : x[k] * x[i]", 2, 0},
      {"y[n<batch, o<7] = dot k<1 : x[k] * x[k]", 1, 0},
      {"y[n<batch, o<7] = dot k<0 : x[k] * x[k]", 1, 0},
      {"y[n<batch] = max j<1000 : x[j]", 16, 0},
      {"y[t<time] = max j<1000 : x[j]", 16, 0},
      {"y[t<time] = max j<16 : x[j]", 16, 0},
      {"y[t<time] = max j<15 : x[j]", 1, 0},
      {"y[t<time] = sum j<1000 : x[j] * 2", 1, 0},
      {"y[t<time] = sum j<1000 : x[2*j]", 1, 0},
      {"y[t<time] = sum j<1000 : x[j + t else 0]", 16, 0},
      {"y[t<time//2] = min j<1000 : x[999 - j]", 2, 0},
      {"y[] = prod j<4096 : x[j]", 16, 0},
      {"y[] = sum j<4097 : x[j]", 16, 256},
      {"y[] = sum i<64, j<64 : x[j]", 16, 0},
      {"y[] = sum i<65, j<64 : x[j]", 16, 4},
      {"y[] = sum i<65, j<65 : x[j]", 16, 4},
      {"y[] = sum i<2, j<5000 : x[j]", 16, 1},
      {"y[k<784, o<64] = dot n<batch : x[k] * x[k]", 1, 256},
      {"y[o<64] = sum n<batch, h<10 : x[h]", 1, 32},
      {"y[o<64] = sum h<10, n<batch : x[h]", 1, 256},
      {"y[o<64] = sum n<batch, t<time : x[o]", 1, 4},
      {"y[o<64] = sum t<time : x[o]", 1, 256},
      {"y[o<64] = sum n<batch, i<0 : x[o]", 1, 256},
      {"y[v<100, d<64] = sum t<9000 where v == ids[t] : x[d]", 1, 0},
      {"y[h<9] = sum i<3 where h == 2*p + i : x[p else 0]", 2, 0},
      {"y[]: i32 = argmax j<10000 : x[j]", 1, 0},
      {"y[]: i32 = argmin j<10000 : x[j]", 1, 0},
      {"y[]: bool = all j<10000 : x[j] < 0", 1, 0},
      {"y[]: bool = any n<batch : x[n] < 0", 1, 0},
      {"y[] = last j<10000 : x[j]", 1, 0},
      {"y[]: i32 = sum j<10000 : ids[j]", 1, 0},
      {"y[]: i32 = max j<10000 : ids[j]", 1, 0},
      {"y[n<9] = x[n]", 1, 0},
      {"y[a<1000000, b<1000000, c<1000000, d<1000000] = sum j<1000000, k<1000000, l<1000000 : x[j]", 1, 1},
  };
  for (const Case& c : cases) {
    const Kernel kernel = parsed("kernel f(x: f32[10000], ids: i32[10000]) -> (y) { " + c.stage + " }");
    ASSERT_FALSE(kernel.stages.empty());
    const Order order = order_of(kernel.stages[0]);
    EXPECT_EQ(order.lanes, c.lanes) << c.stage;
    EXPECT_EQ(order.block, c.block) << c.stage;
  }
}

// --- expressions

TEST(KernelExpr, Literals) {
  EXPECT_EQ(literal_str(literal_of(0.5), DType::f32), "0.5");
  EXPECT_EQ(literal_str(literal_of(1), DType::f32), "1");
  EXPECT_EQ(literal_str(literal_of(0.1), DType::f32), "0.1");
  EXPECT_EQ(literal_str(literal_of(static_cast<double>(0.1F)), DType::f32), "0.1");
  EXPECT_EQ(literal_str(literal_of(static_cast<double>(0.1F)), DType::f64), "0.10000000149011612");
  EXPECT_EQ(literal_str(literal_of(1e-5), DType::f32), "1e-05");
  EXPECT_EQ(literal_str(literal_of(-std::numeric_limits<double>::infinity()), DType::f32), "-inf");
  EXPECT_EQ(literal_str(literal_of(std::copysign(std::nan(""), -1)), DType::f64), "nan");
  EXPECT_EQ(literal_str(literal_of(-0.0), DType::f32), "-0");
  EXPECT_EQ(literal_str(literal_of_int(-3), DType::i32), "-3");
  EXPECT_EQ(literal_str(literal_of_int(std::numeric_limits<std::int64_t>::min()), DType::i64), "-9223372036854775808");
  EXPECT_EQ(literal_str(literal_of(3), DType::i32), "3");
  EXPECT_TRUE(literal_of(std::nan("")) == literal_of(-std::nan("")));
  EXPECT_FALSE(literal_of(0.0) == literal_of(-0.0));
  EXPECT_TRUE(literal_of(2) == literal_of_int(2));
  EXPECT_FALSE(literal_of(-0.0) == literal_of_int(0));
  EXPECT_FALSE(literal_of(0x1p53) == literal_of_int((std::int64_t{1} << 53) + 1));
  EXPECT_TRUE(equal(literal(DType::f32, literal_of(0.1)), literal(DType::f32, literal_of(static_cast<double>(0.1F)))));
  EXPECT_EQ(dim_value(Dim(3))->kind, Expr::Kind::literal);
}

TEST(KernelExpr, Affine) {
  const auto affine = [](std::string_view text) {
    const Kernel kernel =
        parsed("kernel f(x: f32[9], k: i32) -> (y) { y[i<9, j<9] = x[" + std::string(text) + " else 0] }");
    return affine_of(kernel.stages[0].expr->operands[0]);
  };
  const auto sum = affine("2*(i - j) + time*j + 3 - i*1 + j*2");
  ASSERT_TRUE(sum);
  ASSERT_EQ(sum->terms.size(), 2U);
  EXPECT_EQ(sum->coefficient("i"), Dim(1));
  EXPECT_EQ(sum->coefficient("j"), Dim::symbol("time"));
  EXPECT_EQ(sum->offset, Dim(3));
  EXPECT_EQ(print(expr_of(*sum)), "i + time*j + 3");
  EXPECT_TRUE(affine("i - i")->terms.empty());
  EXPECT_EQ(affine("(4*i + 2)//2")->coefficient("i"), Dim(2));
  for (const char* text : {"(4*i + 1)//2", "i//2", "i % 2", "i*j", "min(i, j)", "k[]", "i + k[]"})
    EXPECT_FALSE(affine(text)) << text;
  EXPECT_EQ(print(expr_of({{{"i", Dim(-2)}, {"j", Dim(-1)}}, Dim(-4)})), "-2*i - j - 4");
}

TEST(KernelExpr, Rewriting) {
  const ExprRef i = index("i");
  const ExprRef read = load("x", DType::f32, {apply("add", {i, literal(DType::index, literal_of_int(1))})});
  const ExprRef square = apply("mul", {read, read});
  const ExprRef moved = substitute(square, {{"i", dim_value(Dim::symbol("time"))}});
  EXPECT_EQ(print(moved), "x[time+1] * x[time+1]");
  EXPECT_EQ(moved->operands[0], moved->operands[1]);  // still one node
  EXPECT_EQ(substitute(square, {{"j", i}}), square);
  const ExprRef renamed = rename_tensors(square, {{"x", "z"}});
  EXPECT_EQ(print(renamed), "z[i+1] * z[i+1]");
  EXPECT_EQ(rename_tensors(square, {{"q", "z"}}), square);
  std::vector<std::string> loads;
  for_each_load(load("t", DType::f32, {apply("index", {load("ids", DType::i32, {i})})}),
                [&](const ExprRef& node) { loads.push_back(node->name); });
  EXPECT_EQ(loads, (std::vector<std::string>{"ids", "t"}));
  EXPECT_EQ(reducer_named("argmin"), Reducer::argmin);
  EXPECT_FALSE(reducer_named("mean"));
  EXPECT_EQ(name_of(Reducer::last), "last");
}

}  // namespace
}  // namespace tusk::kernel
