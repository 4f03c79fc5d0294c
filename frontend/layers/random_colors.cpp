#include "frontend/layers/random_colors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "frontend/layers/convolve.hpp"
#include "frontend/layers/warp.hpp"
#include "frontend/layers/windows.hpp"
#include "frontend/model/emit.hpp"
#include "frontend/ops/ops.hpp"

namespace tusk::layers {

/// Of a layer with a factor and a value range: what factors may be, whether its value range is put in order, whether
/// integers stay integers at inference and in training.
struct ColorDef {
  std::string_view name;
  Bounds bounds;
  bool orders_values, keeps_integers, trains_integers;
  Tensor (*changed)(const RandomImage& layer, const Adjustment& by, const Tensor& images);
};

namespace {

Tensor within(const Tensor& x, Range values) {
  return emit::map("min", {emit::map("max", {x, values.low}), values.high});
}

// From one range to another, in the order of Keras' operations.
Tensor to_range(const Tensor& x, Range from, Range to) {
  if (from.low == to.low && from.high == to.high) return x;
  return (x - from.low) / (from.high - from.low) * (to.high - to.low) + to.low;
}

std::int64_t channels_axis(DataFormat format) { return format == "channels_first" ? 1 : 3; }

Tensor of_colors(std::string_view operation, const Tensor& images, DataFormat format) {
  return ops::call(operation, {{"images", images}, {"data_format", std::string(format.str())}});
}

Tensor contrast(const RandomImage& layer, const Adjustment& by, const Tensor& images) {
  if (!is_float(images.dtype())) {
    throw Error(error("layer-dtype", fmt::format("{} takes floats when it is trained, found {}", layer.class_name(),
                                                 keras_dtype(images.dtype()))));
  }
  const auto first = static_cast<std::int64_t>(first_spatial(by.data_format));
  const emit::Ints axes{first, first + 1};
  const Tensor mean = emit::spread(emit::mean(images, axes), images.shape(), axes);
  const Tensor factor = RandomImage::beside(layer.drawn(images, {1 - by.factor.low, 1 + by.factor.high}), images);
  return within((images - mean) * factor + mean, by.values);
}

Tensor brightness(const RandomImage& layer, const Adjustment& by, const Tensor& images) {
  const auto [low, high] = by.values;
  if (!is_float(images.dtype()) && (low != std::floor(low) || high != std::floor(high))) {
    throw Error(error("field-value", fmt::format("value_range is ({}, {}), expected whole numbers: the image is {}",
                                                 low, high, keras_dtype(images.dtype()))));
  }
  const Tensor share = layer.drawn(images, by.factor) * (high - low);
  return within(images + RandomImage::beside(share, images), by.values);
}

// RGB with one channel of hue, saturation and value changed.
template <class Change>
Tensor in_hsv(const Tensor& images, std::size_t channel, DataFormat format, Change change) {
  const std::int64_t axis = channels_axis(format);
  std::vector<Tensor> channels = ops::split(of_colors("RGBToHSV", images, format), 3, axis);
  channels[channel] = change(channels[channel]);
  return of_colors("HSVToRGB", ops::concatenate(channels, axis), format);
}

// Of the images as they are: Keras does not bring them to 0 ... 1.
Tensor saturation(const RandomImage& layer, const Adjustment& by, const Tensor& images) {
  const Tensor share = layer.drawn(images, by.factor);
  const Tensor factor = RandomImage::beside(share / (1.0 - share + emit::kEpsilon), images);
  return in_hsv(images, 1, by.data_format, [&](const Tensor& of) { return within(of * factor, by.values); });
}

Tensor hue(const RandomImage& layer, const Adjustment& by, const Tensor& images) {
  const Tensor turn = layer.drawn(images, by.factor) * 0.5;
  const Tensor other_way = layer.chosen(images, {0.5, 0.5});
  const Tensor by_turn = RandomImage::beside(ops::where(other_way, -turn, turn), images);
  const Tensor turned = in_hsv(to_range(images, by.values, {0, 1}), 0, by.data_format, [&](const Tensor& of) {
    const Tensor sum = of + by_turn;
    const Tensor below = ops::where(ops::greater(sum, 1.0), sum - 1.0, sum);
    return ops::where(ops::less(below, 0.0), below + 1.0, below);
  });
  return to_range(within(turned, {0, 1}), {0, 1}, by.values);
}

Tensor posterization(const RandomImage& layer, const Adjustment& by, const Tensor& images) {
  // Of a range, its end is not drawn.
  const auto [low, high] = by.factor;
  const Tensor bits = ops::minimum(ops::floor(layer.drawn(images, by.factor)), low == high ? low : high - 1);
  const Tensor dropped = emit::cast(8.0 - bits, DType::i32);
  const Tensor bytes = emit::cast(to_range(images, by.values, {0, 255}), DType::u8);
  const Tensor shift = emit::leading(dropped, images.shape());
  const Tensor kept = emit::map("shl", {emit::map("shr", {emit::cast(bytes, DType::i32), shift}), shift});
  return to_range(emit::cast(kept, images.dtype()), {0, 255}, by.values);
}

// Every channel by itself.
Tensor filtered(const Tensor& images, const Tensor& plane, DataFormat format) {
  const Dim channels = images.shape()[static_cast<std::size_t>(channels_axis(format))];
  const Shape shape{plane.shape()[0], plane.shape()[1], channels, Dim(1)};
  const Tensor kernel = emit::broadcast(emit::cast(plane, images.dtype()), shape, {0, 1});
  return ops::call(
      "DepthwiseConv",
      {{"inputs", images}, {"kernel", kernel}, {"padding", "same"}, {"data_format", std::string(format.str())}});
}

Tensor sharpness(const RandomImage& layer, const Adjustment& by, const Tensor& images) {
  Array weights = Array::splat(DType::f32, {3, 3}, 1.0 / 13);
  weights.set(4, 5.0 / 13);
  const Tensor smooth = filtered(images, emit::constant("smooth", std::move(weights)), by.data_format);
  const Tensor factor = RandomImage::beside(layer.drawn(images, by.factor) * 2.0, images);
  return within(images + (1.0 - factor) * (smooth - images), by.values);
}

Tensor inversion(const RandomImage& layer, const Adjustment& by, const Tensor& images) {
  const Tensor inverted = emit::leading(layer.chosen(images, by.factor), images.shape());
  return ops::where(inverted, by.values.high - images, images);
}

Tensor degeneration(const RandomImage& layer, const Adjustment& by, const Tensor& images) {
  const Tensor factor = RandomImage::beside(layer.drawn(images, by.factor), images);
  return within(images + factor * (of_colors("RGBToGrayscale", images, by.data_format) - images), by.values);
}

constexpr Bounds kShare{.least = 0};
constexpr ColorDef kColors[] = {
    {"RandomContrast", kShare, false, true, true, contrast},
    {"RandomBrightness", {}, true, true, true, brightness},
    {"RandomSaturation", {}, true, true, false, saturation},
    {"RandomHue", kShare, false, true, false, hue},
    {"RandomPosterization", {.least = 1, .most = 8}, true, true, false, posterization},
    {"RandomSharpness", kShare, true, false, false, sharpness},
    {"RandomInvert", kShare, false, true, false, inversion},
    {"RandomColorDegeneration", {}, true, true, false, degeneration},
};

const ColorDef& color_named(std::string_view name) { return *std::ranges::find(kColors, name, &ColorDef::name); }

}  // namespace

void RandomColor::prepare(const Numbers& factor, const Numbers& value_range, DataFormat format,
                          std::optional<std::int64_t> seed) {
  const ColorDef& def = color_named(class_name());
  const Range ordered = value_range_of(value_range);
  const Range as_given{value_range.values[0], value_range.values[1]};
  adjustment_ = {range_of("factor", factor, def.bounds), def.orders_values ? ordered : as_given, format};
  const auto [low, high] = adjustment_.factor;
  if (def.changed == posterization && (low != std::floor(low) || high != std::floor(high)))
    fail("field-value", fmt::format("factor is ({}, {}), expected whole numbers of bits", low, high));
  draw_from(seed);
}

Tensor RandomColor::changed(const Tensor& images) const {
  return color_named(class_name()).changed(*this, adjustment_, images);
}

bool RandomColor::keeps_integers() const { return color_named(class_name()).keeps_integers; }

bool RandomColor::trains_integers() const { return color_named(class_name()).trains_integers; }

void RandomGrayscaleImpl::build(const Shape& in) {
  RandomImage::build(in);
  if (!(config.factor >= 0 && config.factor <= 1))
    fail("field-value", fmt::format("factor is {}, expected 0 to 1", config.factor));
  draw_from(config.seed);
}

Tensor RandomGrayscaleImpl::changed(const Tensor& images) const {
  const Tensor grey = of_colors("RGBToGrayscale", images, config.data_format);
  return ops::where(emit::leading(chosen(images, {config.factor, config.factor}), images.shape()), grey, images);
}

void RandomColorJitterImpl::build(const Shape& in) {
  RandomImage::build(in);
  const Range ordered = value_range_of(config.value_range);
  const Range as_given{config.value_range.values[0], config.value_range.values[1]};
  parts_.clear();
  const auto add = [&](std::string_view name, std::string_view field, const std::optional<Numbers>& factor) {
    if (!factor) return;
    const ColorDef& def = color_named(name);
    const Range range = range_of(field, *factor, def.bounds);
    parts_.emplace_back(&def, Adjustment{range, def.orders_values ? ordered : as_given, config.data_format});
  };
  add("RandomBrightness", "brightness_factor", config.brightness_factor);
  add("RandomContrast", "contrast_factor", config.contrast_factor);
  add("RandomSaturation", "saturation_factor", config.saturation_factor);
  add("RandomHue", "hue_factor", config.hue_factor);
  draw_from(config.seed);
}

Tensor RandomColorJitterImpl::changed(const Tensor& images) const {
  Tensor y = images;
  for (const auto& [def, by] : parts_) y = def->changed(*this, by, y);
  return y;
}

void SolarizationImpl::build(const Shape& in) {
  RandomImage::build(in);
  const auto range = [&](std::string_view field, const Numbers& given) {
    const Range found = range_of(field, given, {.least = 0, .most = 1, .each = true});
    return Range{found.low, found.high * 255};  // Keras leaves the low end as it is
  };
  addition_ = range("addition_factor", config.addition_factor);
  threshold_ = range("threshold_factor", config.threshold_factor);
  values_ = value_range_of(config.value_range);
  draw_from(config.seed);
}

Tensor SolarizationImpl::changed(const Tensor& images) const {
  const Tensor more = beside(drawn(images, addition_), images);
  const Tensor threshold = beside(drawn(images, threshold_), images);
  const Tensor sum = within(to_range(images, values_, {0, 255}) + more, {0, 255});
  return to_range(ops::where(ops::less(sum, threshold), sum, 255.0 - sum), {0, 255}, values_);
}

void RandomErasingImpl::build(const Shape& in) {
  RandomImage::build(in);
  factor_ = range_of("factor", config.factor, kShare);
  scale_ = range_of("scale", config.scale, {.least = 0, .most = 1, .each = true});
  (void)value_range_of(config.value_range);
  values_ = {config.value_range.values[0], config.value_range.values[1]};
  if (config.fill_value && config.fill_value->values.size() != 1 && config.fill_value->values.size() != 3)
    fail("field-value",
         fmt::format("fill_value has {} numbers, expected one or three", config.fill_value->values.size()));
  draw_from(config.seed);
}

Tensor RandomErasingImpl::changed(const Tensor& images) const {
  const std::size_t first = first_spatial(config.data_format);
  Tensor inside = emit::leading(chosen(images, factor_), images.shape());
  for (const std::size_t axis : {first + 1, first}) {
    const Tensor length = extent(images.shape()[axis]);
    const Tensor size = ops::sqrt(drawn(images, scale_)) * length;
    const Tensor start = drawn(images, {0, 1}) * (length - size);
    const auto wide = [&](const Tensor& numbers) { return beside(numbers, places(images.shape(), 0)); };
    const Tensor place = places(images.shape(), static_cast<std::int64_t>(axis));
    const Tensor along = ops::logical_and(ops::greater_equal(place, wide(start)), ops::less(place, wide(start + size)));
    inside = ops::logical_and(inside, along);
  }
  Tensor fill;
  if (!config.fill_value) {
    fill = emit::cast(random_.normal(images.shape()), images.dtype()) * values_.high;
  } else {
    const std::vector<double>& numbers = config.fill_value->values;
    Array array(images.dtype(), {static_cast<std::int64_t>(numbers.size())});
    for (std::size_t i = 0; i < numbers.size(); ++i) array.set(static_cast<std::int64_t>(i), numbers[i]);
    Shape line(4, Dim(1));
    line[static_cast<std::size_t>(channels_axis(config.data_format))] = Dim(array.size());
    fill = emit::reshape(emit::constant("fill_value", std::move(array)), line);
  }
  return ops::where(inside, within(fill, values_), images);
}

void RandomGaussianBlurImpl::build(const Shape& in) {
  RandomImage::build(in);
  factor_ = range_of("factor", config.factor, kShare);
  sigma_ = range_of("sigma", config.sigma, kShare);
  (void)value_range_of(config.value_range);
  for (const std::int64_t size : config.kernel_size) {
    if (size < 1 || size > 4095 || size % 2 == 0)
      fail("field-value", fmt::format("kernel_size has {}, expected odd numbers from 1 to 4095", size));
  }
  draw_from(config.seed);
}

Tensor RandomGaussianBlurImpl::changed(const Tensor& images) const {
  const auto bell = [&](std::int64_t size) {
    const Tensor drawn_width = sigma_.low == sigma_.high ? emit::filled("sigma", DType::f32, {Dim(1)}, sigma_.low)
                                                         : random_.uniform({Dim(1)}, sigma_.low, sigma_.high);
    const Tensor away = (places({Dim(size)}, 0) - static_cast<double>(size - 1) / 2) / (drawn_width + 1e-6);
    const Tensor weights = ops::exp(away * away * -0.5);
    return weights / ops::sum(weights);
  };
  const Tensor across = bell(config.kernel_size[0]);
  const Tensor down = bell(config.kernel_size[1]);
  // As Keras lays it out: by rows of the first size, though the kernel's rows are of the second.
  const Tensor kernel = emit::reshape(emit::reshape(down, {Dim(config.kernel_size[1]), Dim(1)}) * across,
                                      {Dim(config.kernel_size[0]), Dim(config.kernel_size[1])});
  const Tensor blurred = filtered(images, kernel, config.data_format);
  const Tensor y = ops::where(emit::leading(chosen(images, factor_), images.shape()), blurred, images);
  return within(y, {config.value_range.values[0], config.value_range.values[1]});
}

}  // namespace tusk::layers
