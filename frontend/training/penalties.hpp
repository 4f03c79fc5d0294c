// Regularizers, which add to the loss, and constraints, which weights meet after each step.
// https://keras.io/api/layers/regularizers/ https://keras.io/api/layers/constraints/
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "frontend/model/layer.hpp"

namespace tusk {

/// The penalty of a weight or of a result: a traced scalar, f32. L1, L2, L1L2 and OrthogonalRegularizer, as Keras
/// configures them. Throws [training-config] for any other.
Tensor regularized(const nlohmann::json& config, const Tensor& x);

/// A weight as the constraint wants it: MaxNorm, MinMaxNorm, NonNeg and UnitNorm.
Tensor constrained(const nlohmann::json& config, const Tensor& weight);

/// What a layer's configuration says of one of its weights.
struct WeightRule {
  Variable variable;
  const std::string* config;  // JSON
};

/// The rules of a layer and of all inside of a model whose key ends with the suffix ("_regularizer"):
/// kernel_regularizer is for the weights that are called kernel. activity_regularizer, which is for results, is left
/// out.
std::vector<WeightRule> weight_rules(const Layer& layer, std::string_view suffix);

/// The penalties of a layer's results, those of an ActivityRegularization among them: each is divided by the batch.
std::vector<Tensor> activity_penalties(const LayerBase& layer, const std::vector<Tensor>& results);

}  // namespace tusk
