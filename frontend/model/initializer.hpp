// Initial values of weights. The same name, shape and seed give the same numbers on every run.
#pragma once

#include <cstdint>
#include <vector>

#include "frontend/model/choices.hpp"
#include "ir/base/array.hpp"

namespace tusk {

using Initializer = OneOf<"zeros", "ones", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal",
                          "lecun_uniform", "lecun_normal", "random_uniform", "random_normal", "truncated_normal">;

/// Keras' distributions with their default arguments, from our own generator: its numbers differ from Keras' numbers.
Array initial_value(Initializer initializer, const std::vector<std::int64_t>& shape, std::uint64_t seed);

}  // namespace tusk
