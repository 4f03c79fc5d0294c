// Random numbers of layers in training.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "frontend/model/tensor.hpp"

namespace tusk {

/// Keras' SeedGenerator: a state of two words, a seed and how often numbers have been drawn. A training step reads it
/// for each draw and counts on, so steps differ, and a step from the same state gives the same bits. Files have no such
/// state. The numbers of an element depend on the state and on its place alone: not on the batch or on how it is
/// computed.
class SeedGenerator {
 public:
  SeedGenerator() = default;
  /// Without a seed it is one that the name of the layer gives.
  SeedGenerator(std::optional<std::int64_t> seed, std::string_view layer);

  const Variable& state() const { return state_; }
  /// bool: true with this probability, between 0 and 1, in steps of 2^-32.
  Tensor chance(const Shape& shape, double probability) const;
  /// f32, normal with mean 0 and standard deviation 1.
  Tensor normal(const Shape& shape) const;
  /// f32, uniform from low to below high (up to rounding) in 2^24 steps.
  Tensor uniform(const Shape& shape, double low, double high) const;

 private:
  /// Several tensors of 32 random bits (u32) for each element.
  template <std::size_t count>
  std::array<Tensor, count> draw(const Shape& shape) const;

  Variable state_;
};

}  // namespace tusk
