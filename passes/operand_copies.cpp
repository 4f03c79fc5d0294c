#include "passes/operand_copies.hpp"

#include <algorithm>
#include <bit>
#include <optional>

#include "passes/added_stages.hpp"
#include "passes/register_tile.hpp"

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
constexpr std::int64_t kWorthBands = 64;
constexpr std::int64_t kWorthAPanel = 16;
constexpr std::int64_t kWorthRows = 4;  // tiles along the lanes
constexpr std::int64_t kFewestRows = 4;

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

// A copy of a copy is made at once, where the other one is made as a whole.
void read_through(Choice& choice, const std::string& tensor) {
  const StageSchedule* made = choice.schedule.of(tensor);
  const Stage* source = choice.kernel.stage(tensor);
  if (source == nullptr || source->expr->kind != Expr::Kind::load || source->reduce) return;
  if (made != nullptr && !made->consumer.empty()) return;
  choice.schedule.inline_stages.push_back(tensor);
  std::erase_if(choice.schedule.stages, [&](const StageSchedule& other) { return other.stage == tensor; });
}

// Copies an operand in panels; nothing is changed where the reader's record is not legal then. Those that are larger
// than a cache are made sample by sample, where their only reader runs over them.
bool make_panels(Choice& choice, const std::string& root, const Contraction& contraction, const ReadOperand& operand,
                 std::int64_t width, const StageSchedule& reader) {
  const Before before(choice);
  const std::string source = operand.load->name;
  const bool constant = is_constant(choice, source);
  const std::vector<ExprRef> at = operand.load->operands;
  read_through(choice, source);
  StageSchedule lanes;
  lanes.stage = copy_in_panels(choice, root, contraction, operand, width);
  lanes.vector = {"lane",
                  std::min<std::int64_t>(reader.vector.count,
                                         static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(width))))};
  const auto try_with = [&](const StageSchedule& record) {
    const Schedule plain = choice.schedule;
    choice.schedule.stages.push_back(record);
    if (choice.is_legal_with(reader)) return true;
    choice.schedule = plain;
    return false;
  };
  if (!constant) {
    // As the source lies in memory.
    const std::vector<Index>& indices = choice.kernel.stage(lanes.stage)->indices;
    for (std::size_t k = 1; k + 1 < indices.size(); ++k) lanes.order.push_back(indices[k].name);
    lanes.order.insert(lanes.order.end(), {indices.front().name, indices.back().name});
    const std::string front = choice.kernel.stage(root)->indices.front().name;
    const auto inner = contraction.inner.find(front);
    const bool by_sample = inner != contraction.inner.end() && at.size() > 2 && at[0]->kind == Expr::Kind::index &&
                           at[0]->name == inner->second && (reader.order.empty() || reader.order[0] == front);
    if (by_sample && choice.bytes_of(lanes.stage) > static_cast<double>(choice.target.l2)) {
      StageSchedule placed = lanes;
      placed.consumer = root;
      placed.at = front;
      placed.order.erase(placed.order.begin());
      if (try_with(placed)) return true;
    }
  }
  if (try_with(lanes)) return true;
  lanes.order.clear();
  lanes.vector = {"", 1};
  lanes.tile = transposing_tile(*choice.kernel.stage(lanes.stage));
  if (try_with(lanes)) return true;
  before.restore(choice);
  return false;
}

// Whether a loop stands outside of that over `at` in which an operand stays what it is.
bool is_made_again(const Choice& choice, const Contraction& contraction, const ReadOperand& operand,
                   const StageSchedule& record, const std::string& at) {
  const Stage& root = *choice.kernel.stage(record.stage);
  for (const std::string& outer : kernel::loop_order(root, record)) {
    if (outer == at) return false;
    const Index& index = *std::ranges::find(root.indices, outer, &Index::name);
    if (index.extent != Dim(1) && !contraction.depends(operand, outer)) return true;
  }
  return false;
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
    const auto of_rows = std::ranges::find_if(contraction->operands, [&](const ReadOperand& other) {
      return &other != &operand && !contraction->depends(other, vector);
    });
    const bool shared = of_rows != contraction->operands.end();
    const bool constant = is_constant(choice, load.name);
    const bool far_apart =
        extent * size_of(choice.type_of(load.name)) >= choice.target.page / 4 || (shared && is_in_panels(*of_rows));
    if (choice.bytes_of(load.name) <= static_cast<double>(choice.target.l1) || !shared) continue;
    if (!constant && (!far_apart || reuse(choice, *contraction, operand) < kWorthAPanel)) continue;
    make_panels(choice, root, *contraction, operand, width, record);
  }
}

void cut_borders(Choice& choice, const std::string& root, const StageSchedule& record) {
  if (!record.outer.index.empty()) return;
  const std::optional<Contraction> contraction = contraction_at(choice, root);
  const Stage& stage = *choice.kernel.stage(root);
  for (const ReadOperand& operand : contraction->operands) {
    const std::string name = operand.load->name;
    const StageSchedule* made = choice.schedule.of(name);
    if (made == nullptr || made->consumer != root || made->at != stage.indices.front().name) continue;
    const double bytes = choice.bytes_of(name) / static_cast<double>(choice.counted(stage.indices.front().extent));
    if (bytes <= static_cast<double>(choice.target.l2)) continue;
    if (reuse(choice, *contraction, operand) < kWorthBands) continue;
    for (std::size_t axis = 1; axis + 1 < operand.axes.size(); ++axis) {
      const Before before(choice);
      if (!cut_into_bands(choice, root, *contraction, operand, axis)) continue;
      const auto row = std::ranges::find_if(choice.kernel.stage(root)->indices, [&](const Index& index) {
        const auto inner = contraction->inner.find(index.name);
        return inner != contraction->inner.end() && operand.axes[axis].contains(inner->second);
      });
      std::ranges::find(choice.schedule.stages, name, &StageSchedule::stage)->at = row->name;
      if (!is_made_again(choice, *contraction, operand, record, row->name) && choice.is_legal_with(record)) return;
      before.restore(choice);
    }
  }
}

void pack_rows(Choice& choice, const std::string& root, const StageSchedule& untiled, StageSchedule& record) {
  const std::optional<Contraction> contraction = contraction_at(choice, root);
  const std::string& vector = record.vector.index;
  if (!contraction || !contraction->inner.contains(vector)) return;
  const Stage& stage = *choice.kernel.stage(root);
  const Index& along = *std::ranges::find(stage.indices, vector, &Index::name);
  if (choice.counted(along.extent) < kWorthRows * tile_width(record)) return;
  for (const ReadOperand& operand : contraction->operands) {
    const Expr& load = *operand.load;
    if (contraction->depends(operand, vector) || !has_panels(choice, operand) ||
        !can_copy(choice, *contraction, operand) || is_constant(choice, load.name))
      continue;
    const auto row = std::ranges::find_if(stage.indices, [&](const Index& index) {
      return contraction->inner.contains(index.name) && contraction->inner.at(index.name) == load.operands.back()->name;
    });
    if (row == stage.indices.end() || row->extent != choice.shape_of(load.name).back()) continue;
    if (choice.bytes_of(load.name) <= static_cast<double>(choice.target.l2)) continue;
    StageSchedule packed = untiled;
    choose_tile(choice, *contraction, packed, row->name);
    const auto tile = std::ranges::find(packed.tile, row->name, &kernel::IndexCount::index);
    if (tile == packed.tile.end() || tile->count < kFewestRows) continue;
    if (!make_panels(choice, root, *contraction, operand, tile->count, packed)) continue;
    record = std::move(packed);
    return;
  }
}

}  // namespace tusk::scheduling
