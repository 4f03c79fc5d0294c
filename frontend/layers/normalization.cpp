#include "frontend/layers/normalization.hpp"

#include <fmt/format.h>

#include "frontend/model/emit.hpp"

namespace tusk::layers {
namespace {

// (x - mean) / sqrt(variance + epsilon) * gamma + beta, in the dtype of x.
Tensor normalized(const Tensor& x, const Tensor& mean, const Tensor& variance, const Variable& gamma,
                  const Variable& beta, const emit::Ints& axes, const emit::Ints& scale_axes, double epsilon) {
  std::vector<emit::Arg> args{x, mean, variance};
  if (gamma || beta) args.push_back(gamma ? emit::Arg(emit::cast(gamma, x.dtype())) : emit::Arg(1.0));
  if (beta) args.emplace_back(emit::cast(beta, x.dtype()));
  return emit::op("normalize", args,
                  {{{"axes", axes}, {"scale_axes", scale_axes}, {"epsilon", kernel::literal_of(epsilon)}}});
}

}  // namespace

void BatchNormalizationImpl::build(const Shape& in) {
  check_rank(in, in.size());
  const std::int64_t channels = weight_dim(in, axes_behind_batch(in, {config.axis}).front());
  if (config.scale)
    gamma_ = add_weight("gamma", {channels},
                        {.initializer = config.gamma_initializer,
                         .autocast = false,
                         .regularizer = config.gamma_regularizer,
                         .constraint = config.gamma_constraint});
  if (config.center)
    beta_ = add_weight("beta", {channels},
                       {.initializer = config.beta_initializer,
                        .autocast = false,
                        .regularizer = config.beta_regularizer,
                        .constraint = config.beta_constraint});
  moving_mean_ = add_weight("moving_mean", {channels},
                            {.initializer = config.moving_mean_initializer, .trainable = false, .autocast = false});
  moving_variance_ =
      add_weight("moving_variance", {channels},
                 {.initializer = config.moving_variance_initializer, .trainable = false, .autocast = false});
  if (!config.renorm) return;
  for (const char* name : {"moving_stddev", "renorm_mean", "renorm_stddev"})
    add_weight(name, {channels}, {.initializer = "ones", .trainable = false});
}

// The moments of the batch, which the moving ones follow.
std::pair<Tensor, Tensor> BatchNormalizationImpl::moments_of_batch(const Tensor& x, const Tensor& mask) const {
  const emit::Ints over = emit::other_axes(x, {emit::axis_of(x, config.axis)});
  std::pair<Tensor, Tensor> moments;
  if (mask) {
    const Tensor data = emit::leading(mask, x.shape());
    const Tensor count = emit::map("add", {emit::reduce("sum", emit::cast(data, x.dtype()), over), emit::kEpsilon});
    const auto mean = [&](const Tensor& of) {
      return emit::map("div", {emit::reduce("sum", emit::map("select", {data, of, 0.0}), over), count});
    };
    moments.first = mean(x);
    const Tensor apart = emit::map("sub", {x, emit::spread(moments.first, x.shape(), over)});
    moments.second = mean(emit::map("mul", {apart, apart}));
  } else {
    moments = emit::moments(x, over);
  }
  const auto follow = [&](const Variable& moving, const Tensor& now) {
    const Tensor old = emit::cast(moving, now.dtype());
    Trace::current().assign(moving, emit::map("add", {emit::map("mul", {old, config.momentum}),
                                                      emit::map("mul", {now, 1 - config.momentum})}));
  };
  follow(moving_mean_, moments.first);
  follow(moving_variance_, moments.second);
  return moments;
}

Tensor BatchNormalizationImpl::call(Tensor input, const Call& how) {
  const bool learns = how.training && trainable();
  if (learns && config.renorm)
    fail("layer-training",
         "BatchNormalization with renorm is called with training = true, which this release cannot "
         "compile");
  const Tensor x = emit::to_wide_float(input);
  const emit::Ints axes{emit::axis_of(x, config.axis)};
  std::pair<Tensor, Tensor> moments{emit::cast(moving_mean_, x.dtype()), emit::cast(moving_variance_, x.dtype())};
  if (learns) moments = moments_of_batch(x, how.mask.list.empty() ? Tensor() : how.mask.list.front());
  return emit::to_compute_dtype(
      normalized(x, moments.first, moments.second, gamma_, beta_, axes, axes, config.epsilon));
}

// --- LayerNormalization

void LayerNormalizationImpl::build(const Shape& in) {
  const Shape shape = weight_shape(in, config.axis.list());
  if (config.scale || config.rms_scaling)
    gamma_ = add_weight("gamma", shape,
                        {.initializer = config.gamma_initializer,
                         .autocast = false,
                         .regularizer = config.gamma_regularizer,
                         .constraint = config.gamma_constraint});
  if (config.center && !config.rms_scaling)
    beta_ = add_weight("beta", shape,
                       {.initializer = config.beta_initializer,
                        .autocast = false,
                        .regularizer = config.beta_regularizer,
                        .constraint = config.beta_constraint});
}

Tensor LayerNormalizationImpl::call(Tensor input, const Call&) {
  const Tensor x = emit::to_wide_float(input);
  const emit::Ints over = axes_behind_batch(x.shape(), config.axis.list());
  auto [mean, variance] = emit::moments(x, over);
  // Keras takes the variance around the mean, and leaves the mean in.
  if (config.rms_scaling) mean = emit::filled("zero", x.dtype(), mean.shape(), 0);
  const Tensor y = normalized(x, mean, variance, gamma_, beta_, emit::other_axes(x, over), over, config.epsilon);
  return emit::to_compute_dtype(emit::cast(y, input.dtype()));  // of integers, integers: as Keras has it
}

// --- GroupNormalization

void GroupNormalizationImpl::build(const Shape& in) {
  check_rank(in, in.size());
  const std::int64_t channels = weight_dim(in, axes_behind_batch(in, {config.axis}).front());
  if (config.groups == -1) config.groups = channels;
  check_field("groups", config.groups);
  if (channels % config.groups != 0) {
    fail("field-value", fmt::format("groups is {}, which must divide the {} input channels", config.groups, channels));
  }
  if (config.scale)
    gamma_ = add_weight("gamma", {channels},
                        {.initializer = config.gamma_initializer,
                         .autocast = false,
                         .regularizer = config.gamma_regularizer,
                         .constraint = config.gamma_constraint});
  if (config.center)
    beta_ = add_weight("beta", {channels},
                       {.initializer = config.beta_initializer,
                        .autocast = false,
                        .regularizer = config.beta_regularizer,
                        .constraint = config.beta_constraint});
}

Tensor GroupNormalizationImpl::call(Tensor input, const Call&) {
  const Tensor x = emit::to_wide_float(input);
  const std::int64_t axis = emit::axis_of(x, config.axis);
  Shape split = x.shape();
  Dim& channels = split[static_cast<std::size_t>(axis)];
  const Dim each(channels.constant() / config.groups);
  channels = Dim(config.groups);
  split.insert(split.begin() + axis + 1, each);
  const Tensor grouped = emit::reshape(x, std::move(split));
  const emit::Ints kept{0, axis};
  const auto [mean, variance] = emit::moments(grouped, emit::other_axes(grouped, kept));
  Tensor y = emit::reshape(normalized(grouped, mean, variance, {}, {}, kept, kept, config.epsilon), x.shape());
  const auto along_axis = [&](const Variable& weight, std::string_view name) {
    return emit::broadcast(emit::cast(weight, x.dtype()), x.shape(), {axis}, name);
  };
  if (gamma_) y = emit::map("mul", {y, along_axis(gamma_, "gamma")});
  if (beta_) y = emit::map("add", {y, along_axis(beta_, "beta")});
  return emit::to_compute_dtype(y);
}

// --- UnitNormalization

Tensor UnitNormalizationImpl::call(Tensor input, const Call&) {
  const Tensor x = emit::to_float(input);
  return emit::normalized(x, axes_behind_batch(x.shape(), config.axis.list()), 1e-12);
}

// --- RMSNormalization

void RMSNormalizationImpl::build(const Shape& in) {
  const std::int64_t axis = axes_behind_batch(in, {config.axis}).front();
  if (axis + 1 != static_cast<std::int64_t>(in.size()))
    fail("field-value", fmt::format("axis is {}, expected the last one", config.axis));
  scale_ = add_weight("scale", {weight_dim(in, -1)}, {.initializer = "ones"});
}

Tensor RMSNormalizationImpl::call(Tensor input, const Call&) {
  const Tensor x = emit::to_wide_float(input);
  const emit::Ints last{x.rank() - 1};
  const Tensor squares = emit::mean(emit::map("mul", {x, x}), last);
  const Tensor factor = emit::map("rsqrt", {emit::map("add", {squares, config.epsilon})});
  const Tensor scaled = emit::map("mul", {x, emit::spread(factor, x.shape(), last)});
  const Tensor scale = emit::broadcast(emit::cast(scale_, x.dtype()), x.shape(), last, "scale");
  return emit::to_compute_dtype(emit::map("mul", {scaled, scale}));
}

// --- Normalization

void NormalizationImpl::build(const Shape& in) {
  if (config.mean.has_value() != config.variance.has_value())
    fail("field-value", "mean and variance are given together, or neither");
  if (config.mean) return;
  const Shape shape = config.axis.list().empty() ? Shape() : weight_shape(in, config.axis.list());
  mean_ = add_weight("mean", shape, {.initializer = "zeros", .trainable = false});
  variance_ = add_weight("variance", shape, {.initializer = "ones", .trainable = false});
  count_ = add_weight("count", {}, {.initializer = "zeros", .trainable = false, .dtype = DType::i64});
}

Tensor NormalizationImpl::call(Tensor input, const Call&) {
  const Tensor x = emit::to_float(input);
  const emit::Ints axes = config.axis.list().empty() ? emit::Ints{} : axes_behind_batch(x.shape(), config.axis.list());
  Shape kept;
  for (const std::int64_t axis : axes) kept.push_back(x.shape()[static_cast<std::size_t>(axis)]);
  // Given moments are one number, or one for each element of the axes.
  const auto moment = [&](std::string_view field, const std::optional<Numbers>& given, const Variable& weight) {
    if (!given) return Tensor(weight);
    const auto count = static_cast<std::int64_t>(given->values.size());
    if (count != 1 && !(product(kept) == Dim(count))) {
      fail("field-value", fmt::format("{} has {} numbers, the axes of {} have another number of elements", field, count,
                                      keras_shape(x.shape())));
    }
    Array array(emit::compute_dtype(), {count});
    for (std::int64_t i = 0; i < count; ++i) array.set(i, given->values[static_cast<std::size_t>(i)]);
    const Tensor constant = emit::constant(field, array);
    if (count > 1 || product(kept) == Dim(1)) return emit::reshape(constant, kept);
    return emit::broadcast(emit::reshape(constant, {}), kept, {});
  };
  const Tensor mean = emit::broadcast(moment("mean", config.mean, mean_), x.shape(), axes, "mean");
  const Tensor deviation =
      emit::map("max", {emit::map("sqrt", {moment("variance", config.variance, variance_)}), 1e-7});
  const Tensor spread = emit::broadcast(deviation, x.shape(), axes, "deviation");
  if (config.invert) return emit::map("add", {mean, emit::map("mul", {x, spread})});
  return emit::map("div", {emit::map("sub", {x, mean}), spread});
}

}  // namespace tusk::layers
