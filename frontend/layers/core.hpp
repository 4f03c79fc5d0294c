// Dense, Activation, Rescaling.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <tuple>
#include <vector>

#include "frontend/layers/activations.hpp"
#include "frontend/model/layer.hpp"

namespace tusk::layers {

/// y = activation(x . kernel + bias), over the last axis of x, which has any rank from 2.
struct DenseImpl : LayerBase {
  struct Config {
    std::int64_t units = 0;
    Activation activation = {};
    bool use_bias = true;
    Initializer kernel_initializer = "glorot_uniform";
    Initializer bias_initializer = "zeros";
    std::string name = {};
  } config;
  static constexpr std::tuple positional{&Config::units};
  static void fields(auto& f, Config& c) {
    f("units", c.units);
    f("activation", c.activation);
    f("use_bias", c.use_bias);
    f("kernel_initializer", c.kernel_initializer);
    f("bias_initializer", c.bias_initializer);
    f.only("lora_rank", nullptr);
    f.only("quantization_config", nullptr);
    f.ignored("lora_alpha");
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;

 private:
  Variable kernel_, bias_;
};
using Dense = LayerOf<DenseImpl>;

struct ActivationImpl : LayerBase {
  struct Config {
    tusk::Activation activation = {};
    std::string name = {};
  } config;
  static constexpr std::tuple positional{&Config::activation};
  static void fields(auto& f, Config& c) { f("activation", c.activation); }
  Tensor call(Tensor x, const Call& call) override;
};
using Activation = LayerOf<ActivationImpl>;

/// A number, or one for each element of the last axis.
struct Numbers {
  std::vector<double> values;
  Numbers(double number) : values{number} {}  // NOLINT
  Numbers(std::initializer_list<double> numbers) : values(numbers) {}
  explicit Numbers(std::vector<double> numbers) : values(std::move(numbers)) {}
};

/// y = x * scale + offset
struct RescalingImpl : LayerBase {
  struct Config {
    Numbers scale = 1.0;
    Numbers offset = 0.0;
    std::string name = {};
  } config;
  static constexpr std::tuple positional{&Config::scale, &Config::offset};
  static void fields(auto& f, Config& c) {
    f("scale", c.scale);
    f("offset", c.offset);
  }
  Tensor call(Tensor x, const Call& call) override;
};
using Rescaling = LayerOf<RescalingImpl>;

}  // namespace tusk::layers
