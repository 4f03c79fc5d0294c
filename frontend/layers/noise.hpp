// Layers that do something in training only: the Dropout family, noise, and ActivityRegularization.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>

#include "frontend/model/layer.hpp"

namespace tusk::layers {

/// A layer that is the identity, unless it is trained.
struct TrainingOnlyImpl : MaskedLayer {
  Tensor call(Tensor x, const Call& call) override;
  /// 0: the identity in training, too.
  virtual double strength() const { return 1; }
};

/// Dropout, SpatialDropout1D to 3D, GaussianDropout, AlphaDropout: `rate` is the share that is dropped, 0 to 1.
template <FixedText keras_name>
struct DropoutImpl : TrainingOnlyImpl {
  static constexpr std::string_view class_name = keras_name.view();
  struct Config {
    double rate = 0;
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::rate};
  static void fields(auto& f, Config& c) {
    f("rate", c.rate);
    f.ignored("noise_shape");
    f.ignored("seed");
    f.ignored("data_format");
  }
  void build(const Shape&) override {
    if (!(config.rate >= 0 && config.rate <= 1))
      fail("field-value", fmt::format("rate is {}, expected 0 to 1", config.rate));
  }
  double strength() const override { return config.rate; }
};
using Dropout = LayerOf<DropoutImpl<"Dropout">>;
using SpatialDropout1D = LayerOf<DropoutImpl<"SpatialDropout1D">>;
using SpatialDropout2D = LayerOf<DropoutImpl<"SpatialDropout2D">>;
using SpatialDropout3D = LayerOf<DropoutImpl<"SpatialDropout3D">>;
using GaussianDropout = LayerOf<DropoutImpl<"GaussianDropout">>;
using AlphaDropout = LayerOf<DropoutImpl<"AlphaDropout">>;

struct GaussianNoiseImpl : TrainingOnlyImpl {
  struct Config {
    double stddev = 0;
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::stddev};
  static void fields(auto& f, Config& c) {
    f("stddev", c.stddev);
    f.ignored("seed");
  }
  void build(const Shape&) override {
    if (config.stddev < 0) fail("field-value", fmt::format("stddev is {}, expected 0 or more", config.stddev));
  }
  double strength() const override { return config.stddev; }
};
using GaussianNoise = LayerOf<GaussianNoiseImpl>;

/// Adds to the loss, not to the result.
struct ActivityRegularizationImpl : TrainingOnlyImpl {
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
  double strength() const override { return 0; }  // activity_penalties of frontend/training
};
using ActivityRegularization = LayerOf<ActivityRegularizationImpl>;

}  // namespace tusk::layers
