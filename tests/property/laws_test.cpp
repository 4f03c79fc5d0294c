// The laws of docs/ir.md section 8, for every sample of every op: a new op is tested the moment it is listed.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <utility>

#include "ir/graph/bind.hpp"
#include "ir/graph/interpret.hpp"
#include "ir/graph/op.hpp"
#include "ir/graph/parse.hpp"
#include "ir/graph/print.hpp"
#include "ir/graph/verify.hpp"
#include "ir/kernel/parse.hpp"
#include "ir/kernel/print.hpp"
#include "ir/kernel/verify.hpp"
#include "ir/loop/parse.hpp"
#include "ir/loop/print.hpp"
#include "ir/loop/verify.hpp"
#include "passes/differentiate.hpp"
#include "passes/pipeline.hpp"
#include "passes/run_loops.hpp"
#include "tests/property/function_laws.hpp"
#include "tests/property/random_common.hpp"
#include "tests/property/random_differences.hpp"
#include "tests/property/random_laws.hpp"

namespace tusk {
namespace {

struct Sample {
  std::string op;
  std::size_t number;
  std::string text;
};

std::vector<Sample> samples() {
  std::vector<Sample> out;
  for (const graph::OpDef* op : graph::ops()) {
    for (std::size_t i = 0; i < op->samples.size(); ++i)
      out.push_back({std::string(op->name), i, std::string(op->samples[i])});
  }
  return out;
}

std::ostream& operator<<(std::ostream& out, const Sample& sample) { return out << sample.text; }

Array random_input(DType type, std::vector<std::int64_t> shape, std::mt19937& random) {
  Array out(type, std::move(shape));
  for (std::int64_t i = 0; i < out.size(); ++i) {
    if (is_float(type)) {
      out.set(i, std::uniform_real_distribution<double>(-2, 2)(random));
    } else {
      const int low = type == DType::u8 || type == DType::u32 || type == DType::boolean ? 0 : -3;
      out.set_int(i, std::uniform_int_distribution<int>(low, type == DType::boolean ? 1 : 6)(random));
    }
  }
  return out;
}

constexpr std::int64_t kBatch = 3;
constexpr std::int64_t kTime = 5;

Symbols symbols_of(const graph::Module& module) {
  Symbols out;
  for (const graph::Symbol& symbol : module.symbols) out[symbol.name] = symbol.name == "batch" ? kBatch : kTime;
  return out;
}

std::vector<Array> inputs_of(const graph::Function& function, const Symbols& symbols, unsigned seed) {
  std::mt19937 random(seed);
  const ValueOf value_of = [&](std::string_view name) { return symbols.at(std::string(name)); };
  std::vector<Array> inputs;
  for (const int param : function.params) {
    const graph::Type& type = function.values[static_cast<std::size_t>(param)].type;
    std::vector<std::int64_t> shape;
    for (const Dim& dim : type.shape) shape.push_back(dim.value(value_of));
    inputs.push_back(random_input(type.dtype, std::move(shape), random));
  }
  return inputs;
}

testing::AssertionResult same_bits(const Array& a, const Array& b) {
  const std::string what = random_tests::difference(a, b);
  return what.empty() ? testing::AssertionSuccess() : testing::AssertionFailure() << what;
}

template <class T>
T must(Expected<T> value) {
  if (!value) {
    ADD_FAILURE() << value.problem().str();
    throw std::runtime_error(value.problem().str());
  }
  return *std::move(value);
}

Lowered lowered(const graph::Module& module, PassOptions options) {
  return std::get<Lowered>(must(run_pipeline(module, options, "", [](const Pass& pass, const Ir& ir) {
    if (const auto* graph = std::get_if<graph::Module>(&ir)) {
      const Status ok = graph::verify(*graph);
      EXPECT_TRUE(ok) << "after " << pass.name << ": " << ok.problem().str() << graph::print(*graph);
    } else if (const auto* program = std::get_if<kernel::Program>(&ir)) {
      const Status ok = kernel::verify(*program);
      EXPECT_TRUE(ok) << "after " << pass.name << ": " << ok.problem().str() << kernel::print(*program);
    }
  })));
}

class Laws : public testing::TestWithParam<Sample> {};

TEST_P(Laws, GraphTextRoundTrips) {
  const graph::Module module = must(graph::parse_sample(GetParam().text));
  const std::string text = graph::print(module);
  EXPECT_EQ(graph::print(must(graph::parse(text))), text);
  const Status ok = graph::verify(module);
  EXPECT_TRUE(ok) << ok.problem().str();
}

TEST_P(Laws, KernelAndLoopTextRoundTrip) {
  const graph::Module module = must(graph::parse_sample(GetParam().text));
  for (const bool empty : {false, true}) {
    PassOptions options;
    options.empty_schedule = empty;
    const Lowered low = lowered(module, options);
    const RangeOf ranges = module.ranges();
    for (const kernel::Kernel& kernel : low.program.kernels) {
      const std::string text = kernel::print(kernel);
      EXPECT_EQ(kernel::print(must(kernel::parse_kernel(text))), text);
      const Status ok = kernel::verify(kernel, ranges);
      EXPECT_TRUE(ok) << ok.problem().str() << text;
    }
    const std::string text = loop::print(low.loops);
    const loop::Module again = must(loop::parse(text));
    EXPECT_EQ(loop::print(again), text);
    const Status ok = loop::verify(low.loops);
    EXPECT_TRUE(ok) << ok.problem().str() << text;
  }
}

// Law 3, in one bound for all of a result: small beside its largest element.
void expect_near(const std::vector<Array>& results, const std::vector<Array>& truth, const std::string& text) {
  ASSERT_EQ(results.size(), truth.size());
  for (std::size_t k = 0; k < results.size(); ++k) {
    double largest = 1;
    for (std::int64_t i = 0; i < truth[k].size(); ++i) {
      if (std::isfinite(truth[k].at(i))) largest = std::max(largest, std::abs(truth[k].at(i)));
    }
    const double epsilon = results[k].dtype() == DType::f16    ? 2e-3
                           : results[k].dtype() == DType::bf16 ? 1e-2
                           : results[k].dtype() == DType::f64  ? 1e-12
                                                               : 2e-6;
    for (std::int64_t i = 0; i < results[k].size(); ++i) {
      const double a = results[k].at(i);
      const double b = truth[k].at(i);
      if (std::isnan(a) && std::isnan(b)) continue;
      ASSERT_NEAR(a, b, (is_float(results[k].dtype()) ? epsilon : 0) * largest)
          << "result " << k << " element " << i << "\n"
          << text;
    }
  }
}

// The empty schedule, that of every machine, and the rule W3 by comparison.
std::vector<PassOptions> every_schedule(bool brute_force) {
  std::vector<PassOptions> out{PassOptions{true, true, false}};
  if (brute_force) out.push_back(PassOptions{true, false, true});
  for (const TargetMachine& target : random_tests::test_targets())
    out.push_back(PassOptions{true, false, false, &target});
  return out;
}

// Laws 3, 4 and 9: near the double interpreter, the same bits under every schedule, with a poisoned arena.
TEST_P(Laws, EnginesAgree) {
  const graph::Module module = must(graph::parse_sample(GetParam().text));
  const graph::Function& function = module.functions[0];
  const Symbols symbols = symbols_of(module);
  for (unsigned seed = 1; seed <= 3; ++seed) {
    const std::vector<Array> inputs = inputs_of(function, symbols, seed);
    const std::vector<Array> truth = must(graph::interpret(module, function, inputs, symbols));
    const Lowered fused = lowered(module, {});
    const std::vector<Array> results = must(run_loops(fused.program, fused.loops, function.name, inputs, symbols));
    expect_near(results, truth, loop::print(fused.loops));
    for (const PassOptions& options : every_schedule(true)) {
      const Lowered other = lowered(module, options);
      const std::vector<Array> again = must(run_loops(other.program, other.loops, function.name, inputs, symbols));
      for (std::size_t k = 0; k < results.size(); ++k)
        EXPECT_TRUE(same_bits(results[k], again[k])) << loop::print(other.loops);
    }
  }
}

// A gradient is a function like any other: laws 3 and 4 hold for it.
void expect_gradient_runs(const graph::Module& module, const graph::Function& gradient, std::vector<Array> arguments,
                          const Symbols& symbols) {
  graph::Module alone = module;
  alone.functions = {gradient};
  const std::string text = graph::print(alone);
  EXPECT_EQ(graph::print(must(graph::parse(text))), text);
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const graph::Type& type = gradient.values[static_cast<std::size_t>(gradient.params[i])].type;
    arguments[i] = arguments[i].converted(type.dtype);
  }
  const std::vector<Array> truth = must(graph::interpret(alone, gradient, arguments, symbols));
  const Lowered fused = lowered(alone, {});
  const std::vector<Array> results = must(run_loops(fused.program, fused.loops, gradient.name, arguments, symbols));
  expect_near(results, truth, text);
  for (const PassOptions& options : every_schedule(false)) {
    const Lowered other = lowered(alone, options);
    const std::vector<Array> again = must(run_loops(other.program, other.loops, gradient.name, arguments, symbols));
    for (std::size_t k = 0; k < results.size(); ++k)
      EXPECT_TRUE(same_bits(results[k], again[k])) << options.target->name << "\n" << text;
  }
}

// Law 6: gradients against differences in double, with decisions held.
TEST_P(Laws, GradientsAgreeWithDifferences) {
  graph::Module module = must(graph::parse_sample(GetParam().text));
  const graph::Function function = module.functions[0];
  const graph::OpDef& op = *graph::op_named(GetParam().op);
  if (op.gradient == nullptr && op.gradient_body.empty() && op.body.empty()) GTEST_SKIP() << op.gradient_note;
  bool floating = false;
  for (const graph::Operand& result : function.results)
    floating = floating || is_float(type_of(module, function, result).dtype);
  if (!floating) GTEST_SKIP() << "no floating result";
  Expected<graph::Function> differentiated = differentiate(module, function);
  if (!differentiated && differentiated.problem().code.ends_with("-gradient"))
    GTEST_SKIP() << differentiated.problem().message;
  const graph::Function gradient = must(std::move(differentiated));
  const Symbols symbols = symbols_of(module);
  std::vector<Array> inputs = inputs_of(function, symbols, 7);
  for (Array& input : inputs) {
    if (is_float(input.dtype())) input = input.converted(DType::f64);
  }
  const std::vector<Array> base = must(graph::interpret(module, function, inputs, symbols));
  std::mt19937 random(11);
  std::vector<Array> arguments = inputs;
  for (std::size_t k = 0; k < base.size(); ++k) {
    if (is_float(type_of(module, function, function.results[k]).dtype))
      arguments.push_back(random_input(DType::f64, base[k].shape(), random));
  }
  expect_gradient_runs(module, gradient, arguments, symbols);
  random_tests::Slopes slopes;
  const auto broken = random_tests::broken_differences(module, function, gradient, inputs, symbols, 11, slopes);
  if (broken) ADD_FAILURE() << broken->law << "\n" << broken->what;
  EXPECT_EQ(slopes.unsure, 0U);
}

void expect_held(const std::optional<random_tests::Failure>& broken) {
  if (broken) ADD_FAILURE() << broken->law << "\n" << broken->what;
}

TEST_P(Laws, EveryPassKeepsBits) {
  const graph::Module module = must(graph::parse_sample(GetParam().text));
  const Symbols symbols = symbols_of(module);
  expect_held(random_tests::broken_passes(module, inputs_of(module.functions[0], symbols, 4), symbols));
}

TEST_P(Laws, BatchIsCallsOfOne) {
  const graph::Module module = must(graph::parse_sample(GetParam().text));
  const Symbols symbols = symbols_of(module);
  std::string left_out;
  expect_held(random_tests::broken_batch(module, inputs_of(module.functions[0], symbols, 5), symbols, left_out));
  if (!left_out.empty()) GTEST_SKIP() << left_out;
}

// Law 8: a symbol with one value gives the bits of a symbol left open.
TEST_P(Laws, FixedSymbolsKeepBits) {
  const graph::Module module = must(graph::parse_sample(GetParam().text));
  const graph::Function& function = module.functions[0];
  const Symbols symbols = symbols_of(module);
  if (symbols.empty()) GTEST_SKIP() << "no symbol";
  graph::Module fixed = module;
  for (graph::Symbol& symbol : fixed.symbols) symbol.low = symbol.high = symbols.at(symbol.name);
  const std::vector<Array> inputs = inputs_of(function, symbols, 6);
  const Lowered open = lowered(module, {});
  const Lowered closed = lowered(fixed, {});
  const std::vector<Array> a = must(run_loops(open.program, open.loops, function.name, inputs, symbols));
  const std::vector<Array> b = must(run_loops(closed.program, closed.loops, function.name, inputs, symbols));
  for (std::size_t k = 0; k < a.size(); ++k) EXPECT_TRUE(same_bits(a[k], b[k]));
}

TEST_P(Laws, ArenaIsNearItsBound) {
  expect_held(random_tests::broken_arena(must(graph::parse_sample(GetParam().text))));
}

INSTANTIATE_TEST_SUITE_P(Ops, Laws, testing::ValuesIn(samples()), [](const testing::TestParamInfo<Sample>& sample) {
  return sample.param.op + "_" + std::to_string(sample.param.number);
});

}  // namespace
}  // namespace tusk
