// Layers that do something in training only: the Dropout family, noise, and ActivityRegularization.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "frontend/model/layer.hpp"
#include "frontend/model/model.hpp"

namespace tusk::layers {

/// x / (1 - rate) with probability 1 - rate, else 0; elements along axes where `noise` has 1 share their fate. rate 1:
/// all is 0.
Tensor dropout(const Tensor& x, double rate, const Shape& noise, const SeedGenerator& random);

/// A layer that is the identity, unless it is trained.
struct TrainingOnlyImpl : MaskedLayer {
  Tensor call(Tensor x, const Call& call) override;

 protected:
  /// 0: the identity in training, too.
  virtual double strength() const = 0;
  virtual Tensor trained(const Tensor& x) const = 0;
  /// The shape of noise: extents of x for None, at most as many axes as x has, of which they are the last ones.
  Shape noise_shape(const Tensor& x, const std::vector<InputDim>& given) const;
  /// Refuses a rate, which has to be 0 to 1, and draws from the seed.
  void prepare(std::string_view field, double rate, std::optional<std::int64_t> seed);

  SeedGenerator random_;
};

/// `rate` is the share that is dropped, 0 to 1; noise_shape {None, 1, None} drops an element for all positions of
/// axis 1.
struct DropoutImpl : TrainingOnlyImpl {
  struct Config {
    double rate = 0;
    std::vector<InputDim> noise_shape = {};  // empty: that of the input
    std::optional<std::int64_t> seed = {};
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::rate};
  static void fields(auto& f, Config& c) {
    f("rate", c.rate);
    f("seed", c.seed);
    f("noise_shape", c.noise_shape);
  }
  void build(const Shape&) override { prepare("rate", config.rate, config.seed); }

 protected:
  double strength() const override { return config.rate; }
  Tensor trained(const Tensor& x) const override;
};
using Dropout = LayerOf<DropoutImpl>;

/// Drops whole channels.
template <std::size_t axes>
struct SpatialDropoutImpl : TrainingOnlyImpl {
  static constexpr std::string_view class_name = axes == 1   ? "SpatialDropout1D"
                                                 : axes == 2 ? "SpatialDropout2D"
                                                             : "SpatialDropout3D";
  struct Config {
    double rate = 0;
    DataFormat data_format = "channels_last";  // of 2D and 3D
    std::optional<std::int64_t> seed = {};
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::rate};
  static void fields(auto& f, Config& c) {
    f("rate", c.rate);
    f("seed", c.seed);
    if (axes == 1) {
      f.ignored("data_format");
    } else {
      f("data_format", c.data_format);
    }
    f.ignored("noise_shape");  // Keras 2
  }
  void build(const Shape& in) override {
    check_rank(in, axes + 2);
    prepare("rate", config.rate, config.seed);
  }

 protected:
  double strength() const override { return config.rate; }
  Tensor trained(const Tensor& x) const override;
};
using SpatialDropout1D = LayerOf<SpatialDropoutImpl<1>>;
using SpatialDropout2D = LayerOf<SpatialDropoutImpl<2>>;
using SpatialDropout3D = LayerOf<SpatialDropoutImpl<3>>;

/// Times a normal number with mean 1 and standard deviation sqrt(rate / (1 - rate)).
struct GaussianDropoutImpl : TrainingOnlyImpl {
  struct Config {
    double rate = 0;
    std::optional<std::int64_t> seed = {};
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::rate};
  static void fields(auto& f, Config& c) {
    f("rate", c.rate);
    f("seed", c.seed);
  }
  void build(const Shape&) override { prepare("rate", config.rate, config.seed); }

 protected:
  double strength() const override { return config.rate; }
  Tensor trained(const Tensor& x) const override;
};
using GaussianDropout = LayerOf<GaussianDropoutImpl>;

/// Sets elements to the least value of SELU, and keeps mean and variance of what has mean 0 and variance 1.
struct AlphaDropoutImpl : TrainingOnlyImpl {
  struct Config {
    double rate = 0;
    std::vector<InputDim> noise_shape = {};
    std::optional<std::int64_t> seed = {};
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::rate};
  static void fields(auto& f, Config& c) {
    f("rate", c.rate);
    f("seed", c.seed);
    f("noise_shape", c.noise_shape);
  }
  void build(const Shape&) override { prepare("rate", config.rate, config.seed); }

 protected:
  double strength() const override { return config.rate; }
  Tensor trained(const Tensor& x) const override;
};
using AlphaDropout = LayerOf<AlphaDropoutImpl>;

/// Adds normal numbers with mean 0.
struct GaussianNoiseImpl : TrainingOnlyImpl {
  struct Config {
    double stddev = 0;
    std::optional<std::int64_t> seed = {};
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::stddev};
  static void fields(auto& f, Config& c) {
    f("stddev", c.stddev);
    f("seed", c.seed);
  }
  void build(const Shape&) override { prepare("stddev", config.stddev, config.seed); }

 protected:
  double strength() const override { return config.stddev; }
  Tensor trained(const Tensor& x) const override;
};
using GaussianNoise = LayerOf<GaussianNoiseImpl>;

/// Adds to the loss, not to the result (activity_penalties of frontend/training).
struct ActivityRegularizationImpl : MaskedLayer {
  struct Config {
    double l1 = 0;
    double l2 = 0;
    std::string name = {};
    std::string dtype = {};
  } config;
  static void fields(auto& f, Config& c) {
    f("l1", c.l1);
    f("l2", c.l2);
  }
  Tensor call(Tensor x, const Call&) override { return x; }
};
using ActivityRegularization = LayerOf<ActivityRegularizationImpl>;

}  // namespace tusk::layers
