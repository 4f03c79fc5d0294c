#include "frontend/model/initializer.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tusk {
namespace {

/// SplitMix64: a counter through a mixing function.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  /// Uniform in (0, 1).
  double uniform() {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    z ^= z >> 31;
    return (static_cast<double>(z >> 11) + 0.5) * 0x1p-53;
  }
  double normal() { return std::sqrt(-2 * std::log(uniform())) * std::cos(2 * std::numbers::pi * uniform()); }
  /// Normal, drawn again outside of two standard deviations.
  double truncated_normal() {
    while (true) {
      const double value = normal();
      if (std::abs(value) < 2) return value;
    }
  }

 private:
  std::uint64_t state_;
};

struct Fans {
  double in = 1, out = 1;
};

// The last two axes are inputs and outputs, those before them a receptive field (Keras' compute_fans).
Fans fans_of(const std::vector<std::int64_t>& shape) {
  if (shape.empty()) return {};
  const auto extent = [&](std::size_t i) { return static_cast<double>(shape[i]); };
  if (shape.size() == 1) return {extent(0), extent(0)};
  double field = 1;
  for (std::size_t i = 0; i + 2 < shape.size(); ++i) field *= extent(i);
  return {extent(shape.size() - 2) * field, extent(shape.size() - 1) * field};
}

}  // namespace

Array initial_value(Initializer initializer, const std::vector<std::int64_t>& shape, std::uint64_t seed) {
  if (initializer == "zeros" || initializer == "ones") return Array::splat(DType::f32, shape, initializer == "ones");
  Random random(seed);
  Array out(DType::f32, shape);
  const auto fill = [&](auto draw) {
    for (float& value : out.as_writable<float>()) value = static_cast<float>(draw());
    return out;
  };
  if (initializer == "random_normal") return fill([&] { return 0.05 * random.normal(); });
  if (initializer == "truncated_normal") return fill([&] { return 0.05 * random.truncated_normal(); });
  if (initializer == "random_uniform") return fill([&] { return 0.1 * random.uniform() - 0.05; });
  // Variance scaling: the variance is scale / fan.
  const Fans fans = fans_of(shape);
  const std::string_view name = initializer.str();
  const double fan = name.starts_with("glorot") ? (fans.in + fans.out) / 2 : fans.in;
  const double variance = (name.starts_with("he") ? 2.0 : 1.0) / std::max(1.0, fan);
  if (name.ends_with("uniform")) {
    const double limit = std::sqrt(3 * variance);
    return fill([&] { return limit * (2 * random.uniform() - 1); });
  }
  // The constant is the standard deviation of a standard normal that is cut at two.
  const double deviation = std::sqrt(variance) / 0.87962566103423978;
  return fill([&] { return deviation * random.truncated_normal(); });
}

}  // namespace tusk
