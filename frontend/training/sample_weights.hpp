// Weights of samples, of losses and metrics.
#pragma once

#include "frontend/model/tensor.hpp"

namespace tusk {

/// That the weights, made of one rank with the values [batch, ...], can be spread over them, or these over the weights.
/// Throws [sample-weight].
void check_weights(const Tensor& weights, const Tensor& values);

}  // namespace tusk
