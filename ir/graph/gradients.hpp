// Gradients of a function, appended to it: what the pass `differentiate` and training steps are made of.
#pragma once

#include <utility>
#include <vector>

#include "ir/graph/graph.hpp"

namespace tusk::graph {

/// Appends the backward pass to `function`, from each value and its gradient in `seeds` to all of `wanted`, values or
/// globals. One gradient for each of `wanted`, zeros where nothing depends on it. An op on the way without a gradient
/// is an error that names it and its layer.
Expected<std::vector<Operand>> append_backward(Module& module, Function& function,
                                               const std::vector<std::pair<Operand, Operand>>& seeds,
                                               const std::vector<Operand>& wanted);

/// The same for one floating scalar, a loss.
Expected<std::vector<Operand>> append_gradients(Module& module, Function& function, const Operand& loss,
                                                const std::vector<Operand>& wanted);

}  // namespace tusk::graph
