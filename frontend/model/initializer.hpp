// Initial values of weights. The same name, shape and seed give the same numbers on every run.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "frontend/model/choices.hpp"
#include "ir/base/array.hpp"

namespace tusk {

/// Axes of a weight, or none given; negative ones count from the end.
class WeightAxes {
 public:
  static constexpr std::size_t kMost = 32;
  constexpr WeightAxes() = default;
  constexpr WeightAxes(std::initializer_list<std::int64_t> axes) : given_(true) {  // NOLINT: as Keras' lists
    for (const std::int64_t axis : axes) add(axis);
  }
  constexpr void add(std::int64_t axis) {
    given_ = true;
    if (count_ < kMost) axes_[count_++] = axis;
  }
  constexpr bool given() const { return given_; }
  constexpr auto begin() const { return axes_.begin(); }
  constexpr auto end() const { return axes_.begin() + static_cast<std::ptrdiff_t>(count_); }
  friend bool operator==(const WeightAxes&, const WeightAxes&) = default;

 private:
  bool given_ = false;
  std::size_t count_ = 0;
  std::array<std::int64_t, kMost> axes_ = {};
};

/// A class of Keras with its default arguments.
struct InitializerClass {
  /// What it draws from; `numbers` are those of the class.
  enum class Kind : std::uint8_t {
    constant,          // value
    identity,          // gain
    orthogonal,        // gain
    random_normal,     // mean, stddev
    truncated_normal,  // mean, stddev
    random_uniform,    // minval, maxval
    variance_scaling,  // scale
    fourier,           // nothing: a kernel of a Fourier transform
    unknown,           // of a file that has the weights
  };
  enum class Mode : std::uint8_t { fan_in, fan_out, fan_avg };
  enum class Distribution : std::uint8_t { truncated_normal, untruncated_normal, uniform };

  std::string_view name;
  std::string_view word;   // in lower case
  std::string_view alias;  // another one, or ""
  Kind kind = Kind::constant;
  std::array<double, 2> numbers = {0, 0};
  Mode mode = Mode::fan_in;
  Distribution distribution = Distribution::truncated_normal;

  /// What Keras calls `numbers`, where they are arguments.
  std::vector<std::string_view> arguments() const;
  bool has_seed() const { return kind != Kind::constant && kind != Kind::identity && kind != Kind::fourier; }
  bool has_axes() const { return kind == Kind::variance_scaling; }
  /// Whether mode and distribution are arguments.
  bool has_mode() const { return name == "VarianceScaling"; }

  /// Null if there is none of this name: a word, an alias or a class.
  static constexpr const InitializerClass* named(std::string_view name);
};

/// What one kernel of a Fourier transform is made of: Keras' STFT.
struct FourierChoice {
  enum class Side : std::uint8_t { real, imag } side = Side::real;
  enum class Scaling : std::uint8_t { none, density, spectrum } scaling = Scaling::density;
  std::string_view window = "hann";  // of kWindows
  bool periodic = false;
  friend bool operator==(const FourierChoice&, const FourierChoice&) = default;
};

/// Words of Mode and of Distribution.
inline constexpr std::string_view kFanModes[] = {"fan_in", "fan_out", "fan_avg"};
inline constexpr std::string_view kDistributions[] = {"truncated_normal", "untruncated_normal", "uniform"};
/// Words of Side and of Scaling, "" for none.
inline constexpr std::string_view kFourierSides[] = {"real", "imag"};
inline constexpr std::string_view kFourierScalings[] = {"", "density", "spectrum"};

inline constexpr InitializerClass kInitializers[] = {
    {"Zeros", "zeros", "zero", InitializerClass::Kind::constant, {0, 0}},
    {"Ones", "ones", "one", InitializerClass::Kind::constant, {1, 0}},
    {"Constant", "constant", "", InitializerClass::Kind::constant, {0, 0}},
    {"Identity", "identity", "IdentityInitializer", InitializerClass::Kind::identity, {1, 0}},
    {"Orthogonal", "orthogonal", "OrthogonalInitializer", InitializerClass::Kind::orthogonal, {1, 0}},
    {"RandomNormal", "random_normal", "normal", InitializerClass::Kind::random_normal, {0, 0.05}},
    {"RandomUniform", "random_uniform", "uniform", InitializerClass::Kind::random_uniform, {-0.05, 0.05}},
    {"TruncatedNormal", "truncated_normal", "", InitializerClass::Kind::truncated_normal, {0, 0.05}},
    {"VarianceScaling", "variance_scaling", "", InitializerClass::Kind::variance_scaling, {1, 0}},
    {"GlorotUniform",
     "glorot_uniform",
     "",
     InitializerClass::Kind::variance_scaling,
     {1, 0},
     InitializerClass::Mode::fan_avg,
     InitializerClass::Distribution::uniform},
    {"GlorotNormal",
     "glorot_normal",
     "",
     InitializerClass::Kind::variance_scaling,
     {1, 0},
     InitializerClass::Mode::fan_avg},
    {"HeUniform",
     "he_uniform",
     "",
     InitializerClass::Kind::variance_scaling,
     {2, 0},
     InitializerClass::Mode::fan_in,
     InitializerClass::Distribution::uniform},
    {"HeNormal", "he_normal", "", InitializerClass::Kind::variance_scaling, {2, 0}},
    {"LecunUniform",
     "lecun_uniform",
     "",
     InitializerClass::Kind::variance_scaling,
     {1, 0},
     InitializerClass::Mode::fan_in,
     InitializerClass::Distribution::uniform},
    {"LecunNormal", "lecun_normal", "", InitializerClass::Kind::variance_scaling, {1, 0}},
    {"STFT", "stft", "STFTInitializer", InitializerClass::Kind::fourier},
};

constexpr const InitializerClass* InitializerClass::named(std::string_view name) {
  for (const InitializerClass& each : kInitializers) {
    if (name == each.name || name == each.word || (name == each.alias && !name.empty())) return &each;
  }
  return nullptr;
}

/// One of Keras' initializers: by its name, "he_normal", or with arguments, `initializers::HeNormal({.seed = 3})`. A
/// literal that is none of the names does not compile.
class Initializer {
 public:
  using Class = InitializerClass;
  template <std::size_t size>
  consteval Initializer(const char (&name)[size]) : Initializer(Class::named({name, size - 1})) {  // NOLINT: as Keras
    if (of == nullptr) throw "this is no name of an initializer";
  }
  /// From a line of the list, or an unknown one.
  constexpr explicit Initializer(const Class* listed) : of(listed) {
    if (of == nullptr) return;
    kind = of->kind;
    numbers = of->numbers;
    mode = of->mode;
    distribution = of->distribution;
  }

  const Class* of;  // null: unknown
  Class::Kind kind = Class::Kind::unknown;
  std::array<double, 2> numbers = {0, 0};
  Class::Mode mode = Class::Mode::fan_in;
  Class::Distribution distribution = Class::Distribution::truncated_normal;
  std::optional<std::int64_t> seed = {};  // else one that the names of layer and weight give
  WeightAxes input_axes = {}, output_axes = {};
  FourierChoice fourier = {};

  friend bool operator==(const Initializer&, const Initializer&) = default;
};

/// Keras' classes with arguments. Kernels of other layers than EinsumDense, which knows its own, have the fans of
/// convolutions: the last two axes are inputs and outputs, those before them a receptive field.
namespace initializers {

struct ScalingOptions {
  std::optional<std::int64_t> seed = {};
  WeightAxes input_axes = {}, output_axes = {};
};
struct VarianceScalingOptions {
  double scale = 1;
  OneOf<"fan_in", "fan_out", "fan_avg"> mode = "fan_in";
  OneOf<"truncated_normal", "untruncated_normal", "uniform"> distribution = "truncated_normal";
  std::optional<std::int64_t> seed = {};
  WeightAxes input_axes = {}, output_axes = {};
};
struct NormalOptions {
  double mean = 0;
  double stddev = 0.05;
  std::optional<std::int64_t> seed = {};
};
struct UniformOptions {
  double minval = -0.05;
  double maxval = 0.05;
  std::optional<std::int64_t> seed = {};
};
struct OrthogonalOptions {
  double gain = 1;
  std::optional<std::int64_t> seed = {};
};
struct IdentityOptions {
  double gain = 1;
};
struct STFTOptions {
  OneOf<"real", "imag"> side = "real";
  OneOf<"hann", "boxcar", "hamming", "blackman", "nuttall", "blackmanharris", "flattop", ""> window = "hann";
  OneOf<"density", "spectrum", ""> scaling = "density";
  bool periodic = false;
};

Initializer Zeros();
Initializer Ones();
Initializer Constant(double value = 0);
/// Of weights with two axes.
Initializer Identity(IdentityOptions options = {});
/// Of weights with two axes or more; all but the last are the rows of a matrix.
Initializer Orthogonal(OrthogonalOptions options = {});
Initializer RandomNormal(NormalOptions options = {});
/// Drawn again outside of two standard deviations.
Initializer TruncatedNormal(NormalOptions options = {});
Initializer RandomUniform(UniformOptions options = {});
Initializer VarianceScaling(VarianceScalingOptions options = {});
Initializer GlorotUniform(ScalingOptions options = {});
Initializer GlorotNormal(ScalingOptions options = {});
Initializer HeUniform(ScalingOptions options = {});
Initializer HeNormal(ScalingOptions options = {});
Initializer LecunUniform(ScalingOptions options = {});
Initializer LecunNormal(ScalingOptions options = {});
/// Cosines (imag: minus sines) of each frequency times a window, of weights of shape (frame, 1, fft / 2 + 1); no window
/// or no scaling is "".
Initializer STFT(STFTOptions options = {});

}  // namespace initializers

/// What an initializer draws for a weight of a shape: numbers between two limits, or of a normal distribution, mean and
/// deviation, that may be cut at two deviations. Nothing where nothing is drawn by element: constants, identities and
/// orthogonal matrices.
struct Draws {
  enum class Kind : std::uint8_t { uniform, normal, truncated_normal } kind;
  double first, second;
};
std::optional<Draws> draws_of(const Initializer& initializer, const std::vector<std::int64_t>& shape);

/// The seed of a weight without one.
std::uint64_t seed_of(std::string_view layer, std::string_view weight);

/// Keras' distributions, from our own generator: its numbers differ from Keras' numbers. Throws where the shape does
/// not fit, or the initializer is unknown. A seed of the initializer goes before the one given.
Array initial_value(const Initializer& initializer, const std::vector<std::int64_t>& shape, std::uint64_t seed);

}  // namespace tusk
