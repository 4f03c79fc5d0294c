#include "frontend/model/seed_generator.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "frontend/model/emit.hpp"

namespace tusk {
namespace {

Array words(const std::vector<std::uint32_t>& values) {
  Array out(DType::u32, {static_cast<std::int64_t>(values.size())});
  std::ranges::copy(values, out.as_writable<std::uint32_t>().begin());
  return out;
}

Tensor constant(const std::vector<std::uint32_t>& values) {
  return emit::op("const", {}, {{{"value", words(values)}}});
}

}  // namespace

SeedGenerator::SeedGenerator(std::optional<std::int64_t> seed, std::string_view layer)
    : state_("seed_generator_state", {DType::u32, {Dim(2)}}, "zeros", false, false, 0) {
  const auto word = static_cast<std::uint64_t>(seed ? *seed : static_cast<std::int64_t>(seed_of(layer, "seed")));
  state_.assign(words({static_cast<std::uint32_t>(word ^ (seed ? 0 : word >> 32)), 0}));
}

template <std::size_t count>
std::array<Tensor, count> SeedGenerator::draw(const Shape& shape) const {
  const Tensor now = Trace::value(state_);
  const Tensor seed = emit::slice(now, 0, Dim(0), Dim(1));
  const Tensor counter = emit::reshape(emit::slice(now, 0, Dim(1), Dim(2)), {});
  Trace::current().assign(state_, emit::map("add", {now, constant({0, 1})}));
  std::array<Tensor, count> out;
  for (std::size_t i = 0; i < count; ++i) {
    const Tensor key =
        emit::op("concat", {seed, constant({static_cast<std::uint32_t>(i)})}, {{{"axis", std::int64_t{0}}}});
    out[i] = emit::op("rng_bits", {key, counter}, {{{"shape", shape}}});
  }
  return out;
}

Tensor SeedGenerator::chance(const Shape& shape, double probability) const {
  const double limit = std::clamp(std::nearbyint(probability * 0x1p32), 1.0, 0x1p32 - 1);
  return emit::map("lt", {draw<1>(shape)[0], limit});
}

// Box and Muller. f32 of 32 bits keeps 24 digits of small numbers, so that the tails reach 6.7.
Tensor SeedGenerator::normal(const Shape& shape) const {
  const auto [a, b] = draw<2>(shape);
  const Tensor u = emit::map("mul", {emit::map("add", {emit::cast(a, DType::f32), 0.5}), 0x1p-32});
  const Tensor radius = emit::map("sqrt", {emit::map("mul", {emit::map("log", {u}), -2.0})});
  const Tensor angle = emit::map("mul", {emit::cast(b, DType::f32), 2 * std::numbers::pi * 0x1p-32});
  return emit::map("mul", {radius, emit::map("cos", {angle})});
}

// Below 1 for sure: 24 bits are exact in f32.
Tensor SeedGenerator::uniform(const Shape& shape, double low, double high) const {
  const Tensor share = emit::cast(emit::map("shr", {draw<1>(shape)[0], 8}), DType::f32);
  return emit::map("add", {emit::map("mul", {share, (high - low) * 0x1p-24}), low});
}

}  // namespace tusk
