// Thousands of random graphs under the laws of docs/ir.md. TUSK_FULL=1: 10,000; TUSK_SEED, TUSK_COUNT: which.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "ir/graph/print.hpp"
#include "ir/graph/verify.hpp"
#include "tests/property/random_laws.hpp"
#include "tests/property/random_shrink.hpp"

namespace tusk::random_tests {
namespace {

constexpr std::uint64_t kGraphs = 2000;
constexpr std::uint64_t kGraphShards = 8;
constexpr std::uint64_t kDifferences = 8;  // every eighth graph is compared with differences

class RandomGraphs : public testing::TestWithParam<std::uint64_t> {};

TEST_P(RandomGraphs, KeepTheLaws) {
  const Seeds seeds = shard_of(seeds_of_run(kGraphs), GetParam(), kGraphShards);
  for (std::uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    note_case("graph", seed);
    const GraphCase graph = generate_graph(seed);
    const bool differences = seed % kDifferences == 0;
    const auto law = [&](const GraphCase& candidate) { return broken_law(candidate, differences); };
    const std::optional<Failure> broken = fails(graph, law);
    if (!broken) continue;
    const GraphCase least = shrunk(graph, *broken, law);
    const std::optional<Failure> again = fails(least, law);
    ADD_FAILURE() << "seed " << seed << ": " << broken->law << "\n"
                  << text_of(least) << (again ? again->what : broken->what);
    if (testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count() >= 5) break;
  }
}

INSTANTIATE_TEST_SUITE_P(Shards, RandomGraphs, testing::Range<std::uint64_t>(0, kGraphShards));

// Every op, every row and every dtype is reached, in regions or outside.
TEST(RandomGraphCoverage, ReachesEveryOpAndRow) {
  const Seeds seeds = seeds_of_run(kGraphs);
  if (seeds.count < kGraphs || seeds.first != 1) GTEST_SKIP() << "other seeds";
  std::map<std::string, int> ops;
  std::map<std::string_view, int> types;
  const auto count = [&](const auto& self, const graph::Function& function,
                         const std::vector<graph::Op>& list) -> void {
    for (const graph::Op& op : list) {
      ++ops[std::string(op.def->name)];
      ++ops[graph::text_name(op)];
      for (const int id : op.results) ++types[name_of(function.values[static_cast<std::size_t>(id)].type.dtype)];
      for (const graph::Region& region : op.regions) self(self, function, region.ops);
    }
  };
  for (std::uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    const GraphCase graph = generate_graph(seed);
    count(count, graph.module.functions[0], graph.module.functions[0].ops);
  }
  for (const graph::OpDef* op : graph::ops()) {
    EXPECT_GE(ops[std::string(op->name)], 20) << op->name;
    for (const std::string_view variant : op->variants)
      EXPECT_GE(ops[std::string(op->name) + "." + std::string(variant)], 10) << op->name << "." << variant;
  }
  for (const Row& row : rows()) {
    if (!is_row_of_maps(row)) continue;
    EXPECT_GE(ops["map." + std::string(row.name)], 5) << row.name;
  }
  for (const DType type : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i8, DType::u8, DType::i32,
                           DType::u32, DType::i64, DType::boolean})
    EXPECT_GE(types[name_of(type)], 50) << name_of(type);
}

}  // namespace
}  // namespace tusk::random_tests
