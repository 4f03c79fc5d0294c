#include "frontend/layers/activation_layers.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "frontend/model/emit.hpp"

namespace tusk::layers {

Tensor ReLUImpl::call(Tensor x, const Call&) {
  const auto check = [&](std::string_view field, double value) {
    if (value < 0) fail("field-value", fmt::format("{} is {}, expected 0 or more", field, value));
  };
  check("negative_slope", config.negative_slope);
  check("threshold", config.threshold);
  check("max_value", config.max_value.value_or(0));
  activations::ReluOptions options{.negative_slope = config.negative_slope, .threshold = config.threshold};
  if (config.max_value) options.max_value = *config.max_value;
  return activations::relu(x, options);
}

Tensor LeakyReLUImpl::call(Tensor x, const Call&) { return activations::leaky_relu(x, config.negative_slope); }

void PReLUImpl::build(const Shape& in) {
  const auto rank = static_cast<std::int64_t>(in.size());
  for (const std::int64_t axis : config.shared_axes) {
    if (axis >= 1 && axis < rank) continue;
    fail("field-value",
         fmt::format("shared_axes has {}, which is no axis of {} behind the batch", axis, keras_shape(in)));
  }
  check_rank(in, in.size());
  Shape shape;
  for (std::int64_t axis = 1; axis < rank; ++axis) {
    const bool shared = std::ranges::find(config.shared_axes, axis) != config.shared_axes.end();
    shape.emplace_back(shared ? 1 : weight_dim(in, axis));
  }
  alpha_ = add_weight("alpha", shape,
                      {.initializer = config.alpha_initializer,
                       .regularizer = config.alpha_regularizer,
                       .constraint = config.alpha_constraint});
}

Tensor PReLUImpl::call(Tensor input, const Call&) {
  const Tensor x = emit::to_float(input);
  emit::Ints axes;
  for (std::int64_t axis = 1; axis < x.rank(); ++axis) axes.push_back(axis);
  const Tensor alpha = emit::broadcast(alpha_, x.shape(), axes, "alpha");
  const Tensor below = emit::map("mul", {alpha, emit::map("relu", {emit::map("neg", {x})})});
  return emit::map("sub", {emit::map("relu", {x}), below});
}

Tensor ELUImpl::call(Tensor x, const Call&) { return activations::elu(x, {.alpha = config.alpha}); }

double masked_score(DType type) { return type == DType::f16 ? -3e4 : -1e9; }

std::vector<Tensor> SoftmaxImpl::call_all(const std::vector<Tensor>& inputs, const Call& call) {
  Tensor x = emit::to_float(inputs.front());
  emit::Ints axes;
  for (const std::int64_t axis : config.axis.list()) axes.push_back(emit::axis_of(x, axis));
  std::ranges::sort(axes);
  Tensor mask = inputs.size() == 2 ? inputs.back() : call.mask.list.front();
  if (!mask) return {emit::op("softmax", {x}, {{{"axes", axes}}})};
  // Where it is false nothing is left (Keras 3.14 and later).
  if (mask.dtype() != DType::boolean) mask = emit::map("gt", {emit::to_float(mask), 0.5});
  mask = emit::aligned(mask, x.shape());
  x = emit::map("select", {mask, x, masked_score(x.dtype())});
  return {emit::map("select", {mask, emit::op("softmax", {x}, {{{"axes", axes}}}), 0})};
}

}  // namespace tusk::layers
