#include "frontend/layers/images.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "frontend/layers/windows.hpp"
#include "frontend/model/emit.hpp"

namespace tusk::layers {
namespace {

/// Elements start to start + size of one axis.
Tensor cut(const Tensor& x, std::size_t axis, std::int64_t start, std::int64_t size) {
  if (start == 0 && x.shape()[axis] == Dim(size)) return x;
  return emit::slice(x, static_cast<std::int64_t>(axis), start, start + size);
}

struct Size {
  std::int64_t height = 0, width = 0;
};

/// What int(float(a * b) / c) is in Keras, which computes it in single precision.
std::int64_t scaled(std::int64_t a, std::int64_t b, std::int64_t c) {
  return static_cast<std::int64_t>(static_cast<float>(a * b) / static_cast<float>(c));
}

Tensor cropped_to_aspect(Tensor x, std::size_t first, Size to) {
  const Size from{x.dim(static_cast<std::int64_t>(first)), x.dim(static_cast<std::int64_t>(first) + 1)};
  const std::int64_t height = std::clamp<std::int64_t>(scaled(from.width, to.height, to.width), 1, from.height);
  const std::int64_t width = std::clamp<std::int64_t>(scaled(from.height, to.width, to.height), 1, from.width);
  x = cut(x, first, (from.height - height) / 2, height);
  return cut(x, first + 1, (from.width - width) / 2, width);
}

// The same number of elements on both sides.
Tensor padded_to_aspect(const Tensor& x, std::size_t first, Size to, double value) {
  const Size from{x.dim(static_cast<std::int64_t>(first)), x.dim(static_cast<std::int64_t>(first) + 1)};
  const std::int64_t height = std::max(scaled(from.width, to.height, to.width), from.height);
  const std::int64_t width = std::max(scaled(from.height, to.width, to.height), from.width);
  Shape sides(x.shape().size(), Dim(0));
  sides[first] = Dim((height - from.height) / 2);
  sides[first + 1] = Dim((width - from.width) / 2);
  return emit::pad(x, sides, sides, value);
}

// The same where an extent is open: parts of both axes, found as the function runs.

Tensor extent_of(const Tensor& x, std::size_t axis) {
  return emit::map("add", {emit::filled("zero", DType::i32, {}, 0), x.shape()[axis]});
}

Tensor scaled(const Tensor& a, std::int64_t b, std::int64_t c) {
  const Tensor product = emit::cast(emit::map("mul", {a, static_cast<double>(b)}), DType::f32);
  return emit::cast(emit::map("div", {product, static_cast<double>(c)}), DType::i32);
}

Tensor half(const Tensor& x) { return emit::map("div", {x, 2}); }

struct Parts {
  Part rows, columns;
};

Parts part_of_aspect(const Tensor& x, std::size_t first, Size to) {
  const Tensor height = extent_of(x, first);
  const Tensor width = extent_of(x, first + 1);
  const auto part = [](const Tensor& extent, const Tensor& wanted) {
    const Tensor size = emit::map("max", {emit::map("min", {wanted, extent}), 1});
    return Part{half(emit::map("sub", {extent, size})), size};
  };
  return {part(height, scaled(width, to.height, to.width)), part(width, scaled(height, to.width, to.height))};
}

Parts frame_of_aspect(const Tensor& x, std::size_t first, Size to, double value) {
  const Tensor height = extent_of(x, first);
  const Tensor width = extent_of(x, first + 1);
  const auto part = [&](const Tensor& extent, const Tensor& wanted) {
    const Tensor side = half(emit::map("sub", {emit::map("max", {wanted, extent}), extent}));
    return Part{emit::map("neg", {side}), emit::map("add", {extent, emit::map("mul", {side, 2})}), value};
  };
  return {part(height, scaled(width, to.height, to.width)), part(width, scaled(height, to.width, to.height))};
}

/// The middle, of the size asked for where the image is large enough, else of its aspect ratio.
Parts part_in_the_middle(const Tensor& x, std::size_t first, Size to) {
  const Tensor height = extent_of(x, first);
  const Tensor width = extent_of(x, first + 1);
  const Tensor fits = emit::map("and", {emit::map("ge", {height, static_cast<double>(to.height)}),
                                        emit::map("ge", {width, static_cast<double>(to.width)})});
  const auto either = [&](const Tensor& extent, std::int64_t size, const Part& otherwise) {
    const Tensor start = half(emit::map("sub", {extent, static_cast<double>(size)}));
    return Part{emit::map("select", {fits, start, otherwise.start}),
                emit::map("select", {fits, static_cast<double>(size), otherwise.extent})};
  };
  const Parts parts = part_of_aspect(x, first, to);
  return {either(height, to.height, parts.rows), either(width, to.width, parts.columns)};
}

}  // namespace

void ResizingImpl::build(const Shape& in) {
  check_rank(in, 4);
  check_field("height", config.height);
  check_field("width", config.width);
  if (config.crop_to_aspect_ratio && config.pad_to_aspect_ratio)
    fail("field-value", "crop_to_aspect_ratio and pad_to_aspect_ratio are both true");
}

Tensor ResizingImpl::call(Tensor input, const Call&) {
  const bool to_floats = input.dtype() == DType::boolean || is_keras2();
  Tensor x = to_floats ? emit::to_float(input) : input;
  const std::size_t first = first_spatial(config.data_format);
  const auto axis = static_cast<std::int64_t>(first);
  const Size to{config.height, config.width};
  const std::string closed = needs_sizes(config.interpolation, config.antialias, x.dtype());
  const bool is_open = !x.shape()[first].is_constant() || !x.shape()[first + 1].is_constant();
  for (const std::int64_t spatial : {axis, axis + 1}) {
    if (!closed.empty()) (void)known_dim(x.shape(), spatial, "for " + closed);
  }
  if (is_integer(x.dtype()) && config.pad_to_aspect_ratio && config.fill_value != std::floor(config.fill_value))
    fail("field-value", fmt::format("fill_value is {}, expected a whole number: the image is {}", config.fill_value,
                                    keras_dtype(x.dtype())));
  if (is_open && (config.crop_to_aspect_ratio || config.pad_to_aspect_ratio)) {
    const Parts parts =
        config.crop_to_aspect_ratio ? part_of_aspect(x, first, to) : frame_of_aspect(x, first, to, config.fill_value);
    return resized(x, {{axis, config.height, parts.rows}, {axis + 1, config.width, parts.columns}},
                   config.interpolation, config.antialias);
  }
  if (config.crop_to_aspect_ratio) x = cropped_to_aspect(x, first, to);
  if (config.pad_to_aspect_ratio) x = padded_to_aspect(x, first, to, config.fill_value);
  return resized(x, {{axis, config.height}, {axis + 1, config.width}}, config.interpolation, config.antialias);
}

void CenterCropImpl::build(const Shape& in) {
  check_rank(in, 4);
  check_field("height", config.height);
  check_field("width", config.width);
}

Tensor CenterCropImpl::call(Tensor input, const Call&) {
  Tensor x = emit::to_float(input);
  const std::size_t first = first_spatial(config.data_format);
  const auto axis = static_cast<std::int64_t>(first);
  const Size to{config.height, config.width};
  if (!x.shape()[first].is_constant() || !x.shape()[first + 1].is_constant()) {
    const Parts parts = part_in_the_middle(x, first, to);
    return resized(x, {{axis, to.height, parts.rows}, {axis + 1, to.width, parts.columns}}, "bilinear", false);
  }
  const std::int64_t height = x.dim(axis);
  const std::int64_t width = x.dim(axis + 1);
  if (height >= to.height && width >= to.width) {
    x = cut(x, first, (height - to.height) / 2, to.height);
    return cut(x, first + 1, (width - to.width) / 2, to.width);
  }
  x = cropped_to_aspect(x, first, to);
  return interpolated(x, {{axis, to.height}, {axis + 1, to.width}}, "bilinear", false);
}

Tensor AutoContrastImpl::call(Tensor input, const Call&) {
  if (config.value_range.values.size() != 2)
    fail("field-value", fmt::format("value_range has {} numbers, expected 2", config.value_range.values.size()));
  const double low = config.value_range.values[0];
  const double high = config.value_range.values[1];
  // From one range to another, in the order of Keras' operations.
  const auto transformed = [](const Tensor& x, double from, double from_end, double to, double to_end) {
    if (from == to && from_end == to_end) return x;
    const Tensor unit = emit::map("div", {emit::map("sub", {x, from}), from_end - from});
    return emit::map("add", {emit::map("mul", {unit, to_end - to}), to});
  };
  const Tensor x = emit::to_float(input);
  Tensor y = transformed(x, low, high, 0, 255);
  const emit::Ints axes{1, 2};
  const Tensor least = emit::reduce("min", y, axes);
  const Tensor greatest = emit::reduce("max", y, axes);
  const Tensor scale = emit::map("div", {255, emit::map("sub", {greatest, least})});
  const Tensor offset = emit::map("mul", {emit::map("neg", {least}), scale});
  y = emit::map("add",
                {emit::map("mul", {y, emit::spread(scale, x.shape(), axes)}), emit::spread(offset, x.shape(), axes)});
  y = emit::map("min", {emit::map("max", {y, 0}), 255});
  // A channel of one value gives NaN (0 times infinity), which max and min do not keep: it stays as it is.
  const Tensor flat = emit::map("eq", {greatest, least});
  y = transformed(y, 0, 255, low, high);
  return emit::map("select", {emit::spread(flat, x.shape(), axes), x, y});
}

}  // namespace tusk::layers
