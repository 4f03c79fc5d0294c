// What a stage at root spends its time on: the reduction, its operands, and which index each of them depends on.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ir/kernel/affine.hpp"
#include "ir/kernel/kernel.hpp"

namespace tusk {

/// A load of the reduction.
struct ReadOperand {
  kernel::ExprRef load;
  std::vector<std::set<std::string>> axes;  // indices of the summing stage that each of its axes depends on
  std::set<std::string> depends;            // all of them
};

/// The reduction that is computed for the elements of a stage at root: the stage's own, or one that is inline in it
/// and read at the same element.
struct Contraction {
  std::string stage;                         // that sums
  std::map<std::string, std::string> inner;  // indices of the root stage -> its own
  std::vector<ReadOperand> operands;
  /// An equality `h == s*p + ...` that removes p with s > 1: terms exist for some h only (W2).
  struct Division {
    std::string index;                // h
    std::int64_t stride = 1;          // s
    std::vector<std::string> reduce;  // reduce indices in it
  };
  std::vector<Division> divisions;

  /// Whether an operand depends on an index of the root stage.
  bool depends(const ReadOperand& operand, const std::string& root_index) const {
    const auto it = inner.find(root_index);
    return it != inner.end() && operand.depends.contains(it->second);
  }
};

/// Nothing where the stage sums nothing, or where the sum is read at other elements.
std::optional<Contraction> contraction_of(const kernel::Kernel& kernel, const kernel::Schedule& schedule,
                                          const kernel::Stage& root);

/// The index that an equality removes, with its coefficient in the value (1 where it stands alone on the left); nothing
/// where it is solved by data.
struct Removed {
  std::string name;
  std::int64_t stride = 1;
};
std::optional<Removed> removed_by(const kernel::Stage& stage, const kernel::Equality& equality);

/// The indices that an expression names.
std::set<std::string> indices_in(const kernel::ExprRef& expr);

/// Terms of the sum for one element of a stage that sums; of those that an equality keeps for some elements, their
/// share.
double terms_of(const kernel::Stage& stage, const std::function<double(const Dim&)>& extent);

/// Bounds of all indices of a reduction, those that its equalities remove included.
kernel::IndexBounds bounds_in(const kernel::Stage& stage, const RangeOf& range_of);

}  // namespace tusk
