#include "frontend/layers/convolution.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "frontend/layers/convolve.hpp"
#include "frontend/layers/windows.hpp"
#include "frontend/model/emit.hpp"

namespace tusk::layers {
namespace {

template <std::size_t axes, class Config, class Check>
void check_window_fields(const Config& config, Check check) {
  bool strided = false;
  bool dilated = false;
  for (std::size_t i = 0; i < axes; ++i) {
    check("kernel_size", config.kernel_size[i]);
    check("strides", config.strides[i]);
    check("dilation_rate", config.dilation_rate[i]);
    strided = strided || config.strides[i] > 1;
    dilated = dilated || config.dilation_rate[i] > 1;
  }
  if (strided && dilated && !requires { config.depth_multiplier; }) {
    throw Error(
        error("field-value", fmt::format("strides is ({}) and dilation_rate ({}): Keras refuses both above 1",
                                         fmt::join(config.strides, ", "), fmt::join(config.dilation_rate, ", "))));
  }
}

template <std::size_t axes>
Shape kernel_shape(const PerAxis<axes>& size, std::int64_t in, std::int64_t out) {
  Shape shape(size.begin(), size.end());
  shape.emplace_back(in);
  shape.emplace_back(out);
  return shape;
}

template <std::size_t axes, class Config>
Windowing<axes> windowing(const Config& config) {
  return {config.strides, config.dilation_rate, config.padding.str(), config.data_format};
}

std::optional<Tensor> given(const Variable& bias) {
  if (!bias) return std::nullopt;
  return Tensor(bias);
}

}  // namespace

// --- Conv1D, Conv2D, Conv3D

template <std::size_t axes>
void ConvImpl<axes>::build(const Shape& in) {
  check_rank(in, axes + 2);
  check_window_fields<axes>(config, [&](auto field, std::int64_t value) { check_field(field, value); });
  check_field("filters", config.filters);
  check_field("groups", config.groups);
  const std::int64_t channels = weight_dim(in, channel_axis(config.data_format));
  if (channels % config.groups != 0 || config.filters % config.groups != 0) {
    fail("field-value", fmt::format("groups is {}, which must divide the {} input channels and the {} filters",
                                    config.groups, channels, config.filters));
  }
  kernel_ = add_weight("kernel", kernel_shape(config.kernel_size, channels / config.groups, config.filters),
                       {.initializer = config.kernel_initializer,
                        .regularizer = config.kernel_regularizer,
                        .constraint = config.kernel_constraint});
  if (config.use_bias)
    bias_ = add_weight("bias", {config.filters},
                       {.initializer = config.bias_initializer,
                        .regularizer = config.bias_regularizer,
                        .constraint = config.bias_constraint});
}

template <std::size_t axes>
Tensor ConvImpl<axes>::call(Tensor x, const Call&) {
  return config.activation(convolve(emit::to_float(x), kernel_, given(bias_), windowing<axes>(config)));
}

template struct ConvImpl<1>;
template struct ConvImpl<2>;
template struct ConvImpl<3>;

// --- DepthwiseConv1D, DepthwiseConv2D

template <std::size_t axes>
void DepthwiseConvImpl<axes>::build(const Shape& in) {
  check_rank(in, axes + 2);
  check_window_fields<axes>(config, [&](auto field, std::int64_t value) { check_field(field, value); });
  check_field("depth_multiplier", config.depth_multiplier);
  const std::int64_t channels = weight_dim(in, channel_axis(config.data_format));
  kernel_ = add_weight("kernel", kernel_shape(config.kernel_size, channels, config.depth_multiplier),
                       {.initializer = config.depthwise_initializer,
                        .regularizer = config.depthwise_regularizer,
                        .constraint = config.depthwise_constraint});
  if (config.use_bias) {
    bias_ = add_weight("bias", {channels * config.depth_multiplier},
                       {.initializer = config.bias_initializer,
                        .regularizer = config.bias_regularizer,
                        .constraint = config.bias_constraint});
  }
}

template <std::size_t axes>
Tensor DepthwiseConvImpl<axes>::call(Tensor x, const Call&) {
  return config.activation(convolve_depthwise(emit::to_float(x), kernel_, given(bias_), windowing<axes>(config)));
}

template struct DepthwiseConvImpl<1>;
template struct DepthwiseConvImpl<2>;

// --- SeparableConv1D, SeparableConv2D

template <std::size_t axes>
void SeparableConvImpl<axes>::build(const Shape& in) {
  check_rank(in, axes + 2);
  check_window_fields<axes>(config, [&](auto field, std::int64_t value) { check_field(field, value); });
  check_field("filters", config.filters);
  check_field("depth_multiplier", config.depth_multiplier);
  const std::int64_t channels = weight_dim(in, channel_axis(config.data_format));
  depthwise_ = add_weight("depthwise_kernel", kernel_shape(config.kernel_size, channels, config.depth_multiplier),
                          {.initializer = config.depthwise_initializer,
                           .regularizer = config.depthwise_regularizer,
                           .constraint = config.depthwise_constraint});
  pointwise_ =
      add_weight("pointwise_kernel", kernel_shape(PerAxis<axes>(1), channels * config.depth_multiplier, config.filters),
                 {.initializer = config.pointwise_initializer,
                  .regularizer = config.pointwise_regularizer,
                  .constraint = config.pointwise_constraint});
  if (config.use_bias)
    bias_ = add_weight("bias", {config.filters},
                       {.initializer = config.bias_initializer,
                        .regularizer = config.bias_regularizer,
                        .constraint = config.bias_constraint});
}

template <std::size_t axes>
Tensor SeparableConvImpl<axes>::call(Tensor x, const Call&) {
  const Tensor each = convolve_depthwise<axes>(emit::to_float(x), depthwise_, {}, windowing<axes>(config));
  return config.activation(convolve<axes>(each, pointwise_, given(bias_), {.data_format = config.data_format}));
}

template struct SeparableConvImpl<1>;
template struct SeparableConvImpl<2>;

// --- Conv1DTranspose, Conv2DTranspose, Conv3DTranspose

template <std::size_t axes>
void ConvTransposeImpl<axes>::build(const Shape& in) {
  check_rank(in, axes + 2);
  check_window_fields<axes>(config, [&](auto field, std::int64_t value) { check_field(field, value); });
  check_field("filters", config.filters);
  for (std::size_t i = 0; i < axes && config.output_padding; ++i) {
    check_field("output_padding", (*config.output_padding)[i], 0);
    if ((*config.output_padding)[i] >= config.strides[i]) {
      fail("field-value", fmt::format("output_padding is {}, expected less than strides, which is {}",
                                      (*config.output_padding)[i], config.strides[i]));
    }
  }
  const std::int64_t channels = weight_dim(in, channel_axis(config.data_format));
  kernel_ = add_weight("kernel", kernel_shape(config.kernel_size, config.filters, channels),
                       {.initializer = config.kernel_initializer,
                        .regularizer = config.kernel_regularizer,
                        .constraint = config.kernel_constraint});
  if (config.use_bias)
    bias_ = add_weight("bias", {config.filters},
                       {.initializer = config.bias_initializer,
                        .regularizer = config.bias_regularizer,
                        .constraint = config.bias_constraint});
}

template <std::size_t axes>
Tensor ConvTransposeImpl<axes>::call(Tensor x, const Call&) {
  return config.activation(
      convolve_transposed(emit::to_float(x), kernel_, given(bias_), windowing<axes>(config), config.output_padding));
}

template struct ConvTransposeImpl<1>;
template struct ConvTransposeImpl<2>;
template struct ConvTransposeImpl<3>;

}  // namespace tusk::layers
