#include "frontend/layers/pooling.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "frontend/layers/windows.hpp"
#include "frontend/model/trace.hpp"

namespace tusk::layers {
namespace {

/// Attributes of a `window` op over all axes of x, of which two are pooled.
graph::Attrs window_attrs(std::size_t rank, std::size_t first, const std::vector<WindowAxis>& windows) {
  emit::Ints size(rank, 1);
  emit::Ints stride(rank, 1);
  emit::Ints dilation(rank, 1);
  Shape low(rank, Dim(0));
  Shape high(rank, Dim(0));
  for (std::size_t i = 0; i < windows.size(); ++i) {
    size[first + i] = windows[i].size;
    stride[first + i] = windows[i].stride;
    low[first + i] = windows[i].before;
    high[first + i] = windows[i].after;
  }
  return {{{"size", size}, {"stride", stride}, {"dilation", dilation}, {"low", low}, {"high", high}}};
}

/// How many of the window's elements are no padding, for every window: what an average divides by.
Tensor counts_like(const Tensor& sums, const Shape& from, std::size_t first, const std::vector<WindowAxis>& windows) {
  // A table, unless the extents are unknown or many.
  const auto is_known = [](const WindowAxis& w) {
    return w.count.is_constant() && w.before.is_constant() && w.count.constant() <= 1024;
  };
  const auto first_axis = static_cast<std::int64_t>(first);
  if (std::ranges::all_of(windows, is_known)) {
    std::vector<std::int64_t> counts[2];
    for (std::size_t i = 0; i < 2; ++i) {
      const WindowAxis& w = windows[i];
      for (std::int64_t p = 0; p < w.count.constant(); ++p) {
        const std::int64_t begin = p * w.stride - w.before.constant();
        counts[i].push_back(std::min(begin + w.size, from[first + i].constant()) - std::max<std::int64_t>(begin, 0));
      }
    }
    Array array(DType::f32, {static_cast<std::int64_t>(counts[0].size()), static_cast<std::int64_t>(counts[1].size())});
    std::int64_t at = 0;
    for (const std::int64_t rows : counts[0]) {
      for (const std::int64_t columns : counts[1]) array.set(at++, static_cast<double>(rows * columns));
    }
    return emit::broadcast(emit::constant("count", array), sums.shape(), {first_axis, first_axis + 1}, "count");
  }
  // The same windows over ones.
  const Shape image{from[first], from[first + 1]};
  const Tensor ones = emit::broadcast(emit::constant("one", Array::splat(DType::f32, {}, 1)), image, {}, "ones");
  const Tensor count = emit::op("window.sum", {ones}, window_attrs(2, 0, windows), "count");
  return emit::broadcast(count, sums.shape(), {first_axis, first_axis + 1}, "count");
}

}  // namespace

template <bool average>
void Pooling2DImpl<average>::build(const Shape& in) {
  if (in.size() != 4) fail("layer-rank", fmt::format("{} needs rank 4, found {}", class_name, keras_shape(in)));
  for (const std::int64_t size : config.pool_size) check_field("pool_size", size);
  for (const std::int64_t stride : config.strides.value_or(config.pool_size)) check_field("strides", stride);
}

template <bool average>
Tensor Pooling2DImpl<average>::call(Tensor input, const Call&) {
  const Tensor x = average ? emit::to_float(input) : input;
  const PerAxis<2> strides = config.strides.value_or(config.pool_size);
  const std::size_t first = first_spatial(config.data_format);
  std::vector<WindowAxis> windows;
  bool padded = false;
  for (std::size_t i = 0; i < 2; ++i) {
    const Dim& extent = x.shape()[first + i];
    windows.push_back(window_axis(extent, config.pool_size[i], strides[i], 1, config.padding.str()));
    const WindowAxis& window = windows.back();
    if (window.count.is_constant() && window.count.constant() < 1) {
      fail("layer-window", fmt::format("pool_size {} does not fit into an axis of {}", window.size, extent.str()));
    }
    padded = padded || !(window.before + window.after == Dim(0));
  }
  const graph::Attrs attrs = window_attrs(4, first, windows);
  if (!average) return emit::op("window.max", {x}, attrs);
  const Tensor sums = emit::op("window.sum", {x}, attrs);
  if (padded) return emit::map("div", {sums, counts_like(sums, x.shape(), first, windows)});
  return emit::map("div", {sums, static_cast<double>(config.pool_size[0] * config.pool_size[1])});
}

template struct Pooling2DImpl<false>;
template struct Pooling2DImpl<true>;

template <bool average>
void GlobalPooling2DImpl<average>::build(const Shape& in) {
  if (in.size() != 4) fail("layer-rank", fmt::format("{} needs rank 4, found {}", class_name, keras_shape(in)));
}

template <bool average>
Tensor GlobalPooling2DImpl<average>::call(Tensor input, const Call&) {
  const Tensor x = average ? emit::to_float(input) : input;
  const std::size_t first = first_spatial(config.data_format);
  const auto axis = static_cast<std::int64_t>(first);
  Tensor y = emit::reduce(average ? "sum" : "max", x, {axis, axis + 1});
  if (average) y = emit::map("div", {y, x.shape()[first] * x.shape()[first + 1]});
  if (!config.keepdims) return y;
  Shape shape = x.shape();
  shape[first] = shape[first + 1] = Dim(1);
  return emit::reshape(y, std::move(shape));
}

template struct GlobalPooling2DImpl<false>;
template struct GlobalPooling2DImpl<true>;

}  // namespace tusk::layers
