#include "frontend/training/first_value.hpp"

#include <cmath>
#include <numbers>

#include "frontend/model/emit.hpp"
#include "frontend/ops/ops.hpp"

namespace tusk {
namespace {

// Uniform in (0, 1), f32: 32 bits of random, so that small numbers have all their digits.
Tensor uniform(const Tensor& seed, const Shape& shape, std::uint32_t counter) {
  Array word(DType::u32, {});
  word.set_int(0, counter);
  const Tensor bits = emit::op("rng_bits", {seed, emit::op("const", {}, {{{"value", word}}})}, {{{"shape", shape}}});
  return (emit::cast(bits, DType::f32) + 0.5) * 0x1p-32;
}

}  // namespace

Tensor first_value(const Variable& variable, const Tensor& seed, std::uint32_t number) {
  const graph::Type& type = variable.type();
  const Initializer& initializer = variable.initializer();
  if (initializer.kind == InitializerClass::Kind::constant)
    return emit::filled(variable.name(), type.dtype, type.shape, initializer.numbers[0]);
  const std::optional<Draws> draws = draws_of(initializer, variable.shape());
  if (!draws) return {};
  const Tensor u = uniform(seed, type.shape, 2 * number);
  Tensor value;
  switch (draws->kind) {
    case Draws::Kind::uniform:
      return draws->first + (draws->second - draws->first) * u;
    case Draws::Kind::normal: {  // by Box and Muller
      const Tensor angle = uniform(seed, type.shape, 2 * number + 1) * (2 * std::numbers::pi);
      value = ops::sqrt(ops::log(u) * -2.0) * ops::cos(angle);
      break;
    }
    case Draws::Kind::truncated_normal:  // by the inverse of what a normal number is below
      value = std::numbers::sqrt2 * ops::erfinv((2.0 * u - 1.0) * std::erf(std::numbers::sqrt2));
      break;
  }
  return draws->first + draws->second * value;
}

}  // namespace tusk
