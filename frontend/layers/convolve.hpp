// Convolutions of tensors: what the layers and the operations of keras.ops share. Kernels have known extents.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "frontend/model/choices.hpp"
#include "frontend/model/tensor.hpp"

namespace tusk::layers {

template <std::size_t axes>
struct Windowing {
  PerAxis<axes> strides = 1;
  PerAxis<axes> dilation_rate = 1;
  std::string_view padding = "valid";  // or "same", "causal"
  DataFormat data_format = "channels_last";
};

/// Kernel [size..., channels / groups, filters]: groups follow from the channels of x.
template <std::size_t axes>
Tensor convolve(const Tensor& x, const Tensor& kernel, const std::optional<Tensor>& bias, const Windowing<axes>& how);

/// Kernel [size..., channels, multiplier]: each channel on its own.
template <std::size_t axes>
Tensor convolve_depthwise(const Tensor& x, const Tensor& kernel, const std::optional<Tensor>& bias,
                          const Windowing<axes>& how);

/// Kernel [size..., filters, channels]: every element of x adds a kernel to the result.
template <std::size_t axes>
Tensor convolve_transposed(const Tensor& x, const Tensor& kernel, const std::optional<Tensor>& bias,
                           const Windowing<axes>& how, const std::optional<PerAxis<axes>>& output_padding);

}  // namespace tusk::layers
