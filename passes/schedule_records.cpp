#include "passes/schedule_records.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <set>
#include <utility>

#include "ir/kernel/affine.hpp"
#include "passes/added_stages.hpp"

namespace tusk {
namespace {

using kernel::AddedStage;
using kernel::Kernel;
using kernel::NormalKernel;
using kernel::Schedule;
using kernel::ScheduleRecord;
using kernel::TensorNames;
using scheduling::Call;
using scheduling::Choice;

const ScheduleRecord* record_for(const std::vector<ScheduleRecord>& given, const std::string& key,
                                 std::string_view target) {
  const ScheduleRecord* found = nullptr;
  for (const ScheduleRecord& record : given) {
    if (record.key != key || (!record.target.empty() && record.target != target)) continue;
    if (found == nullptr || found->target.empty()) found = &record;
  }
  return found;
}

TensorNames inverted(const TensorNames& names) {
  TensorNames out;
  for (const auto& [from, to] : names) out[to] = from;
  return out;
}

// The names that the pass gives stages that it adds, for those of a record.
std::string suffix_of(AddedStage::Kind kind) {
  switch (kind) {
    case AddedStage::Kind::border:
    case AddedStage::Kind::bands:
      return "_bordered";
    case AddedStage::Kind::last:
      return "_transposed";
    case AddedStage::Kind::panels:
      return "_packed";
    case AddedStage::Kind::blocks:
      break;
  }
  return "_blocks";
}

// `names` of tensors of the kernel, with those of stages that are added.
void name_added(TensorNames& names, const std::vector<AddedStage>& added) {
  std::set<std::string> taken;
  for (const auto& [from, to] : names) taken.insert(to);
  for (const AddedStage& stage : added) {
    const std::string wanted = names.at(stage.tensor.empty() ? stage.stage : stage.tensor) + suffix_of(stage.kind);
    std::string name = wanted;
    for (int i = 1; !taken.insert(name).second; ++i) name = fmt::format("{}_{}", wanted, i);
    names[stage.name] = name;
  }
}

// Where a result lies over a parameter, for each element is read where it is written, that stays so.
Status check_in_place(const Kernel& kernel, const Schedule& fused, const ScheduleRecord& record, const Call& call) {
  Schedule own;
  for (const std::string& name : record.schedule.inline_stages) {
    if (std::ranges::find(record.added, name, &AddedStage::name) == record.added.end())
      own.inline_stages.push_back(name);
  }
  const auto root = [&](int id) {
    const kernel::Tensor& tensor = call.function->tensors[static_cast<std::size_t>(id)];
    return tensor.place == kernel::Tensor::Place::view ? tensor.base : id;
  };
  for (std::size_t k = 0; k < call.step->args.size(); ++k) {
    const kernel::Param& param = kernel.params[k];
    const bool over =
        std::ranges::any_of(call.step->results, [&](int id) { return root(id) == root(call.step->args[k]); });
    if (!over || param.inout || !kernel::reads_pointwise(kernel, fused, param.name)) continue;
    const bool is_copied = std::ranges::find(record.added, param.name, &AddedStage::tensor) != record.added.end();
    if (is_copied || !kernel::reads_pointwise(kernel, own, param.name))
      return error("schedule-inout", fmt::format("schedule of kernel `{}`: `{}` is overwritten, so it is read in "
                                                 "registers at the element that is written",
                                                 kernel.name, param.name));
  }
  return done();
}

// Gives the kernel the schedule of the record. `normal` is its normal form.
Status follow(const ScheduleRecord& record, const NormalKernel& normal, const std::vector<Call>& calls,
              const TargetMachine& target, const RangeOf& range_of, Kernel& kernel, Schedule& schedule) {
  Kernel made = normal.kernel;
  Schedule fused = renamed(schedule, normal.names);
  std::vector<AddedStage> added;
  Choice choice{made, fused, added, *calls[0].function, *calls[0].step, target, range_of};
  for (const Call& call : calls) CHECK(check_in_place(normal.kernel, fused, record, call));
  for (const AddedStage& wanted : record.added)
    CHECK(scheduling::add_stage(choice, wanted, record.schedule.is_inline(wanted.tensor)));
  for (const Call& call : calls) {
    CHECK(Choice({made, fused, added, *call.function, *call.step, target, range_of}).check(record.schedule));
  }
  TensorNames names = inverted(normal.names);
  name_added(names, record.added);
  std::vector<std::string> layers = std::move(kernel.layers);
  kernel = renamed(std::move(made), names);
  kernel.layers = std::move(layers);
  schedule = renamed(record.schedule, names);
  return done();
}

ScheduleRecord record_of(const NormalKernel& normal, const TargetMachine& target, std::vector<AddedStage> added,
                         const Schedule& schedule) {
  TensorNames names = normal.names;
  for (AddedStage& stage : added) {
    // One by one, for a copy may be copied.
    const std::string own = stage.name;
    name_added(names, {stage});
    stage.name = names.at(own);
    if (!stage.tensor.empty()) stage.tensor = names.at(stage.tensor);
    stage.stage = names.at(stage.stage);
  }
  return {normal.key, std::string(target.name), std::move(added), renamed(schedule, names), {}};
}

}  // namespace

std::string no_kernel_has(const std::string& key) {
  return fmt::format("there is a record of a schedule for {}, which is the key of no kernel", key);
}

Expected<Scheduled> schedule_by_records(kernel::Program program, const TargetMachine& target,
                                        const std::vector<ScheduleRecord>& given) {
  Scheduled out;
  const RangeOf range_of = program.range_of();
  const scheduling::CallsOf calls = scheduling::calls_of(program);
  std::set<std::string> keys;
  out.records.resize(program.kernels.size());
  for (std::size_t id = 0; id < program.kernels.size(); ++id) {
    if (calls[id].empty()) continue;
    Kernel& kernel = program.kernels[id];
    Schedule& schedule = program.schedules[id];
    const auto& [function, step] = calls[id][0];
    const NormalKernel normal = normal_form(kernel, schedule, *function, *step);
    keys.insert(normal.key);
    if (const ScheduleRecord* record = record_for(given, normal.key, target.name)) {
      if (Status ok = follow(*record, normal, calls[id], target, range_of, kernel, schedule); !ok) {
        ok.problem().layer = step->layer;
        ok.problem().spot = record->spot;
        return ok.problem();
      }
      out.records[id] = *record;
      continue;
    }
    std::vector<AddedStage> added;
    scheduling::choose_all({kernel, schedule, added, *function, *step, target, range_of});
    out.records[id] = record_of(normal, target, std::move(added), schedule);
  }
  for (const ScheduleRecord& record : given) {
    const bool fits = record.target.empty() || record.target == target.name;
    if (fits && !keys.contains(record.key)) out.unused.push_back(record.key);
  }
  out.program = std::move(program);
  return out;
}

}  // namespace tusk
