// What the MLIR back end is made of, without LLVM: functions that machines lack, names of C++, targets.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "codegen/mlir/mangle.hpp"
#include "codegen/mlir/print.hpp"
#include "codegen/mlir/processor.hpp"
#include "codegen/mlir/support.hpp"
#include "ir/base/array.hpp"
#include "ir/loop/interpret.hpp"

namespace tusk::mlir {
namespace {

template <class T>
constexpr DType kType = std::is_same_v<T, float>           ? DType::f32
                        : std::is_same_v<T, double>        ? DType::f64
                        : std::is_same_v<T, std::uint32_t> ? DType::u32
                                                           : DType::i64;

template <class T>
using Lists = std::vector<std::vector<T>>;

// The function of 16 lanes for all elements of the operands, by the loop interpreter.
template <class Out, class In>
std::vector<Out> run(const std::string& name, const Lists<In>& operands) {
  constexpr int kLanes = 16;
  const Expected<loop::Func> function = support_function(name + ".x16");
  EXPECT_TRUE(function) << function.problem().str();
  loop::Func apply;
  apply.name = "apply";
  loop::Stmt over;
  over.kind = loop::Stmt::Kind::loop;
  over.name = "i";
  over.low = loop::index_literal(0);
  over.high = loop::name("n", loop::kIndex);
  over.step = kLanes;
  const loop::ValueRef i = loop::name("i", loop::kIndex);
  std::vector<loop::BufferArg> buffers;
  for (std::size_t k = 0; k < operands.size(); ++k) {
    const loop::Scalar& parameter = function->scalars.at(k);
    apply.buffers.push_back({"in_" + parameter.name, kType<In>, true, 0, {}});
    loop::Stmt let;
    let.name = parameter.name;
    let.type = parameter.type;
    let.value = loop::load("in_" + parameter.name, parameter.type, i);
    over.body.push_back(let);
    buffers.push_back({const_cast<std::byte*>(reinterpret_cast<const std::byte*>(operands[k].data())),
                       static_cast<std::int64_t>(operands[k].size() * sizeof(In))});
  }
  over.body.insert(over.body.end(), function->body.begin(), function->body.end());
  loop::Stmt store;
  store.kind = loop::Stmt::Kind::store;
  store.base = "out";
  store.address = i;
  store.value = function->result;
  over.body.push_back(store);
  apply.buffers.push_back({"out", kType<Out>, false, 0, {}});
  apply.scalars.push_back({"n", loop::kIndex});
  apply.body.push_back(over);
  std::vector<Out> out(operands[0].size());
  buffers.push_back({reinterpret_cast<std::byte*>(out.data()), static_cast<std::int64_t>(out.size() * sizeof(Out))});
  const std::int64_t count = static_cast<std::int64_t>(out.size());
  const Status ran = loop::Interpreter(loop::Module{{apply}}).run("apply", buffers, std::vector{count});
  EXPECT_TRUE(ran) << ran.problem().str();
  return out;
}

bool same(float a, float b) {
  return (std::isnan(a) && std::isnan(b)) || std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}
bool same(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

// Numbers of all exponents, both signs, halfway cases of halves, infinities and NaN.
std::vector<float> floats(std::uint32_t seed, std::size_t count) {
  std::mt19937 random(seed);
  std::vector<float> out = {0.0F,   -0.0F,   1.0F,     -1.0F,     0.5F,  -0.5F,        1.5F,    2.5F,
                            65504,  65519.9, 65520,    -65520,    6e-8F, 2.98e-8F,     3e-8F,   8388607.5F,
                            -8e6F,  1e30F,   -1e-45F,  3.4e38F,   0.1F,  -0.3F,        0.7F,    16777217.0F,
                            2e-38F, 1e-40F,  INFINITY, -INFINITY, NAN,   0x1.ffep-15F, 6.1e-5F, -2.5F};
  while (out.size() < count) {
    const auto bits = static_cast<std::uint32_t>(random());
    out.push_back(std::bit_cast<float>(random() % 4 == 0 ? bits & 0xfffff000U : bits));
  }
  return out;
}

TEST(MlirSupport, HalvesBothWays) {
  std::vector<std::uint32_t> words;
  for (std::uint32_t word = 0; word < 65536; ++word) words.push_back(word);
  const auto half = run<float>("f16_value", Lists<std::uint32_t>{words});
  const auto brain = run<float>("bf16_value", Lists<std::uint32_t>{words});
  for (std::uint32_t word = 0; word < 65536; ++word) {
    EXPECT_TRUE(same(half[word], f16_value(static_cast<std::uint16_t>(word)))) << word;
    EXPECT_TRUE(same(brain[word], bf16_value(static_cast<std::uint16_t>(word)))) << word;
  }
  const std::vector<float> numbers = floats(1, 1 << 16);
  const auto half_bits = run<std::uint32_t>("f16_bits", Lists<float>{numbers});
  const auto brain_bits = run<std::uint32_t>("bf16_bits", Lists<float>{numbers});
  for (std::size_t k = 0; k < numbers.size(); ++k) {
    EXPECT_EQ(half_bits[k], f16_bits(numbers[k])) << numbers[k];
    EXPECT_EQ(brain_bits[k], bf16_bits(numbers[k])) << numbers[k];
  }
}

TEST(MlirSupport, FmaOfDoublesRoundsOnce) {
  const std::vector<float> a = floats(2, 1 << 16);
  std::vector<float> b = floats(3, 1 << 16);
  std::vector<float> c = floats(4, 1 << 16);
  // Half of the sums cancel, or lie near the middle of two floats.
  for (std::size_t k = 0; k < a.size(); k += 2) {
    b[k] = 1 + static_cast<float>(k % 64) * 0x1p-23F;
    c[k] = k % 4 == 0 ? -a[k] : a[k] * 0x1p-25F;
  }
  const auto y = run<float>("fma_f32", Lists<float>{a, b, c});
  for (std::size_t k = 0; k < a.size(); ++k)
    EXPECT_TRUE(same(y[k], std::fma(a[k], b[k], c[k]))) << a[k] << " " << b[k] << " " << c[k];
}

TEST(MlirSupport, WholeNumbers) {
  const std::vector<float> x = floats(5, 1 << 15);
  std::vector<double> z;
  for (const float number : x) z.push_back(static_cast<double>(number) * (z.size() % 3 == 0 ? 0x1p29 : 1));
  const auto check = [&](const std::string& name, auto wanted) {
    const auto single = run<float>(name + "_f32", Lists<float>{x});
    const auto both = run<double>(name + "_f64", Lists<double>{z});
    for (std::size_t k = 0; k < x.size(); ++k) {
      EXPECT_TRUE(same(single[k], wanted(x[k]))) << name << " " << x[k];
      EXPECT_TRUE(same(both[k], wanted(z[k]))) << name << " " << z[k];
    }
  };
  check("rint", [](auto v) { return std::nearbyint(v); });
  check("floor", [](auto v) { return std::floor(v); });
  check("ceil", [](auto v) { return std::ceil(v); });
  check("trunc", [](auto v) { return std::trunc(v); });
}

TEST(MlirSupport, KnowsNoOther) {
  const auto none = support_function("sinc.x4");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.problem().code, "codegen-mlir");
}

TEST(MlirMangle, AsTheItaniumAbi) {
  const std::string linux = "x86_64-unknown-linux-gnu";
  EXPECT_EQ(mangled("digits", "predict",
                    {"Arena&", "const Weights&", "int64", "const Predict&", "const tusk::Threads*"}, linux),
            "_ZN6digits7predictERNS_5ArenaERKNS_7WeightsElRKNS_7PredictEPKN4tusk7ThreadsE");
  EXPECT_EQ(mangled("m", "weights", {}, linux), "_ZN1m7weightsEv");
  EXPECT_EQ(mangled("m", "open", {"const void*", "size", "Weights&"}, linux), "_ZN1m4openEPKvmRNS_7WeightsE");
  EXPECT_EQ(mangled("m", "read", {"const State&", "int", "void*"}, linux), "_ZN1m4readERKNS_5StateEiPv");
  // Where long has 32 bits, int64_t is long long; size_t is unsigned int on Arm, unsigned long on wasm.
  EXPECT_EQ(mangled("m", "open", {"const void*", "size", "Weights&"}, "thumbv7em-unknown-none-eabihf"),
            "_ZN1m4openEPKvjRNS_7WeightsE");
  EXPECT_EQ(mangled("m", "f", {"Arena&", "int64"}, "wasm32-unknown-unknown"), "_ZN1m1fERNS_5ArenaEx");
  EXPECT_EQ(mangled("m", "open", {"const void*", "size", "Weights&"}, "wasm32-unknown-unknown"),
            "_ZN1m4openEPKvmRNS_7WeightsE");
  EXPECT_EQ(mangled("tusk", "f", {"const tusk::Threads*"}, linux), "_ZN4tusk1fEPKNS_7ThreadsE");
}

// Every target has a processor of its own.
TEST(MlirProcessor, OfEveryTarget) {
  for (const TargetMachine& target : targets()) {
    const Processor processor = processor_of(target);
    EXPECT_EQ(std::count(processor.triple.begin(), processor.triple.end(), '-'), 3 - (target.name == "wasm" ? 1 : 0))
        << target.name;
    EXPECT_TRUE(target.name == "generic" || processor.cpu != "x86-64") << target.name;
    if (target.lanes > 1) {
      EXPECT_EQ(processor.vector_bits, 32 * target.lanes) << target.name;
    }
  }
}

TEST(MlirPrint, NamesWhatIsNotThere) {
  loop::Func func;
  func.name = "f";
  loop::Stmt call;
  call.kind = loop::Stmt::Kind::call;
  call.name = "g";
  func.body.push_back(call);
  const auto text = print_module(loop::Module{{func}}, {"f"}, {});
  ASSERT_FALSE(text);
  EXPECT_EQ(text.problem().str(), "error: the loop module has no function `g` [codegen]\n");
}

}  // namespace
}  // namespace tusk::mlir
