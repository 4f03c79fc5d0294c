// Random contractions under the schedules of machines with small caches, which take every part of them at small sizes.
#include "tests/property/random_contraction.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "ir/kernel/affine.hpp"
#include "ir/loop/print.hpp"
#include "tests/property/random_laws.hpp"
#include "tests/property/random_records.hpp"
#include "tests/property/random_shrink.hpp"

namespace tusk::random_tests {
namespace {

constexpr std::uint64_t kContractions = 1000;
constexpr std::uint64_t kContractionShards = 4;

class RandomContractions : public testing::TestWithParam<std::uint64_t> {};

TEST_P(RandomContractions, KeepTheirBits) {
  const Seeds seeds = shard_of(seeds_of_run(kContractions), GetParam(), kContractionShards);
  for (std::uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    note_case("contraction", seed);
    const GraphCase graph = generate_contraction(seed);
    const std::optional<Failure> broken = fails(graph, broken_targets);
    if (!broken) continue;
    ADD_FAILURE() << "seed " << seed << ": " << broken->law << "\n" << text_of(graph) << broken->what.substr(0, 3000);
    if (testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count() >= 5) break;
  }
}

INSTANTIATE_TEST_SUITE_P(Shards, RandomContractions, testing::Range<std::uint64_t>(0, kContractionShards));

// Whether some kernel has a stage, or what fold-stages has made of one, with such a name.
bool has_name(const kernel::Program& program, std::string_view end) {
  const auto ends = [&](const auto& named) { return named.name.find(end) != std::string::npos; };
  return std::ranges::any_of(program.kernels, [&](const kernel::Kernel& kernel) {
    return std::ranges::any_of(kernel.stages, ends) || std::ranges::any_of(kernel.params, ends);
  });
}

// Borders by bands, and sums of which both operands lie in panels.
std::map<std::string, int> copies_in(const kernel::Kernel& kernel) {
  std::map<std::string, int> seen;
  for (const kernel::Stage& stage : kernel.stages) {
    seen["bands"] += std::ranges::count(stage.indices, "row", &kernel::Index::name) > 0;
    int packed = 0;
    kernel::for_each_load(stage.expr, [&](const kernel::ExprRef& load) {
      packed += load->operands.back()->kind == kernel::Expr::Kind::row && load->operands.back()->row->name == "rem";
    });
    seen["both in panels"] += stage.reduce && packed == 2;
  }
  return seen;
}

TEST(RandomContractionCoverage, TakesEveryPartOfASchedule) {
  std::map<std::string, int> seen;
  for (std::uint64_t seed = 1; seed <= 800; ++seed) {
    const GraphCase graph = generate_contraction(seed);
    for (const TargetMachine& target : small_targets()) {
      PassOptions options;
      options.target = &target;
      const Expected<Lowered> low = lowered(graph.module, options, false);
      ASSERT_TRUE(low) << low.problem().str() << text_of(graph);
      for (const char* part : {"_blocks", "_packed", "_bordered", "_transposed"})
        seen[part] += has_name(low->program, part) ? 1 : 0;
      for (const kernel::Kernel& kernel : low->program.kernels) {
        for (const auto& [what, count] : copies_in(kernel)) seen[what] += count;
      }
      for (const kernel::Schedule& schedule : low->program.schedules) {
        for (const kernel::StageSchedule& stage : schedule.stages) {
          seen["split"] += stage.split.empty() ? 0 : 1;
          seen["outer"] += stage.outer.index.empty() ? 0 : 1;
          const bool is_ordered = !stage.outer.index.empty() && std::ranges::count(stage.order, stage.outer.index) > 0;
          const bool rests = is_ordered && stage.order.back() == stage.outer.index;
          seen["outer within"] += is_ordered && !rests;
          seen["rests between blocks"] += rests;
          seen["parallel"] += stage.parallel.empty() ? 0 : 1;
          seen["joined"] += stage.parallel.size() > 1 ? 1 : 0;
          seen["at"] += stage.consumer.empty() ? 0 : 1;
          seen["two rows"] += stage.tile.size() == 3 ? 1 : 0;
        }
      }
    }
  }
  for (const char* part : {"_blocks", "_packed", "_bordered", "_transposed", "split", "outer", "outer within", "at",
                           "two rows", "parallel", "joined", "rests between blocks", "bands", "both in panels"})
    EXPECT_GE(seen[part], 10) << part;
  for (const auto& [part, count] : seen) RecordProperty(part, count);
}

// Enough of the changed records are followed, and do something else than what is chosen.
TEST(RandomContractionCoverage, FollowsChangedRecords) {
  int followed = 0;
  int refused = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const GraphCase graph = generate_contraction(seed);
    PassOptions options;
    options.fold_batch_norm = false;
    options.target = &small_targets()[seed % 2];
    std::vector<kernel::ScheduleRecord> chosen;
    ASSERT_FALSE(broken_records(graph.module, options, chosen));
    const Expected<Lowered> plain = lowered(graph.module, options, false);
    Rng rng(seed);
    options.records = changed_records(graph.module, chosen, rng);
    const Expected<Lowered> changed = lowered(graph.module, options, false);
    refused += changed ? 0 : 1;
    followed += changed && loop::print(changed->loops) != loop::print(plain->loops) ? 1 : 0;
  }
  EXPECT_GE(followed, 25);
  EXPECT_GE(refused, 25);
}

}  // namespace
}  // namespace tusk::random_tests
