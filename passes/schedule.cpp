#include "passes/schedule.hpp"

#include <algorithm>
#include <functional>

#include "passes/block_sums.hpp"
#include "passes/choose_parallel.hpp"
#include "passes/contraction.hpp"
#include "passes/operand_copies.hpp"
#include "passes/register_tile.hpp"
#include "passes/schedule_choice.hpp"

namespace tusk {
namespace {

using kernel::Index;
using kernel::Stage;
using kernel::StageSchedule;
using scheduling::Choice;

// Copies that are made sample by sample would be made anew in loops around those over samples.
void make_whole(Choice& choice, const std::string& root) {
  for (StageSchedule& record : choice.schedule.stages) {
    if (record.consumer != root) continue;
    const Stage& copy = *choice.kernel.stage(record.stage);
    const std::size_t axis = kernel::axes_at(choice.kernel, choice.schedule, copy)[0].axis;
    if (!record.order.empty()) record.order.insert(record.order.begin(), copy.indices[axis].name);
    record.consumer = record.at = "";
  }
}

void choose(Choice& choice, const std::string& root, bool is_blocks = false) {
  if (is_worth_parting(choice, root)) {
    if (const auto blocks = part_blocks(choice, root)) choose(choice, *blocks, true);
  }
  StageSchedule record;
  record.stage = root;
  const Stage& stage = *choice.kernel.stage(root);
  if (stage.indices.empty()) return;
  // A narrow one fills no register.
  const Index along = scheduling::last_axis(stage);
  const bool has_lanes = choice.target.lanes > 1 && choice.counted(along.extent) >= 4;
  const bool sums = contraction_of(choice.kernel, choice.schedule, stage).has_value();
  if (has_lanes) {
    std::int64_t lanes = choice.target.lanes;
    while (lanes / 2 >= choice.counted(along.extent)) lanes /= 2;
    record.vector = {along.name, lanes};
    if (!choice.is_legal_with(record) && !copy_for_lanes(choice, root, record)) return;
  }
  if (sums) {
    const auto contraction = [&] {
      return *contraction_of(choice.kernel, choice.schedule, *choice.kernel.stage(root));
    };
    choose_split(choice, contraction(), record);
    if (has_lanes) add_borders(choice, root, record);
    const StageSchedule untiled = record;
    choose_tile(choice, contraction(), record);
    if (has_lanes) pack_rows(choice, root, untiled, record);
  } else if (has_lanes && choice.counted(along.extent) >= 2 * record.vector.count) {
    record.tile.push_back({along.name, 2 * record.vector.count});
  }
  if (!has_lanes && record.tile.empty()) return;
  // Tiles repeat what one register does, so one shows whether it can be done. A form that is not foreseen keeps its
  // lanes, with which the copies were placed.
  StageSchedule one = record;
  one.tile.clear();
  const bool is_known = has_lanes && one.split.empty() && one.unroll.empty();
  if (!is_known && !choice.is_legal_with(one)) {
    if (!has_lanes) return;
    const kernel::IndexCount lanes = record.vector;
    record = StageSchedule{};
    record.stage = root;
    record.vector = lanes;
  }
  if (sums && has_lanes) pack_panels(choice, root, record);
  if (sums && !record.tile.empty()) {
    choose_outer(choice, *contraction_of(choice.kernel, choice.schedule, *choice.kernel.stage(root)), is_blocks,
                 record);
    const std::string outermost = choice.kernel.stage(root)->indices.front().name;
    if (record.order.empty() ? !record.outer.index.empty() : record.order[0] != outermost) make_whole(choice, root);
    if (has_lanes) cut_borders(choice, root, record);
  }
  choice.schedule.stages.push_back(std::move(record));
}

}  // namespace

namespace scheduling {

void choose_all(Choice choice) {
  if (choice.target.registers == 0) return;
  std::vector<std::string> roots;
  for (const Stage& stage : choice.kernel.stages) {
    if (!choice.schedule.is_inline(stage.name)) roots.push_back(stage.name);
  }
  for (const std::string& root : roots) choose(choice, root);
  if (choice.target.fork > 0) choose_parallel(choice);
}

CallsOf calls_of(const kernel::Program& program) {
  CallsOf out(program.kernels.size());
  for (const kernel::Function& function : program.functions) {
    const std::function<void(const std::vector<kernel::Step>&)> visit = [&](const std::vector<kernel::Step>& steps) {
      for (const kernel::Step& step : steps) {
        visit(step.body);
        if (step.kind == kernel::Step::Kind::call)
          out[static_cast<std::size_t>(step.kernel)].push_back({&function, &step});
      }
    };
    visit(function.steps);
  }
  return out;
}

}  // namespace scheduling

kernel::Program schedule(kernel::Program program, const TargetMachine& target) {
  const RangeOf range_of = program.range_of();
  const scheduling::CallsOf calls = scheduling::calls_of(program);
  for (std::size_t id = 0; id < program.kernels.size(); ++id) {
    if (calls[id].empty()) continue;
    std::vector<kernel::AddedStage> added;
    const auto& [function, step] = calls[id][0];
    scheduling::choose_all({program.kernels[id], program.schedules[id], added, *function, *step, target, range_of});
  }
  return program;
}

}  // namespace tusk
