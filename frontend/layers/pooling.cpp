#include "frontend/layers/pooling.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "frontend/layers/windows.hpp"
#include "frontend/model/emit.hpp"
#include "frontend/model/tables.hpp"

namespace tusk::layers {
namespace {

/// Attributes of a `window` op over all axes of x, of which those from `first` are pooled.
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
  emit::Ints axes;
  for (std::size_t i = 0; i < windows.size(); ++i) axes.push_back(static_cast<std::int64_t>(first + i));
  // A table, unless the extents are unknown or many.
  Dim positions(1);
  for (const WindowAxis& w : windows) positions *= w.count;
  const bool is_known = positions.is_constant() && positions.constant() <= std::int64_t{1} << 20 &&
                        std::ranges::all_of(windows, [](const WindowAxis& w) { return w.before.is_constant(); });
  if (is_known) {
    std::vector<std::int64_t> counts{1};
    std::vector<std::int64_t> shape;
    for (std::size_t i = 0; i < windows.size(); ++i) {
      const WindowAxis& w = windows[i];
      std::vector<std::int64_t> next;
      for (const std::int64_t outer : counts) {
        for (std::int64_t p = 0; p < w.count.constant(); ++p) {
          const std::int64_t begin = p * w.stride - w.before.constant();
          next.push_back(outer *
                         (std::min(begin + w.size, from[first + i].constant()) - std::max<std::int64_t>(begin, 0)));
        }
      }
      counts = std::move(next);
      shape.push_back(w.count.constant());
    }
    Array array(emit::compute_dtype(), shape);
    for (std::int64_t i = 0; i < array.size(); ++i)
      array.set(i, static_cast<double>(counts[static_cast<std::size_t>(i)]));
    return emit::broadcast(emit::constant("count", array), sums.shape(), axes, "count");
  }
  // The same windows over ones.
  const auto image = from.begin() + static_cast<std::ptrdiff_t>(first);
  const Tensor ones = emit::broadcast(emit::constant("one", Array::splat(emit::compute_dtype(), {}, 1)),
                                      Shape(image, image + static_cast<std::ptrdiff_t>(windows.size())), {}, "ones");
  const Tensor count = emit::op("window.sum", {ones}, window_attrs(windows.size(), 0, windows), "count");
  return emit::broadcast(count, sums.shape(), axes, "count");
}

}  // namespace

template <Pool pool, std::size_t axes>
void PoolingImpl<pool, axes>::build(const Shape& in) {
  check_rank(in, axes + 2);
  for (const std::int64_t size : config.pool_size) check_field("pool_size", size);
  for (const std::int64_t stride : config.strides.value_or(config.pool_size)) check_field("strides", stride);
}

template <Pool pool, std::size_t axes>
Tensor PoolingImpl<pool, axes>::call(Tensor input, const Call&) {
  constexpr bool average = pool == Pool::average;
  const Tensor x = average ? emit::to_float(input) : input;
  const PerAxis<axes> strides = config.strides.value_or(config.pool_size);
  const std::size_t first = first_spatial(config.data_format);
  std::vector<WindowAxis> windows;
  bool padded = false;
  std::int64_t elements = 1;
  for (std::size_t i = 0; i < axes; ++i) {
    const Dim& extent = x.shape()[first + i];
    windows.push_back(window_axis(extent, config.pool_size[i], strides[i], 1, config.padding.str()));
    const WindowAxis& window = windows.back();
    if (window.count.is_constant() && window.count.constant() < 1) {
      fail("layer-window", fmt::format("pool_size {} does not fit into an axis of {}: the input is {}", window.size,
                                       extent.str(), keras_shape(x.shape())));
    }
    padded = padded || !(window.before + window.after == Dim(0));
    elements *= window.size;
  }
  constexpr std::int64_t kMostElements = 1 << 20;
  for (const WindowAxis& window : windows) {
    if (window.size > kMostElements || elements > kMostElements)
      fail("field-value", fmt::format("pool_size has {} elements, expected at most {}", elements, kMostElements));
  }
  const graph::Attrs attrs = window_attrs(axes + 2, first, windows);
  if (!average) return emit::op("window.max", {x}, attrs);
  const Tensor sums = emit::op("window.sum", {x}, attrs);
  if (padded) return emit::map("div", {sums, counts_like(sums, x.shape(), first, windows)});
  return emit::map("div", {sums, static_cast<double>(elements)});
}

template <Pool pool, std::size_t axes>
void GlobalPoolingImpl<pool, axes>::build(const Shape& in) {
  check_rank(in, axes + 2);
}

template <Pool pool, std::size_t axes>
Tensor GlobalPoolingImpl<pool, axes>::call(Tensor input, const Call& call) {
  constexpr bool average = pool == Pool::average;
  const Tensor x = average ? emit::to_floatx(input) : input;
  emit::Ints all;
  Shape kept = x.shape();
  for (std::size_t i = 0; i < axes; ++i) {
    const std::size_t axis = first_spatial(config.data_format) + i;
    all.push_back(static_cast<std::int64_t>(axis));
    kept[axis] = Dim(1);
  }
  if (const Tensor mask = call.mask.list.empty() ? Tensor() : call.mask.list.front(); mask && average && axes == 1) {
    // The mean of what is data: NaN where nothing is.
    const Tensor data = emit::cast(mask, DType::boolean);
    const Tensor wide = emit::broadcast(data, x.shape(), {0, all[0]});
    const Tensor sum = emit::reduce("sum", emit::map("select", {wide, x, 0}), all);
    const Tensor count = emit::reduce("sum", emit::cast(data, x.dtype()), {1});
    const Tensor y = emit::map("div", {sum, emit::leading(count, sum.shape())});
    return config.keepdims ? emit::reshape(y, std::move(kept)) : y;
  }
  const bool truths = x.dtype() == DType::boolean;
  const Tensor y = average ? emit::mean(x, all) : emit::reduce(truths ? "any" : "max", x, all);
  return config.keepdims ? emit::reshape(y, std::move(kept)) : y;
}

template <Pool pool, std::size_t axes>
void AdaptivePoolingImpl<pool, axes>::build(const Shape& in) {
  check_rank(in, axes + 2);
  for (const std::int64_t size : config.output_size) check_field("output_size", size);
}

// Axis by axis: as many elements are gathered for each window as the longest one has. A shorter one gets its first
// element again, which changes no maximum, and has no weight in an average.
template <Pool pool, std::size_t axes>
Tensor AdaptivePoolingImpl<pool, axes>::call(Tensor input, const Call&) {
  Tensor x = pool == Pool::average ? emit::to_float(input) : input;
  for (std::size_t k = 0; k < axes; ++k) {
    const std::size_t axis = first_spatial(config.data_format) + k;
    const std::int64_t n = known_dim(x.shape(), static_cast<std::int64_t>(axis));
    const std::int64_t size = config.output_size[k];
    const auto begin = [&](std::int64_t i) { return i * n / size; };
    const auto length = [&](std::int64_t i) { return ((i + 1) * n + size - 1) / size - begin(i); };
    check_table(size, n / size + 2);
    std::int64_t longest = 1;
    for (std::int64_t i = 0; i < size; ++i) longest = std::max(longest, length(i));
    Array index(DType::i32, {size, longest});
    Array weight(emit::compute_dtype(), {size, longest});
    for (std::int64_t i = 0; i < size; ++i) {
      for (std::int64_t t = 0; t < longest; ++t) {
        const bool inside = t < length(i);
        index.set_int(i * longest + t, begin(i) + (inside ? t : 0));
        weight.set(i * longest + t, inside ? 1.0 / static_cast<double>(length(i)) : 0.0);
      }
    }
    const auto at = static_cast<std::int64_t>(axis);
    if (pool == Pool::average) {
      x = emit::weighted_gather(x, at, std::move(index), std::move(weight));
      continue;
    }
    const Tensor read = emit::op("gather", {x, emit::constant("index", std::move(index))},
                                 {{{"axis", at}, {"batch", std::int64_t{0}}}});
    x = emit::reduce("max", read, {at + 1});
  }
  return x;
}

#define TUSK_POOL(pool, axes)                    \
  template struct PoolingImpl<pool, axes>;       \
  template struct GlobalPoolingImpl<pool, axes>; \
  template struct AdaptivePoolingImpl<pool, axes>
TUSK_POOL(Pool::max, 1);
TUSK_POOL(Pool::max, 2);
TUSK_POOL(Pool::max, 3);
TUSK_POOL(Pool::average, 1);
TUSK_POOL(Pool::average, 2);
TUSK_POOL(Pool::average, 3);
#undef TUSK_POOL

}  // namespace tusk::layers
