// Attention, AdditiveAttention, MultiHeadAttention, GroupQueryAttention.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "frontend/layers/core.hpp"
#include "frontend/model/layer.hpp"

namespace tusk::layers {

/// softmax(scale * query key^T + bias) value for each head, of tensors [batch, time, heads, features]. Where the mask
/// (bool, broadcast to [batch, heads, queries, keys]) is false the score is as low as it gets: a query that may attend
/// to nothing attends to all alike.
Tensor fused_attention(const Tensor& query, const Tensor& key, const Tensor& value, double scale,
                       const std::optional<Tensor>& mask, const std::optional<Tensor>& bias, bool is_causal);

/// Called on [query, value] or [query, value, key] of shapes [..., time, features]; masks: of queries, which become 0
/// where it is false, and of values. Results: the attention and, if asked for, its weights.
struct AttentionBase : LayerBase {
  std::size_t min_inputs() const override { return 2; }
  std::size_t max_inputs() const override { return 3; }
  std::vector<Tensor> call_all(const std::vector<Tensor>& inputs, const Call& call) override;
  Tensor output_mask(const std::vector<Tensor>&, const Call& call) override { return call.mask.list.front(); }

 protected:
  virtual Tensor scores(const Tensor& query, const Tensor& key) const = 0;
  /// The share of weights that training drops.
  virtual double dropout_rate() const = 0;
  /// tanh(query_i + key_j), [..., queries, keys, features].
  static Tensor sums(const Tensor& query, const Tensor& key);

  SeedGenerator random_;
};

/// The scores are products (dot), or w * sum(tanh(query_i + key_j)) (concat); with use_scale times a weight of one
/// number, under the tanh where there is one.
struct AttentionImpl : AttentionBase {
  struct Config {
    bool use_scale = false;
    OneOf<"dot", "concat"> score_mode = "dot";
    double dropout = 0;
    std::optional<std::int64_t> seed = {};
    std::string name = {};
    std::string dtype = {};
  } config;
  static void fields(auto& f, Config& c) {
    f("use_scale", c.use_scale);
    f("score_mode", c.score_mode);
    f("dropout", c.dropout);
    f("seed", c.seed);
    f.only("causal", false);  // Keras 2
  }
  void build_all(const std::vector<Shape>& shapes) override;

 protected:
  Tensor scores(const Tensor& query, const Tensor& key) const override;
  double dropout_rate() const override { return config.dropout; }

 private:
  Variable scale_, concat_score_weight_;
};
using Attention = LayerOf<AttentionImpl>;

/// The scores are sum(scale * tanh(query_i + key_j)), with use_scale a weight for each feature.
struct AdditiveAttentionImpl : AttentionBase {
  struct Config {
    bool use_scale = true;
    double dropout = 0;
    std::optional<std::int64_t> seed = {};
    std::string name = {};
    std::string dtype = {};
  } config;
  static void fields(auto& f, Config& c) {
    f("use_scale", c.use_scale);
    f("dropout", c.dropout);
    f("seed", c.seed);
    f.only("causal", false);  // Keras 2
    f.ignored("score_mode");
  }
  void build_all(const std::vector<Shape>& shapes) override;

 protected:
  Tensor scores(const Tensor& query, const Tensor& key) const override;
  double dropout_rate() const override { return config.dropout; }

 private:
  Variable scale_;
};
using AdditiveAttention = LayerOf<AdditiveAttentionImpl>;

/// What MultiHeadAttention and GroupQueryAttention share: called on [query, value] or [query, value, key], they project
/// each, attend, and project what comes out. Arguments of a call: masks of query, value and key, attention_mask,
/// use_causal_mask, return_attention_scores.
struct ProjectedAttentionBase : LayerBase {
  std::size_t min_inputs() const override { return 2; }
  std::size_t max_inputs() const override { return 3; }
  Tensor output_mask(const std::vector<Tensor>& inputs, const Call&) override { return inputs.front().mask(); }

 protected:
  /// What its dense layers are told.
  struct Projections {
    Initializer kernel_initializer;
    std::optional<Initializer> bias_initializer;  // none: no bias
    Regularizer kernel_regularizer, bias_regularizer, activity_regularizer;
    Constraint kernel_constraint, bias_constraint;
  };
  template <class Config>
  static Projections projections(const Config& c, Regularizer activity_regularizer) {
    return {c.kernel_initializer, c.use_bias ? std::optional(c.bias_initializer) : std::nullopt,
            c.kernel_regularizer, c.bias_regularizer,
            activity_regularizer, c.kernel_constraint,
            c.bias_constraint};
  }
  /// A dense layer inside, from the last `bound` axes of an input of this shape to the axes `out`.
  EinsumDense project(std::string_view name, const Shape& in, std::size_t bound, const std::vector<std::int64_t>& out,
                      const Projections& told, const tusk::Activation& activation = {});
  /// Attends with projected tensors [batch, ..., heads, features]; `axes` are the axes of time.
  std::vector<Tensor> attend(const Tensor& query, const Tensor& key, const Tensor& value,
                             const std::vector<std::int64_t>& axes, double scale, const std::optional<Tensor>& mask,
                             const Call& call, bool fused) const;
  /// All masks in one, for scores [batch, queries, keys], or none.
  std::optional<Tensor> joint_mask(const std::vector<Tensor>& inputs, const Call& call,
                                   const std::optional<std::int64_t>& sliding_window) const;

  std::optional<EinsumDense> query_, key_, value_, gate_, output_;
  double dropout_ = 0;  // the share of scores that training drops
  SeedGenerator random_;
};

struct MultiHeadAttentionImpl : ProjectedAttentionBase {
  struct Config {
    std::int64_t num_heads = 0;
    std::int64_t key_dim = 0;
    std::optional<std::int64_t> value_dim = {};
    double dropout = 0;
    bool use_bias = true;
    bool use_gate = false;
    std::vector<std::int64_t> output_shape = {};
    std::vector<std::int64_t> attention_axes = {};
    std::optional<std::int64_t> sliding_window = {};
    Initializer kernel_initializer = "glorot_uniform";
    Initializer bias_initializer = "zeros";
    Regularizer kernel_regularizer = {};
    Regularizer bias_regularizer = {};
    Regularizer activity_regularizer = {};
    Constraint kernel_constraint = {};
    Constraint bias_constraint = {};
    std::optional<std::int64_t> seed = {};
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::num_heads, &Config::key_dim};
  static void fields(auto& f, Config& c) {
    f("num_heads", c.num_heads);
    f("key_dim", c.key_dim);
    f("value_dim", c.value_dim);
    f("dropout", c.dropout);
    f("use_bias", c.use_bias);
    f("use_gate", c.use_gate);
    f("output_shape", c.output_shape);
    f("attention_axes", c.attention_axes);
    f("sliding_window", c.sliding_window);
    f("kernel_initializer", c.kernel_initializer);
    f("bias_initializer", c.bias_initializer);
    f("kernel_regularizer", c.kernel_regularizer);
    f("bias_regularizer", c.bias_regularizer);
    f("activity_regularizer", c.activity_regularizer);
    f("kernel_constraint", c.kernel_constraint);
    f("bias_constraint", c.bias_constraint);
    f("seed", c.seed);
    f.only("softmax_robust_masking", false);  // Keras 2, as the shapes
    for (const char* key : {"query_shape", "key_shape", "value_shape", "flash_attention"}) f.ignored(key);
  }
  void build_all(const std::vector<Shape>& shapes) override;
  std::vector<Tensor> call_all(const std::vector<Tensor>& inputs, const Call& call) override;
  bool strips_masks() const override { return !is_keras2(); }
  /// Scores have the queries' length twice.
  std::vector<Shape> written_shapes(const std::vector<Shape>& inputs, std::vector<Shape> results) const override;

 private:
  std::vector<std::int64_t> axes_;
};
using MultiHeadAttention = LayerOf<MultiHeadAttentionImpl>;

/// Groups of query heads share the heads of keys and values.
struct GroupQueryAttentionImpl : ProjectedAttentionBase {
  struct Config {
    std::int64_t head_dim = 0;
    std::int64_t num_query_heads = 0;
    std::int64_t num_key_value_heads = 0;
    double dropout = 0;
    bool use_bias = true;
    bool use_gate = false;
    std::optional<std::int64_t> sliding_window = {};
    Initializer kernel_initializer = "glorot_uniform";
    Initializer bias_initializer = "zeros";
    Regularizer kernel_regularizer = {};
    Regularizer bias_regularizer = {};
    Regularizer activity_regularizer = {};
    Constraint kernel_constraint = {};
    Constraint bias_constraint = {};
    std::optional<std::int64_t> seed = {};
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::head_dim, &Config::num_query_heads};
  static void fields(auto& f, Config& c) {
    f("head_dim", c.head_dim);
    f("num_query_heads", c.num_query_heads);
    f("num_key_value_heads", c.num_key_value_heads);
    f("dropout", c.dropout);
    f("use_bias", c.use_bias);
    f("use_gate", c.use_gate);
    f("sliding_window", c.sliding_window);
    f("kernel_initializer", c.kernel_initializer);
    f("bias_initializer", c.bias_initializer);
    f("kernel_regularizer", c.kernel_regularizer);
    f("bias_regularizer", c.bias_regularizer);
    f("kernel_constraint", c.kernel_constraint);
    f("bias_constraint", c.bias_constraint);
    f("seed", c.seed);
    f.ignored("flash_attention");
  }
  void build_all(const std::vector<Shape>& shapes) override;
  std::vector<Tensor> call_all(const std::vector<Tensor>& inputs, const Call& call) override;
  std::string_view keras_class() const override { return "GroupedQueryAttention"; }
};
using GroupQueryAttention = LayerOf<GroupQueryAttentionImpl>;

}  // namespace tusk::layers
