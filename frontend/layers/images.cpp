#include "frontend/layers/images.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>

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

}  // namespace

void ResizingImpl::build(const Shape& in) {
  check_rank(in, 4);
  check_field("height", config.height);
  check_field("width", config.width);
  if (config.crop_to_aspect_ratio && config.pad_to_aspect_ratio)
    fail("field-value", "crop_to_aspect_ratio and pad_to_aspect_ratio are both true");
}

Tensor ResizingImpl::call(Tensor input, const Call&) {
  Tensor x = input.dtype() == DType::boolean ? emit::to_float(input) : input;
  const std::size_t first = first_spatial(config.data_format);
  const auto axis = static_cast<std::int64_t>(first);
  const Size to{config.height, config.width};
  const std::string closed = config.crop_to_aspect_ratio ? "crop_to_aspect_ratio = true"
                             : config.pad_to_aspect_ratio
                                 ? "pad_to_aspect_ratio = true"
                                 : needs_sizes(config.interpolation, config.antialias, x.dtype());
  for (const std::size_t spatial : {first, first + 1}) {
    if (closed.empty() || x.shape()[spatial].is_constant()) continue;
    fail("layer-unknown-dim",
         fmt::format("axis {} of the input {} must be known for {}", spatial, keras_shape(x.shape()), closed));
  }
  if (is_integer(x.dtype()) && config.pad_to_aspect_ratio && config.fill_value != std::floor(config.fill_value))
    fail("field-value", fmt::format("fill_value is {}, expected a whole number: the image is {}", config.fill_value,
                                    keras_dtype(x.dtype())));
  if (config.crop_to_aspect_ratio) x = cropped_to_aspect(x, first, to);
  if (config.pad_to_aspect_ratio) x = padded_to_aspect(x, first, to, config.fill_value);
  return resized(x, {{axis, config.height}, {axis + 1, config.width}}, config.interpolation, config.antialias);
}

void CenterCropImpl::build(const Shape& in) {
  check_rank(in, 4);
  check_field("height", config.height);
  check_field("width", config.width);
  const auto first = static_cast<std::int64_t>(first_spatial(config.data_format));
  for (std::int64_t axis = first; axis < first + 2; ++axis) (void)known_dim(in, axis);
}

Tensor CenterCropImpl::call(Tensor input, const Call&) {
  Tensor x = emit::to_float(input);
  const std::size_t first = first_spatial(config.data_format);
  const std::int64_t height = x.dim(static_cast<std::int64_t>(first));
  const std::int64_t width = x.dim(static_cast<std::int64_t>(first) + 1);
  if (height >= config.height && width >= config.width) {
    x = cut(x, first, (height - config.height) / 2, config.height);
    return cut(x, first + 1, (width - config.width) / 2, config.width);
  }
  x = cropped_to_aspect(x, first, {config.height, config.width});
  const auto axis = static_cast<std::int64_t>(first);
  return interpolated(x, {{axis, config.height}, {axis + 1, config.width}}, "bilinear", false);
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

namespace {

void refuse_training(const LayerBase& layer, const Call& call) {
  if (!call.training) return;
  Diagnostic problem =
      error("layer-training", fmt::format("{} is called with training = true, which this release cannot "
                                          "compute",
                                          layer.class_name()));
  problem.layer = layer.name();
  throw Error(std::move(problem));
}

}  // namespace

Tensor RandomCropImpl::call(Tensor x, const Call& how) {
  refuse_training(*this, how);
  return x;
}

std::vector<Shape> RandomCropImpl::written_shapes(const std::vector<Shape>&, std::vector<Shape> results) const {
  Shape& shape = results.front();
  const std::size_t first = config.data_format == "channels_last" ? shape.size() - 3 : shape.size() - 2;
  shape.at(first) = Dim(config.height);
  shape.at(first + 1) = Dim(config.width);
  return results;
}

template <FixedText keras_name>
Tensor RandomImageImpl<keras_name>::call(Tensor x, const Call& how) {
  refuse_training(*this, how);
  constexpr std::string_view kKeepIntegers[] = {"RandomBrightness",  "RandomColorDegeneration",
                                                "RandomColorJitter", "RandomContrast",
                                                "RandomGrayscale",   "RandomHue",
                                                "RandomInvert",      "RandomPosterization",
                                                "RandomSaturation",  "MixUp"};
  return std::ranges::find(kKeepIntegers, class_name) != std::end(kKeepIntegers) ? x : emit::to_float(x);
}

#define TUSK_INSTANTIATE(Name) template struct RandomImageImpl<#Name>;
TUSK_RANDOM_IMAGES(TUSK_INSTANTIATE)
#undef TUSK_INSTANTIATE

}  // namespace tusk::layers
