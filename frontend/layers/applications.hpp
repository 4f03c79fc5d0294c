// Layers that keras.applications registers: LayerScale and StochasticDepth of ConvNeXt, CustomScaleLayer of
// Inception-ResNet.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "frontend/layers/noise.hpp"
#include "frontend/model/layer.hpp"

namespace tusk::layers {

/// x * gamma, with a gamma for each of projection_dim channels.
struct LayerScaleImpl : LayerBase {
  struct Config {
    double init_values = 1e-6;
    std::int64_t projection_dim = 0;
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::init_values, &Config::projection_dim};
  static void fields(auto& f, Config& c) {
    f("init_values", c.init_values);
    f("projection_dim", c.projection_dim);
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;

 private:
  Variable gamma_;
};
using LayerScale = LayerOf<LayerScaleImpl>;

/// Drops whole samples of a branch in training, and divides the others by the share that is kept.
struct StochasticDepthImpl : TrainingOnlyImpl {
  struct Config {
    double drop_path_rate = 0;
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::drop_path_rate};
  static void fields(auto& f, Config& c) { f("drop_path_rate", c.drop_path_rate); }
  void build(const Shape&) override { prepare("drop_path_rate", config.drop_path_rate, std::nullopt); }
  bool supports_masking() const override { return false; }

 protected:
  double strength() const override { return config.drop_path_rate; }
  Tensor trained(const Tensor& x) const override;
};
using StochasticDepth = LayerOf<StochasticDepthImpl>;

/// a + b * scale
struct CustomScaleLayerImpl : LayerBase {
  struct Config {
    double scale = 1;
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::scale};
  static void fields(auto& f, Config& c) { f("scale", c.scale); }
  std::size_t min_inputs() const override { return 2; }
  std::size_t max_inputs() const override { return 2; }
  std::vector<Tensor> call_all(const std::vector<Tensor>& inputs, const Call& call) override;
};
using CustomScaleLayer = LayerOf<CustomScaleLayerImpl>;

}  // namespace tusk::layers
