// Layers around a layer: TimeDistributed, SpectralNormalization.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "frontend/model/layer.hpp"

namespace tusk::layers {

/// The layer on every step of [batch, time, ...], each on its own. For layers without state.
struct TimeDistributedImpl : MaskedLayer {
  struct Config {
    Layer layer;
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::layer};
  static void fields(auto& f, Config& c) { f("layer", c.layer); }
  void build(const Shape& in) override;
  std::vector<Tensor> call_all(const std::vector<Tensor>& inputs, const Call& call) override;
  /// That of the layer, at each step.
  std::vector<Shape> written_shapes(const std::vector<Shape>& inputs, std::vector<Shape> results) const override;
};
using TimeDistributed = LayerOf<TimeDistributedImpl>;

/// Each call in training divides the kernel of the layer by its largest singular value, which `power_iterations` steps
/// approximate from where the last call got; at inference it is the layer itself.
struct SpectralNormalizationImpl : LayerBase {
  struct Config {
    Layer layer;
    std::int64_t power_iterations = 1;
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::layer};
  static void fields(auto& f, Config& c) {
    f("layer", c.layer);
    f("power_iterations", c.power_iterations);
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;
  /// That of the layer: it stays on the result.
  Tensor output_mask(const std::vector<Tensor>& inputs, const Call& call) override {
    return config.layer.base().output_mask(inputs, call);
  }
  /// Keras' order: the kernel, the vector, what else the layer has.
  std::vector<Variable> weights() const override;

 private:
  void normalize() const;
};
using SpectralNormalization = LayerOf<SpectralNormalizationImpl>;

}  // namespace tusk::layers
