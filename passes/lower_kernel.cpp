#include "passes/lower_kernel.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "ir/kernel/affine.hpp"
#include "ir/loop/parse.hpp"
#include "ir/loop/print.hpp"
#include "ir/ops/common.hpp"
#include "passes/kernel_lowering.hpp"

namespace tusk {
namespace lowering {
namespace {

using kernel::Expr;
using kernel::ExprRef;
using kernel::Reducer;
using kernel::Stage;
using loop::Stmt;
using loop::ValueRef;

const loop::Type kIndex{DType::index, 1};

// Whether partial results may be rounded to the stage's type: 16-bit floats would lose digits at every addition, and
// narrow integers their order; sums and products of integers are equal modulo their width.
bool accumulates_in_memory(const Stage& stage) {
  if (register_type(stage.type) == stage.type) return true;
  const Reducer kind = stage.reduce->kind;
  return !is_float(stage.type) && kind != Reducer::max && kind != Reducer::min;
}

}  // namespace

loop::Func KernelLowering::run(std::string name) {
  loop::Func func;
  func.name = std::move(name);
  std::size_t next = 0;
  const auto add = [&](const std::string& tensor, DType type, Shape shape, bool constant) {
    func.buffers.push_back({tensor, type, constant, 0, shape_str(shape)});
    tensors_[tensor] = {type, std::move(shape), layout_.strides[next++]};
    scope_.insert(tensor);
  };
  for (const kernel::Param& param : kernel_.params) add(param.name, param.type, param.shape, !param.inout);
  for (const std::string& result : kernel_.results) {
    const Stage& stage = *kernel_.stage(result);
    if (kernel_.param(result) == nullptr) add(result, stage.type, shape_of(stage), false);
  }
  for (const Stage* stage : scratch_stages(kernel_, schedule_)) {
    add(stage->name, stage->type, kernel::buffer_shape(kernel_, schedule_, *stage), false);
    Tensor& tensor = tensors_.at(stage->name);
    tensor.shape = shape_of(*stage);
    for (const kernel::AxisAt& at : kernel::axes_at(kernel_, schedule_, *stage)) tensor.strides[at.axis] = Dim(0);
  }
  for (std::string& symbol : symbols_of(kernel_, layout_)) {
    scope_.insert(symbol);
    func.scalars.push_back({std::move(symbol), kIndex});
  }
  out_ = &func.body;
  for (const Stage& stage : kernel_.stages) {
    const kernel::StageSchedule* how = schedule_.of(stage.name);
    const bool waits = how != nullptr && !how->consumer.empty();
    if (!schedule_.is_inline(stage.name) && !waits) root(stage);
  }
  return func;
}

// --- names and blocks

std::string KernelLowering::fresh(const std::string& hint) {
  int& count = names_[hint];  // all names with smaller numbers are taken
  std::string name = count == 0 ? hint : fmt::format("{}_{}", hint, count);
  while (loop::is_reserved(name) || !scope_.insert(name).second) name = fmt::format("{}_{}", hint, ++count);
  return name;
}

void KernelLowering::within(loop::Block& block, const std::function<void()>& fill) {
  loop::Block* outer = std::exchange(out_, &block);
  const auto points = points_;
  const auto computed = computed_;
  fill();
  out_ = outer;
  points_ = points;
  computed_ = computed;
}

ValueRef KernelLowering::let(const std::string& hint, ValueRef value) {
  if (value->kind == loop::Value::Kind::name || value->kind == loop::Value::Kind::literal) return value;
  Stmt stmt;
  stmt.kind = Stmt::Kind::let;
  stmt.name = fresh(hint);
  stmt.type = value->type;
  stmt.value = std::move(value);
  ValueRef name = loop::name(stmt.name, stmt.type);
  if (tile_ != nullptr && out_ != tile_) inner_.insert(stmt.name);
  out_->push_back(std::move(stmt));
  return name;
}

void KernelLowering::bind(const std::string& index, ValueRef value) {
  for (Point& point : points_) {
    point.at[index] = {value};
    point.shared.clear();
  }
}

// Runs the body for registers of another stage.
void KernelLowering::at_points(std::vector<Point> points, const std::function<void()>& body) {
  const auto outer = std::exchange(points_, std::move(points));
  const std::size_t here = std::exchange(here_, 0);
  const auto bounds = bounds_;
  const auto uses = uses_;
  body();
  points_ = outer;
  here_ = here;
  bounds_ = bounds;
  uses_ = uses;
}

void KernelLowering::at_each_point(const std::function<void(std::size_t)>& body) {
  const std::size_t outer = here_;
  for (here_ = 0; here_ < points_.size(); ++here_) body(here_);
  here_ = outer;
}

Values KernelLowering::results_of(Stmt& stmt, const std::vector<std::string>& hints, const Values& like) {
  Values results;
  for (std::size_t k = 0; k < like.size(); ++k) {
    loop::Carry carry;
    carry.result = fresh(hints[k]);
    carry.type = like[k]->type;
    results.push_back(loop::name(carry.result, carry.type));
    stmt.carries.push_back(std::move(carry));
  }
  return results;
}

Values KernelLowering::loop_over(const std::string& index, const ValueRef& low, const ValueRef& high, std::int64_t step,
                                 const Values& init, const std::vector<std::string>& hints,
                                 const std::function<Values(const ValueRef&, const Values&)>& body) {
  Stmt stmt;
  stmt.kind = Stmt::Kind::loop;
  stmt.low = low;
  stmt.high = high;
  stmt.step = step;
  Values results = results_of(stmt, hints, init);
  for (std::size_t k = 0; k < init.size(); ++k) stmt.carries[k].init = init[k];
  within(stmt.body, [&] {
    stmt.name = fresh(index);
    if (tile_ != nullptr) inner_.insert(stmt.name);
    Values carried;
    for (loop::Carry& carry : stmt.carries) {
      carry.name = fresh(carry.result);
      carried.push_back(loop::name(carry.name, carry.type));
    }
    const ValueRef at = loop::name(stmt.name, kIndex);
    bind(index, at);
    stmt.yields = body(at, carried);
  });
  out_->push_back(std::move(stmt));
  return results;
}

Values KernelLowering::branch(const ValueRef& condition, const std::vector<std::string>& hints, const Values& other,
                              const std::function<Values()>& taken) {
  Stmt stmt;
  stmt.kind = Stmt::Kind::branch;
  stmt.value = condition;
  ++conditions_;
  within(stmt.body, [&] { stmt.yields = taken(); });
  --conditions_;
  stmt.other_yields = other;
  Values results = results_of(stmt, hints, other);
  out_->push_back(std::move(stmt));
  return results;
}

void KernelLowering::loops(const std::vector<kernel::Index>& indices, std::size_t level,
                           const std::function<void()>& body) {
  if (level == indices.size()) return body();
  loop_over(indices[level].name, loop::index_literal(0), loop::dim_value(indices[level].extent), 1, {}, {},
            [&](const ValueRef&, const Values&) {
              loops(indices, level + 1, body);
              return Values{};
            });
}

// --- stages

Point KernelLowering::point_of(const Stage& stage, const std::vector<Position>& at) {
  Point point;
  for (std::size_t i = 0; i < at.size(); ++i) {
    point.at[stage.indices[i].name] = at[i];
    if (at[i].lane != 0) point.lanes = here().lanes;
  }
  if (point.lanes > 1) point.count = here().count;
  return point;
}

// The value of a stage at one point. An inlined stage sees its own indices, not those of the stage that reads it.
ValueRef KernelLowering::compute(const Stage& stage, const std::vector<Position>& at) {
  ValueRef result;
  at_points({point_of(stage, at)}, [&] { result = compute_here(stage)[0]; });
  here().shared.clear();
  return result;
}

// The values of a stage in all registers of the tile, rounded to its type (N11).
Values KernelLowering::compute_here(const Stage& stage) {
  bounds_.clear();
  kernel::add_bounds(bounds_, stage.indices);
  if (tile_ != nullptr) prepare(stage);
  uses_.clear();
  count_uses(stage.expr);
  Values results;
  if (stage.reduce) {
    results = reduction(stage, *stage.reduce);
  } else {
    at_each_point([&](std::size_t) { results.push_back(value(stage.expr)); });
  }
  if (is_storage_only(stage.type)) {
    for (ValueRef& result : results) result = row_of(convert_row(stage.type), {result});
  }
  return results;
}

void KernelLowering::root(const Stage& stage) {
  how_ = schedule_.of(stage.name);
  const bool by_data = stage.reduce && data_where(stage) != nullptr && !reads_target(*data_where(stage));
  if (by_data && !layout_.brute_force_where && accumulates_in_memory(stage)) {
    if (how_ != nullptr)
      throw IllegalSchedule{
          fmt::format("stage `{}`: its terms are added where data says, so it has no tiles", stage.name)};
    return scatter(stage);
  }
  if (how_ != nullptr) {
    try {
      return tiled(stage, *how_);
    } catch (IllegalSchedule& illegal) {
      illegal.why = fmt::format("stage `{}`: {}", stage.name, illegal.why);
      throw;
    }
  }
  kernel::add_bounds(bounds_, stage.indices);
  loops(stage.indices, 0, [&] {
    std::vector<Position> at;
    for (const kernel::Index& index : stage.indices) at.push_back(here().at.at(index.name));
    store(stage, compute(stage, at));
  });
  bounds_.clear();
}

std::vector<Position> KernelLowering::own_element(const Stage& stage) {
  std::vector<Position> at;
  for (const kernel::Index& index : stage.indices) at.push_back(here().at.at(index.name));
  return at;
}

// What has been stored there.
ValueRef KernelLowering::stored(const Stage& stage) {
  const Tensor& tensor = tensors_.at(stage.name);
  const std::vector<Position> at = own_element(stage);
  const loop::Type type{stage.type, here().lanes};
  if (type.lanes > 1 && lane_stride(tensor, at) != 1)
    throw IllegalSchedule{fmt::format("`{}` does not lie along its lanes", stage.name)};
  const ValueRef address = address_of(tensor, at);
  if (!here().count) return loop::load(stage.name, type, address);
  return loop::load_masked(stage.name, type, address, first_lanes(here().count, type.lanes), kernel::literal_of_int(0));
}

void KernelLowering::store(const Stage& stage, ValueRef value) {
  const Tensor& tensor = tensors_.at(stage.name);
  const std::vector<Position> at = own_element(stage);
  Stmt stmt;
  stmt.kind = Stmt::Kind::store;
  stmt.base = stage.name;
  stmt.address = address_of(tensor, at);
  stmt.value = std::move(value);
  if (const int lanes = here().lanes; lanes > 1) {
    if (lane_stride(tensor, at) != 1)
      throw IllegalSchedule{fmt::format("`{}` does not lie along its lanes", stage.name)};
    stmt.value = wide(stmt.value, lanes);
    if (here().count) stmt.mask = first_lanes(here().count, lanes);
  }
  out_->push_back(std::move(stmt));
}

}  // namespace lowering

std::vector<std::string> symbols_of(const kernel::Kernel& kernel, const KernelLayout& layout) {
  std::set<std::string> symbols;
  const auto add = [&](const Dim& dim) {
    for (std::string& symbol : dim.symbols()) symbols.insert(std::move(symbol));
  };
  const std::function<void(const kernel::ExprRef&)> walk = [&](const kernel::ExprRef& expr) {
    if (!expr) return;
    if (expr->kind == kernel::Expr::Kind::dim) add(expr->dim);
    for (const kernel::ExprRef& operand : expr->operands) walk(operand);
  };
  for (const kernel::Param& param : kernel.params) {
    for (const Dim& dim : param.shape) add(dim);
  }
  for (const kernel::Stage& stage : kernel.stages) {
    for (const kernel::Index& index : stage.indices) add(index.extent);
    walk(stage.expr);
    if (!stage.reduce) continue;
    for (const kernel::Index& index : stage.reduce->indices) add(index.extent);
    for (const kernel::Equality& equality : stage.reduce->where) walk(equality.value);
    walk(stage.reduce->from);
  }
  for (const std::vector<Dim>& strides : layout.strides) {
    for (const Dim& stride : strides) add(stride);
  }
  return {symbols.begin(), symbols.end()};
}

Expected<loop::Func> lower_kernel(const kernel::Kernel& kernel, const kernel::Schedule& schedule,
                                  const KernelLayout& layout, std::string name) {
  try {
    return lowering::KernelLowering(kernel, schedule, layout).run(std::move(name));
  } catch (const lowering::IllegalSchedule& illegal) {
    return error("schedule-lanes", fmt::format("schedule of kernel `{}`: {}", kernel.name, illegal.why));
  }
}

}  // namespace tusk
