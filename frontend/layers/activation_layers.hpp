// ReLU, LeakyReLU, PReLU, ELU, Softmax.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "frontend/layers/activations.hpp"
#include "frontend/model/layer.hpp"

namespace tusk::layers {

/// max_value above it, x above the threshold, negative_slope * (x - threshold) below.
struct ReLUImpl : MaskedLayer {
  struct Config {
    std::optional<double> max_value = {};
    double negative_slope = 0;
    double threshold = 0;
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::max_value};
  static constexpr bool all_optional = true;
  static void fields(auto& f, Config& c) {
    f("max_value", c.max_value);
    f("negative_slope", c.negative_slope);
    f("threshold", c.threshold);
  }
  Tensor call(Tensor x, const Call& call) override;
};
using ReLU = LayerOf<ReLUImpl>;

struct LeakyReLUImpl : MaskedLayer {
  struct Config {
    double negative_slope = 0.3;
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::negative_slope};
  static constexpr bool all_optional = true;
  static void fields(auto& f, Config& c) {
    f.renamed("alpha", "negative_slope");
    f("negative_slope", c.negative_slope);
  }
  Tensor call(Tensor x, const Call& call) override;
};
using LeakyReLU = LayerOf<LeakyReLUImpl>;

/// relu(x) - alpha * relu(-x), with an alpha for each element of a sample, or one along each shared axis (1, 2, ...).
struct PReLUImpl : MaskedLayer {
  struct Config {
    Initializer alpha_initializer = "zeros";
    Regularizer alpha_regularizer = {};
    Constraint alpha_constraint = {};
    std::vector<std::int64_t> shared_axes = {};
    std::string name = {};
    std::string dtype = {};
  } config;
  static void fields(auto& f, Config& c) {
    f("alpha_initializer", c.alpha_initializer);
    f("alpha_regularizer", c.alpha_regularizer);
    f("alpha_constraint", c.alpha_constraint);
    f("shared_axes", c.shared_axes);
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;

 private:
  Variable alpha_;
};
using PReLU = LayerOf<PReLUImpl>;

struct ELUImpl : MaskedLayer {
  struct Config {
    double alpha = 1;
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::alpha};
  static constexpr bool all_optional = true;
  static void fields(auto& f, Config& c) { f("alpha", c.alpha); }
  Tensor call(Tensor x, const Call& call) override;
};
using ELU = LayerOf<ELUImpl>;

/// What a softmax sees in the place of scores that are masked out.
double masked_score(DType type);

/// Over one axis, or over several together. A second input is a mask, as `mask` of the call is.
struct SoftmaxImpl : MaskedLayer {
  struct Config {
    DesignatedOnly designated = DesignatedOnly();
    Axes axis = -1;
    std::string name = {};
    std::string dtype = {};
  } config;
  static void fields(auto& f, Config& c) { f("axis", c.axis); }
  std::size_t max_inputs() const override { return 2; }
  std::vector<Tensor> call_all(const std::vector<Tensor>& inputs, const Call& call) override;
};
using Softmax = LayerOf<SoftmaxImpl>;

}  // namespace tusk::layers
