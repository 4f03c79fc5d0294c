#include "frontend/model/initializer.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>
#include <utility>

#include "frontend/model/fourier.hpp"
#include "frontend/model/random_seed.hpp"

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

// As Keras' compute_fans.
Fans fans_of(const Initializer& initializer, const std::vector<std::int64_t>& shape) {
  const auto rank = static_cast<std::int64_t>(shape.size());
  const auto extent = [&](std::int64_t axis) {
    if (axis < -rank || axis >= rank) {
      throw Error(error("initializer-shape",
                        fmt::format("axis {} is not in a weight of shape ({})", axis, fmt::join(shape, ", "))));
    }
    return static_cast<double>(shape[static_cast<std::size_t>(axis < 0 ? axis + rank : axis)]);
  };
  if (initializer.input_axes.given() && initializer.output_axes.given()) {
    Fans fans;
    for (const std::int64_t axis : initializer.input_axes) fans.in *= extent(axis);
    for (const std::int64_t axis : initializer.output_axes) fans.out *= extent(axis);
    return fans;
  }
  if (shape.empty()) return {};
  if (rank == 1) return {extent(0), extent(0)};
  double field = 1;
  for (std::int64_t i = 0; i + 2 < rank; ++i) field *= extent(i);
  return {extent(-2) * field, extent(-1) * field};
}

// The Q of a random matrix of normal numbers whose R has a positive diagonal, by Gram and Schmidt, twice for the
// digits.
Array orthogonal(double gain, const std::vector<std::int64_t>& shape, Random random) {
  const std::int64_t columns = shape.back();
  std::int64_t rows = 1;
  for (std::size_t i = 0; i + 1 < shape.size(); ++i) rows *= shape[i];
  const auto length = static_cast<std::size_t>(std::max(rows, columns));
  std::vector<std::vector<double>> vectors(static_cast<std::size_t>(std::min(rows, columns)));
  const auto product = [&](const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < length; ++i) sum += a[i] * b[i];
    return sum;
  };
  for (std::size_t k = 0; k < vectors.size(); ++k) {
    std::vector<double>& vector = vectors[k];
    vector.resize(length);
    for (double& value : vector) value = random.normal();
    for (int pass = 0; pass < 2; ++pass) {
      for (std::size_t before = 0; before < k; ++before) {
        const double share = product(vectors[before], vector);
        for (std::size_t i = 0; i < length; ++i) vector[i] -= share * vectors[before][i];
      }
      const double norm = std::sqrt(product(vector, vector));
      for (double& value : vector) value /= norm;
    }
  }
  Array out(DType::f32, shape);
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t column = 0; column < columns; ++column) {
      const auto [vector, at] = rows < columns ? std::pair(row, column) : std::pair(column, row);
      out.set(row * columns + column, gain * vectors[static_cast<std::size_t>(vector)][static_cast<std::size_t>(at)]);
    }
  }
  return out;
}

template <class Choice>
Choice place_of(std::span<const std::string_view> words, std::string_view word) {
  return static_cast<Choice>(std::ranges::find(words, word) - words.begin());
}

Initializer with_options(std::string_view name, std::array<double, 2> numbers, std::optional<std::int64_t> seed = {}) {
  Initializer out(InitializerClass::named(name));
  out.numbers = numbers;
  out.seed = seed;
  return out;
}

Initializer with_options(std::string_view name, const initializers::ScalingOptions& options) {
  Initializer out(InitializerClass::named(name));
  out.seed = options.seed;
  out.input_axes = options.input_axes;
  out.output_axes = options.output_axes;
  return out;
}

}  // namespace

std::vector<std::string_view> InitializerClass::arguments() const {
  switch (kind) {
    case Kind::constant:
      return name == "Constant" ? std::vector<std::string_view>{"value"} : std::vector<std::string_view>();
    case Kind::identity:
    case Kind::orthogonal:
      return {"gain"};
    case Kind::random_normal:
    case Kind::truncated_normal:
      return {"mean", "stddev"};
    case Kind::random_uniform:
      return {"minval", "maxval"};
    default:
      return has_mode() ? std::vector<std::string_view>{"scale"} : std::vector<std::string_view>();
  }
}

namespace initializers {

Initializer Zeros() { return "zeros"; }
Initializer Ones() { return "ones"; }
Initializer Constant(double value) { return with_options("constant", {value, 0}); }
Initializer Identity(IdentityOptions options) { return with_options("identity", {options.gain, 0}); }
Initializer Orthogonal(OrthogonalOptions options) {
  return with_options("orthogonal", {options.gain, 0}, options.seed);
}
Initializer RandomNormal(NormalOptions options) {
  return with_options("random_normal", {options.mean, options.stddev}, options.seed);
}
Initializer TruncatedNormal(NormalOptions options) {
  return with_options("truncated_normal", {options.mean, options.stddev}, options.seed);
}
Initializer RandomUniform(UniformOptions options) {
  return with_options("random_uniform", {options.minval, options.maxval}, options.seed);
}
Initializer VarianceScaling(VarianceScalingOptions options) {
  if (!(options.scale > 0))
    throw Error(error("field-value", fmt::format("scale is {}, expected more than 0", options.scale)));
  Initializer out = with_options("variance_scaling", {options.seed, options.input_axes, options.output_axes});
  out.numbers[0] = options.scale;
  out.mode = place_of<InitializerClass::Mode>(kFanModes, options.mode.str());
  out.distribution = place_of<InitializerClass::Distribution>(kDistributions, options.distribution.str());
  return out;
}
Initializer GlorotUniform(ScalingOptions options) { return with_options("glorot_uniform", options); }
Initializer GlorotNormal(ScalingOptions options) { return with_options("glorot_normal", options); }
Initializer HeUniform(ScalingOptions options) { return with_options("he_uniform", options); }
Initializer HeNormal(ScalingOptions options) { return with_options("he_normal", options); }
Initializer LecunUniform(ScalingOptions options) { return with_options("lecun_uniform", options); }
Initializer LecunNormal(ScalingOptions options) { return with_options("lecun_normal", options); }
Initializer STFT(STFTOptions options) {
  Initializer out = "stft";
  out.fourier = {place_of<FourierChoice::Side>(kFourierSides, options.side.str()),
                 place_of<FourierChoice::Scaling>(kFourierScalings, options.scaling.str()), options.window.str(),
                 options.periodic};
  return out;
}

}  // namespace initializers

std::uint64_t seed_of(std::string_view layer, std::string_view weight) {
  std::uint64_t hash = 0xcbf29ce484222325U + random_seed();  // FNV-1a
  for (const std::string_view part : {layer, std::string_view("/"), weight}) {
    for (const char c : part) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  }
  return hash;
}

std::optional<Draws> draws_of(const Initializer& initializer, const std::vector<std::int64_t>& shape) {
  using Kind = InitializerClass::Kind;
  using Distribution = InitializerClass::Distribution;
  const auto [first, second] = initializer.numbers;
  switch (initializer.kind) {
    case Kind::random_uniform:
      return Draws{Draws::Kind::uniform, first, second};
    case Kind::random_normal:
      return Draws{Draws::Kind::normal, first, second};
    case Kind::truncated_normal:
      return Draws{Draws::Kind::truncated_normal, first, second};
    case Kind::variance_scaling:
      break;
    default:
      return std::nullopt;
  }
  const Fans fans = fans_of(initializer, shape);
  const double fan = initializer.mode == InitializerClass::Mode::fan_in    ? fans.in
                     : initializer.mode == InitializerClass::Mode::fan_out ? fans.out
                                                                           : (fans.in + fans.out) / 2;
  const double variance = first / std::max(1.0, fan);
  const double limit = std::sqrt(3 * variance);
  if (initializer.distribution == Distribution::uniform) return Draws{Draws::Kind::uniform, -limit, limit};
  const double deviation = std::sqrt(variance);
  if (initializer.distribution == Distribution::untruncated_normal) return Draws{Draws::Kind::normal, 0, deviation};
  // The constant is the standard deviation of a standard normal that is cut at two.
  return Draws{Draws::Kind::truncated_normal, 0, deviation / 0.87962566103423978};
}

Array initial_value(const Initializer& initializer, const std::vector<std::int64_t>& shape, std::uint64_t given) {
  using Kind = InitializerClass::Kind;
  const auto refuse = [&](std::string_view wanted) {
    throw Error(error("initializer-shape", fmt::format("{} is for weights of {}, found shape ({})",
                                                       initializer.of->word, wanted, fmt::join(shape, ", "))));
  };
  const double first = initializer.numbers[0];
  if (initializer.kind == Kind::constant) return Array::splat(DType::f32, shape, first);
  Random random(initializer.seed ? static_cast<std::uint64_t>(*initializer.seed) : given);
  if (initializer.kind == Kind::orthogonal) {
    if (shape.size() < 2) refuse("two axes or more");
    return orthogonal(first, shape, random);
  }
  Array out(DType::f32, shape);
  if (initializer.kind == Kind::identity) {
    if (shape.size() != 2) refuse("two axes");
    for (std::int64_t i = 0; i < std::min(shape[0], shape[1]); ++i) out.set(i * shape[1] + i, first);
    return out;
  }
  if (initializer.kind == Kind::fourier) {
    if (shape.size() != 3 || shape[1] != 1) refuse("shape (frame, 1, frequencies)");
    const auto& [side, scaling, name, periodic] = initializer.fourier;
    const std::vector<double> window = window_of(name, shape[0], periodic);
    const double divisor =
        name.empty() ? 1 : window_divisor(window, kFourierScalings[static_cast<std::size_t>(scaling)]);
    const Array kernel = fourier_kernel(side == FourierChoice::Side::imag, window, 2 * (shape[2] - 1), divisor);
    for (std::int64_t i = 0; i < out.size(); ++i) out.set(i, kernel.at(i));
    return out;
  }
  const std::optional<Draws> draws = draws_of(initializer, shape);
  if (!draws) {
    throw Error(error("initializer-unknown", "the file names an initializer that is not supported in this release")
                    .note("load the weights of the model, or assign them"));
  }
  for (float& value : out.as_writable<float>()) {
    const double drawn =
        draws->kind == Draws::Kind::uniform  ? draws->first + (draws->second - draws->first) * random.uniform()
        : draws->kind == Draws::Kind::normal ? draws->first + draws->second * random.normal()
                                             : draws->first + draws->second * random.truncated_normal();
    value = static_cast<float>(drawn);
  }
  return out;
}

}  // namespace tusk
