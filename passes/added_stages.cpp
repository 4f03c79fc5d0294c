#include "passes/added_stages.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <functional>
#include <map>
#include <numeric>

#include "passes/block_sums.hpp"

namespace tusk::scheduling {
namespace {

using kernel::AddedStage;
using kernel::Expr;
using kernel::ExprRef;
using kernel::Index;
using kernel::Stage;

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
      load.has_else = false;  // the copy has what lies out of range
      load.value = {};
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

// An axis that is read at `h` of the root times a stride, and taps of which those furthest apart are `span` rows.
struct Band {
  Index root;
  std::int64_t stride = 1;
  ExprRef taps;
  std::int64_t span = 1;
};

// The sum over declared indices alone: what an equality with stride 1 removes is replaced.
std::optional<kernel::Affine> without_removed(const ExprRef& index, const Stage& reader) {
  std::map<std::string, ExprRef> values;
  for (const kernel::Equality& equality : reader.reduce->where) {
    const std::optional<Removed> removed = removed_by(reader, equality);
    if (!removed || removed->stride != 1) continue;
    if (removed->name == equality.index) {
      values[removed->name] = equality.value;
      continue;
    }
    kernel::Affine others = *kernel::affine_of(equality.value);
    std::erase_if(others.terms, [&](const auto& term) { return term.first == removed->name; });
    values[removed->name] = kernel::apply("sub", {kernel::index(equality.index), kernel::expr_of(others)});
  }
  return kernel::affine_of(kernel::substitute(index, values));
}

std::optional<Band> band_of(const Choice& choice, const std::string& root, const Contraction& contraction,
                            const ExprRef& index) {
  const Stage& reader = *choice.kernel.stage(contraction.stage);
  std::optional<kernel::Affine> affine = without_removed(index, reader);
  if (!affine || !affine->offset.is_constant()) return std::nullopt;
  std::optional<Band> out;
  std::string inner;
  for (const Index& each : choice.kernel.stage(root)->indices) {
    const auto at = contraction.inner.find(each.name);
    if (at == contraction.inner.end()) continue;
    const Dim by = affine->coefficient(at->second);
    if (by == Dim(0)) continue;
    if (out || !by.is_constant() || by.constant() < 1) return std::nullopt;
    out = Band{each, by.constant(), nullptr, 1};
    inner = at->second;
  }
  if (!out || affine->terms.size() < 2) return std::nullopt;
  std::erase_if(affine->terms, [&](const auto& term) { return term.first == inner; });
  out->taps = kernel::expr_of(*affine);
  const kernel::Bounds bounds = kernel::bounds_of(out->taps, bounds_in(reader, choice.range_of), choice.range_of);
  if (!bounds.low || !bounds.high || *bounds.low != Dim(0) || !bounds.high->is_constant()) return std::nullopt;
  out->span = bounds.high->constant() + 1;
  return out;
}

// A number that divides all terms of an index expression over an axis, those of indices with one value aside.
std::int64_t stride_of(const ExprRef& index, const Stage& reader, std::int64_t extent) {
  const std::optional<kernel::Affine> affine = kernel::affine_of(index);
  if (!affine || affine->offset != Dim(0)) return 1;
  std::int64_t stride = 0;
  for (const auto& [name, coefficient] : affine->terms) {
    if (!coefficient.is_constant()) return 1;
    const auto has_one_value = [&, &wanted = name](const std::vector<Index>& list) {
      const auto it = std::ranges::find(list, wanted, &Index::name);
      return it != list.end() && it->extent == Dim(1);
    };
    const bool is_zero = has_one_value(reader.indices) || (reader.reduce && has_one_value(reader.reduce->indices));
    if (!is_zero) stride = std::gcd(stride, coefficient.constant());
  }
  return std::max<std::int64_t>(1, stride == 0 ? extent : stride);
}

// The expression over a number that divides it.
ExprRef divided(const ExprRef& index, std::int64_t by) {
  kernel::Affine affine = *kernel::affine_of(index);
  std::erase_if(affine.terms, [&](const auto& term) { return term.second.constant() % by != 0; });
  for (auto& [name, coefficient] : affine.terms) coefficient = Dim(coefficient.constant() / by);
  return kernel::expr_of(affine);
}

}  // namespace

bool can_copy(const Choice& choice, const Contraction& contraction, const ReadOperand& operand) {
  const std::string& tensor = operand.load->name;
  const kernel::Param* param = choice.kernel.param(tensor);
  const bool has_buffer = param != nullptr ? !param->inout : !choice.schedule.is_inline(tensor);
  int reads = 0;
  kernel::for_each_load(choice.kernel.stage(contraction.stage)->expr,
                        [&](const ExprRef& load) { reads += load->name == tensor ? 1 : 0; });
  return has_buffer && reads == 1;
}

bool has_panels(const Choice& choice, const ReadOperand& operand) {
  const Expr& load = *operand.load;
  const Shape shape = choice.shape_of(load.name);
  return !load.has_else && shape.size() >= 2 && shape.back().is_constant() &&
         load.operands.back()->kind == Expr::Kind::index;
}

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
  choice.added.push_back({moves ? AddedStage::Kind::last : AddedStage::Kind::border, name, load.name, root,
                          moves ? static_cast<std::int64_t>(*last) : 0});
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

bool cut_into_bands(Choice& choice, const std::string& root, const Contraction& contraction, const ReadOperand& operand,
                    std::size_t axis) {
  const std::string name = operand.load->name;
  const auto entry = std::ranges::find(choice.added, name, &AddedStage::name);
  if (entry == choice.added.end() || entry->kind != AddedStage::Kind::border) return false;
  const std::optional<Band> band = band_of(choice, root, contraction, operand.load->operands[axis]);
  if (!band) return false;
  Stage& copy = *std::ranges::find(choice.kernel.stages, name, &Stage::name);
  const Index taps{copy.indices[axis].name, Dim(band->span)};
  const ExprRef row = kernel::expr_of({{{"row", Dim(band->stride)}, {taps.name, Dim(1)}}, Dim(0)});
  copy.expr = kernel::substitute(copy.expr, {{taps.name, row}});
  copy.indices[axis] = taps;
  copy.indices.insert(copy.indices.begin() + static_cast<std::ptrdiff_t>(axis), {"row", band->root.extent});
  Stage& reader = *std::ranges::find(choice.kernel.stages, contraction.stage, &Stage::name);
  reader.expr = kernel::rewritten(reader.expr, [&](const ExprRef& expr) -> ExprRef {
    if (expr->kind != Expr::Kind::load || expr->name != name) return expr;
    Expr load = *expr;
    load.operands[axis] = band->taps;
    load.operands.insert(load.operands.begin() + static_cast<std::ptrdiff_t>(axis),
                         kernel::index(contraction.inner.at(band->root.name)));
    return std::make_shared<const Expr>(std::move(load));
  });
  entry->kind = AddedStage::Kind::bands;
  entry->number = static_cast<std::int64_t>(axis);
  return true;
}

std::string copy_in_panels(Choice& choice, const std::string& root, const Contraction& contraction,
                           const ReadOperand& operand, std::int64_t width) {
  const Expr& load = *operand.load;
  const Shape shape = choice.shape_of(load.name);
  const std::int64_t extent = shape.back().constant();
  Stage copy;
  copy.name = choice.fresh(load.name + "_packed");
  copy.type = choice.type_of(load.name);
  const ExprRef by = kernel::literal(DType::index, kernel::literal_of_int(width));
  copy.indices.push_back({"panel", Dim((extent + width - 1) / width)});
  std::vector<ExprRef> at;
  std::vector<std::int64_t> strides;  // only what is read is copied
  for (std::size_t k = 0; k + 1 < shape.size(); ++k) {
    const Stage& reader = *choice.kernel.stage(contraction.stage);
    strides.push_back(shape[k].is_constant() ? stride_of(load.operands[k], reader, shape[k].constant()) : 1);
    const Dim rows = strides[k] == 1 ? shape[k] : Dim((shape[k].constant() + strides[k] - 1) / strides[k]);
    copy.indices.push_back({fmt::format("t{}", k), rows});
    at.push_back(kernel::expr_of({{{copy.indices.back().name, Dim(strides[k])}}, Dim(0)}));
  }
  copy.indices.push_back({"lane", Dim(width)});
  at.push_back(kernel::apply("add", {kernel::apply("mul", {kernel::index("panel"), by}), kernel::index("lane")}));
  const DType type = register_type(copy.type);
  copy.expr = extent % width == 0 ? kernel::load(load.name, type, at)
                                  : kernel::load_else(load.name, type, at, kernel::literal_of(0));
  const std::string name = copy.name;
  choice.added.push_back({AddedStage::Kind::panels, name, load.name, root, width});
  insert_copy(choice, root, contraction.stage, load.name, std::move(copy), [&](const std::vector<ExprRef>& old) {
    std::vector<ExprRef> moved{kernel::apply("div", {old.back(), by})};
    for (std::size_t k = 0; k + 1 < old.size(); ++k)
      moved.push_back(strides[k] == 1 ? old[k] : divided(old[k], strides[k]));
    moved.push_back(kernel::apply("rem", {old.back(), by}));
    return moved;
  });
  return name;
}

bool is_in_panels(const ReadOperand& operand) {
  const std::vector<ExprRef>& at = operand.load->operands;
  const auto divides = [](const ExprRef& index, std::string_view by) {
    return index->kind == Expr::Kind::row && index->row == row_named(by);
  };
  return at.size() > 2 && divides(at.front(), "div") && divides(at.back(), "rem");
}

namespace {

// What a line of a record asks for; the reason where it cannot be.
std::optional<std::string> add_copy(Choice& choice, const AddedStage& wanted, bool source_inline) {
  const std::optional<Contraction> contraction =
      contraction_of(choice.kernel, choice.schedule, *choice.kernel.stage(wanted.stage));
  if (!contraction) return "the stage sums nothing, or by data";
  const auto operand = std::ranges::find_if(
      contraction->operands, [&](const ReadOperand& candidate) { return candidate.load->name == wanted.tensor; });
  if (operand == contraction->operands.end()) return "the sum of the stage does not read that tensor";
  if (!can_copy(choice, *contraction, *operand))
    return "only what has a buffer, is not overwritten, and is read once is copied";
  const auto rank = static_cast<std::int64_t>(operand->axes.size());
  switch (wanted.kind) {
    case AddedStage::Kind::border:
      if (!copy_operand(choice, wanted.stage, *contraction, *operand, std::nullopt))
        return "nothing is read out of range, or how far is not known";
      return std::nullopt;
    case AddedStage::Kind::bands: {
      if (wanted.number < 0 || wanted.number >= rank)
        return fmt::format("there is no axis {} of {} that could have bands", wanted.number, rank);
      const auto name = copy_operand(choice, wanted.stage, *contraction, *operand, std::nullopt);
      if (!name) return "nothing is read out of range, or how far is not known";
      const auto made = contraction_of(choice.kernel, choice.schedule, *choice.kernel.stage(wanted.stage));
      const auto read = std::ranges::find_if(
          made->operands, [&](const ReadOperand& candidate) { return candidate.load->name == *name; });
      if (!cut_into_bands(choice, wanted.stage, *made, *read, static_cast<std::size_t>(wanted.number)))
        return fmt::format("axis {} is not read with an index of the stage and taps of a window", wanted.number);
      return std::nullopt;
    }
    case AddedStage::Kind::last: {
      if (wanted.number < 0 || wanted.number + 1 >= rank)
        return fmt::format("axis {} of {} cannot go behind the others", wanted.number, rank);
      const auto last = static_cast<std::size_t>(wanted.number);
      if (!copy_operand(choice, wanted.stage, *contraction, *operand, last))
        return "how far out of range it is read is not known";
      return std::nullopt;
    }
    case AddedStage::Kind::panels: {
      constexpr std::int64_t kMost = 4096;
      if (!has_panels(choice, *operand))
        return "panels need a last axis of a known extent that is read with one index, in range, and one more axis";
      if (wanted.number < 2 || wanted.number > kMost)
        return fmt::format("a panel of {} elements is not within 2 to {}", wanted.number, kMost);
      if (source_inline && !choice.schedule.is_inline(wanted.tensor))
        choice.schedule.inline_stages.push_back(wanted.tensor);
      copy_in_panels(choice, wanted.stage, *contraction, *operand, wanted.number);
      return std::nullopt;
    }
    case AddedStage::Kind::blocks:
      break;
  }
  return std::nullopt;
}

}  // namespace

Status add_stage(Choice& choice, const AddedStage& wanted, bool source_inline) {
  const bool is_copy = wanted.kind != AddedStage::Kind::blocks;
  const auto fail = [&](const std::string& what) {
    return error("schedule-added", fmt::format("schedule of kernel `{}`: stage `{}`, added to `{}`: {}",
                                               choice.kernel.name, wanted.name, wanted.stage, what));
  };
  if (choice.fresh(wanted.name) != wanted.name) return fail("the name is taken");
  if (choice.kernel.stage(wanted.stage) == nullptr || choice.schedule.is_inline(wanted.stage))
    return fail(fmt::format("`{}` is no stage at root", wanted.stage));
  std::optional<std::string> problem;
  if (is_copy) {
    problem = add_copy(choice, wanted, source_inline);
  } else if (!part_blocks(choice, wanted.stage)) {
    problem = "the stage is no sum in blocks of one value of its first index, of which there are two or more";
  }
  if (problem) return fail(*problem);
  // It has the name that the pass would give it.
  AddedStage& made = choice.added.back();
  const kernel::TensorNames name{{made.name, wanted.name}};
  choice.kernel = renamed(std::move(choice.kernel), name);
  made.name = wanted.name;
  return done();
}

}  // namespace tusk::scheduling
