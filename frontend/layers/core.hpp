// Dense, EinsumDense, Embedding, Activation, Identity, Rescaling.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "frontend/layers/activations.hpp"
#include "frontend/model/layer.hpp"

namespace tusk::layers {

/// y = activation(x . kernel + bias), over the last axis of x, which has any rank from 2.
struct DenseImpl : MaskedLayer {
  struct Config {
    std::int64_t units = 0;
    Activation activation = {};
    bool use_bias = true;
    Initializer kernel_initializer = "glorot_uniform";
    Initializer bias_initializer = "zeros";
    Regularizer kernel_regularizer = {};
    Regularizer bias_regularizer = {};
    Regularizer activity_regularizer = {};
    Constraint kernel_constraint = {};
    Constraint bias_constraint = {};
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::units};
  static void fields(auto& f, Config& c) {
    f("units", c.units);
    f("activation", c.activation);
    f("use_bias", c.use_bias);
    f("kernel_initializer", c.kernel_initializer);
    f("bias_initializer", c.bias_initializer);
    f("kernel_regularizer", c.kernel_regularizer);
    f("bias_regularizer", c.bias_regularizer);
    f("kernel_constraint", c.kernel_constraint);
    f("bias_constraint", c.bias_constraint);
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

/// The extents of an output behind the batch; None is that of the input.
struct OutputShape {
  std::vector<std::optional<std::int64_t>> extents;
  OutputShape(std::int64_t extent) : extents{extent} {}  // NOLINT: Keras takes either
  OutputShape(std::initializer_list<std::int64_t> list) : extents(list.begin(), list.end()) {}
  explicit OutputShape(std::vector<std::optional<std::int64_t>> list) : extents(std::move(list)) {}
};

/// y = activation(einsum(equation, x, kernel) + bias): "abc,cd->abd", "...x,xy->...y". The kernel has the extents of
/// its letters in x or in y; the bias those of `bias_axes` in y, 1 for the other axes behind the first of them.
struct EinsumDenseImpl : LayerBase {
  struct Config {
    std::string equation = {};
    OutputShape output_shape = 0;
    tusk::Activation activation = {};
    std::string bias_axes = {};
    Initializer kernel_initializer = "glorot_uniform";
    Initializer bias_initializer = "zeros";
    Regularizer kernel_regularizer = {};
    Regularizer bias_regularizer = {};
    Constraint kernel_constraint = {};
    Constraint bias_constraint = {};
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::equation, &Config::output_shape};
  static void fields(auto& f, Config& c) {
    f("equation", c.equation);
    f("output_shape", c.output_shape);
    f("activation", c.activation);
    f.nullable("bias_axes", c.bias_axes);
    f("kernel_initializer", c.kernel_initializer);
    f("bias_initializer", c.bias_initializer);
    f("kernel_regularizer", c.kernel_regularizer);
    f("bias_regularizer", c.bias_regularizer);
    f("kernel_constraint", c.kernel_constraint);
    f("bias_constraint", c.bias_constraint);
    f.only("lora_rank", nullptr);
    f.only("quantization_config", nullptr);
    f.ignored("lora_alpha");
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;
  /// None where output_shape has None.
  std::vector<Shape> written_shapes(const std::vector<Shape>& inputs, std::vector<Shape> results) const override;

 private:
  /// The kernel's, told which axes are inputs and outputs.
  Initializer scaled_by_equation() const;

  graph::ContractSpec spec_;
  Variable kernel_, bias_;
  std::vector<std::int64_t> bias_dims_;  // axes of y
};
using EinsumDense = LayerOf<EinsumDenseImpl>;

/// Row x[...] of a table: integers below input_dim become vectors of output_dim elements. Others are clamped.
struct EmbeddingImpl : LayerBase {
  struct Config {
    std::int64_t input_dim = 0;
    std::int64_t output_dim = 0;
    Initializer embeddings_initializer = "random_uniform";
    Regularizer embeddings_regularizer = {};
    Constraint embeddings_constraint = {};
    bool mask_zero = false;
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::input_dim, &Config::output_dim};
  static void fields(auto& f, Config& c) {
    f("input_dim", c.input_dim);
    f("output_dim", c.output_dim);
    f("embeddings_initializer", c.embeddings_initializer);
    f("embeddings_regularizer", c.embeddings_regularizer);
    f("embeddings_constraint", c.embeddings_constraint);
    f("mask_zero", c.mask_zero);
    f.only("lora_rank", nullptr);
    f.only("quantization_config", nullptr);
    f.ignored("lora_alpha");
    f.ignored("input_length");  // Keras 2
    f.ignored("sparse");
  }
  bool autocasts() const override { return false; }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;
  /// With mask_zero: the ids that are not 0.
  Tensor output_mask(const std::vector<Tensor>& inputs, const Call& call) override;

 private:
  Variable embeddings_;
};
using Embedding = LayerOf<EmbeddingImpl>;

/// An Embedding that also works from vectors back to ids, called with {.reverse = true}: logits = x E^T, or x R with a
/// matrix R of its own if tie_weights is false; logit_soft_cap c gives c tanh(logits / c).
struct ReversibleEmbeddingImpl : LayerBase {
  struct Config {
    std::int64_t input_dim = 0;
    std::int64_t output_dim = 0;
    bool tie_weights = true;
    Initializer embeddings_initializer = "random_uniform";
    Regularizer embeddings_regularizer = {};
    Constraint embeddings_constraint = {};
    bool mask_zero = false;
    std::string reverse_dtype = {};  // of the way back; "": the compute dtype
    std::optional<double> logit_soft_cap = {};
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::input_dim, &Config::output_dim};
  static void fields(auto& f, Config& c) {
    f("input_dim", c.input_dim);
    f("output_dim", c.output_dim);
    f("tie_weights", c.tie_weights);
    f("embeddings_initializer", c.embeddings_initializer);
    f("embeddings_regularizer", c.embeddings_regularizer);
    f("embeddings_constraint", c.embeddings_constraint);
    f("mask_zero", c.mask_zero);
    f("logit_soft_cap", c.logit_soft_cap);
    f.nullable("reverse_dtype", c.reverse_dtype);
    f.only("lora_rank", nullptr);
    f.only("quantization_config", nullptr);
    f.ignored("lora_alpha");
  }
  bool autocasts() const override { return false; }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;
  Tensor output_mask(const std::vector<Tensor>& inputs, const Call& call) override;

 private:
  DType reverse_type() const;

  Variable embeddings_, reverse_embeddings_;
};
using ReversibleEmbedding = LayerOf<ReversibleEmbeddingImpl>;

/// The mask: where not all features of a position are mask_value. Others become 0.
struct MaskingImpl : LayerBase {
  struct Config {
    double mask_value = 0;
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::mask_value};
  static constexpr bool all_optional = true;
  static void fields(auto& f, Config& c) { f("mask_value", c.mask_value); }
  Tensor call(Tensor x, const Call& call) override;
  Tensor output_mask(const std::vector<Tensor>& inputs, const Call& call) override;
};
using Masking = LayerOf<MaskingImpl>;

struct IdentityImpl : MaskedLayer {
  bool supports_masking() const override { return !is_keras2(); }
  struct Config {
    std::string name = {};
    std::string dtype = {};
  } config;
  static void fields(auto&, Config&) {}
  Tensor call(Tensor x, const Call&) override { return x; }
};
using Identity = LayerOf<IdentityImpl>;

struct ActivationImpl : MaskedLayer {
  struct Config {
    tusk::Activation activation = {};
    std::string name = {};
    std::string dtype = {};
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
struct RescalingImpl : MaskedLayer {
  bool supports_masking() const override { return !is_keras2(); }
  struct Config {
    Numbers scale = 1.0;
    Numbers offset = 0.0;
    std::string name = {};
    std::string dtype = {};
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
