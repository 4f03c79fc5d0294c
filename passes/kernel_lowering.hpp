// How lower_kernel works inside: one kernel on its way to loops. Its parts are blocks, expressions and stages
// (lower_kernel.cpp), reductions (lower_reduction.cpp) and sums whose target is data (lower_scatter.cpp).
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ir/kernel/affine.hpp"
#include "ir/kernel/kernel.hpp"
#include "ir/loop/loop.hpp"
#include "passes/lower_kernel.hpp"

namespace tusk::lowering {

using Values = std::vector<loop::ValueRef>;

/// A tensor with a buffer: its shape and strides.
struct Tensor {
  DType type = DType::f32;
  Shape shape;
  std::vector<Dim> strides;
};

/// How far the loops of a reduction are: indices in loops, and equalities that hold already.
struct Progress {
  std::size_t level = 0;
  std::vector<bool> solved;
};

/// An equality as stride * removed == position.
struct Solvable {
  std::string removed;
  std::int64_t stride = 1;
  loop::ValueRef position;
};

inline loop::ValueRef integer(std::string_view row, loop::ValueRef a, loop::ValueRef b) {
  return loop::simplified(loop::apply(row, {std::move(a), std::move(b)}));
}

/// Where a sum of this stage starts, in the type of registers.
loop::ValueRef identity(const kernel::Stage& stage);

/// The equality whose value is data, if there is one.
const kernel::Equality* data_where(const kernel::Stage& stage);

/// Whether the data is read at the very index that it decides: then no order of loops can read it first.
bool reads_target(const kernel::Equality& equality);

class KernelLowering {
 public:
  KernelLowering(const kernel::Kernel& kernel, const kernel::Schedule& schedule, const KernelLayout& layout)
      : kernel_(kernel), schedule_(schedule), layout_(layout) {}

  loop::Func run(std::string name);

 private:
  // Names and blocks. A name is defined once in a function.
  std::string fresh(const std::string& hint);
  void within(loop::Block& block, const std::function<void()>& fill);
  loop::ValueRef let(const std::string& hint, loop::ValueRef value);
  void bind(const std::string& index, loop::ValueRef value);
  bool bound(const std::string& index) const { return env_.contains(index); }

  // What a statement gives: a fresh name for each value, and its type.
  Values results_of(loop::Stmt& stmt, const std::vector<std::string>& hints, const Values& like);
  // for index = low to high step { yields = body(carried) }; gives what is carried out.
  Values loop_over(const std::string& index, const loop::ValueRef& low, const loop::ValueRef& high, std::int64_t step,
                   const Values& init, const std::vector<std::string>& hints,
                   const std::function<Values(const loop::ValueRef&, const Values&)>& body);
  // if condition { yields = taken() } else { yields = other }
  Values branch(const loop::ValueRef& condition, const std::vector<std::string>& hints, const Values& other,
                const std::function<Values()>& taken);
  void loops(const std::vector<kernel::Index>& indices, std::size_t level, const std::function<void()>& body);

  // Expressions.
  loop::ValueRef address_of(const Tensor& tensor, const Values& at);
  loop::ValueRef inside(const Shape& shape, const std::vector<kernel::ExprRef>& indices, const Values& at);
  loop::ValueRef value(const kernel::ExprRef& expr);
  loop::ValueRef bits_of(const Row& row, const loop::ValueRef& x);
  void count_uses(const kernel::ExprRef& expr);
  loop::ValueRef load(const kernel::ExprRef& expr);

  // Stages.
  loop::ValueRef compute(const kernel::Stage& stage, const Values& at);
  void root(const kernel::Stage& stage);
  void store(const kernel::Stage& stage, const Values& at, loop::ValueRef value);

  // Reductions.
  loop::ValueRef accumulate(const kernel::Stage& stage, const loop::ValueRef& acc);
  std::optional<Solvable> solve(const kernel::Equality& equality);
  Values descend(const kernel::Stage& stage, Progress progress, const Values& acc, const loop::ValueRef& low,
                 const loop::ValueRef& high);
  Values step(const kernel::Stage& stage, const Values& acc);
  Values lanes(const kernel::Stage& stage, const Progress& next, const Values& acc, const kernel::Index& index,
               const loop::ValueRef& first, const loop::ValueRef& last);
  loop::ValueRef block_value(const kernel::Stage& stage, const loop::ValueRef& low, const loop::ValueRef& high,
                             bool begins);
  loop::ValueRef reduction(const kernel::Stage& stage, const kernel::Reduce& reduce);

  // Sums whose target is data (W3).
  void scatter(const kernel::Stage& stage);

  const kernel::Kernel& kernel_;
  const kernel::Schedule& schedule_;
  const KernelLayout& layout_;
  loop::Block* out_ = nullptr;
  std::map<std::string, Tensor> tensors_;
  std::set<std::string> scope_;
  std::map<std::string, loop::ValueRef> env_;             // index -> value
  kernel::IndexBounds bounds_;                            // of the indices, for range checks
  std::map<std::string, loop::ValueRef> computed_;        // inline stages at a point
  std::map<const kernel::Expr*, loop::ValueRef> shared_;  // named subexpressions
  std::map<const kernel::Expr*, int> uses_;
};

}  // namespace tusk::lowering
