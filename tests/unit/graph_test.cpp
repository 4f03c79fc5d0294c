// Graph IR: text, verifier, interpreter, symbols, bodies of composites, gradients.
#include <gtest/gtest.h>

#include <fmt/format.h>
#include <cmath>

#include "ir/graph/bind.hpp"
#include "ir/graph/gradients.hpp"
#include "ir/graph/infix.hpp"
#include "ir/graph/inline.hpp"
#include "ir/graph/interpret.hpp"
#include "ir/graph/parse.hpp"
#include "ir/graph/print.hpp"
#include "ir/graph/rewrite.hpp"
#include "ir/graph/verify.hpp"
#include "ir/text/suggest.hpp"
#include "passes/differentiate.hpp"
#include "passes/expand_composites.hpp"
#include "tests/property/random_differences.hpp"

namespace tusk::graph {
namespace {

// The value, or a failure of the test and the end of the program: every test below needs it.
template <class T>
T must(Expected<T> got) {
  if (!got) {
    ADD_FAILURE() << got.problem().str();
    std::exit(1);
  }
  return *std::move(got);
}

Module sample(std::string_view text) { return must(parse_sample(text)); }

Array f64(std::vector<std::int64_t> shape, const std::vector<double>& values) {
  Array out(DType::f64, std::move(shape));
  for (std::size_t i = 0; i < values.size(); ++i) out.set(static_cast<std::int64_t>(i), values[i]);
  return out;
}

std::vector<double> values_of(const Array& array) {
  std::vector<double> out;
  for (std::int64_t i = 0; i < array.size(); ++i) out.push_back(array.at(i));
  return out;
}

// A deterministic number in (0, 1).
double noise(std::uint64_t& state) {
  state = state * 6364136223846793005U + 1442695040888963407U;
  return (static_cast<double>(state >> 40) + 0.5) * 0x1p-24;
}

SymbolValues small_symbols(const Module& module) {
  SymbolValues out;
  for (const Symbol& symbol : module.symbols) out[symbol.name] = std::clamp<std::int64_t>(3, symbol.low, symbol.high);
  return out;
}

// Inputs between 0.1 and 0.9, where every row is smooth, unlike each other; small whole numbers for integers.
std::vector<Array> inputs_for(const Function& function, const SymbolValues& symbols, double low = 0.1) {
  std::vector<Array> out;
  std::uint64_t state = 1;
  for (const int id : function.params) {
    const Type& type = function.values[static_cast<std::size_t>(id)].type;
    std::vector<std::int64_t> shape;
    for (const Dim& dim : type.shape) shape.push_back(dim.value(value_of(symbols)));
    Array array(is_float(type.dtype) ? DType::f64 : DType::i64, shape);
    for (std::int64_t i = 0; i < array.size(); ++i) {
      const double u = noise(state);
      is_float(type.dtype) ? array.set(i, low + 0.8 * u) : array.set_int(i, static_cast<std::int64_t>(u * 4));
    }
    out.push_back(type.dtype == DType::boolean ? array.converted(DType::boolean) : array);
  }
  return out;
}

// Law 6 between 0.1 and 0.9, or as far above `low`.
void expect_gradient(Module& module, const Function& function, double low = 0.1) {
  const SymbolValues symbols = small_symbols(module);
  const Function gradient = must(differentiate(module, function));
  const Status ok = verify(module, gradient);
  ASSERT_TRUE(ok) << ok.problem().str() << print(module, gradient);
  random_tests::Slopes slopes;
  const auto broken = random_tests::broken_differences(module, function, gradient, inputs_for(function, symbols, low),
                                                       symbols, 7, slopes);
  if (broken) ADD_FAILURE() << broken->what << print(module, function);
  EXPECT_EQ(slopes.unsure, 0U) << print(module, function);
}

// --- text

constexpr std::string_view kMlp = R"(module mlp numerics 1 / fma

symbol batch in 1..64
symbol height in 32..512 step 32

state @dense/kernel : f32[4,3] = random(7) trainable
state @dense/bias : f32[3] = splat(0) trainable
state @iteration : i32[] = [0]
const @table : f32[2,2] = [1, -0, 0.1, inf]
const @counting : i32[100] = iota

func f(%x: f32[batch,4], %label: i32[batch]) -> (%y: f32[batch,3], loss = %s: f32[]) requires batch >= 2, (batch) % 2 == 0 {
  %b = broadcast @dense/bias {shape=[batch,3], dims=[1]} : f32[batch,3] loc("dense")
  %z = contract %x, @dense/kernel, %b { a[n,k] b[k,o] -> y[n,o] } : f32[batch,3] loc("dense")
  %y = map.max %z, -0.0 : f32[batch,3]
  %"a b" = map.div %y, (2*batch + 1) : f32[batch,3]
  %1 = map.mul %"a b", 2.0 : f32[batch,3]
  %s = reduce.sum %1 {axes=[0,1]} : f32[]
  %v, %i = sort %y {axis=1, descending=true} : f32[batch,3], i32[batch,3]
  update @iteration = @iteration
}

func conv(%x: f32[batch,height,5,2], %k: f32[3,3,2,3]) -> (%y: f32[batch,height//2,2,3]) {
  %y = contract %x, %k { a[n,h,w,c] b[i,j,c,o] -> y[n,p<height//2,q<2,o] where h == 2*p + i - 1, w == 2*q + 2*j + 1 } : f32[batch,height//2,2,3]
}
)";

TEST(GraphText, RoundTrip) {
  const Module module = must(parse(kMlp));
  EXPECT_EQ(print(module), kMlp);
  const Status ok = verify(module);
  EXPECT_TRUE(ok) << ok.problem().str();
  EXPECT_EQ(module.functions[0].ops.size(), 7U);
  EXPECT_TRUE(std::signbit(module.globals[3].value.at(1)));
}

TEST(GraphText, EverySampleRoundTrips) {
  for (const OpDef* def : ops()) {
    for (const std::string_view text : def->samples) {
      const Module module = sample(text);
      const Status ok = verify(module);
      EXPECT_TRUE(ok) << ok.problem().str() << text;
      const std::string once = print(module);
      EXPECT_EQ(print(must(parse(once))), once);
    }
  }
}

TEST(GraphText, LargeArraysStandInTheFile) {
  Module module =
      must(parse("module m numerics 1 / fma const @a : f32[3] = [1, 2, 3] const @b : f32[65] = random(1) "
                 "const @c : f64[70] = random(2) func f(%x: f32[65]) -> (%y) { %y = map.add %x, @b }"));
  for (Global& global : module.globals) global.text.clear();
  const std::string text = print(module);
  EXPECT_NE(text.find("const @b : f32[65] = file(0)"), std::string::npos) << text;
  EXPECT_NE(text.find("const @c : f64[70] = file(320)"), std::string::npos) << text;
  const std::vector<std::byte> weights = weights_of(module);
  EXPECT_EQ(weights.size(), 320U + 560U);
  const Module again = must(parse(text, {.file = "m", .weights = weights}));
  EXPECT_EQ(print(again), text);
  EXPECT_EQ(values_of(again.globals[2].value), values_of(module.globals[2].value));
  EXPECT_EQ(parse(text, {.file = "m", .weights = std::span(weights).first(800)}).problem().message,
            "`c` ends behind the 800 bytes of weights");
}

struct Wrong {
  std::string_view text, code, message;
};

TEST(GraphText, Errors) {
  static constexpr Wrong kWrong[] = {
      {"func f(%x: f32[4]) -> (%y) { %y = map.expp %x }", "op-variant",
       "`map` has no variant `expp`; did you mean `exp`?"},
      {"func f(%x: f32[4]) -> (%y) { %y = exp %x }", "op-unknown", "unknown op `exp`; did you mean `map.exp`?"},
      {"func f(%x: f32[4]) -> (%y) { %y = reshpae %x }", "op-unknown", "unknown op `reshpae`; did you mean `reshape`?"},
      {"func f(%x: f32[4]) -> (%y) { %y = map %x }", "op-variant", "`map` needs a variant: `map.add`"},
      {"func f(%x: f32[4]) -> (%y) { %y = reshape.a %x }", "op-variant",
       "`reshape` has no variants, found `reshape.a`"},
      {"func f(%x: f32[4]) -> (%y) { %y = map.exp %z }", "value-unknown", "unknown value `z`"},
      {"func f(%long: f32[4]) -> (%y) { %y = map.exp %lnog }", "value-unknown",
       "unknown value `lnog`; did you mean `long`?"},
      {"func f(%x: f32[4]) -> (%z) { %y = map.exp %x }", "value-unknown", "unknown value `z`"},
      {"func f(%x: f32[bacth], %z: f32[batch]) -> (%x) { }", "symbol-unknown",
       "unknown symbol `bacth`; did you mean `batch`?"},
      {"func f(%x: f32[4]) -> (%y) { %y = map.add %x, @w }", "state-unknown", "unknown state or const `w`"},
      {"func f(%x: f32[4]) -> (%y) { %y = reshape %x {shpae=[4]} }", "op-attribute",
       "unknown attribute `shpae`; did you mean `shape`?"},
      {"func f(%x: f32[4]) -> (%y) { %y = reshape %x }", "op-attribute", "`reshape` needs the attribute `shape`"},
      {"func f(%x: f32[4]) -> (%y) { %y = reshape %x {shape=[4], shape=[4]} }", "syntax",
       "attribute `shape` is given twice"},
      {"func f(%x: f32[4]) -> (%y) { %y = reshape %x {shape=[5]} }", "reshape-c1",
       "the number of elements is 4, expected 5"},
      {"func f(%x: f32[4]) -> (%y) { %y = map.exp %x : f32[5] }", "syntax", "map.exp gives f32[4], not f32[5]"},
      {"func f(%x: f32[4]) -> (%y: f32[5]) { %y = map.exp %x }", "syntax", "result is f32[4], not f32[5]"},
      {"func f(%x: f32[4]) -> (%y) { %y, %z = map.exp %x }", "syntax", "map.exp gives 1 result, found 2 names"},
      {"func f(%x: f32[4]) -> (%y) { %y = transpose }", "op-attribute", "`transpose` needs the attribute `perm`"},
      {"func f(%x: f32[4]) -> (%y) { %y = map.exp %x, %x }", "map-c1", "exp takes 1 operand, found 2"},
      {"func f(%x: f32[4]) -> (%y) { %y = cast %x, %x {to=f64} }", "cast-operands", "cast takes 1 operand, found 2"},
      {"func f(%x: f32[4]) -> (%x) { %x = map.exp %x }", "syntax", "value `%x` is defined twice"},
      {"func f(%x: f32[4], %x: f32[4]) -> (%x) { }", "syntax", "value `%x` is defined twice"},
      {"func f(%x: f32[4]) -> (%x, x = %x) { }", "syntax", "two results are named `x`"},
      {"func f(%x: f32[4]) -> (%x) { } func f(%x: f32[4]) -> (%x) { }", "syntax", "function `f` is defined twice"},
      {"func f(%x: f32[-4]) -> (%x) { }", "syntax", "extent -4 is negative"},
      {"func f(%x: float[4]) -> (%x) { }", "syntax", "expected a dtype, found `float`"},
      {"func f(%x: f32[4]) -> (%x) {", "syntax", "expected an op: % and a name, found the end of the text"},
      {"func f(%x: f32[4]) -> (%x) { update %x = %x }", "syntax", "expected a state, found `x`"},
      {"symbol n in 4..1", "syntax", "symbol `n` has no value: 4..1 step 1"},
      {"symbol n in 33..40 step 32", "syntax", "symbol `n` has no value: 33..40 step 32"},
      {"symbol n in 1..2 symbol n in 1..2", "syntax", "symbol `n` is declared twice"},
      {"symbol inf in 1..2", "syntax", "`inf` has a meaning of its own"},
      {"const @c : f32[2] = [1]", "syntax", "1 number for 2 elements"},
      {"const @c : u8[1] = [256]", "syntax", "u8 does not hold 256"},
      {"const @c : i32[1] = [0.5]", "syntax", "i32 does not hold 0.5"},
      {"const @c : f32[batch] = splat(0)", "syntax", "f32[batch] is not static"},
      {"const @c : f32[999999,999999] = splat(0)", "syntax", "f32[999999,999999] is too large"},
      {"const @c : f32[1] = [0] const @c : f32[1] = [0]", "syntax", "`c` is declared twice"},
      {"layer f", "syntax", "expected symbol, state, const or func, found `layer`"},
      {"func f(%x: f32[2,3], %k: f32[3,4]) -> (%y) { %y = contract %x, %k {spec=1} }", "syntax",
       "expected `a`, found `spec`"},
      {"func f(%x: f32[2,3]) -> (%y) { %y = softmax %x {axes=[2]} }", "softmax-c1", "axis 2 is not in [0, 2)"},
      {"func f(%x: i32[2,3]) -> (%y) { %y = silu %x }", "map-c5", "row sigmoid does not take i32"},
      {"func f(%x: f32[4]) -> (%x) requires batch % 2 == 1 { }", "syntax", "a remainder must be 0"},
      {"func f(%x: f32[4]) -> (%x) requires batch % 0 == 0 { }", "syntax", "a divisor must be positive"},
  };
  for (const Wrong& wrong : kWrong) {
    const Expected<Module> got = parse_sample(wrong.text);
    ASSERT_FALSE(got) << wrong.text;
    EXPECT_EQ(got.problem().message, wrong.message) << wrong.text;
    EXPECT_EQ(got.problem().code, wrong.code) << wrong.text;
    EXPECT_TRUE(got.problem().spot.has_value()) << wrong.text;
  }
  EXPECT_EQ(parse("module m numerics 2 / fma").problem().message, "numerics 2 is not known, only 1");
  EXPECT_EQ(parse("module m numerics 1 / x").problem().message, "expected the profile fma or muladd, found `x`");
}

TEST(GraphText, DeepNestingIsRefused) {
  const std::string deep = "const @c : f32[1] = " + std::string(100000, '[');
  EXPECT_EQ(parse_sample(deep).problem().message, "nesting is too deep");
}

// Words and signs exchanged, dropped and doubled: any text gives a module that round-trips, or an error.
TEST(GraphText, MutationsNeverCrash) {
  std::vector<std::string> texts = {std::string(kMlp)};
  for (const OpDef* def : ops()) {
    for (const std::string_view text : def->samples) texts.push_back(print(sample(text)));
  }
  std::uint64_t state = 3;
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(noise(state) * static_cast<double>(n)); };
  int accepted = 0;
  const int rounds = std::getenv("TUSK_FUZZ") != nullptr ? std::atoi(std::getenv("TUSK_FUZZ")) : 2000;
  for (int round = 0; round < rounds; ++round) {
    std::string text = texts[below(texts.size())];
    for (std::size_t edits = 1 + below(3); edits > 0; --edits) {
      const std::size_t at = below(text.size()), length = 1 + below(6);
      const std::string& other = texts[below(texts.size())];
      switch (below(4)) {
        case 0:
          text.erase(at, length);
          break;
        case 1:
          text.insert(at, text.substr(below(text.size()), length));
          break;
        case 2:
          text.replace(at, length, other.substr(below(other.size()), length));
          break;
        default:
          text[at] = "0123456789-+*/%@[]{}(),.=\"#x<"[below(29)];
          break;
      }
    }
    const Expected<Module> module = parse(text);
    if (!module) continue;
    ++accepted;
    const std::string once = print(*module);
    const Expected<Module> again = parse(once);
    ASSERT_TRUE(again) << again.problem().str() << text;
    ASSERT_EQ(print(*again), once) << text;
    const Status ok = verify(*module);
    ASSERT_TRUE(ok) << ok.problem().str() << text;
  }
  EXPECT_GT(accepted, 0);
}

TEST(GraphText, Suggestions) {
  static constexpr std::string_view kNames[] = {"strides", "padding", "dilation"};
  EXPECT_EQ(text::suggestion("stride", kNames), "; did you mean `strides`?");
  EXPECT_EQ(text::suggestion("pdading", kNames), "; did you mean `padding`?");
  EXPECT_EQ(text::suggestion("units", kNames), "");
}

TEST(Graph, NamesAreUnique) {
  Function function;
  for (int i = 0; i < 3; ++i) function.add_value("x", {});
  function.add_value("x_1", {});
  function.add_value("", {});
  function.rename(0, "x_2");
  function.rename(1, "y");
  std::vector<std::string> names;
  for (const Value& value : function.values) names.push_back(value.name);
  EXPECT_EQ(names, (std::vector<std::string>{"x_2_1", "y", "x_2", "x_1_1", "4"}));
}

// --- conditions and symbols

TEST(GraphConditions, UnprovableBecomesRequired) {
  const Module module = sample("symbol n in 1..8 func f(%x: f32[batch], %z: f32[n]) -> (%y) { %y = map.add %x, %z }");
  ASSERT_EQ(module.functions[0].conditions.size(), 1U);
  EXPECT_EQ(module.functions[0].conditions[0].str(), "batch == n");
  const std::vector<std::int64_t> shapes[] = {{3}, {4}};
  EXPECT_EQ(bind_symbols(module, module.functions[0], shapes).problem().code, "input-condition");
  const Expected<Module> refuted =
      parse_sample("symbol n in 70..80 func f(%x: f32[batch], %z: f32[n]) -> (%y) { %y = map.add %x, %z }");
  EXPECT_EQ(refuted.problem().code, "map-c3");
}

TEST(GraphSymbols, Bind) {
  const Module module = sample(
      "symbol time in 2..10 step 2 symbol one in 5..5 "
      "func f(%x: f32[batch,3], %z: f32[2*time + 1], %w: f32[batch*time]) -> (%x) { }");
  const Function& f = module.functions[0];
  using Shapes = std::vector<std::vector<std::int64_t>>;
  const auto code = [&](const Shapes& shapes) {
    const Expected<SymbolValues> got = bind_symbols(module, f, shapes);
    return got ? std::string() : got.problem().code;
  };
  const SymbolValues expected{{"batch", 7}, {"time", 4}, {"one", 5}};
  EXPECT_EQ(must(bind_symbols(module, f, Shapes{{7, 3}, {9}, {28}})), expected);
  EXPECT_EQ(code({{7, 3}, {9}}), "input-count");
  EXPECT_EQ(code({{7}, {9}, {28}}), "input-shape");
  EXPECT_EQ(code({{7, 4}, {9}, {28}}), "input-shape");
  EXPECT_EQ(code({{7, 3}, {9}, {29}}), "input-shape");
  EXPECT_EQ(code({{7, 3}, {8}, {28}}), "input-symbol");
  EXPECT_EQ(code({{7, 3}, {7}, {21}}), "input-range");
  EXPECT_EQ(code({{7, 3}, {25}, {84}}), "input-range");
  EXPECT_EQ(code({{65, 3}, {9}, {260}}), "input-range");
}

// --- verifier

TEST(GraphVerify, FindsWhatAPassBroke) {
  const Module good = sample(
      "state @s : f32[4] = splat(0) "
      "func f(%x: f32[4], %z: f32[batch]) -> (%y) { %a = map.exp %x  %y = map.exp %a  update @s = %y }");
  ASSERT_TRUE(verify(good));
  const auto message = [&](auto breaks) {
    Module module = good;
    breaks(module.functions[0], module);
    const Status ok = verify(module);
    return ok ? std::string("nothing") : ok.problem().message;
  };
  EXPECT_EQ(message([](Function& f, Module&) { std::swap(f.ops[0], f.ops[1]); }), "`%a` is read before it is defined");
  EXPECT_EQ(message([](Function& f, Module&) { f.ops.push_back(f.ops[1]); }), "`%y` is defined twice");
  EXPECT_EQ(message([](Function& f, Module&) { f.values[3].type.shape[0] = Dim(5); }),
            "`%y` is f32[5], but `map.exp` gives f32[4]");
  EXPECT_EQ(message([](Function& f, Module&) { f.values[3].name = "x"; }), "two values are named `%x`");
  EXPECT_EQ(message([](Function& f, Module&) { f.ops[0].operands[0].id = 17; }), "there is no value 17");
  EXPECT_EQ(message([](Function& f, Module&) { f.ops[0].attrs.set("axis", std::int64_t{1}); }),
            "`map.exp` has no attribute `axis`");
  EXPECT_EQ(message([](Function& f, Module&) { f.ops[0].operands.push_back(Operand::value(0)); }),
            "exp takes 1 operand, found 2");
  EXPECT_EQ(message([](Function& f, Module&) { f.ops[1].operands = {Operand::value(1)}; }),
            "`%y` is f32[4], but `map.exp` gives f32[batch]");
  EXPECT_EQ(message([](Function& f, Module&) { f.updates.push_back(f.updates[0]); }), "`@s` is updated twice");
  EXPECT_EQ(message([](Function& f, Module&) { f.updates[0].value = Operand::value(1); }),
            "`@s` is f32[4], and is updated by f32[batch]");
  EXPECT_EQ(message([](Function&, Module& m) { m.globals[0].is_state = false; }),
            "`@s` is const, and cannot be updated");
  EXPECT_EQ(message([](Function&, Module& m) { m.symbols.clear(); }), "batch has an undeclared symbol `batch`");
  EXPECT_EQ(message([](Function&, Module& m) { m.symbols[0].step = 2; }),
            "batch does not have the steps of its symbols");
  EXPECT_EQ(message([](Function&, Module& m) { m.globals[0].value = Array(DType::f32, {3}); }),
            "`@s` is f32[4], its value f32[3]");
}

// --- interpreter

TEST(GraphInterpret, ComputesInDoubleAndWraps) {
  const Module module = sample(
      "state @n : i8[] = [127] func f(%x: f32[3]) -> (%y, %n) "
      "{ %y = map.div %x, 3  %n = map.add @n, 1  update @n = %n }");
  const std::vector<Array> out = must(interpret(module, "f", {f64({3}, {1, 2, 4})}, {}));
  ASSERT_EQ(out.size(), 3U);
  EXPECT_EQ(values_of(out[0]), (std::vector<double>{1 / 3.0, 2 / 3.0, 4 / 3.0}));
  EXPECT_EQ(out[1].int_at(0), -128);
  EXPECT_EQ(out[2].int_at(0), -128);
  EXPECT_EQ(interpret(module, "g", {}, {}).problem().code, "function-unknown");
  EXPECT_EQ(interpret(module, "f", {}, {}).problem().code, "input-count");
  EXPECT_EQ(interpret(module, "f", {f64({2}, {1, 2})}, {}).problem().code, "input-type");
  const Module open = sample("func f(%x: f32[batch]) -> (%x) { }");
  EXPECT_EQ(interpret(open, "f", {f64({2}, {1, 2})}, {}).problem().message, "symbol `batch` has no value");
}

constexpr std::string_view kRunningSum = R"(module sample numerics 1 / fma

symbol time in 1..64

func f(%x: f32[time,2], %h: f32[2], %w: f32[2]) -> (%s: f32[2], %ys: f32[time,2]) {
  %s, %ys = scan %h, %x {length=[time], carries=1, take_axes=[0], take_rev=[0], stack_axes=[0], stack_rev=[0]} region (%c: f32[2], %xt: f32[2]) {
    %p = map.mul %xt, %w : f32[2]
    %n = map.add %c, %p : f32[2]
    yield %n, %n
  } : f32[2], f32[time,2]
}
)";

TEST(GraphRegions, RoundTripAndRun) {
  const Module module = must(parse(kRunningSum));
  EXPECT_EQ(print(module), kRunningSum);
  const Status ok = verify(module);
  EXPECT_TRUE(ok) << ok.problem().str();
  const std::vector<Array> out = must(interpret(
      module, "f", {f64({3, 2}, {1, 2, 3, 4, 5, 6}), f64({2}, {100, 200}), f64({2}, {1, -1})}, {{"time", 3}}));
  EXPECT_EQ(values_of(out[0]), (std::vector<double>{109, 188}));
  EXPECT_EQ(values_of(out[1]), (std::vector<double>{101, 198, 104, 194, 109, 188}));
}

TEST(GraphRegions, Scopes) {
  std::string text(kRunningSum);
  text.insert(text.rfind('}'), "  %z = map.neg %n\n");
  EXPECT_EQ(parse(text).problem().code, "value-unknown");
  Module module = must(parse(kRunningSum));
  Function& f = module.functions[0];
  f.results[0] = f.ops[0].regions[0].yields[0];
  EXPECT_EQ(verify(module).problem().message, "`%n` is read outside its region");
}

TEST(GraphRegions, DeadOpsInside) {
  std::string text(kRunningSum);
  text.insert(text.find("    yield"), "    %dead = map.exp %n\n");
  Module module = must(parse(text));
  remove_dead_ops(module.functions[0]);
  EXPECT_EQ(module.functions[0].ops[0].regions[0].ops.size(), 2U);
  EXPECT_EQ(print(module), kRunningSum);
}

TEST(GraphInterpret, ObserverSeesEveryOp) {
  const Module module = sample("func f(%x: f32[2]) -> (%y) { %a = map.neg %x  %y = silu %a }");
  std::vector<std::string> seen;
  const auto observer = [&](const Op& op, const std::vector<Array>&) { seen.push_back(text_name(op)); };
  must(interpret(module, "f", {f64({2}, {1, 2})}, {}, {.observer = observer, .choices = nullptr}));
  EXPECT_EQ(seen, (std::vector<std::string>{"map.neg", "silu"}));
}

TEST(GraphInterpret, EverySampleRuns) {
  for (const OpDef* def : ops()) {
    for (const std::string_view text : def->samples) {
      const Module module = sample(text);
      const Function& f = module.functions[0];
      const SymbolValues symbols = small_symbols(module);
      const std::vector<Array> out = must(interpret(module, f, inputs_for(f, symbols), symbols));
      for (std::size_t i = 0; i < f.results.size(); ++i) {
        std::vector<std::int64_t> shape;
        for (const Dim& dim : type_of(module, f, f.results[i]).shape) shape.push_back(dim.value(value_of(symbols)));
        EXPECT_EQ(out[i].shape(), shape) << text;
        for (const double x : values_of(out[i])) EXPECT_TRUE(std::isfinite(x)) << text;
      }
    }
  }
}

// --- composites

double composite(std::string_view op, double x) {
  const Module module = sample(fmt::format("func f(%x: f32[1]) -> (%y) {{ %y = {} }}", op));
  return must(interpret(module, "f", {f64({1}, {x})}, {}))[0].at(0);
}

TEST(Composites, MeanWhatTheySay) {
  for (const double x : {-3.0, -0.5, 0.0, 1.25, 4.0}) {
    EXPECT_NEAR(composite("silu %x", x), x / (1 + std::exp(-x)), 1e-14);
    EXPECT_NEAR(composite("softplus %x", x), std::log1p(std::exp(x)), 1e-14);
    EXPECT_NEAR(composite("gelu %x", x), 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))), 1e-14);
    const double u = std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x);
    EXPECT_NEAR(composite("gelu %x {approximate=true}", x), 0.5 * x * (1 + std::tanh(u)), 1e-14);
    EXPECT_NEAR(composite("logsumexp %x {axes=[0]}", x), x, 1e-14);
  }
  EXPECT_EQ(composite("softplus %x", 1000), 1000);
  EXPECT_EQ(composite("logsumexp %x {axes=[0]}", -INFINITY), -INFINITY);
  EXPECT_EQ(composite("logsumexp %x {axes=[0]}", INFINITY), INFINITY);
}

TEST(Composites, MomentsPerSampleAreTheMoments) {
  const Module module = sample("func f(%x: f32[batch,2,2,2]) -> (%m, %v) { %m, %v = batch_moments %x {axes=[0,1,2]} }");
  const SymbolValues symbols{{"batch", 3}};
  const std::vector<Array> inputs = inputs_for(module.functions[0], symbols);
  const std::vector<Array> out = must(interpret(module, "f", inputs, symbols));
  for (std::int64_t c = 0; c < 2; ++c) {
    double mean = 0, variance = 0;
    for (std::int64_t i = 0; i < 12; ++i) mean += inputs[0].at(2 * i + c) / 12;
    for (std::int64_t i = 0; i < 12; ++i) variance += std::pow(inputs[0].at(2 * i + c) - mean, 2) / 12;
    EXPECT_NEAR(out[0].at(c), mean, 1e-15);
    EXPECT_NEAR(out[1].at(c), variance, 1e-15);
  }
}

TEST(Composites, ExpansionKeepsMeaningAndNames) {
  for (const OpDef* def : ops()) {
    if (def->body.empty()) continue;
    for (const std::string_view text : def->samples) {
      const Module before = sample(text);
      Module after = before;
      const Status expanded = tusk::expand_composites(after);
      ASSERT_TRUE(expanded) << expanded.problem().str();
      const Status ok = verify(after);
      ASSERT_TRUE(ok) << ok.problem().str() << print(after);
      for (const Op& op : after.functions[0].ops) EXPECT_TRUE(op.def->body.empty());
      EXPECT_EQ(after.functions[0].results, before.functions[0].results);
      const SymbolValues symbols = small_symbols(before);
      const std::vector<Array> inputs = inputs_for(before.functions[0], symbols);
      const std::vector<Array> a = must(interpret(before, "f", inputs, symbols));
      const std::vector<Array> b = must(interpret(after, "f", inputs, symbols));
      for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(values_of(a[i]), values_of(b[i])) << text;
    }
  }
}

TEST(Composites, ErrorsNameTheBody) {
  const Diagnostic problem =
      parse_sample(
          "func f(%x: f32[2,3], %m: f32[4], %v: f32[4]) -> (%y) { %y = normalize %x, %m, %v {axes=[1]} loc(\"bn\") }")
          .problem();
  EXPECT_EQ(problem.code, "broadcast-c3");
  EXPECT_EQ(problem.layer, "bn");
  EXPECT_EQ(problem.notes.back(), "in the body of `normalize`");
}

// --- gradients

TEST(Infix, FoldsNumbersAndPushesTheProductDown) {
  Module module = sample("func f(%x: f32[batch], %z: f32[batch]) -> (%x) { }");
  Function& f = module.functions[0];
  const auto text = [&](std::string_view row, std::size_t i, const std::vector<Operand>& operands) {
    std::vector<Op> ops;
    Function copy = f;
    Builder b(module, copy, ops);
    const std::optional<Operand> dx =
        row_gradient(b, *row_named(row), i, operands, Operand::value(0), Operand::value(1));
    EXPECT_FALSE(b.problem) << b.problem->str();
    std::string out;
    for (const Op& op : ops) {
      out += op.variant + "(";
      for (const Operand& o : op.operands) out += (&o == op.operands.data() ? "" : ", ") + str(module, copy, o);
      out += ") ";
    }
    return dx ? out : "zero";
  };
  const Operand x = Operand::value(0), z = Operand::value(1), n = Operand::of(module.dim_of_symbol("batch"));
  EXPECT_EQ(text("add", 0, {x, z}), "");
  EXPECT_EQ(text("sub", 1, {x, z}), "neg(%z) ");
  EXPECT_EQ(text("div", 0, {x, n}), "div(%z, batch) ");
  EXPECT_EQ(text("floor", 0, {x}), "zero");
  EXPECT_EQ(text("relu", 0, {x}), "gt(%x, 0) select(%gt, %z, 0.0) ");
  EXPECT_EQ(text("pow", 0, {x, Operand::number(3)}), "mul(%z, 3.0) pow(%x, 2.0) mul(%mul, %pow) ");
  EXPECT_EQ(text("pow", 0, {x, n}), "mul(%z, batch) pow(%x, (batch - 1)) mul(%mul, %pow) ");
  std::vector<Op> ops;
  Builder b(module, f, ops);
  EXPECT_EQ(emit_infix(b, "a + ", {{"a", x}}).problem().message,
            "expected a number or a name, found the end of the text");
  EXPECT_EQ(emit_infix(b, "a b", {{"a", x}}).problem().message, "expected the end of the formula, found `b`");
}

TEST(Differentiate, NamesAndShape) {
  Module module = sample(
      "state @w : f32[4,3] = random(1) trainable "
      "func f(%x: f32[batch,4], %i: i32[batch]) -> (%y, %i) { %y = contract %x, @w { a[n,k] b[k,o] -> y[n,o] } }");
  const Function gradient = must(differentiate(module, module.functions[0], {.globals = true}));
  EXPECT_EQ(
      print(module, gradient),
      "func f_grad(%x: f32[batch,4], %i: i32[batch], %d_y: f32[batch,3]) -> (%d_x: f32[batch,4], %d_w: f32[4,3]) {\n"
      "  %d_x = contract %d_y, @w { a[n,o] b[k,o] -> y[n,k] } : f32[batch,4]\n"
      "  %d_w = contract %x, %d_y { a[n,k] b[n,o] -> y[k,o] } : f32[4,3]\n"
      "}\n");
}

TEST(Differentiate, SumsContributionsAndGivesZeros) {
  Module module = sample("func f(%x: f32[3], %z: f32[3]) -> (%y) { %a = map.mul %x, %x  %y = map.add %a, %x }");
  const Function gradient = must(differentiate(module, module.functions[0]));
  const std::vector<Array> out =
      must(interpret(module, gradient, {f64({3}, {1, 2, 3}), f64({3}, {0, 0, 0}), f64({3}, {1, 1, 1})}, {}));
  EXPECT_EQ(values_of(out[0]), (std::vector<double>{3, 5, 7}));
  EXPECT_EQ(values_of(out[1]), (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(print(module, gradient),
            "func f_grad(%x: f32[3], %z: f32[3], %d_y: f32[3]) -> (%d_x: f32[3], %d_z: f32[3]) {\n"
            "  %d_x.part = map.mul %d_y, %x : f32[3]\n"
            "  %d_x.part_1 = map.mul %d_y, %x : f32[3]\n"
            "  %d_x.part_2 = map.add %d_y, %d_x.part : f32[3]\n"
            "  %d_x = map.add %d_x.part_2, %d_x.part_1 : f32[3]\n"
            "  %const = const {value=f32[] [0]} : f32[]\n"
            "  %d_z = broadcast %const {shape=[3], dims=[]} : f32[3]\n"
            "}\n");
}

TEST(Differentiate, RefusesByName) {
  Module module = sample("func f(%x: f32[3]) -> (%y) { %y = map.digamma %x loc(\"model/loss\") }");
  const Expected<Function> got = differentiate(module, module.functions[0]);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.problem().message, "`map.digamma` has no gradient");
  EXPECT_EQ(got.problem().code, "no-gradient");
  EXPECT_EQ(got.problem().layer, "model/loss");
}

TEST(Differentiate, EveryRow) {
  for (const Row& row : rows()) {
    if (row.derivative[0].empty() && row.derivative[1].empty() && row.derivative[2].empty()) continue;
    if (row.basic == Basic::convert || row.name == "select") continue;
    const std::string operands = row.arity == 1 ? "%a" : row.arity == 2 ? "%a, %b" : "%a, %b, %c";
    Module module = sample(
        fmt::format("func f(%a: f64[6], %b: f64[6], %c: f64[6]) -> (%y) {{ %y = map.{} {} }}", row.name, operands));
    expect_gradient(module, module.functions[0], row.name == "acosh" ? 1.1 : 0.1);
  }
}

TEST(Differentiate, EverySample) {
  for (const OpDef* def : ops()) {
    for (const std::string_view text : def->samples) {
      Module module = sample(text);
      SCOPED_TRACE(text);
      const Expected<Function> gradient = differentiate(module, module.functions[0]);
      if (gradient) {
        expect_gradient(module, module.functions[0]);
      } else {
        EXPECT_TRUE(gradient.problem().code.ends_with("-gradient")) << gradient.problem().str();
      }
    }
  }
}

TEST(Differentiate, SecondDerivatives) {
  for (const std::string_view text :
       {"func f(%x: f64[2,3]) -> (%y) { %y = softmax %x {axes=[1]} }", "func f(%x: f64[2,3]) -> (%y) { %y = gelu %x }",
        "func f(%x: f64[4,3]) -> (%m, %v) { %m, %v = batch_moments %x {axes=[0]} }",
        "func f(%x: f64[1,5,2], %k: f64[3,2,2]) -> (%y) { %y = contract %x, %k { a[n,t,c] b[i,c,o] -> y[n,p<3,o] where "
        "t == 2*p + i - 1 } }"}) {
    Module module = sample(text);
    const Function gradient = must(differentiate(module, module.functions[0]));
    expect_gradient(module, gradient);
  }
}

TEST(Differentiate, AppendsToATrainingStep) {
  Module module = sample(
      "state @w : f32[3] = [1, 2, 3] trainable func f(%x: f32[3]) -> (%l) "
      "{ %p = map.mul %x, @w  %l = reduce.sum %p {axes=[0]} }");
  Function& f = module.functions[0];
  const std::vector<Operand> gradient = must(append_gradients(module, f, f.results[0], {Operand::global(0)}));
  f.updates.push_back({0, gradient[0]});
  const Status ok = verify(module);
  ASSERT_TRUE(ok) << ok.problem().str();
  const std::vector<Array> out = must(interpret(module, "f", {f64({3}, {4, 5, 6})}, {}));
  EXPECT_EQ(out[0].at(0), 4 + 10 + 18);
  EXPECT_EQ(values_of(out[1]), (std::vector<double>{4, 5, 6}));
  EXPECT_EQ(append_gradients(module, f, f.ops[0].operands[0], {}).problem().code, "loss-type");
}

}  // namespace
}  // namespace tusk::graph
