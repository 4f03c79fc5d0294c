// Operations of keras.ops.nn: activations, windows, normalization, attention.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "frontend/layers/activations.hpp"
#include "frontend/layers/attention.hpp"
#include "frontend/layers/convolve.hpp"
#include "frontend/layers/pooling.hpp"
#include "frontend/model/error.hpp"
#include "frontend/ops/operation.hpp"

namespace tusk::ops {
namespace {

using Results = std::vector<Tensor>;

template <Tensor (*function)(const Tensor&)>
Results activation(const Arguments& a) {
  return {function(a.floats("x"))};
}

Results relu(const Arguments& a) { return {activations::relu(a.floats("x"))}; }

// keras.src.activations.activations.ReLU: relu with its arguments.
Results relu_with_arguments(const Arguments& a) {
  return {activations::relu(a.floats("x"), {.negative_slope = a.number("negative_slope", 0),
                                            .max_value = a.number("max_value", std::numeric_limits<double>::infinity()),
                                            .threshold = a.number("threshold", 0)})};
}

Results leaky_relu(const Arguments& a) {
  return {activations::leaky_relu(a.floats("x"), a.number("negative_slope", 0.2))};
}
Results elu(const Arguments& a) { return {activations::elu(a.floats("x"), {.alpha = a.number("alpha", 1)})}; }
Results celu(const Arguments& a) { return {activations::celu(a.floats("x"), {.alpha = a.number("alpha", 1)})}; }
Results gelu(const Arguments& a) {
  return {activations::gelu(a.floats("x"), {.approximate = a.flag("approximate", true)})};
}
Results glu(const Arguments& a) { return {activations::glu(a.floats("x"), {.axis = a.integer("axis", -1)})}; }
Results sparsemax(const Arguments& a) {
  return {activations::sparsemax(a.floats("x"), {.axis = a.integer("axis", -1)})};
}
Results squareplus(const Arguments& a) { return {activations::squareplus(a.floats("x"), a.number("b", 4))}; }
Results hard_shrink(const Arguments& a) {
  return {activations::hard_shrink(a.floats("x"), a.number("threshold", 0.5))};
}
Results soft_shrink(const Arguments& a) {
  return {activations::soft_shrink(a.floats("x"), a.number("threshold", 0.5))};
}
Results threshold(const Arguments& a) {
  return {activations::threshold(a.floats("x"), a.number("threshold"), a.number("default_value"))};
}

// Over one axis, several, or (None) all.
template <FixedText name>
Results softmax(const Arguments& a) {
  const Tensor x = a.floats("x");
  const emit::Ints axes = a.has("axis") || a.is_null("axis") ? a.axes("axis", x) : emit::Ints{x.rank() - 1};
  return {emit::op(name.view(), {x}, {{{"axes", axes}}})};
}

template <std::size_t axes>
PerAxis<axes> per_axis(const Arguments& a, std::string_view name, std::int64_t otherwise) {
  const emit::Ints list = a.ints(name).value_or(emit::Ints{otherwise});
  if ((list.size() != 1 && list.size() != axes) || std::ranges::any_of(list, [](std::int64_t n) { return n < 1; }))
    a.refuse(name, fmt::format("one number of 1 or more, or {}", axes));
  return list.size() == 1 ? PerAxis<axes>(list[0]) : PerAxis<axes>(list.data(), list.size());
}

/// Calls `run` with the number of axes of the image as a constant.
template <class Run>
Results by_axes(const Arguments& a, std::string_view input, Run run) {
  switch (a.tensor(input).rank()) {
    case 3:
      return {run(std::integral_constant<std::size_t, 1>{})};
    case 4:
      return {run(std::integral_constant<std::size_t, 2>{})};
    case 5:
      return {run(std::integral_constant<std::size_t, 3>{})};
    default:
      a.refuse(input, "a tensor of rank 3, 4 or 5");
  }
}

template <layers::Pool pool>
Results pooled(const Arguments& a) {
  return by_axes(a, "inputs", [&](auto count) {
    constexpr std::size_t axes = count();
    layers::PoolingImpl<pool, axes> layer;
    layer.config.pool_size = per_axis<axes>(a, "pool_size", 2);
    if (a.has("strides")) layer.config.strides = per_axis<axes>(a, "strides", 1);
    layer.config.padding = OneOf<"valid", "same">::named(a.text("padding", "valid"));
    layer.config.data_format = a.data_format();
    return layer.call(a.tensor("inputs"), {});
  });
}

template <layers::Pool pool>
Results adaptively_pooled(const Arguments& a) {
  return by_axes(a, "inputs", [&](auto count) {
    constexpr std::size_t axes = count();
    const Tensor x = a.floats("inputs");
    layers::AdaptivePoolingImpl<pool, axes> layer;
    layer.config.output_size = per_axis<axes>(a, "output_size", 1);
    layer.config.data_format = a.data_format();
    layer.build(x.shape());
    return layer.call(x, {});
  });
}

/// A kernel, whose extents must be known, of rank axes + 2.
Tensor kernel_of(const Arguments& a, std::string_view name, std::int64_t rank) {
  const Tensor kernel = a.floats(name);
  if (kernel.rank() != rank) a.refuse(name, fmt::format("a tensor of rank {}", rank));
  for (std::int64_t i = 0; i < rank; ++i) {
    if (kernel.dim(i) < 1) a.refuse(name, "a kernel that is not empty");
  }
  return kernel;
}

template <std::size_t axes>
layers::Windowing<axes> windowing(const Arguments& a, const std::string& padding) {
  layers::Windowing<axes> how{per_axis<axes>(a, "strides", 1), per_axis<axes>(a, "dilation_rate", 1), padding,
                              a.data_format()};
  if (padding != "valid" && padding != "same" && !(padding == "causal" && axes == 1))
    a.refuse("padding", "'valid' or 'same'");
  return how;
}

void check_channels(const Arguments& a, const Tensor& x, const Tensor& kernel, std::int64_t axis, bool divides) {
  const std::int64_t channels = x.dim(a.data_format() == "channels_first" ? 1 : -1);
  const std::int64_t in = kernel.dim(axis);
  const std::int64_t out = kernel.dim(-1);
  const bool fits = divides ? channels % in == 0 && out % (channels / in) == 0 : channels == in;
  if (!fits)
    throw Error(error("ops-shapes", fmt::format("a kernel of shape {} does not fit {}", keras_shape(kernel.shape()),
                                                keras_shape(x.shape()))));
}

Results conv(const Arguments& a) {
  const std::string padding = a.text("padding", "valid");
  return by_axes(a, "inputs", [&](auto count) {
    constexpr std::size_t axes = count();
    const Tensor x = a.floats("inputs");
    const Tensor kernel = kernel_of(a, "kernel", x.rank());
    check_channels(a, x, kernel, axes, true);
    return layers::convolve<axes>(x, kernel, {}, windowing<axes>(a, padding));
  });
}

Results depthwise_conv(const Arguments& a) {
  const std::string padding = a.text("padding", "valid");
  return by_axes(a, "inputs", [&](auto count) {
    constexpr std::size_t axes = count();
    const Tensor x = a.floats("inputs");
    const Tensor kernel = kernel_of(a, "kernel", x.rank());
    check_channels(a, x, kernel, axes, false);
    return layers::convolve_depthwise<axes>(x, kernel, {}, windowing<axes>(a, padding));
  });
}

Results separable_conv(const Arguments& a) {
  const std::string padding = a.text("padding", "valid");
  return by_axes(a, "inputs", [&](auto count) {
    constexpr std::size_t axes = count();
    const Tensor x = a.floats("inputs");
    const Tensor depthwise = kernel_of(a, "depthwise_kernel", x.rank());
    const Tensor pointwise = kernel_of(a, "pointwise_kernel", x.rank());
    check_channels(a, x, depthwise, axes, false);
    const Tensor each = layers::convolve_depthwise<axes>(x, depthwise, {}, windowing<axes>(a, padding));
    check_channels(a, each, pointwise, axes, false);
    return layers::convolve<axes>(each, pointwise, {}, {.data_format = a.data_format()});
  });
}

Results conv_transpose(const Arguments& a) {
  const std::string padding = a.text("padding", "valid");
  return by_axes(a, "inputs", [&](auto count) {
    constexpr std::size_t axes = count();
    const Tensor x = a.floats("inputs");
    const Tensor kernel = kernel_of(a, "kernel", x.rank());
    check_channels(a, x, kernel, axes + 1, false);
    std::optional<PerAxis<axes>> output_padding;
    if (const std::optional<emit::Ints> given = a.ints("output_padding")) {
      if (given->size() != 1 && given->size() != axes) a.refuse("output_padding", "one number for each axis");
      output_padding = given->size() == 1 ? PerAxis<axes>(given->front()) : PerAxis<axes>(given->data(), axes);
      const PerAxis<axes> strides = per_axis<axes>(a, "strides", 1);
      for (std::size_t i = 0; i < axes; ++i) {
        if ((*output_padding)[i] < 0 || (*output_padding)[i] >= strides[i])
          a.refuse("output_padding", "less than strides");
      }
    }
    return layers::convolve_transposed<axes>(x, kernel, {}, windowing<axes>(a, padding), output_padding);
  });
}

// x / max(norm, epsilon), with the norm of `order` along the axis, or (None) of all elements.
Results normalize(const Arguments& a) {
  const Tensor x = a.floats("x");
  const emit::Ints axes = a.has("axis") || a.is_null("axis") ? a.axes("axis", x) : emit::Ints{x.rank() - 1};
  const double epsilon = a.number("epsilon", 1e-7);
  const double order = a.number("order", 2);
  if (order == 2) return {emit::normalized(x, axes, epsilon)};
  const Tensor size = emit::map("abs", {x});
  Tensor norm;
  if (order == 1) {
    norm = emit::reduce("sum", size, axes);
  } else if (order > 1e300) {
    norm = emit::reduce("max", size, axes);
  } else {
    norm = emit::map("pow", {emit::reduce("sum", emit::map("pow", {size, order}), axes), 1 / order});
  }
  return {emit::map("div", {x, emit::spread(emit::map("max", {norm, epsilon}), x.shape(), axes)})};
}

/// A tensor with the axes of x that are given, all others 1 or absent.
Tensor scale_of(const Arguments& a, std::string_view name, const Tensor& x, const emit::Ints& axes) {
  const Tensor scale = emit::cast(a.tensor(name), x.dtype());
  if (scale.rank() == static_cast<std::int64_t>(axes.size())) return emit::broadcast(scale, x.shape(), axes);
  return emit::broadcast_together({scale, x})[0];
}

// In float32 at least; the result has the type of x.
Results layer_normalization(const Arguments& a) {
  const Tensor given = a.tensor("x");
  const Tensor x = emit::to_wide_float(given);
  const emit::Ints axes = a.has("axis") ? a.axes("axis", x) : emit::Ints{x.rank() - 1};
  const double epsilon = a.number("epsilon", 1e-7);
  Tensor y;
  if (a.flag("rms_scaling", false)) {
    const Tensor squares = emit::moments(x, axes).second;
    y = emit::map("mul",
                  {x, emit::spread(emit::map("rsqrt", {emit::map("add", {squares, epsilon})}), x.shape(), axes)});
  } else {
    const auto [mean, variance] = emit::moments(x, axes);
    y = emit::op("normalize", {x, mean, variance},
                 {{{"axes", emit::other_axes(x, axes)}, {"epsilon", kernel::literal_of(epsilon)}}});
  }
  if (a.has("gamma")) y = emit::map("mul", {y, scale_of(a, "gamma", x, axes)});
  if (a.has("beta")) y = emit::map("add", {y, scale_of(a, "beta", x, axes)});
  return {emit::cast(y, given.dtype())};
}

Results rms_normalization(const Arguments& a) {
  const Tensor given = a.tensor("x");
  const Tensor x = emit::to_wide_float(given);
  const emit::Ints axes = a.has("axis") ? a.axes("axis", x) : emit::Ints{x.rank() - 1};
  const Tensor squares = emit::map("add", {emit::mean(emit::map("mul", {x, x}), axes), a.number("epsilon", 1e-7)});
  const Tensor y = emit::map("mul", {x, emit::spread(emit::map("rsqrt", {squares}), x.shape(), axes)});
  return {emit::cast(a.has("scale") ? emit::map("mul", {y, scale_of(a, "scale", x, axes)}) : y, given.dtype())};
}

Results batch_normalization(const Arguments& a) {
  const Tensor given = a.floats("x");
  const Tensor x = emit::to_wide_float(given);
  const auto moment = [&](std::string_view name) { return emit::cast(a.tensor(name), x.dtype()); };
  const emit::Ints axis{emit::axis_of(x, a.integer("axis", -1))};
  const double epsilon = a.number("epsilon", 1e-3);
  Tensor y = emit::op("normalize", {x, moment("mean"), moment("variance")},
                      {{{"axes", axis}, {"epsilon", kernel::literal_of(epsilon)}}});
  if (a.has("scale")) y = emit::map("mul", {y, emit::broadcast(moment("scale"), x.shape(), axis)});
  if (a.has("offset")) y = emit::map("add", {y, emit::broadcast(moment("offset"), x.shape(), axis)});
  return {emit::cast(y, given.dtype())};
}

// query, key and value are [batch, time, heads, features]; mask is true where attention may go.
Results dot_product_attention(const Arguments& a) {
  const Tensor query = a.floats("query");
  const Tensor key = a.floats("key");
  const Tensor value = a.floats("value");
  if (query.rank() != 4 || key.rank() != 4 || value.rank() != 4) a.refuse("query", "tensors of rank 4");
  if (a.has("attn_logits_soft_cap")) a.refuse("attn_logits_soft_cap", "None");
  const double scale = a.number("scale", 1 / std::sqrt(static_cast<double>(query.dim(-1))));
  const auto optional = [&](std::string_view name) {
    return a.has(name) ? std::optional<Tensor>(a.tensor(name)) : std::nullopt;
  };
  return {layers::fused_attention(query, key, value, scale, optional("mask"), optional("bias"),
                                  a.flag("is_causal", false))};
}

constexpr OperationDef kNeuralTable[] = {
    {"Relu", "x", relu},
    {"ReLU", "x | negative_slope max_value threshold", relu_with_arguments},
    {"Relu6", "x", activation<activations::relu6>},
    {"Sigmoid", "x", activation<activations::sigmoid>},
    {"Softplus", "x", activation<activations::softplus>},
    {"Softsign", "x", activation<activations::softsign>},
    {"Silu", "x", activation<activations::silu>},
    {"LogSigmoid", "x", activation<activations::log_sigmoid>},
    {"HardSigmoid", "x", activation<activations::hard_sigmoid>},
    {"HardSilu", "x", activation<activations::hard_silu>},
    {"HardTanh", "x", activation<activations::hard_tanh>},
    {"Selu", "x", activation<activations::selu>},
    {"TanhShrink", "x", activation<activations::tanh_shrink>},
    {"SparsePlus", "x", activation<activations::sparse_plus>},
    {"SparseSigmoid", "x", activation<activations::sparse_sigmoid>},
    {"LeakyRelu", "x | negative_slope", leaky_relu},
    {"Elu", "x | alpha", elu},
    {"Celu", "x | alpha", celu},
    {"Gelu", "x | approximate", gelu},
    {"Glu", "x | axis", glu},
    {"Sparsemax", "x | axis", sparsemax},
    {"Squareplus", "x | b", squareplus},
    {"HardShrink", "x | threshold", hard_shrink},
    {"SoftShrink", "x | threshold", soft_shrink},
    {"Threshold", "x | threshold default_value", threshold},
    {"Softmax", "x | axis", softmax<"softmax">},
    {"LogSoftmax", "x | axis", softmax<"log_softmax">},
    {"MaxPool", "inputs | pool_size strides padding data_format", pooled<layers::Pool::max>},
    {"AveragePool", "inputs | pool_size strides padding data_format", pooled<layers::Pool::average>},
    {"AdaptiveMaxPool", "inputs | output_size data_format", adaptively_pooled<layers::Pool::max>},
    {"AdaptiveAveragePool", "inputs | output_size data_format", adaptively_pooled<layers::Pool::average>},
    {"Conv", "inputs kernel | strides padding data_format dilation_rate", conv},
    {"DepthwiseConv", "inputs kernel | strides padding data_format dilation_rate", depthwise_conv},
    {"SeparableConv", "inputs depthwise_kernel pointwise_kernel | strides padding data_format dilation_rate",
     separable_conv},
    {"ConvTranspose", "inputs kernel | strides padding output_padding data_format dilation_rate", conv_transpose},
    {"Normalize", "x | axis order epsilon", normalize},
    {"LayerNorm", "x gamma beta | axis epsilon rms_scaling", layer_normalization},
    {"RMSNorm", "x scale | axis epsilon", rms_normalization},
    {"BatchNorm", "x mean variance offset scale | axis epsilon", batch_normalization},
    {"DotProductAttention", "query key value bias mask scale | is_causal flash_attention attn_logits_soft_cap",
     dot_product_attention},
};

}  // namespace

std::span<const OperationDef> neural_operations() { return kNeuralTable; }

}  // namespace tusk::ops
