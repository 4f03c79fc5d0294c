// Random products, convolutions and their gradients, of shapes that every part of a schedule meets.
#pragma once

#include "tests/property/random_graph.hpp"

namespace tusk::random_tests {

/// Dense layers, convolutions, depthwise ones, and their gradients by inputs and weights: strides, dilations, padding,
/// odd extents, open batches, constant weights, a bias and relu behind.
GraphCase generate_contraction(std::uint64_t seed);

}  // namespace tusk::random_tests
