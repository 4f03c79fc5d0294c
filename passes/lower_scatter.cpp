// Sums whose target is data (W3): every term is added where its data says.
#include <algorithm>

#include "ir/ops/common.hpp"
#include "passes/kernel_lowering.hpp"

namespace tusk::lowering {

using kernel::Expr;
using kernel::ExprRef;
using kernel::Reduce;
using kernel::Stage;
using loop::ValueRef;

const kernel::Equality* data_where(const Stage& stage) {
  for (const kernel::Equality& equality : stage.reduce->where) {
    if (!kernel::affine_of(equality.value)) return &equality;
  }
  return nullptr;
}

bool reads_target(const kernel::Equality& equality) {
  const std::function<bool(const ExprRef&)> reads = [&](const ExprRef& expr) {
    return (expr->kind == Expr::Kind::index && expr->name == equality.index) ||
           std::any_of(expr->operands.begin(), expr->operands.end(), reads);
  };
  return reads(equality.value);
}

// Fill with `from` or the identity, run the reduce indices in order, compute v, accumulate there.
void KernelLowering::scatter(const Stage& stage) {
  const Reduce& reduce = *stage.reduce;
  const kernel::Equality& equality = *data_where(stage);
  kernel::add_bounds(bounds_, stage.indices);
  kernel::add_bounds(bounds_, reduce.indices);
  loops(stage.indices, 0, [&] { store(stage, reduce.from ? value(reduce.from) : identity(stage)); });
  // Left indices that the data depends on run outside; the others inside the check.
  std::set<std::string> read;
  const std::function<void(const ExprRef&)> collect = [&](const ExprRef& expr) {
    if (expr->kind == Expr::Kind::index) read.insert(expr->name);
    for (const ExprRef& operand : expr->operands) collect(operand);
  };
  collect(equality.value);
  std::vector<kernel::Index> outer;
  std::vector<kernel::Index> inner;
  const kernel::Index* target = nullptr;
  for (const kernel::Index& index : stage.indices) {
    if (index.name == equality.index) {
      target = &index;
    } else {
      (read.contains(index.name) ? outer : inner).push_back(index);
    }
  }
  outer.insert(outer.end(), reduce.indices.begin(), reduce.indices.end());
  loops(outer, 0, [&] {
    const ValueRef v = let(equality.index, value(equality.value));
    const ValueRef valid = loop::apply("and", {loop::apply("ge", {v, loop::index_literal(0)}),
                                               loop::apply("lt", {v, loop::dim_value(target->extent)})});
    branch(valid, {}, {}, [&] {
      bind(equality.index, v);
      loops(inner, 0, [&] {
        std::vector<Position> at;
        for (const kernel::Index& index : stage.indices) at.push_back(here().at.at(index.name));
        const Tensor& tensor = tensors_.at(stage.name);
        const loop::Type type{register_type(tensor.type), 1};
        uses_.clear();
        count_uses(stage.expr);
        store(stage, accumulate(stage, loop::load(stage.name, type, address_of(tensor, at))));
      });
      return Values{};
    });
  });
  bounds_.clear();
}

}  // namespace tusk::lowering
