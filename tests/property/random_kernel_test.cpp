// Thousands of random kernels: against a naive reference, and all schedules against each other.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "ir/kernel/affine.hpp"
#include "ir/kernel/verify.hpp"
#include "tests/property/random_kernel.hpp"

namespace tusk::random_tests {
namespace {

constexpr std::uint64_t kKernels = 2000;
constexpr std::uint64_t kKernelShards = 4;

class RandomKernels : public testing::TestWithParam<std::uint64_t> {};

TEST_P(RandomKernels, KeepTheLaws) {
  const Seeds seeds = shard_of(seeds_of_run(kKernels), GetParam(), kKernelShards);
  int found = 0;
  for (std::uint64_t seed = seeds.first; seed < seeds.first + seeds.count && found < 5; ++seed) {
    note_case("kernel", seed);
    const KernelCase c = generate_kernel(seed);
    const std::optional<Failure> broken = broken_kernel(c);
    if (!broken) continue;
    ++found;
    const KernelCase least = shrunk(c, *broken);
    const std::optional<Failure> again = broken_kernel(least);
    ADD_FAILURE() << "seed " << seed << ": " << broken->law << "\n"
                  << text_of(least) << (again ? again->what : broken->what);
  }
}

INSTANTIATE_TEST_SUITE_P(Shards, RandomKernels, testing::Range<std::uint64_t>(0, kKernelShards));

// Every reducer, the three kinds of `where`, lanes, blocks, and loads with `else` are reached.
TEST(RandomKernelCoverage, ReachesEveryForm) {
  const Seeds seeds = seeds_of_run(kKernels);
  if (seeds.count < kKernels || seeds.first != 1) GTEST_SKIP() << "other seeds";
  std::map<std::string, int> seen;
  for (std::uint64_t seed = seeds.first; seed < seeds.first + kKernels; ++seed) {
    const KernelCase c = generate_kernel(seed);
    if (c.kernel.stages.size() > 1) ++seen["several stages"];
    for (const kernel::Stage& stage : c.kernel.stages) {
      for (const kernel::ExprRef& expr : kernel::expressions_of(stage))
        kernel::for_each_load(expr, [&](const kernel::ExprRef& load) { seen["else"] += load->has_else ? 1 : 0; });
      if (!stage.reduce) {
        ++seen["map"];
        continue;
      }
      ++seen[std::string(kernel::name_of(stage.reduce->kind))];
      seen["lanes"] += stage.reduce->lanes > 1 ? 1 : 0;
      seen["block"] += stage.reduce->block > 0 ? 1 : 0;
      seen["from"] += stage.reduce->from ? 1 : 0;
      for (const kernel::Equality& equality : stage.reduce->where) {
        const bool left = std::ranges::any_of(stage.indices, [&](const auto& i) { return i.name == equality.index; });
        ++seen[!kernel::affine_of(equality.value) ? "W3" : left ? "W2" : "W1"];
      }
    }
  }
  for (const char* form : {"several stages", "else", "map", "dot", "sum", "max", "min", "prod", "all", "any", "argmax",
                           "argmin", "last", "lanes", "block", "from", "W1", "W2", "W3"})
    EXPECT_GE(seen[form], 20) << form;
}

// Schedules that cannot be done are left out of the laws: about half can, and every part of a record is among them.
TEST(RandomKernelCoverage, SchedulesRun) {
  std::map<std::string, int> seen;
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    const KernelCase c = generate_kernel(seed);
    kernel::Schedule schedule;
    for (const kernel::Stage& stage : c.kernel.stages) {
      if (!kernel::is_result(c.kernel, stage.name)) schedule.inline_stages.push_back(stage.name);
    }
    Rng rng(seed_of(seed, "tiles"));
    add_tiles(c.kernel, schedule, rng);
    if (schedule.stages.empty() || !kernel::verify(c.kernel, schedule)) continue;
    ++seen["tried"];
    if (!run_kernel(c.kernel, schedule, false, inputs_of(c), c.symbols, std::byte{0})) continue;
    ++seen["run"];
    for (const kernel::StageSchedule& stage : schedule.stages) {
      seen["tile"] += stage.tile.empty() ? 0 : 1;
      seen["vector"] += stage.vector.index.empty() ? 0 : 1;
      seen["split"] += stage.split.empty() ? 0 : 1;
      seen["order"] += stage.order.empty() ? 0 : 1;
      seen["outer"] += stage.outer.index.empty() ? 0 : 1;
      seen["outer within"] += std::ranges::count(stage.order, stage.outer.index) > 0 ? 1 : 0;
      seen["unroll"] += stage.unroll.empty() ? 0 : 1;
      seen["parallel"] += stage.parallel.empty() ? 0 : 1;
    }
  }
  EXPECT_GE(9 * seen["run"], 4 * seen["tried"]);
  for (const char* form : {"run", "tile", "vector", "split", "order", "unroll", "outer", "outer within", "parallel"})
    EXPECT_GE(seen[form], 20) << form;
  for (const auto& [form, count] : seen) RecordProperty(form, count);
}

}  // namespace
}  // namespace tusk::random_tests
