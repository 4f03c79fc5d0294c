// What a register tile reads again, and how many registers it would take to keep it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>
#include <string>
#include <vector>

#include "codegen/cpp/print_loop.hpp"
#include "codegen/cpp/rereads.hpp"
#include "ir/loop/parse.hpp"

namespace tusk {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

loop::Module parsed(const std::string& text) {
  Expected<loop::Module> module = loop::parse(text);
  EXPECT_TRUE(module) << module.problem().str();
  return *std::move(module);
}

std::string printed(const loop::Module& module) {
  const Expected<cpp::LoopText> text = cpp::print_loops(module, {"f"});
  EXPECT_TRUE(text);
  return text->text;
}

// Two rows of three pixels by three taps: x[1] and x[2] are read for another row before.
constexpr const char* kTaps = R"(
  loop k(x: f32* const, w: f32* const, y: f32*) {
    w0 = load f32x8 w[0]
    a = load f32x8 x[0]
    s0 = a * w0
    b = load f32x8 x[8]
    t0 = b * w0
    w1 = load f32x8 w[8]
    c = load f32x8 x[8]
    s1 = fma(c, w1, s0)
    d = load f32x8 x[16]
    t1 = fma(d, w1, t0)
    w2 = load f32x8 w[16]
    e = load f32x8 x[16]
    s2 = fma(e, w2, s1)
    g = load f32x8 x[24]
    t2 = fma(g, w2, t1)
    store y[0], s2
    store y[8], t2
  }
  loop f(x: f32* const, w: f32* const, y: f32*) { call k(x, w, y) }
)";

TEST(Rereads, AreCountedWithTheSums) {
  const loop::Module module = parsed(kTaps);
  const loop::Func& func = *module.func("k");
  const auto found = cpp::rereads(func);
  std::vector<std::string> names;
  for (const loop::Stmt& stmt : func.body) {
    if (found.contains(&stmt)) names.push_back(fmt::format("{} {}", stmt.name, found.at(&stmt)));
  }
  // Where d is read: both sums, x[16] and the weights of this tap; x[24] is an operand of one instruction.
  EXPECT_THAT(names, testing::ElementsAre("c 4", "e 4"));
}

// Sums of a tile, each of an own place of x, in a loop that reads x[0] for all of them.
std::string tile_of(int sums) {
  std::string names, carries, reads, yields, stores;
  for (int k = 0; k < sums; ++k) {
    const char* comma = k == 0 ? "" : ", ";
    names += fmt::format("{}s{}", comma, k);
    carries += fmt::format("{}a{} = splat 8 f32(0.0)", comma, k);
    reads += fmt::format("p{0} = load f32x8 x[i*8 + {1}]\n", k, 8 * k);
    yields += fmt::format("{0}fma(p{1}, p0, a{1})", comma, k);
    stores += fmt::format("store y[{}], s{}\n", 8 * k, k);
  }
  return fmt::format(
      "loop k(x: f32* const, y: f32*) {{\n{} = for i = 0 to 9 step 1 carry ({}) {{\n{}yield {}\n}}\n{}}}\n"
      "loop f(x: f32* const, y: f32*) {{ call k(x, y) }}",
      names, carries, reads, yields, stores);
}

TEST(Rereads, TurnsOfALoopOverTermsShare) {
  const std::string text = printed(parsed(tile_of(18)));
  EXPECT_THAT(text, HasSubstr("namespace kernel {\n\n#if TUSK_LANES"));
  EXPECT_THAT(text, ContainsRegex("\\+\\+i\\) \\{\n    read_again<[23][0-9]>\\(\\);\n"));
}

// Any machine with vectors has sixteen registers, and compilers read again by themselves where two are missing.
TEST(Rereads, NoneWhereAllMachinesHaveRegisters) {
  EXPECT_THAT(printed(parsed(tile_of(4))), Not(HasSubstr("read_again")));
  EXPECT_THAT(printed(parsed(kTaps)), Not(HasSubstr("read_again")));
}

TEST(Rereads, NoneWithoutTiles) {
  const std::string text = printed(parsed(R"(
    loop k(x: f32* const, y: f32*) {
      s = for i = 0 to 9 step 1 carry (a = f32(0.0)) { yield fma(load x[i], load x[i + 1], a) }
      store y[0], s
      p = load x[3]
      store y[1], p
      q = load x[3]
      store y[2], q
    }
    loop f(x: f32* const, y: f32*) { call k(x, y) })"));
  EXPECT_THAT(text, Not(HasSubstr("read_again")));
}

}  // namespace
}  // namespace tusk
