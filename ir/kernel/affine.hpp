// Index expressions as sums, and rewriting of expressions. Used by the verifier, fusion and lowering.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ir/kernel/kernel.hpp"

namespace tusk::kernel {

/// offset + sum of coefficient * index. Every index occurs once, in order of appearance; no coefficient is zero.
struct Affine {
  std::vector<std::pair<std::string, Dim>> terms;
  Dim offset;
  /// The coefficient of an index, zero if it does not occur.
  Dim coefficient(std::string_view index) const;
};

/// The sum that an index expression is, or nothing: a remainder, a division that leaves one, min, max, or data.
std::optional<Affine> affine_of(const ExprRef& expr);

/// The expression of a sum: affine_of(expr_of(a)) is a.
ExprRef expr_of(const Affine& affine);

/// Every index named in `values` replaced. Nodes that are shared stay shared, what does not change stays the same node.
ExprRef substitute(const ExprRef& expr, const std::map<std::string, ExprRef>& values);

/// Every load of a tensor named in `names` reads the other one.
ExprRef rename_tensors(const ExprRef& expr, const std::map<std::string, std::string>& names);

/// Rewrites bottom-up: `rewrite` sees every node, its operands already rewritten, once, and gives the node in its
/// place.
ExprRef rewritten(const ExprRef& expr, const std::function<ExprRef(const ExprRef&)>& rewrite);

/// Calls visit for every node, operands first; a shared node once.
void for_each_node(const ExprRef& expr, const std::function<void(const ExprRef&)>& visit);

/// Calls visit for every load, those inside of indices first.
void for_each_load(const ExprRef& expr, const std::function<void(const ExprRef&)>& visit);

/// The least and greatest value, where they are known. (No elements at all: any bounds hold.)
struct Bounds {
  std::optional<Dim> low, high;
};
using IndexBounds = std::map<std::string, Bounds, std::less<>>;

/// Bounds of the indices of a list: each lies in 0 .. extent-1.
void add_bounds(IndexBounds& bounds, const std::vector<Index>& indices);

/// Bounds of the index p that an equality `index == stride*p + ...` removes (`index` itself with a stride of 1), from
/// those of the others.
void add_removed_bounds(IndexBounds& bounds, const Equality& equality, const std::string& removed, std::int64_t stride,
                        const RangeOf& range_of);

/// Bounds of an index expression by interval arithmetic. Data has none, until it is clamped by the rows min and max.
Bounds bounds_of(const ExprRef& expr, const IndexBounds& indices, const RangeOf& range_of);

/// Whether a dim is provably at least zero for all values of its symbols.
bool at_least_zero(const Dim& dim, const RangeOf& range_of);

/// One stage that only moves elements: result[i] = operand[f(i)].
bool only_moves(const Kernel& kernel);

/// The kernel has one result and reads `param` at the very point that it writes, and nowhere else, so the result may
/// lie over it.
bool reads_pointwise(const Kernel& kernel, const Schedule& schedule, const std::string& param);

/// Whether a stage is a result of the kernel.
bool is_result(const Kernel& kernel, std::string_view stage);

/// Whether every load of the tensor in the stage reads the element that the stage computes.
bool reads_own_element(const Stage& stage, std::string_view tensor);

/// Every expression of a stage: the formula, `from`, and the values of its equalities.
std::vector<ExprRef> expressions_of(const Stage& stage);

}  // namespace tusk::kernel
