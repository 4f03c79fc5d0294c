#include "frontend/layers/normalization.hpp"

#include <fmt/format.h>

#include "frontend/model/trace.hpp"

namespace tusk::layers {

void BatchNormalizationImpl::build(const Shape& in) {
  const auto rank = static_cast<std::int64_t>(in.size());
  if (config.axis < -rank || config.axis >= rank || config.axis == 0 || config.axis == -rank) {
    fail("field-value",
         fmt::format("axis is {}, which is no axis of {} behind the batch", config.axis, keras_shape(in)));
  }
  const std::int64_t channels = known_dim(in, config.axis);
  if (config.scale) gamma_ = add_weight("gamma", {channels}, {.initializer = config.gamma_initializer});
  if (config.center) beta_ = add_weight("beta", {channels}, {.initializer = config.beta_initializer});
  moving_mean_ =
      add_weight("moving_mean", {channels}, {.initializer = config.moving_mean_initializer, .trainable = false});
  moving_variance_ = add_weight("moving_variance", {channels},
                                {.initializer = config.moving_variance_initializer, .trainable = false});
}

Tensor BatchNormalizationImpl::call(Tensor input, const Call& how) {
  if (how.training) {
    fail("layer-training", "BatchNormalization is called with training = true, which this release cannot compile");
  }
  const Tensor x = emit::to_float(input);
  const emit::Ints axes{emit::axis_of(x, config.axis)};
  std::vector<emit::Arg> args{x, moving_mean_, moving_variance_};
  if (gamma_ || beta_) args.push_back(gamma_ ? emit::Arg(gamma_) : emit::Arg(1.0));
  if (beta_) args.emplace_back(beta_);
  return emit::op("normalize", args,
                  {{{"axes", axes}, {"scale_axes", axes}, {"epsilon", kernel::literal_of(config.epsilon)}}});
}

}  // namespace tusk::layers
