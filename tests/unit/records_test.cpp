// Records of schedules: keys of kernels, the text, what a record may say, and what a kernel costs.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "driver/kernel_cost.hpp"
#include "ir/kernel/parse.hpp"
#include "ir/kernel/print.hpp"
#include "ir/kernel/records.hpp"
#include "ir/kernel/verify.hpp"
#include "passes/schedule.hpp"
#include "passes/schedule_records.hpp"

namespace tusk::kernel {
namespace {

using testing::HasSubstr;

Program program_of(const std::string& text) {
  Expected<Program> program = parse_program(text);
  if (!program) throw std::runtime_error(program.problem().str());
  if (const Status ok = verify(*program); !ok) throw std::runtime_error(ok.problem().str());
  return *std::move(program);
}

// A layer `y = relu(x w)`, of which a test changes something.
struct Layer {
  std::string name = "dense", weights = "kernel", layer = "dense";
  std::int64_t units = 64;
  std::string type = "f32", place = "input", function = "relu";

  std::string text() const {
    const bool is_view = place.starts_with("view");
    return fmt::format(
        R"(program "p" profile fma
symbol batch in 1..64
const @w: {6}[32,{3}]
kernel {0}(x: f32[batch,32], {1}: {6}[32,{3}]) -> (y) loc("{2}") {{
  {0}_z[n<batch, o<{3}] = dot k<32 : x[n,k] * {1}[k,o]
  y[n,o] = {4}({0}_z[n,o])
}}
schedule {0} {{
  at {0}_z : innermost registers
}}
func f(x{7}) -> (y) {{
  tensor x: f32[batch,32] input
{8}  tensor w: {6}[32,{3}] {5}
  tensor y: f32[batch,{3}] output
  y = {0}(x, w) loc("{2}")
}}
)",
        name, weights, layer, units, function, place, type,
        place == "input" ? ", w"
        : is_view        ? ", base"
                         : "",
        is_view ? fmt::format("  tensor base: {}[{},32] input\n", type, units) : "");
  }
  Program program() const { return program_of(text()); }
  std::string key() const {
    const Program p = program();
    return normal_form(p.kernels[0], p.schedules[0], p.functions[0], p.functions[0].steps[0]).key;
  }
};

TEST(Records, KeysForgetNames) {
  const std::string key = Layer{}.key();
  EXPECT_EQ(key.size(), 17U);
  EXPECT_EQ((Layer{.name = "dense_1", .weights = "w_2", .layer = "head/dense_1"}.key()), key);
}

TEST(Records, KeysTellKernelsApart) {
  const std::vector<Layer> layers = {{},
                                     {.units = 65},
                                     {.type = "f16"},
                                     {.place = "const @w"},
                                     {.function = "exp"},
                                     {.place = "view base strides [1,32]"}};
  std::set<std::string> keys;
  for (const Layer& layer : layers) keys.insert(layer.key());
  EXPECT_EQ(keys.size(), layers.size());
}

TEST(Records, TextReadsBack) {
  const std::string text =
      "schedule k1 for skylake-avx512 {\n"
      "  copy a : x0 of s1 border\n"
      "  copy b : x1 of s1 last 0\n"
      "  copy c : b of s1 panels 32\n"
      "  blocks d : s1\n"
      "  at s0, b : innermost registers\n"
      "  at a : n of s1\n"
      "  outer s1 : n 2\n"
      "  split s1 : h 2\n"
      "  tile s1 : n 6, o 16\n"
      "  vector s1 : o 8\n"
      "  order s1 : o, n\n"
      "  unroll s1 : k\n"
      "}\n"
      "schedule k2 for armv8-a {\n"
      "}\n"
      "schedule k2 {\n"
      "}\n";
  const auto records = parse_records(text);
  ASSERT_TRUE(records) << records.problem().str();
  std::string again;
  for (const ScheduleRecord& record : *records) again += print(record);
  EXPECT_EQ(again, text);
  EXPECT_EQ((*records)[1].spot.line, 15);
}

std::string problem_of(const std::string& text) {
  const auto records = parse_records(text);
  if (records) return "";
  const SourceSpot& spot = *records.problem().spot;
  return fmt::format("{}:{}: {}", spot.line, spot.column, records.problem().message);
}

TEST(Records, TextsThatDoNotParse) {
  EXPECT_EQ(problem_of("kernel k"), "1:1: expected `schedule`, found `kernel`");
  EXPECT_EQ(problem_of("schedule {"), "1:10: expected the key of a kernel, found `{`");
  EXPECT_EQ(problem_of("schedule k for {"), "1:16: expected a target, found `{`");
  EXPECT_EQ(problem_of("schedule k {\n  copy a : x of s sideways 1 }"),
            "2:19: expected border, bands, last or panels, found `sideways`");
  EXPECT_EQ(problem_of("schedule k {\n  copy a : x of s border\n  copy a : y of s border }"),
            "3:8: a second stage `a` is added");
  EXPECT_EQ(problem_of("schedule k {} schedule k {}"), "1:24: a second record of `k`");
  EXPECT_EQ(problem_of("schedule k { tile s : n 2"),
            "1:26: expected copy, blocks, at, tile, vector, order, split, unroll, outer or parallel, found the end of "
            "the text");
}

// What becomes of a layer with a record of these lines: the program's text, or the error.
std::string scheduled(const Layer& layer, const std::string& lines, const std::string& target = "haswell") {
  const auto records = parse_records(fmt::format("schedule {} {{ {} }}", layer.key(), lines));
  if (!records) return records.problem().str();
  const auto out = schedule_by_records(layer.program(), **target_named(target), *records);
  return out ? print(out->program) : out.problem().str();
}

TEST(Records, TakeThePlaceOfWhatIsChosen) {
  const std::string lines = "at s0 : innermost registers tile s1 : n 3, o 8 vector s1 : o 4";
  const std::string text = scheduled({.name = "head"}, lines);
  EXPECT_THAT(text, HasSubstr("schedule head {\n  at head_z : innermost registers\n  tile y : n 3, o 8\n"));
  // A target without registers follows it, too.
  EXPECT_EQ(scheduled({.name = "head"}, lines, "generic"), text);
  // Without one, as always.
  const Layer layer;
  const auto plain = schedule_by_records(layer.program(), **target_named("haswell"), {});
  ASSERT_TRUE(plain);
  EXPECT_EQ(print(plain->program), print(schedule(layer.program(), **target_named("haswell"))));
}

TEST(Records, OneForTheTargetGoesFirst) {
  const Layer layer;
  const std::string key = layer.key();
  const auto records = parse_records(fmt::format(
      "schedule {0} {{ tile s1 : n 2 }} schedule {0} for haswell {{ tile s1 : n 3 }} schedule {0} for znver4 "
      "{{ tile s1 : n 4 }} schedule other {{}} schedule another for znver4 {{}}",
      key));
  ASSERT_TRUE(records) << records.problem().str();
  for (const auto& [target, tile] : {std::pair("haswell", 3), std::pair("znver4", 4), std::pair("generic", 2)}) {
    const auto out = schedule_by_records(layer.program(), **target_named(target), *records);
    ASSERT_TRUE(out) << out.problem().str();
    EXPECT_EQ(out->program.schedules[0].stages[0].tile[0].count, tile);
    const std::vector<std::string> here = {"other", "another"};
    EXPECT_EQ(out->unused, target == std::string("znver4") ? here : std::vector<std::string>{"other"});
  }
}

TEST(Records, AddCopiesThatFollowFromTheKernel) {
  const std::string text = scheduled({},
                                     "copy w : x1 of s1 last 0 copy panels : w of s1 panels 4 at s0, w : innermost "
                                     "registers tile panels : t0 8");
  EXPECT_THAT(text, HasSubstr("kernel_transposed[t1<64, t0<32] = kernel[t0,t1]\n"));
  EXPECT_THAT(text, HasSubstr("kernel_transposed_packed[panel<8, t0<64, lane<4]"));
  EXPECT_THAT(text, HasSubstr("x[n,k] * kernel_transposed_packed[k//4, o, k % 4]"));
}

TEST(Records, ThatAreNotLegal) {
  EXPECT_THAT(scheduled({}, "copy w : x7 of s1 border"),
              HasSubstr("schedule of kernel `dense`: stage `w`, added to `s1`: the sum of the stage does not read that "
                        "tensor [schedule-added]"));
  EXPECT_THAT(scheduled({}, "copy w : x0 of s1 border"), HasSubstr("nothing is read out of range"));
  EXPECT_THAT(scheduled({}, "copy w : x0 of s1 last 1"), HasSubstr("axis 1 of 2 cannot go behind the others"));
  EXPECT_THAT(scheduled({}, "copy w : x0 of s1 panels 1"), HasSubstr("a panel of 1 elements is not within 2 to 4096"));
  EXPECT_THAT(scheduled({}, "copy x0 : x0 of s1 panels 8"), HasSubstr("the name is taken"));
  EXPECT_THAT(scheduled({}, "copy w : x0 of s0 panels 8"), HasSubstr("`s0` is no stage at root"));
  EXPECT_THAT(scheduled({}, "blocks w : s1"), HasSubstr("the stage is no sum in blocks"));
  EXPECT_THAT(scheduled({}, "vector s1 : n 4"), HasSubstr("stage `s1`: lanes lie 64 elements apart [schedule-lanes]"));
  EXPECT_THAT(scheduled({}, "tile s9 : n 4"), HasSubstr("stage `s9`: there is none of this name [schedule-stage]"));
}

// --- costs

KernelCost cost(const std::string& text, const std::string& target, std::int64_t batch) {
  const Program p = program_of(text);
  return cost_of(p, p.functions[0], p.functions[0].steps[0], **target_named(target),
                 [&](std::string_view) { return batch; });
}

TEST(KernelCosts, OfALayer) {
  const KernelCost c = cost(Layer{.function = "neg"}.text(), "znver4", 2);
  EXPECT_EQ(c.flops, 2 * (2 * 32 * 64 + 64));
  EXPECT_EQ(c.bytes, 4 * (2 * 32 + 32 * 64 + 2 * 64));
  EXPECT_EQ(c.compute, c.flops / 32);
  EXPECT_EQ(c.memory, c.bytes / 64);
  // The layer is not scheduled: one element at a time.
  EXPECT_GE(c.cycles, 2 * 32 * 64);
  const KernelCost unknown = cost(Layer{.units = 640, .function = "neg"}.text(), "haswell", 2);
  EXPECT_EQ(unknown.memory, 0);
  EXPECT_GT(unknown.cycles, 0);
}

TEST(KernelCosts, OfWhatIsInlineBroadcastAndGathered) {
  // A window reads its inline stage at each place; a table is read where indices point; a stride of 0 is one
  // element; arithmetic of indices is not counted.
  const KernelCost c = cost(R"(program "p" profile fma
symbol batch in 1..64
kernel k(x: f32[batch,8], t: f32[1000,4], i: i64[batch], b: f32[batch,8]) -> (y, z) {
  d[n<batch, j<8] = x[n,j] * 2
  y[n, p<6] = sum r<3 : d[n, p+r]
  z[n<batch, c<4] = t[min(max(i[n], 0), 999), c] + b[n,0]
}
schedule k {
  at d : innermost registers
}
func f(x, t, i, b) -> (y, z) {
  tensor x: f32[batch,8] input
  tensor t: f32[1000,4] input
  tensor i: i64[batch] input
  tensor b: f32[1] input
  tensor wide: f32[batch,8] view b strides [0,0]
  tensor y: f32[batch,6] output
  tensor z: f32[batch,4] output
  y, z = k(x, t, i, wide)
}
)",
                            "znver4", 1);
  EXPECT_EQ(c.flops, 6 * 3 * 2 + 4);
  EXPECT_EQ(c.bytes, 4 * 8 + 4 * 4 + 8 + 4 + 4 * (6 + 4));
}

TEST(KernelCosts, OfEqualities) {
  // Of 3 taps with a stride of 2 half are there; by data each term has one place.
  const auto one = [](const std::string& stage, const std::string& params, const std::string& tensors) {
    return cost(fmt::format(
                    "program \"p\" profile fma\nkernel k({}) -> (y) {{ {} }}\nfunc f(x, i) -> (y) {{ {} y = k(x, i) }}",
                    params, stage, tensors),
                "znver4", 1)
        .flops;
  };
  EXPECT_EQ(one("y[h<8] = sum t<4 where h == 2*p + t : x[p else 0] * i[t]", "x: f32[4], i: f32[4]",
                "tensor x: f32[4] input tensor i: f32[4] input tensor y: f32[8] output"),
            8 * 2 * 2);
  EXPECT_EQ(one("y[v<100, d<4] = sum n<10 where v == i[n] : x[n,d]", "x: f32[10,4], i: i64[10]",
                "tensor x: f32[10,4] input tensor i: i64[10] input tensor y: f32[100,4] output"),
            10 * 4);
}

}  // namespace
}  // namespace tusk::kernel
