// Regularizers, which add to the loss, and constraints, which weights meet after each step.
// https://keras.io/api/layers/regularizers/ https://keras.io/api/layers/constraints/
#pragma once

#include <vector>

#include "frontend/model/layer.hpp"

namespace tusk {

/// The penalty of a weight or of a result: a traced scalar, f32. An OrthogonalRegularizer takes matrices: throws
/// [training-config].
Tensor penalty_of(const Regularizer& regularizer, const Tensor& x);

/// A weight as the constraint wants it.
Tensor constrained(const Constraint& constraint, const Tensor& weight);

/// Throws [layer-training] at a layer of the model whose file has a regularizer or a constraint that means nothing
/// here, or one of results where training does not see them.
void check_penalties(const Layer& layer);

/// The penalties of a layer's results, those of an ActivityRegularization among them: each is divided by the batch.
std::vector<Tensor> activity_penalties(const LayerBase& layer, const std::vector<Tensor>& results);

}  // namespace tusk
