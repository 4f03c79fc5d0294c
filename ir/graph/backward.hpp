// Reverse-mode differentiation of a list of ops: the engine of the pass `differentiate` and of the gradients of
// regions.
#pragma once

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "ir/graph/op.hpp"

namespace tusk::graph {

/// The gradient of each value and global so far.
class Cotangents {
 public:
  /// A further contribution; several are added in the order in which they come.
  void add(Builder& b, const Operand& of, const Operand& dy);
  std::optional<Operand> find(const Operand& of) const;

 private:
  std::map<std::pair<Operand::Kind, int>, Operand> sums_;
};

/// Appends to `b` the gradients of `ops`, last op first, from what `cotangents` holds for their results to everything
/// that the values and globals in `wanted` reach. `ops` must not be the list that `b` appends to. It changes in two
/// ways that keep its meaning: composites without a gradient text are replaced by their body, and a rule may have its
/// op give more results (GradContext::forward).
Status backward(Builder& b, std::vector<Op>& ops, Cotangents& cotangents, const std::vector<Operand>& wanted);

}  // namespace tusk::graph
