#include "passes/choose_parallel.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ir/kernel/affine.hpp"
#include "passes/contraction.hpp"

namespace tusk::scheduling {
namespace {

using kernel::Expr;
using kernel::ExprRef;
using kernel::Index;
using kernel::Stage;
using kernel::StageSchedule;

constexpr double kBytesPerCycle = 8;  // that are stored, where little is computed
constexpr std::int64_t kTurns = 64;   // of joined loops: no more are needed

std::int64_t divided_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// What one element of a stage costs, in operations on vectors, with the inline stages that it reads.
double operations(const Choice& choice, const Stage& stage, std::map<const Stage*, double>& known) {
  if (const auto it = known.find(&stage); it != known.end()) return it->second;
  double count = 0;
  const auto visit = [&](const auto& self, const ExprRef& expr) -> void {
    if (expr->kind == Expr::Kind::row) count += expr->row->basic != Basic::none ? slots_of(expr->row->basic) : 16;
    if (expr->kind == Expr::Kind::load) {
      const Stage* made = choice.kernel.stage(expr->name);
      count += made != nullptr && choice.schedule.is_inline(expr->name) ? operations(choice, *made, known) : 0.5;
    }
    for (const ExprRef& operand : expr->operands) self(self, operand);
  };
  for (const ExprRef& expr : kernel::expressions_of(stage)) visit(visit, expr);
  if (!stage.reduce) return known[&stage] = count;
  const double terms = terms_of(stage, [&](const Dim& dim) { return static_cast<double>(choice.counted(dim)); });
  const bool is_dot = stage.reduce->kind == kernel::Reducer::dot;
  return known[&stage] = terms * (is_dot ? 1 : count + 1);
}

double operations(const Choice& choice, const Stage& stage) {
  std::map<const Stage*, double> known;  // many ways may lead to one stage
  return operations(choice, stage, known);
}

// Loops over the tiles of an index.
struct Level {
  std::string index;
  std::int64_t turns = 1, fewest = 1;  // of each loop, at the largest sizes, and at the smallest
  std::int64_t loops = 1;              // one for each remainder
  bool is_one = true;                  // one loop, not several behind each other
};

Level level_of(const Choice& choice, const Index& index, const StageSchedule& record) {
  const auto count_in = [&](const std::vector<kernel::IndexCount>& list) -> std::int64_t {
    const auto it = std::ranges::find(list, index.name, &kernel::IndexCount::index);
    return it == list.end() ? 1 : it->count;
  };
  const bool has_lanes = record.vector.index == index.name;
  const std::int64_t parts = count_in(record.split);
  const std::int64_t tile = std::max<std::int64_t>(count_in(record.tile), has_lanes ? record.vector.count : 1);
  const auto turns = [&](bool smallest) { return divided_up(choice.counted(index.extent, smallest), tile * parts); };
  const std::int64_t extent = choice.counted(index.extent);
  const bool is_even = has_lanes ? extent % tile == 0 : extent % turns(false) == 0;
  return {index.name, turns(false), turns(true), parts,
          parts == 1 && (tile == 1 || (index.extent.is_constant() && is_even))};
}

// The loops over one stage from outside to inside, as far as threads may share them.
std::vector<Level> levels_of(const Choice& choice, const Stage& stage, const StageSchedule& record) {
  std::vector<Level> levels;
  const std::vector<kernel::AxisAt> made_at = kernel::axes_at(choice.kernel, choice.schedule, stage);
  for (const std::string& name : kernel::loop_order(stage, record)) {
    const auto is_made_at = [&](const kernel::AxisAt& at) { return stage.indices[at.axis].name == name; };
    if (std::ranges::any_of(made_at, is_made_at)) continue;  // no loop of its own
    levels.push_back(level_of(choice, *std::ranges::find(stage.indices, name, &Index::name), record));
    const bool holds_copies = std::ranges::any_of(choice.schedule.stages, [&](const StageSchedule& made) {
      return made.consumer == stage.name && made.at == name;
    });
    if (!holds_copies) continue;
    // Memory of what is made there is for one turn.
    for (Level& level : levels) level.index.clear();
    levels.back().is_one = false;
  }
  return levels;
}

// Loops that threads share, from one level on: joined with those inside of it while that gives turns that are few but
// long.
struct Shared {
  std::vector<std::string> indices;
  double turns = 1;
};

Shared joined_from(std::span<const Level> levels, double work, double fork) {
  Shared out;
  std::int64_t fewest = 1;
  for (const Level& level : levels) {
    const double turns = out.turns * static_cast<double>(level.turns);
    const bool joins = level.is_one && fewest < kTurns && work / turns > fork / 4;
    if (!out.indices.empty() && !joins) break;
    out.indices.push_back(level.index);
    out.turns = turns;
    fewest *= level.fewest;
  }
  return out;
}

void choose_for(const Choice& choice, StageSchedule& record) {
  const double fork = choice.target.fork;
  const Stage& stage = *choice.kernel.stage(record.stage);
  const auto lanes = static_cast<double>(std::max<std::int64_t>(record.vector.count, 1));
  double elements = 1;
  for (const Index& index : stage.indices) elements *= static_cast<double>(choice.counted(index.extent));
  const double work =
      elements * std::max(operations(choice, stage) / lanes / choice.target.fmas, size_of(stage.type) / kBytesPerCycle);
  const std::vector<Level> levels = levels_of(choice, stage, record);
  // The loop over parts of the terms stands around the level that `order` has behind it.
  const kernel::IndexCount& outer = record.outer;
  const auto parts_at = std::ranges::find(record.order, outer.index);
  const auto around = parts_at == record.order.end() ? 0U : static_cast<std::size_t>(parts_at - record.order.begin());
  double best = work;
  double forks = 1;
  for (const kernel::AxisAt& at : kernel::axes_at(choice.kernel, choice.schedule, stage))
    forks *= static_cast<double>(choice.counted(stage.indices[at.axis].extent));
  for (std::size_t first = 0; first < levels.size(); forks *= static_cast<double>(levels[first++].turns)) {
    forks *= static_cast<double>(levels[first].loops);
    if (!outer.index.empty() && first == around)
      forks *= static_cast<double>(divided_up(choice.counted(stage.reduce->indices[0].extent), outer.count));
    if (levels[first].index.empty() || levels[first].turns < 2) continue;
    const double each = work / forks;
    if (each < 2 * fork) break;  // a part takes at least as long as a fork
    const Shared shared = joined_from(std::span(levels).subspan(first), each, fork);
    // The mean of two and of four threads: turns may not be even among them.
    double time = forks * fork;
    for (const double threads : {2.0, 4.0}) time += work * std::ceil(shared.turns / threads) / shared.turns / 2;
    if (time > 0.98 * best) continue;
    best = time;
    record.parallel = shared.indices;
    record.grain = std::max<std::int64_t>(1, std::llround(std::ceil(fork * shared.turns / each)));
  }
}

}  // namespace

void choose_parallel(Choice& choice) {
  for (StageSchedule& record : choice.schedule.stages) choose_for(choice, record);
}

}  // namespace tusk::scheduling
