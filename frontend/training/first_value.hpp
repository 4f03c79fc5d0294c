// First values of weights, drawn on the device.
#pragma once

#include <cstdint>

#include "frontend/model/tensor.hpp"

namespace tusk {

/// Traced: what the initializer of the weight draws from a seed, u32[2]. Weights of one seed differ by their number.
/// An empty tensor where nothing is drawn by element: for identities and orthogonal matrices.
Tensor first_value(const Variable& variable, const Tensor& seed, std::uint32_t number);

}  // namespace tusk
