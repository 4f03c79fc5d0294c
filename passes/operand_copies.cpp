#include "passes/operand_copies.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <functional>
#include <optional>

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

// A tensor with a buffer that is read once.
bool can_copy(const Choice& choice, const Contraction& contraction, const ReadOperand& operand) {
  const std::string& tensor = operand.load->name;
  const kernel::Param* param = choice.kernel.param(tensor);
  const bool has_buffer = param != nullptr ? !param->inout : !choice.schedule.is_inline(tensor);
  int reads = 0;
  kernel::for_each_load(choice.kernel.stage(contraction.stage)->expr,
                        [&](const ExprRef& load) { reads += load->name == tensor ? 1 : 0; });
  return has_buffer && reads == 1;
}

// The load of a tensor in the summing stage reads the copy, which stands in front of the root. `moved` gives the
// operands in the copy.
void insert_copy(Choice& choice, const std::string& root, const std::string& summing, const std::string& tensor,
                 Stage copy, const std::function<std::vector<ExprRef>(const std::vector<ExprRef>&)>& moved) {
  for (Stage& stage : choice.kernel.stages) {
    if (stage.name != summing) continue;
    stage.expr = kernel::rewritten(stage.expr, [&](const ExprRef& expr) -> ExprRef {
      if (expr->kind != Expr::Kind::load || expr->name != tensor) return expr;
      Expr load = *expr;
      load.name = copy.name;
      load.operands = moved(expr->operands);
      return std::make_shared<const Expr>(std::move(load));
    });
  }
  // In front of what is inline in the root, too: a stage reads only those above it.
  std::vector<Stage>& stages = choice.kernel.stages;
  auto at = std::ranges::find(stages, root, &Stage::name);
  while (at != stages.begin() && (at - 1)->name != tensor && choice.schedule.is_inline((at - 1)->name)) --at;
  stages.insert(at, std::move(copy));
}

ExprRef shifted(const ExprRef& index, std::int64_t by) {
  if (std::optional<kernel::Affine> affine = kernel::affine_of(index)) {
    affine->offset = affine->offset + Dim(by);
    return kernel::expr_of(*affine);
  }
  return kernel::apply("add", {index, kernel::literal(DType::index, kernel::literal_of_int(by))});
}

// Copies an operand with a border where it is read out of range, and with the axis `last` behind the others. Gives the
// name of the copy; nothing where it would be the same, or how far reads go is not known.
std::optional<std::string> copy_operand(Choice& choice, const std::string& root, const Contraction& contraction,
                                        const ReadOperand& operand, std::optional<std::size_t> last) {
  const Expr& load = *operand.load;
  const kernel::IndexBounds bounds = bounds_in(*choice.kernel.stage(contraction.stage), choice.range_of);
  const Shape shape = choice.shape_of(load.name);
  std::vector<std::int64_t> low(shape.size(), 0);
  std::vector<Index> indices;
  std::vector<ExprRef> at;
  bool has_border = false;
  for (std::size_t k = 0; k < shape.size(); ++k) {
    Index index{fmt::format("t{}", k), shape[k]};
    ExprRef from = kernel::index(index.name);
    if (load.has_else) {
      const kernel::Bounds own = kernel::bounds_of(load.operands[k], bounds, choice.range_of);
      const bool inside = own.low && own.high && kernel::at_least_zero(*own.low, choice.range_of) &&
                          kernel::at_least_zero(shape[k] - Dim(1) - *own.high, choice.range_of);
      if (!inside) {
        if (!own.low || !own.high || !own.low->is_constant() || !own.high->is_constant()) return std::nullopt;
        low[k] = own.low->constant();
        index.extent = Dim(own.high->constant() - low[k] + 1);
        from = kernel::expr_of({{{index.name, Dim(1)}}, Dim(low[k])});
        has_border = true;
      }
    }
    indices.push_back(index);
    at.push_back(from);
  }
  const bool moves = last && *last + 1 < shape.size();
  if (!has_border && !moves) return std::nullopt;
  Stage copy;
  copy.name = choice.fresh(load.name + (moves ? "_transposed" : "_bordered"));
  copy.type = choice.type_of(load.name);
  copy.indices = indices;
  if (moves)
    std::rotate(copy.indices.begin() + static_cast<std::ptrdiff_t>(*last),
                copy.indices.begin() + static_cast<std::ptrdiff_t>(*last) + 1, copy.indices.end());
  copy.expr = has_border ? kernel::load_else(load.name, register_type(copy.type), at, load.value)
                         : kernel::load(load.name, register_type(copy.type), at);
  const std::string name = copy.name;
  insert_copy(choice, root, contraction.stage, load.name, std::move(copy), [&](std::vector<ExprRef> moved) {
    for (std::size_t k = 0; k < moved.size(); ++k) {
      if (low[k] != 0) moved[k] = shifted(moved[k], -low[k]);
    }
    if (moves)
      std::rotate(moved.begin() + static_cast<std::ptrdiff_t>(*last),
                  moved.begin() + static_cast<std::ptrdiff_t>(*last) + 1, moved.end());
    return moved;
  });
  return name;
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
  const Index& last = choice.kernel.stage(name)->indices.back();
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
  const Kernel before = choice.kernel;
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
    choice.kernel = before;
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
    const Kernel before = choice.kernel;
    const std::optional<std::string> copy = copy_operand(choice, root, *contraction, operand, std::nullopt);
    if (!copy) continue;
    place_copy(choice, root, *copy, record);
    if (choice.is_legal_with(record)) continue;
    choice.kernel = before;  // a form that is not foreseen: leave it as it was
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
    const Shape shape = choice.shape_of(load.name);
    if (!contraction->depends(operand, vector) || load.has_else || shape.size() < 2 || !shape.back().is_constant() ||
        !can_copy(choice, *contraction, operand))
      continue;
    const Expr& along = *load.operands.back();
    const std::int64_t extent = shape.back().constant();
    if (along.kind != Expr::Kind::index || along.name != inner || extent <= width) continue;
    // Rows pass over a panel again and again; an operand that all rows share is read in full by each of them.
    const bool shared = std::ranges::any_of(contraction->operands, [&](const ReadOperand& other) {
      return &other != &operand && !contraction->depends(other, vector);
    });
    const bool constant = is_constant(choice, load.name);
    const bool far_apart = extent * size_of(choice.type_of(load.name)) >= choice.target.page / 4;
    if (choice.bytes_of(load.name) <= static_cast<double>(choice.target.l1) || !shared) continue;
    if (!constant && (!far_apart || reuse(choice, *contraction, operand) < kWorthAPanel)) continue;
    const Kernel before = choice.kernel;
    const Schedule planned = choice.schedule;
    Stage copy;
    copy.name = choice.fresh(load.name + "_packed");
    copy.type = choice.type_of(load.name);
    const ExprRef by = kernel::literal(DType::index, kernel::literal_of_int(width));
    copy.indices.push_back({"panel", Dim((extent + width - 1) / width)});
    std::vector<ExprRef> at;
    for (std::size_t k = 0; k + 1 < shape.size(); ++k) {
      copy.indices.push_back({fmt::format("t{}", k), shape[k]});
      at.push_back(kernel::index(copy.indices.back().name));
    }
    copy.indices.push_back({"lane", Dim(width)});
    at.push_back(kernel::apply("add", {kernel::apply("mul", {kernel::index("panel"), by}), kernel::index("lane")}));
    const DType type = register_type(copy.type);
    copy.expr = extent % width == 0 ? kernel::load(load.name, type, at)
                                    : kernel::load_else(load.name, type, at, kernel::literal_of(0));
    // A copy of a copy is made at once.
    const StageSchedule* made = choice.schedule.of(load.name);
    const Stage* source = choice.kernel.stage(load.name);
    if (source != nullptr && source->expr->kind == Expr::Kind::load && !source->reduce &&
        (made == nullptr || made->consumer.empty())) {
      choice.schedule.inline_stages.push_back(load.name);
      std::erase_if(choice.schedule.stages, [&](const StageSchedule& other) { return other.stage == load.name; });
    }
    StageSchedule lanes;
    lanes.stage = copy.name;
    lanes.vector = record.vector;
    lanes.vector.index = "lane";
    insert_copy(choice, root, contraction->stage, load.name, std::move(copy), [&](const std::vector<ExprRef>& old) {
      std::vector<ExprRef> moved{kernel::apply("div", {old.back(), by})};
      moved.insert(moved.end(), old.begin(), old.end() - 1);
      moved.push_back(kernel::apply("rem", {old.back(), by}));
      return moved;
    });
    const Schedule plain = choice.schedule;
    choice.schedule.stages.push_back(lanes);
    if (choice.is_legal_with(record)) continue;
    choice.schedule = plain;
    lanes.vector = {"", 1};
    lanes.tile = transposing_tile(*choice.kernel.stage(lanes.stage));
    choice.schedule.stages.push_back(lanes);
    if (choice.is_legal_with(record)) continue;
    choice.kernel = before;
    choice.schedule = planned;
  }
}

}  // namespace tusk::scheduling
