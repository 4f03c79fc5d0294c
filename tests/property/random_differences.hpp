// Law 6: gradients against differences in double, the decisions of relu, max and steps held as they were.
//
// The relative error of a slope is |gradient - difference| over the sum of the absolute terms that the slope is made
// of: of |w_k dy_k/dx| over all elements k of the results, w their weights (the gradient's cotangents). For a loss,
// which is one number, this is the slope itself. It must be below `kSlopeError`, and the difference must be known that
// well: by how far its extrapolations are apart, and by what rounding does to it. Where a slope is too small beside its
// function for that (the bias in front of a normalization has none), 1e-10 of the function will do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ir/graph/graph.hpp"
#include "tests/property/random_common.hpp"

namespace tusk::random_tests {

inline constexpr double kSlopeError = 1e-6;

/// What was compared.
struct Slopes {
  std::size_t compared = 0;
  std::size_t unsure = 0;  // no step gives a difference that is known to `kSlopeError`
  double worst = 0;        // relative error
};

/// The gradient of the function's weighted results by the first elements of each input, and by each whole input along
/// one random direction. `inputs` may have any floating types; the weights are random, by the seed. Results with
/// elements that are no finite numbers have no weight.
std::optional<Failure> broken_differences(const graph::Module& module, const graph::Function& function,
                                          const graph::Function& gradient, std::vector<Array> inputs,
                                          const Symbols& symbols, std::uint64_t seed, Slopes& slopes);

}  // namespace tusk::random_tests
