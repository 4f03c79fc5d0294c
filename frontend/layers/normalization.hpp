// BatchNormalization.
#pragma once

#include <cstdint>
#include <string>

#include "frontend/model/layer.hpp"

namespace tusk::layers {

/// y = (x - moving_mean) / sqrt(moving_variance + epsilon) * gamma + beta along one axis; in training the moments are
/// those of the batch.
struct BatchNormalizationImpl : LayerBase {
  struct Config {
    std::int64_t axis = -1;
    double momentum = 0.99;
    double epsilon = 1e-3;
    bool center = true;
    bool scale = true;
    Initializer beta_initializer = "zeros";
    Initializer gamma_initializer = "ones";
    Initializer moving_mean_initializer = "zeros";
    Initializer moving_variance_initializer = "ones";
    std::string name = {};
  } config;
  static void fields(auto& f, Config& c) {
    f("axis", c.axis);
    f("momentum", c.momentum);
    f("epsilon", c.epsilon);
    f("center", c.center);
    f("scale", c.scale);
    f("beta_initializer", c.beta_initializer);
    f("gamma_initializer", c.gamma_initializer);
    f("moving_mean_initializer", c.moving_mean_initializer);
    f("moving_variance_initializer", c.moving_variance_initializer);
    f.only("renorm", false);
    f.only("virtual_batch_size", nullptr);
    f.only("adjustment", nullptr);
    f.ignored("renorm_clipping");
    f.ignored("renorm_momentum");
    f.ignored("synchronized");
    f.ignored("fused");
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;

 private:
  Variable gamma_, beta_, moving_mean_, moving_variance_;
};
using BatchNormalization = LayerOf<BatchNormalizationImpl>;

}  // namespace tusk::layers
