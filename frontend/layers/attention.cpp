#include "frontend/layers/attention.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "frontend/layers/activation_layers.hpp"
#include "frontend/layers/noise.hpp"
#include "frontend/model/emit.hpp"

namespace tusk::layers {
namespace {

// What scores become where nothing may attend: of Attention and of the fused product.
constexpr double kMasked = -1e9;
constexpr double kLargestHalf = 65504;
constexpr double kMaskedFused = -0.7 * static_cast<double>(std::numeric_limits<float>::max());

/// Row i, column j of the last two axes: f(i, j) as a bool of this shape.
Tensor by_position(const Dim& rows, const Dim& columns, const Shape& shape, std::string_view compare, double shift) {
  const auto iota = [&](std::int64_t axis) {
    return emit::op("iota", {}, {{{"shape", Shape{rows, columns}}, {"axis", axis}}});
  };
  Tensor where;
  if (compare == "causal") {
    where = emit::map("ge", {iota(0), iota(1)});
  } else {
    where = emit::map("lt", {emit::map("abs", {emit::map("sub", {iota(0), iota(1)})}), shift});
  }
  const auto rank = static_cast<std::int64_t>(shape.size());
  return emit::broadcast(where, shape, {rank - 2, rank - 1});
}

Tensor causal(const Shape& scores) {
  return by_position(scores[scores.size() - 2], scores.back(), scores, "causal", 0);
}

Tensor as_bool(const Tensor& mask) { return emit::cast(mask, DType::boolean); }

graph::ContractSpec spec_of(std::vector<std::string> a, std::vector<std::string> b, std::vector<std::string> y) {
  graph::ContractSpec spec;
  spec.a = std::move(a);
  spec.b = std::move(b);
  spec.y = std::move(y);
  return spec;
}

// In single precision, as Keras keeps it under every policy.
double inverse_root(std::int64_t size) {
  return static_cast<double>(static_cast<float>(1 / std::sqrt(static_cast<double>(size))));
}

Tensor softmax_of(const Tensor& scores, const std::vector<std::int64_t>& axes) {
  return emit::op("softmax", {scores}, {{{"axes", axes}}});
}

}  // namespace

Tensor fused_attention(const Tensor& query, const Tensor& key, const Tensor& value, double scale,
                       const std::optional<Tensor>& mask, const std::optional<Tensor>& bias, bool is_causal) {
  Tensor scores = emit::contract(query, key, std::nullopt,
                                 spec_of({"n", "t", "h", "d"}, {"n", "s", "h", "d"}, {"n", "h", "t", "s"}));
  scores = emit::map("mul", {emit::to_wide_float(scores), scale});
  if (bias) scores = emit::map("add", {scores, emit::cast(emit::aligned(*bias, scores.shape()), scores.dtype())});
  std::optional<Tensor> allowed;
  if (mask) allowed = emit::aligned(as_bool(*mask), scores.shape());
  if (is_causal) {
    const Tensor before = causal(scores.shape());
    allowed = allowed ? emit::map("and", {*allowed, before}) : before;
  }
  if (allowed) scores = emit::map("select", {*allowed, scores, kMaskedFused});
  return emit::contract(emit::cast(softmax_of(scores, {3}), value.dtype()), value, std::nullopt,
                        spec_of({"n", "h", "t", "s"}, {"n", "s", "h", "d"}, {"n", "t", "h", "d"}));
}

// --- Attention, AdditiveAttention

Tensor AttentionBase::sums(const Tensor& query, const Tensor& key) {
  // [..., queries, 1, features] and [..., 1, keys, features]
  Shape shape = query.shape();
  shape.insert(shape.end() - 1, key.shape()[key.shape().size() - 2]);
  const auto rank = static_cast<std::int64_t>(shape.size());
  std::vector<std::int64_t> of_query;
  std::vector<std::int64_t> of_key;
  for (std::int64_t i = 0; i < rank; ++i) {
    if (i != rank - 2) of_query.push_back(i);
    if (i != rank - 3) of_key.push_back(i);
  }
  return emit::map("add", {emit::broadcast(query, shape, of_query), emit::broadcast(key, shape, of_key)});
}

std::vector<Tensor> AttentionBase::call_all(const std::vector<Tensor>& inputs, const Call& call) {
  const Tensor query = emit::to_float(inputs[0]);
  const Tensor value = emit::to_float(inputs[1]);
  const Tensor key = emit::to_float(inputs.back());
  const std::int64_t rank = query.rank();
  if (rank < 3 || value.rank() != rank || key.rank() != rank) {
    fail("layer-rank", fmt::format("{} needs tensors of one rank of 3 or more, found {} and {}", class_name(),
                                   keras_shape(query.shape()), keras_shape(value.shape())));
  }
  Tensor score = scores(query, key);
  const Tensor& of_values = call.mask.list[1];
  std::optional<Tensor> allowed;
  if (of_values) {
    std::vector<std::int64_t> dims;
    for (std::int64_t i = 0; i < rank - 2; ++i) dims.push_back(i);
    dims.push_back(rank - 1);
    allowed = emit::broadcast(as_bool(of_values), score.shape(), dims);
  }
  if (call.use_causal_mask) {
    const Tensor before = causal(score.shape());
    allowed = allowed ? emit::map("and", {*allowed, before}) : before;
  }
  if (allowed) {
    const Tensor masked = emit::cast(emit::map("not", {*allowed}), score.dtype());
    const double far = score.dtype() == DType::f16 ? kLargestHalf : -kMasked;
    score = emit::map("sub", {score, emit::map("mul", {masked, far})});
  }
  Tensor weights = softmax_of(score, {rank - 1});
  if (call.training && dropout_rate() > 0) weights = dropout(weights, dropout_rate(), weights.shape(), random_);
  graph::ContractSpec spec;
  for (std::int64_t i = 0; i < rank - 2; ++i) spec.a.push_back(fmt::format("n{}", i));
  spec.b = spec.y = spec.a;
  for (const char* name : {"t", "s"}) spec.a.emplace_back(name);
  for (const char* name : {"s", "d"}) spec.b.emplace_back(name);
  for (const char* name : {"t", "d"}) spec.y.emplace_back(name);
  Tensor y = emit::contract(weights, value, std::nullopt, std::move(spec));
  if (const Tensor& of_queries = call.mask.list[0])
    y = emit::map("select", {emit::leading(as_bool(of_queries), y.shape()), y, 0});
  if (call.return_attention_scores) return {y, weights};
  return {y};
}

void AttentionImpl::build_all(const std::vector<Shape>&) {
  random_ = add_seed_generator(config.seed);
  if (config.use_scale) scale_ = add_weight("scale", {}, {.initializer = "ones"});
  if (config.score_mode == "concat")
    concat_score_weight_ = add_weight("concat_score_weight", {}, {.initializer = "ones"});
}

Tensor AttentionImpl::scores(const Tensor& query, const Tensor& key) const {
  const auto times = [](const Tensor& x, const Variable& factor) {
    return factor ? emit::map("mul", {x, emit::broadcast(factor, x.shape(), {})}) : x;
  };
  if (config.score_mode == "concat") {
    const Tensor all = emit::map("tanh", {times(sums(query, key), scale_)});
    return times(emit::reduce("sum", all, {all.rank() - 1}), concat_score_weight_);
  }
  graph::ContractSpec spec;
  for (std::int64_t i = 0; i < query.rank() - 2; ++i) spec.a.push_back(fmt::format("n{}", i));
  spec.b = spec.y = spec.a;
  for (const char* name : {"t", "d"}) spec.a.emplace_back(name);
  for (const char* name : {"s", "d"}) spec.b.emplace_back(name);
  for (const char* name : {"t", "s"}) spec.y.emplace_back(name);
  return times(emit::contract(query, key, std::nullopt, std::move(spec)), scale_);
}

void AdditiveAttentionImpl::build_all(const std::vector<Shape>& shapes) {
  random_ = add_seed_generator(config.seed);
  if (config.use_scale) scale_ = add_weight("scale", {known_dim(shapes[0], -1)}, {.initializer = "glorot_uniform"});
}

Tensor AdditiveAttentionImpl::scores(const Tensor& query, const Tensor& key) const {
  Tensor all = emit::map("tanh", {sums(query, key)});
  if (scale_) all = emit::map("mul", {all, emit::broadcast(scale_, all.shape(), {all.rank() - 1})});
  return emit::reduce("sum", all, {all.rank() - 1});
}

// --- MultiHeadAttention, GroupQueryAttention

// "abc,cde->abde" for an input of rank 3 with one bound axis and two axes out.
EinsumDense ProjectedAttentionBase::project(std::string_view name, const Shape& in, std::size_t bound,
                                            const std::vector<std::int64_t>& out, const Projections& told,
                                            const tusk::Activation& activation) {
  std::string x;
  std::string weights;
  std::string y;
  std::string bias_axes;
  char letter = 'a';
  std::vector<std::optional<std::int64_t>> extents;
  for (std::size_t i = 0; i < in.size(); ++i, ++letter) {
    x += letter;
    (i + bound < in.size() ? y : weights) += letter;
    if (i > 0 && i + bound < in.size()) extents.emplace_back();
  }
  for (const std::int64_t extent : out) {
    weights += letter;
    y += letter;
    bias_axes += letter++;
    extents.emplace_back(extent);
  }
  EinsumDense dense(fmt::format("{},{}->{}", x, weights, y), OutputShape(std::move(extents)),
                    {.activation = activation,
                     .bias_axes = told.bias_initializer ? bias_axes : std::string(),
                     .kernel_initializer = told.kernel_initializer,
                     .bias_initializer = told.bias_initializer.value_or(Initializer("zeros")),
                     .kernel_regularizer = told.kernel_regularizer,
                     .bias_regularizer = told.bias_regularizer,
                     .kernel_constraint = told.kernel_constraint,
                     .bias_constraint = told.bias_constraint,
                     .name = std::string(name),
                     .dtype = dtype_policy().name});
  dense->set_activity_regularizer(told.activity_regularizer);
  add_child(dense, {in});
  return dense;
}

std::optional<Tensor> ProjectedAttentionBase::joint_mask(const std::vector<Tensor>& inputs, const Call& call,
                                                         const std::optional<std::int64_t>& sliding_window) const {
  for (const Tensor& input : inputs) {
    if (input.rank() == inputs[0].rank()) continue;
    fail("layer-rank", fmt::format("{} needs tensors of one rank, found {} and {}", class_name(),
                                   keras_shape(inputs[0].shape()), keras_shape(input.shape())));
  }
  const Shape shape{inputs[0].shape()[0], inputs[0].shape()[1], inputs[1].shape()[1]};
  std::optional<Tensor> all;
  const auto with = [&](const Tensor& mask) { all = all ? emit::map("and", {*all, mask}) : mask; };
  const std::vector<Tensor>& masks = call.mask.list;
  if (masks[0]) with(emit::broadcast(as_bool(masks[0]), shape, {0, 1}));
  for (std::size_t i = 1; i < masks.size(); ++i) {
    if (masks[i]) with(emit::broadcast(as_bool(masks[i]), shape, {0, 2}));
  }
  if (call.use_causal_mask) with(causal(shape));
  if (sliding_window) {
    check_field("sliding_window", *sliding_window);
    with(by_position(shape[1], shape[2], shape, "near", static_cast<double>(*sliding_window)));
  }
  if (!call.attention_mask) return all;
  const Tensor given = as_bool(call.attention_mask);
  if (!all) return given;
  const std::vector<Tensor> both = emit::broadcast_together({given, *all});
  return emit::map("and", {both[0], both[1]});
}

std::vector<Tensor> ProjectedAttentionBase::attend(const Tensor& query, const Tensor& key, const Tensor& value,
                                                   const std::vector<std::int64_t>& axes, double scale,
                                                   const std::optional<Tensor>& joint, const Call& call,
                                                   bool fused) const {
  const std::int64_t rank = query.rank();
  const auto times = static_cast<std::int64_t>(axes.size());
  const auto scores_rank = static_cast<std::size_t>(rank - 1 + times);
  // The axes of a mask that are no time stand at the front; heads and others come between.
  std::optional<Tensor> mask = joint;
  if (mask && static_cast<std::size_t>(mask->rank()) != scores_rank) {
    const std::int64_t at = mask->rank() - 2 * times;
    if (at < 0 || static_cast<std::size_t>(mask->rank()) > scores_rank) {
      fail("layer-mask",
           fmt::format("a mask of shape {} does not fit scores of rank {}", keras_shape(mask->shape()), scores_rank));
    }
    Shape shape = mask->shape();
    shape.insert(shape.begin() + at, scores_rank - shape.size(), Dim(1));
    mask = emit::reshape(*mask, std::move(shape));
  }
  if (fused) return {fused_attention(query, key, value, scale, mask, std::nullopt, false)};

  graph::ContractSpec products;
  graph::ContractSpec combined;
  std::vector<std::string> queries;
  std::vector<std::string> keys;
  for (std::int64_t i = 0; i < rank; ++i) {
    const bool is_time = std::ranges::find(axes, i) != axes.end();
    products.a.push_back(i == rank - 1 ? "d" : fmt::format("{}{}", is_time ? "t" : "n", i));
    products.b.push_back(is_time ? fmt::format("s{}", i) : products.a.back());
    if (!is_time && i != rank - 1) products.y.push_back(products.a.back());
  }
  for (const std::int64_t axis : axes) {
    queries.push_back(fmt::format("t{}", axis));
    keys.push_back(fmt::format("s{}", axis));
  }
  for (const auto* names : {&queries, &keys}) products.y.insert(products.y.end(), names->begin(), names->end());
  combined.a = products.y;
  combined.b = products.b;
  combined.y = products.a;
  Tensor scores = emit::contract(emit::map("mul", {query, scale}), key, std::nullopt, products);
  std::vector<std::int64_t> over;
  for (std::int64_t i = scores.rank() - times; i < scores.rank(); ++i) over.push_back(i);
  if (mask) {
    mask = emit::aligned(*mask, scores.shape());
    scores = emit::map("select", {*mask, scores, masked_score(scores.dtype())});
  }
  scores = softmax_of(scores, over);
  if (mask) scores = emit::map("select", {*mask, scores, 0});
  const Tensor kept = call.training && dropout_ > 0 ? dropout(scores, dropout_, scores.shape(), random_) : scores;
  const Tensor y = emit::contract(kept, value, std::nullopt, combined);
  if (call.return_attention_scores) return {y, scores};
  return {y};
}

void MultiHeadAttentionImpl::build_all(const std::vector<Shape>& shapes) {
  dropout_ = config.dropout;
  random_ = add_seed_generator(config.seed);
  check_field("num_heads", config.num_heads);
  check_field("key_dim", config.key_dim);
  const std::int64_t value_dim = config.value_dim.value_or(config.key_dim);
  check_field("value_dim", value_dim);
  const Shape& query = shapes[0];
  const Shape& value = shapes[1];
  const Shape& key = shapes.back();
  const std::size_t rank = query.size();
  if (rank < 3 || rank > 20 || value.size() != rank || key.size() != rank) {
    fail("layer-rank", fmt::format("MultiHeadAttention needs tensors of one rank of 3 or more, found {} and {}",
                                   keras_shape(query), keras_shape(value)));
  }
  check_rank(query, rank);
  axes_.clear();
  for (const std::int64_t axis : config.attention_axes) {
    // Counted by Keras in tensors with a heads axis behind.
    axes_.push_back(axis < 0 ? axis + static_cast<std::int64_t>(rank) : axis);
    if (axes_.back() < 1 || axes_.back() > static_cast<std::int64_t>(rank) - 2)
      fail("field-value",
           fmt::format("attention_axes has {}, which is no axis of time of {}", axis, keras_shape(query)));
  }
  if (axes_.empty()) {
    for (std::size_t i = 1; i + 1 < rank; ++i) axes_.push_back(static_cast<std::int64_t>(i));
  }
  if (std::set<std::int64_t>(axes_.begin(), axes_.end()).size() != axes_.size())
    fail("field-value", "attention_axes names an axis twice");
  const Projections told = projections(config, config.activity_regularizer);
  set_activity_regularizer({});  // Keras has it for the layers inside alone
  query_ = project("query", query, 1, {config.num_heads, config.key_dim}, told);
  key_ = project("key", key, 1, {config.num_heads, config.key_dim}, told);
  if (config.use_gate) gate_ = project("gate", query, 1, {config.num_heads, value_dim}, told, "sigmoid");
  value_ = project("value", value, 1, {config.num_heads, value_dim}, told);
  Shape heads(query.begin(), query.end() - 1);
  heads.emplace_back(config.num_heads);
  heads.emplace_back(value_dim);
  std::vector<std::int64_t> out = config.output_shape;
  if (out.empty()) out = {known_dim(query, -1)};
  output_ = project("attention_output", heads, 2, out, told);
}

std::vector<Tensor> MultiHeadAttentionImpl::call_all(const std::vector<Tensor>& inputs, const Call& told) {
  Call call = told;
  call.mask.list.front() = inputs.front().mask();  // as in Keras, whatever query_mask is given
  const std::optional<Tensor> mask = joint_mask(inputs, call, config.sliding_window);
  const Tensor query = (*query_)(inputs[0]);
  const Tensor key = (*key_)(inputs.back());
  const Tensor value = (*value_)(inputs[1]);
  const bool fused = config.dropout <= 0 && !call.return_attention_scores && query.rank() == 4;
  const double scale = inverse_root(config.key_dim);
  std::vector<Tensor> results = attend(query, key, value, axes_, scale, mask, call, fused);
  if (gate_) results[0] = emit::map("mul", {results[0], (*gate_)(inputs[0])});
  results[0] = (*output_)(results[0]);
  return results;
}

std::vector<Shape> MultiHeadAttentionImpl::written_shapes(const std::vector<Shape>& inputs,
                                                          std::vector<Shape> results) const {
  const Shape& query = inputs.front();
  if (results.size() == 2) results[1] = {query[0], Dim(config.num_heads), query[1], query[1]};
  return results;
}

void GroupQueryAttentionImpl::build_all(const std::vector<Shape>& shapes) {
  dropout_ = config.dropout;
  random_ = add_seed_generator(config.seed);
  check_field("head_dim", config.head_dim);
  check_field("num_query_heads", config.num_query_heads);
  check_field("num_key_value_heads", config.num_key_value_heads);
  if (config.num_query_heads % config.num_key_value_heads != 0) {
    fail("field-value", fmt::format("num_query_heads is {}, expected a multiple of num_key_value_heads, which is {}",
                                    config.num_query_heads, config.num_key_value_heads));
  }
  for (const Shape& shape : shapes) check_rank(shape, 3);
  const Projections told = projections(config, activity_regularizer());
  const std::vector<std::int64_t> heads{config.num_query_heads, config.head_dim};
  const std::vector<std::int64_t> shared{config.num_key_value_heads, config.head_dim};
  query_ = project("query", shapes[0], 1, heads, told);
  key_ = project("key", shapes.back(), 1, shared, told);
  if (config.use_gate) gate_ = project("gate", shapes[0], 1, heads, told, "sigmoid");
  value_ = project("value", shapes[1], 1, shared, told);
  output_ = project("attention_output", {shapes[0][0], shapes[0][1], heads[0], heads[1]}, 2, {known_dim(shapes[0], -1)},
                    told);
}

std::vector<Tensor> GroupQueryAttentionImpl::call_all(const std::vector<Tensor>& inputs, const Call& call) {
  const std::optional<Tensor> mask = joint_mask(inputs, call, config.sliding_window);
  const std::int64_t repeats = config.num_query_heads / config.num_key_value_heads;
  const Tensor query = (*query_)(inputs[0]);
  const Tensor key = emit::repeated((*key_)(inputs.back()), 2, repeats);
  const Tensor value = emit::repeated((*value_)(inputs[1]), 2, repeats);
  const bool fused = config.dropout <= 0 && !call.return_attention_scores;
  const double scale = inverse_root(config.head_dim);
  std::vector<Tensor> results = attend(query, key, value, {1}, scale, mask, call, fused);
  if (gate_) results[0] = emit::map("mul", {results[0], (*gate_)(inputs[0])});
  results[0] = (*output_)(results[0]);
  return results;
}

}  // namespace tusk::layers
