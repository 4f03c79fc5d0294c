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

bool is_inline(const kernel::Schedule& schedule, std::string_view stage) {
  return std::find(schedule.inline_stages.begin(), schedule.inline_stages.end(), stage) != schedule.inline_stages.end();
}

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
  for (const Stage* stage : scratch_stages(kernel_, schedule_)) add(stage->name, stage->type, shape_of(*stage), false);
  for (std::string& symbol : symbols_of(kernel_, layout_)) {
    scope_.insert(symbol);
    func.scalars.push_back({std::move(symbol), kIndex});
  }
  out_ = &func.body;
  for (const Stage& stage : kernel_.stages) {
    if (!is_inline(schedule_, stage.name)) root(stage);
  }
  return func;
}

// --- names and blocks

std::string KernelLowering::fresh(const std::string& hint) {
  std::string name = hint;
  for (int i = 1; loop::is_reserved(name) || !scope_.insert(name).second; ++i) name = fmt::format("{}_{}", hint, i);
  return name;
}

void KernelLowering::within(loop::Block& block, const std::function<void()>& fill) {
  loop::Block* outer = std::exchange(out_, &block);
  const auto env = env_;
  const auto computed = computed_;
  const auto shared = shared_;
  fill();
  out_ = outer;
  env_ = env;
  computed_ = computed;
  shared_ = shared;
}

ValueRef KernelLowering::let(const std::string& hint, ValueRef value) {
  if (value->kind == loop::Value::Kind::name || value->kind == loop::Value::Kind::literal) return value;
  Stmt stmt;
  stmt.kind = Stmt::Kind::let;
  stmt.name = fresh(hint);
  stmt.type = value->type;
  stmt.value = std::move(value);
  ValueRef name = loop::name(stmt.name, stmt.type);
  out_->push_back(std::move(stmt));
  return name;
}

void KernelLowering::bind(const std::string& index, ValueRef value) {
  env_[index] = std::move(value);
  shared_.clear();
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
  within(stmt.body, [&] { stmt.yields = taken(); });
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

// --- expressions

ValueRef KernelLowering::address_of(const Tensor& tensor, const Values& at) {
  ValueRef address = loop::index_literal(0);
  for (std::size_t i = 0; i < at.size(); ++i) {
    address = integer("add", address, integer("mul", at[i], loop::dim_value(tensor.strides[i])));
  }
  return address;
}

// The condition that an `else` load reads inside; null if it always does.
ValueRef KernelLowering::inside(const Shape& shape, const std::vector<ExprRef>& indices, const Values& at) {
  ValueRef all;
  const auto require = [&](ValueRef condition) { all = all ? loop::apply("and", {all, condition}) : condition; };
  for (std::size_t i = 0; i < at.size(); ++i) {
    const auto [low, high] = kernel::bounds_of(indices[i], bounds_, layout_.range_of);
    const bool above = low && kernel::at_least_zero(*low, layout_.range_of);
    const bool below = high && kernel::at_least_zero(shape[i] - Dim(1) - *high, layout_.range_of);
    if (!above) require(loop::apply("ge", {at[i], loop::index_literal(0)}));
    if (!below) require(loop::apply("lt", {at[i], loop::dim_value(shape[i])}));
  }
  return all;
}

ValueRef KernelLowering::value(const ExprRef& expr) {
  switch (expr->kind) {
    case Expr::Kind::literal:
      return loop::literal({expr->type, 1}, expr->value);
    case Expr::Kind::index:
      return env_.at(expr->name);
    case Expr::Kind::dim:
      return loop::dim_value(expr->dim);
    case Expr::Kind::load:
      return load(expr);
    case Expr::Kind::row:
      break;
  }
  if (const auto it = shared_.find(expr.get()); it != shared_.end()) return it->second;
  Values operands;
  for (const ExprRef& operand : expr->operands) operands.push_back(value(operand));
  ValueRef result = expr->row->basic == Basic::bitcast ? bits_of(*expr->row, operands[0])
                                                       : loop::apply(*expr->row, std::move(operands));
  if (expr->type == DType::index) return loop::simplified(result);
  if (uses_[expr.get()] > 1) {
    result = let("t", std::move(result));
    shared_[expr.get()] = result;
  }
  return result;
}

// The bits of a NaN are the machine's (x86 and ARM make different ones): all are those of the quiet one without a
// sign.
ValueRef KernelLowering::bits_of(const Row& row, const ValueRef& x) {
  const DType from = x->type.element;
  if (!is_float(from) || is_float(row.target)) return loop::apply(row, {x});
  const ValueRef named = let("t", x);
  const std::int64_t nan = from == DType::f64 ? 0x7ff8000000000000 : 0x7fc00000;
  return loop::apply("select",
                     {loop::apply("ne", {named, named}), loop::literal({row.target, 1}, kernel::literal_of_int(nan)),
                      loop::apply(row, {named})});
}

// How often each node of a formula is used: nodes used twice get a name.
void KernelLowering::count_uses(const ExprRef& expr) {
  if (++uses_[expr.get()] > 1) return;
  for (const ExprRef& operand : expr->operands) count_uses(operand);
}

ValueRef KernelLowering::load(const ExprRef& expr) {
  Values at;
  for (const ExprRef& index : expr->operands) at.push_back(value(index));
  const Stage* stage = kernel_.stage(expr->name);
  const bool inlined = stage != nullptr && is_inline(schedule_, expr->name);
  const Tensor* tensor = inlined ? nullptr : &tensors_.at(expr->name);
  const ValueRef mask =
      expr->has_else ? inside(inlined ? shape_of(*stage) : tensor->shape, expr->operands, at) : nullptr;
  const loop::Type type{expr->type, 1};
  if (!inlined) {
    const ValueRef address = address_of(*tensor, at);
    return mask ? loop::load_masked(expr->name, type, address, mask, expr->value)
                : loop::load(expr->name, type, address);
  }
  std::string key = expr->name;
  for (const ValueRef& index : at) key += "," + loop::print(index);
  if (mask) key += " else " + kernel::literal_str(expr->value, expr->type);
  if (const auto it = computed_.find(key); it != computed_.end()) return it->second;
  ValueRef result;
  if (mask) {
    result =
        branch(mask, {expr->name}, {loop::literal(type, expr->value)}, [&] { return Values{compute(*stage, at)}; })[0];
  } else {
    result = let(expr->name, compute(*stage, at));
  }
  computed_[key] = result;
  return result;
}

// --- stages

// The value of a stage at one point, rounded to its type (N11).
ValueRef KernelLowering::compute(const Stage& stage, const Values& at) {
  const auto env = env_;
  const auto bounds = bounds_;
  const auto uses = uses_;
  env_.clear();  // an inlined stage sees its own indices, not those of the stage that reads it
  bounds_.clear();
  for (std::size_t i = 0; i < at.size(); ++i) bind(stage.indices[i].name, at[i]);
  kernel::add_bounds(bounds_, stage.indices);
  uses_.clear();
  count_uses(stage.expr);
  ValueRef result = stage.reduce ? reduction(stage, *stage.reduce) : value(stage.expr);
  if (is_storage_only(stage.type)) result = loop::apply(convert_row(stage.type), {result});
  env_ = env;
  bounds_ = bounds;
  uses_ = uses;
  shared_.clear();
  return result;
}

void KernelLowering::root(const Stage& stage) {
  const bool by_data = stage.reduce && data_where(stage) != nullptr && !reads_target(*data_where(stage));
  if (by_data && !layout_.brute_force_where && accumulates_in_memory(stage)) return scatter(stage);
  kernel::add_bounds(bounds_, stage.indices);
  loops(stage.indices, 0, [&] {
    Values at;
    for (const kernel::Index& index : stage.indices) at.push_back(env_.at(index.name));
    store(stage, at, compute(stage, at));
  });
  bounds_.clear();
}

void KernelLowering::store(const Stage& stage, const Values& at, ValueRef value) {
  Stmt stmt;
  stmt.kind = Stmt::Kind::store;
  stmt.base = stage.name;
  stmt.address = address_of(tensors_.at(stage.name), at);
  stmt.value = std::move(value);
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

loop::Func lower_kernel(const kernel::Kernel& kernel, const kernel::Schedule& schedule, const KernelLayout& layout,
                        std::string name) {
  return lowering::KernelLowering(kernel, schedule, layout).run(std::move(name));
}

}  // namespace tusk
