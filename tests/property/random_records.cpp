#include "tests/property/random_records.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>

#include "ir/kernel/print.hpp"
#include "passes/schedule.hpp"
#include "passes/schedule_records.hpp"

namespace tusk::random_tests {
namespace {

using kernel::AddedStage;
using kernel::ScheduleRecord;
using kernel::StageSchedule;

// One line of a record changes, goes or comes.
void change(const kernel::Kernel& kernel, ScheduleRecord& record, Rng& rng) {
  const kernel::Stage& stage = kernel.stages[static_cast<std::size_t>(rng.below(std::ssize(kernel.stages)))];
  std::string index = "n";
  if (!stage.indices.empty()) index = rng.pick(stage.indices).name;
  kernel::Schedule& schedule = record.schedule;
  const auto of_stage = [&]() -> StageSchedule& {
    const auto it = std::ranges::find(schedule.stages, stage.name, &StageSchedule::stage);
    if (it != schedule.stages.end()) return *it;
    schedule.stages.emplace_back().stage = stage.name;
    return schedule.stages.back();
  };
  const std::int64_t count = std::int64_t{1} << rng.below(4);
  switch (rng.below(11)) {
    case 0:
      if (!schedule.stages.empty())
        schedule.stages.erase(schedule.stages.begin() + rng.below(std::ssize(schedule.stages)));
      return;
    case 1:
      if (!record.added.empty()) record.added.pop_back();
      return;
    case 2:
      if (std::erase(schedule.inline_stages, stage.name) == 0) schedule.inline_stages.push_back(stage.name);
      return;
    case 3:
      of_stage().tile = {{index, rng.range(1, 9)}};
      return;
    case 4:
      of_stage().vector = {index, 2 * count};
      return;
    case 5:
      std::reverse(of_stage().order.begin(), of_stage().order.end());
      return;
    case 6:
      if (stage.reduce) of_stage().unroll = {rng.pick(stage.reduce->indices).name};
      return;
    case 7:
      if (stage.reduce) of_stage().outer = {stage.reduce->indices[0].name, count};
      return;
    case 8:
      of_stage().split = {{index, 2 * count}};
      return;
    case 9:
      of_stage().consumer = kernel.stages.back().name;
      of_stage().at = index;
      return;
    default:
      break;
  }
  AddedStage added;
  added.name = fmt::format("added_{}", record.added.size());
  added.stage = stage.name;
  added.kind = rng.pick(std::vector{AddedStage::Kind::border, AddedStage::Kind::bands, AddedStage::Kind::last,
                                    AddedStage::Kind::panels, AddedStage::Kind::blocks});
  if (added.kind != AddedStage::Kind::blocks && !kernel.params.empty()) added.tensor = rng.pick(kernel.params).name;
  if (added.kind == AddedStage::Kind::last || added.kind == AddedStage::Kind::bands) added.number = rng.below(3);
  if (added.kind == AddedStage::Kind::panels) added.number = 2 * count;
  record.added.push_back(std::move(added));
}

kernel::Program program_of(const graph::Module& module) {
  PassOptions options;
  options.fold_batch_norm = false;
  return std::get<kernel::Program>(*run_pipeline(module, options, "choose-layouts"));
}

}  // namespace

std::optional<Failure> broken_records(const graph::Module& module, const PassOptions& options,
                                      std::vector<ScheduleRecord>& chosen) {
  const kernel::Program program = program_of(module);
  const Expected<Scheduled> scheduled = schedule_by_records(program, *options.target, {});
  if (!scheduled) return Failure{"schedules without records", scheduled.problem().str()};
  std::map<std::string, std::string> texts;
  for (ScheduleRecord record : scheduled->records) {
    if (record.key.empty()) continue;  // no step calls the kernel
    record.target.clear();
    const std::string text = print(record);
    const auto [first, is_new] = texts.try_emplace(record.key, text);
    if (first->second != text) return Failure{"one record for a key", first->second + text};
    if (is_new) chosen.push_back(std::move(record));
  }
  std::string text;
  for (const auto& [key, record] : texts) text += record;
  const auto read = kernel::parse_records(text);
  if (!read) return Failure{"text of records", read.problem().str() + text};
  const Expected<Scheduled> again = schedule_by_records(program, *options.target, *read);
  if (!again) return Failure{"schedules by records", again.problem().str() + text};
  const std::string wanted = kernel::print(schedule(program, *options.target));
  if (!again->unused.empty()) return Failure{"schedules by records", "unused: " + again->unused[0]};
  if (const std::string found = kernel::print(again->program); found != wanted)
    return Failure{"schedules by records", found + text + wanted};
  return std::nullopt;
}

std::vector<ScheduleRecord> changed_records(const graph::Module& module, std::vector<ScheduleRecord> records,
                                            Rng& rng) {
  const kernel::Program program = program_of(module);
  for (const kernel::Function& function : program.functions) {
    for (const kernel::Step& step : function.steps) {
      if (step.kind != kernel::Step::Kind::call) continue;
      const auto id = static_cast<std::size_t>(step.kernel);
      const auto normal = normal_form(program.kernels[id], program.schedules[id], function, step);
      const auto record = std::ranges::find(records, normal.key, &ScheduleRecord::key);
      if (record == records.end()) continue;
      for (std::int64_t changes = rng.range(1, 2); changes > 0; --changes) change(normal.kernel, *record, rng);
    }
  }
  return records;
}

}  // namespace tusk::random_tests
