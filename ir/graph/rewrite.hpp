// What passes over ops share: a look at every operand, and the removal of dead ops.
#pragma once

#include <vector>

#include "ir/graph/graph.hpp"

namespace tusk::graph {

/// Calls visit(operand) for every operand of an op, those inside its regions and their yields included.
template <class AnyOp, class Visit>
void for_each_operand(AnyOp& op, const Visit& visit) {
  for (auto& operand : op.operands) visit(operand);
  for (auto& region : op.regions) {
    for (auto& inner : region.ops) for_each_operand(inner, visit);
    for (auto& operand : region.yields) visit(operand);
  }
}

/// Fails for a state or const whose value is not there, although the function reads it (weights-missing).
Status check_weights(const Module& module, const Function& function);
Status check_weights(const Global& global);

/// Drops the ops, in regions too, whose results nobody reads. `live` says for each value of the function whether it is
/// read from behind the ops.
void remove_dead_ops(std::vector<Op>& ops, std::vector<bool>& live);
/// The same for a whole function.
void remove_dead_ops(Function& function);

}  // namespace tusk::graph
