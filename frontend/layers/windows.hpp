// The geometry that convolutions and pools share: where windows lie along an axis.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "frontend/model/choices.hpp"
#include "ir/base/dim.hpp"

namespace tusk::layers {

/// Windows of `size` taps, `dilation` apart, `stride` between windows: tap i of window p reads element
/// stride*p + dilation*i - before.
struct WindowAxis {
  std::int64_t size = 1, stride = 1, dilation = 1;
  Dim count;          // of windows
  Dim before, after;  // padding
};

/// Keras' rules for padding "valid", "same" (the odd cell goes behind) and "causal" (all of it goes in front).
inline WindowAxis window_axis(const Dim& extent, std::int64_t size, std::int64_t stride, std::int64_t dilation,
                              std::string_view padding) {
  WindowAxis axis{size, stride, dilation, {}, {}, {}};
  const Dim reach((size - 1) * dilation + 1);
  if (padding == "valid") {
    axis.count = (extent - reach).floor_div(stride) + Dim(1);
    return axis;
  }
  axis.count = extent.ceil_div(stride);
  if (padding == "causal") {
    axis.before = Dim((size - 1) * dilation);
    return axis;
  }
  Dim total = (axis.count - Dim(1)) * Dim(stride) + reach - extent;
  if (size == 1) {
    total = Dim(0);
  } else if (reach.constant() < stride) {  // otherwise it cannot be negative, and stays simple for unknown extents
    total = total.max0();
  }
  axis.before = total.floor_div(2);
  axis.after = total - axis.before;
  return axis;
}

/// Axes of the image in a shape of batch, image and channels: 1, 2, ... or 2, 3, ...
inline std::size_t first_spatial(DataFormat format) { return format == "channels_first" ? 2 : 1; }
inline std::int64_t channel_axis(DataFormat format) { return format == "channels_first" ? 1 : -1; }

}  // namespace tusk::layers
