// BatchNormalization, LayerNormalization, GroupNormalization, UnitNormalization, RMSNormalization, Normalization.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "frontend/layers/core.hpp"

#include "frontend/model/layer.hpp"

namespace tusk::layers {

/// y = (x - moving_mean) / sqrt(moving_variance + epsilon) * gamma + beta along one axis; in training the moments are
/// those of the batch.
struct BatchNormalizationImpl : MaskedLayer {
  struct Config {
    std::int64_t axis = -1;
    double momentum = 0.99;
    double epsilon = 1e-3;
    bool center = true;
    bool scale = true;
    bool renorm = false;  // of training; a file has weights for it
    Initializer beta_initializer = "zeros";
    Initializer gamma_initializer = "ones";
    Initializer moving_mean_initializer = "zeros";
    Initializer moving_variance_initializer = "ones";
    Regularizer beta_regularizer = {};
    Regularizer gamma_regularizer = {};
    Constraint beta_constraint = {};
    Constraint gamma_constraint = {};
    std::string name = {};
    std::string dtype = {};
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
    f("beta_regularizer", c.beta_regularizer);
    f("gamma_regularizer", c.gamma_regularizer);
    f("beta_constraint", c.beta_constraint);
    f("gamma_constraint", c.gamma_constraint);
    f("renorm", c.renorm);
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
  std::pair<Tensor, Tensor> moments_of_batch(const Tensor& x, const Tensor& mask) const;

  Variable gamma_, beta_, moving_mean_, moving_variance_;
};
using BatchNormalization = LayerOf<BatchNormalizationImpl>;

/// (x - mean) / sqrt(variance + epsilon) * gamma + beta, the moments over `axis` (one, or several together) of each
/// sample, gamma and beta of the shape of those axes.
struct LayerNormalizationImpl : MaskedLayer {
  struct Config {
    DesignatedOnly designated = DesignatedOnly();
    Axes axis = -1;
    double epsilon = 1e-3;
    bool center = true;
    bool scale = true;
    bool rms_scaling = false;  // x / sqrt(variance + epsilon) * gamma
    Initializer beta_initializer = "zeros";
    Initializer gamma_initializer = "ones";
    Regularizer beta_regularizer = {};
    Regularizer gamma_regularizer = {};
    Constraint beta_constraint = {};
    Constraint gamma_constraint = {};
    std::string name = {};
    std::string dtype = {};
  } config;
  static void fields(auto& f, Config& c) {
    f("axis", c.axis);
    f("epsilon", c.epsilon);
    f("center", c.center);
    f("scale", c.scale);
    f("beta_initializer", c.beta_initializer);
    f("gamma_initializer", c.gamma_initializer);
    f("beta_regularizer", c.beta_regularizer);
    f("gamma_regularizer", c.gamma_regularizer);
    f("beta_constraint", c.beta_constraint);
    f("gamma_constraint", c.gamma_constraint);
    f("rms_scaling", c.rms_scaling);
  }
  bool autocasts() const override { return false; }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;

 private:
  Variable gamma_, beta_;
};
using LayerNormalization = LayerOf<LayerNormalizationImpl>;

/// As LayerNormalization, the channels in `groups` of neighbours, each with moments of its own over all else of a
/// sample; gamma and beta for each channel. -1: a group for each channel.
struct GroupNormalizationImpl : MaskedLayer {
  struct Config {
    std::int64_t groups = 32;
    std::int64_t axis = -1;
    double epsilon = 1e-3;
    bool center = true;
    bool scale = true;
    Initializer beta_initializer = "zeros";
    Initializer gamma_initializer = "ones";
    Regularizer beta_regularizer = {};
    Regularizer gamma_regularizer = {};
    Constraint beta_constraint = {};
    Constraint gamma_constraint = {};
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::groups};
  static constexpr bool all_optional = true;
  static void fields(auto& f, Config& c) {
    f("groups", c.groups);
    f("axis", c.axis);
    f("epsilon", c.epsilon);
    f("center", c.center);
    f("scale", c.scale);
    f("beta_initializer", c.beta_initializer);
    f("gamma_initializer", c.gamma_initializer);
    f("beta_regularizer", c.beta_regularizer);
    f("gamma_regularizer", c.gamma_regularizer);
    f("beta_constraint", c.beta_constraint);
    f("gamma_constraint", c.gamma_constraint);
  }
  bool autocasts() const override { return false; }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;

 private:
  Variable gamma_, beta_;
};
using GroupNormalization = LayerOf<GroupNormalizationImpl>;

/// x / sqrt(max(sum of squares over axis, 1e-24))
struct UnitNormalizationImpl : MaskedLayer {
  struct Config {
    DesignatedOnly designated = DesignatedOnly();
    Axes axis = -1;
    std::string name = {};
    std::string dtype = {};
  } config;
  static void fields(auto& f, Config& c) { f("axis", c.axis); }
  Tensor call(Tensor x, const Call& call) override;
};
using UnitNormalization = LayerOf<UnitNormalizationImpl>;

/// x / sqrt(mean of squares + epsilon) * scale, over the last axis.
struct RMSNormalizationImpl : LayerBase {
  struct Config {
    std::int64_t axis = -1;
    double epsilon = 1e-6;
    std::string name = {};
    std::string dtype = {};
  } config;
  static void fields(auto& f, Config& c) {
    f("axis", c.axis);
    f("epsilon", c.epsilon);
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;

 private:
  Variable scale_;
};
using RMSNormalization = LayerOf<RMSNormalizationImpl>;

/// (x - mean) / max(sqrt(variance), 1e-7), or with `invert` back again; the moments for each element of `axis` (empty:
/// one for all) are given, or weights.
struct NormalizationImpl : MaskedLayer {
  bool supports_masking() const override { return !is_keras2(); }
  struct Config {
    DesignatedOnly designated = DesignatedOnly();
    Axes axis = -1;
    std::optional<Numbers> mean = {};
    std::optional<Numbers> variance = {};
    bool invert = false;
    std::string name = {};
    std::string dtype = {};
  } config;
  static void fields(auto& f, Config& c) {
    f("axis", c.axis);
    f("mean", c.mean);
    f("variance", c.variance);
    f("invert", c.invert);
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;

 private:
  Variable mean_, variance_, count_;
};
using Normalization = LayerOf<NormalizationImpl>;

}  // namespace tusk::layers
