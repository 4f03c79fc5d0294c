#include "passes/operand_copies.hpp"

#include <algorithm>
#include <optional>

#include "passes/added_stages.hpp"

namespace tusk::scheduling {
namespace {

using kernel::Expr;
using kernel::ExprRef;
using kernel::Index;
using kernel::Kernel;
using kernel::Schedule;
using kernel::Stage;
using kernel::StageSchedule;

// Terms for each element that is copied.
constexpr std::int64_t kWorthLanes = 4;
constexpr std::int64_t kWorthABorder = 4;
constexpr std::int64_t kWorthAPanel = 16;

// How many terms an element of the operand takes part in.
std::int64_t reuse(const Choice& choice, const Contraction& contraction, const ReadOperand& operand) {
  double count = 1;
  const Stage& stage = *choice.kernel.stage(contraction.stage);
  for (const std::vector<Index>* list : {&stage.indices, &stage.reduce->indices}) {
    for (const Index& index : *list) count *= static_cast<double>(choice.counted(index.extent));
  }
  for (const Dim& extent : choice.shape_of(operand.load->name)) count /= static_cast<double>(choice.counted(extent));
  return static_cast<std::int64_t>(std::min(count, 1e6));
}

// A constant is copied when the kernel is compiled.
bool is_constant(const Choice& choice, const std::string& tensor) {
  const auto& params = choice.kernel.params;
  const auto it = std::ranges::find(params, tensor, &kernel::Param::name);
  if (it == params.end()) return false;
  const int id = choice.step.args[static_cast<std::size_t>(it - params.begin())];
  return choice.function.tensors[static_cast<std::size_t>(id)].place == kernel::Tensor::Place::constant;
}

bool is_worth(const Choice& choice, const Contraction& contraction, const ReadOperand& operand, std::int64_t terms) {
  return is_constant(choice, operand.load->name) || reuse(choice, contraction, operand) >= terms;
}

// The last axis of what is transposed is the last but one of the copy: a line of it is read at once.
std::vector<kernel::IndexCount> transposing_tile(const Stage& copy) {
  constexpr std::int64_t kLine = 16;
  if (copy.indices.size() < 2) return {};
  return {{copy.indices[copy.indices.size() - 2].name, kLine}};
}

// A copy is made sample by sample where its only reader runs over them, and with lanes of its own.
void place_copy(Choice& choice, const std::string& root, const std::string& name, const StageSchedule& how) {
  StageSchedule record;
  record.stage = name;
  const Index& last = last_axis(*choice.kernel.stage(name));
  if (choice.counted(last.extent) >= choice.target.lanes) record.vector = {last.name, choice.target.lanes};
  const Stage& reader = *choice.kernel.stage(root);
  const auto try_with = [&](const StageSchedule& changed) {
    Schedule schedule = choice.schedule;
    schedule.stages.push_back(changed);
    schedule.stages.push_back(how);
    if (!choice.is_legal(schedule)) return false;
    choice.schedule.stages.push_back(changed);
    return true;
  };
  StageSchedule placed = record;
  placed.consumer = root;
  placed.at = reader.indices.front().name;
  if (reader.indices.size() > 2 && try_with(placed)) return;
  // A text has no record without a line.
  if (record.vector.index.empty()) record.tile = {{last.name, 1}};
  if (try_with(record)) return;
  placed.vector = record.vector = {"", 1};
  placed.tile = record.tile = transposing_tile(*choice.kernel.stage(name));
  if (reader.indices.size() > 2 && try_with(placed)) return;
  try_with(record);
}

std::optional<Contraction> contraction_at(const Choice& choice, const std::string& root) {
  return contraction_of(choice.kernel, choice.schedule, *choice.kernel.stage(root));
}

}  // namespace

bool copy_for_lanes(Choice& choice, const std::string& root, const StageSchedule& record) {
  const std::optional<Contraction> contraction = contraction_at(choice, root);
  const std::string& vector = record.vector.index;
  if (!contraction || !contraction->inner.contains(vector)) return false;
  const Before before(choice);
  std::vector<std::string> copies;
  for (const ReadOperand& operand : contraction->operands) {
    if (!contraction->depends(operand, vector) || !can_copy(choice, *contraction, operand)) continue;
    std::size_t axis = 0;
    for (std::size_t k = 0; k < operand.axes.size(); ++k) {
      if (operand.axes[k].contains(contraction->inner.at(vector))) axis = k;
    }
    const bool worth = is_worth(choice, *contraction, operand, kWorthLanes);
    const std::optional<std::string> copy =
        worth ? copy_operand(choice, root, *contraction, operand, axis) : std::nullopt;
    if (copy) copies.push_back(*copy);
  }
  if (copies.empty() || !choice.is_legal_with(record)) {
    before.restore(choice);
    return false;
  }
  for (const std::string& copy : copies) place_copy(choice, root, copy, record);
  return true;
}

void add_borders(Choice& choice, const std::string& root, const StageSchedule& record) {
  const std::optional<Contraction> contraction = contraction_at(choice, root);
  for (const ReadOperand& operand : contraction->operands) {
    if (!operand.load->has_else || !can_copy(choice, *contraction, operand)) continue;
    if (!is_worth(choice, *contraction, operand, kWorthABorder)) continue;
    const Before before(choice);
    const std::optional<std::string> copy = copy_operand(choice, root, *contraction, operand, std::nullopt);
    if (!copy) continue;
    place_copy(choice, root, *copy, record);
    if (choice.is_legal_with(record)) continue;
    before.restore(choice);  // a form that is not foreseen: leave it as it was
    std::erase_if(choice.schedule.stages, [&](const StageSchedule& other) { return other.stage == *copy; });
    return;
  }
}

void pack_panels(Choice& choice, const std::string& root, const StageSchedule& record) {
  const std::optional<Contraction> contraction = contraction_at(choice, root);
  const std::string& vector = record.vector.index;
  if (!contraction || !contraction->inner.contains(vector)) return;
  const std::string& inner = contraction->inner.at(vector);
  const std::int64_t width = tile_width(record);
  for (const ReadOperand& operand : contraction->operands) {
    const Expr& load = *operand.load;
    if (!contraction->depends(operand, vector) || !has_panels(choice, operand) ||
        !can_copy(choice, *contraction, operand))
      continue;
    const std::int64_t extent = choice.shape_of(load.name).back().constant();
    if (load.operands.back()->name != inner || extent <= width) continue;
    // Rows pass over a panel again and again; an operand that all rows share is read in full by each of them.
    const bool shared = std::ranges::any_of(contraction->operands, [&](const ReadOperand& other) {
      return &other != &operand && !contraction->depends(other, vector);
    });
    const bool constant = is_constant(choice, load.name);
    const bool far_apart = extent * size_of(choice.type_of(load.name)) >= choice.target.page / 4;
    if (choice.bytes_of(load.name) <= static_cast<double>(choice.target.l1) || !shared) continue;
    if (!constant && (!far_apart || reuse(choice, *contraction, operand) < kWorthAPanel)) continue;
    const Before before(choice);
    const Schedule planned = choice.schedule;
    // A copy of a copy is made at once.
    const StageSchedule* made = choice.schedule.of(load.name);
    const Stage* source = choice.kernel.stage(load.name);
    if (source != nullptr && source->expr->kind == Expr::Kind::load && !source->reduce &&
        (made == nullptr || made->consumer.empty())) {
      choice.schedule.inline_stages.push_back(load.name);
      std::erase_if(choice.schedule.stages, [&](const StageSchedule& other) { return other.stage == load.name; });
    }
    const std::string name = copy_in_panels(choice, root, *contraction, operand, width);
    StageSchedule lanes;
    lanes.stage = name;
    lanes.vector = record.vector;
    lanes.vector.index = "lane";
    const Schedule plain = choice.schedule;
    choice.schedule.stages.push_back(lanes);
    if (choice.is_legal_with(record)) continue;
    choice.schedule = plain;
    lanes.vector = {"", 1};
    lanes.tile = transposing_tile(*choice.kernel.stage(lanes.stage));
    choice.schedule.stages.push_back(lanes);
    if (choice.is_legal_with(record)) continue;
    before.restore(choice);
    choice.schedule = planned;
  }
}

}  // namespace tusk::scheduling
