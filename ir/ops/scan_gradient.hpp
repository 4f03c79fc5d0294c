// The gradient of scan (docs/ir.md 2.4 S4): a second scan, last position first.
#pragma once

#include "ir/graph/op.hpp"

namespace tusk::graph {

/// The forward scan stacks what the backward body reads; the backward scan carries the gradients of the carries, takes
/// those of the stacks and stacks those of the takes. The gradient of a captured value is a carried sum, or, where a
/// step's share is itself a sum (contract, reduce.sum), one such sum over all positions after the loop.
void scan_gradient(GradContext& g);

}  // namespace tusk::graph
