#include "frontend/layers/random_places.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numbers>
#include <utility>

#include "frontend/layers/images.hpp"
#include "frontend/layers/windows.hpp"
#include "frontend/model/emit.hpp"
#include "frontend/ops/ops.hpp"

namespace tusk::layers {
namespace {

constexpr Bounds kShift{.least = -1, .most = 1, .each = true};

Sampling sampling_of(const auto& config) {
  return {config.fill_mode, config.fill_value, config.interpolation, config.data_format};
}

Tensor reversed(const Tensor& x, std::size_t axis) {
  return emit::slice(x, static_cast<std::int64_t>(axis), x.shape()[axis] - Dim(1), Dim(-1), -1);
}

// Numbers of samples that all have the same.
Tensor all_samples(const Tensor& images, double number) {
  return emit::filled("number", DType::f32, {images.shape().front()}, number);
}

}  // namespace

void RandomFlipImpl::build(const Shape& in) {
  RandomImage::build(in);
  draw_from(config.seed);
}

Tensor RandomFlipImpl::changed(const Tensor& images) const {
  const std::size_t first = first_spatial(config.data_format);
  const Tensor flips = emit::leading(random_.chance({images.shape().front()}, 0.5), images.shape());
  Tensor flipped = images;
  if (!(config.mode == "vertical")) flipped = reversed(flipped, first + 1);
  if (!(config.mode == "horizontal")) flipped = reversed(flipped, first);
  return emit::map("select", {flips, flipped, images});
}

void RandomRotationImpl::build(const Shape& in) {
  RandomImage::build(in);
  turns_ = range_of("factor", config.factor, {});
  draw_from(config.seed);
}

Tensor RandomRotationImpl::changed(const Tensor& images) const {
  const std::size_t first = first_spatial(config.data_format);
  const Tensor angle = drawn(images, {turns_.low * 360, turns_.high * 360}) * (std::numbers::pi / 180);
  const Tensor x = (extent(images.shape()[first + 1]) - 1.0) * 0.5;
  const Tensor y = (extent(images.shape()[first]) - 1.0) * 0.5;
  const Tensor cos = ops::cos(angle);
  const Tensor sin = ops::sin(angle);
  return warped(images, {cos, -sin, x - x * cos + y * sin, sin, cos, y - x * sin - y * cos}, sampling_of(config));
}

void RandomZoomImpl::build(const Shape& in) {
  RandomImage::build(in);
  const auto range = [&](std::string_view field, const Numbers& given) {
    const Range found = range_of(field, given, kShift);
    if (std::ranges::find(given.values, -1) != given.values.end())
      fail("field-value", fmt::format("{} has -1, expected more: nothing would be left", field));
    return Range{1 + found.low, 1 + found.high};
  };
  height_ = range("height_factor", config.height_factor);
  if (config.width_factor) width_ = range("width_factor", *config.width_factor);
  draw_from(config.seed);
}

Tensor RandomZoomImpl::changed(const Tensor& images) const {
  const std::size_t first = first_spatial(config.data_format);
  const Tensor height = drawn(images, height_);
  const Tensor width = width_ ? drawn(images, *width_) : height;
  const auto start = [&](std::size_t axis, const Tensor& zoom) {
    return (extent(images.shape()[axis]) - 1.0) * 0.5 * (1.0 - zoom);
  };
  const Tensor none = all_samples(images, 0);
  return warped(images, {width, none, start(first + 1, width), none, height, start(first, height)},
                sampling_of(config));
}

void RandomTranslationImpl::build(const Shape& in) {
  RandomImage::build(in);
  height_ = range_of("height_factor", config.height_factor, kShift);
  width_ = range_of("width_factor", config.width_factor, kShift);
  draw_from(config.seed);
}

Tensor RandomTranslationImpl::changed(const Tensor& images) const {
  const std::size_t first = first_spatial(config.data_format);
  const Tensor down = drawn(images, height_) * extent(images.shape()[first]);
  const Tensor right = drawn(images, width_) * extent(images.shape()[first + 1]);
  const Tensor none = all_samples(images, 0);
  const Tensor one = all_samples(images, 1);
  return warped(images, {one, none, -right, none, one, -down}, sampling_of(config));
}

// Negative ones stand in files alone: Keras writes them for a single number, and does not read them.
void RandomShearImpl::build(const Shape& in) {
  RandomImage::build(in);
  x_ = range_of("x_factor", config.x_factor, kShift);
  y_ = range_of("y_factor", config.y_factor, kShift);
  draw_from(config.seed);
}

Tensor RandomShearImpl::changed(const Tensor& images) const {
  const Tensor other_way = chosen(images, {0.5, 0.5});
  const auto sheared = [&](Range range) {
    const Tensor shear = drawn(images, range);
    return ops::where(other_way, -shear, shear);
  };
  const Tensor none = all_samples(images, 0);
  const Tensor one = all_samples(images, 1);
  return warped(images, {one, sheared(x_), none, sheared(y_), one, none}, sampling_of(config));
}

void RandomCropImpl::build(const Shape& in) {
  RandomImage::build(in);
  check_field("height", config.height);
  check_field("width", config.width);
  draw_from(config.seed);
}

Tensor RandomCropImpl::call(Tensor x, const Call& how) {
  if (how.training || !is_keras2()) return RandomImage::call(std::move(x), how);
  ResizingImpl whole;  // Keras 2: as much of the image as has the ratio of the crop
  whole.config.height = config.height;
  whole.config.width = config.width;
  whole.config.crop_to_aspect_ratio = true;
  whole.config.data_format = config.data_format;
  whole.set_keras2();
  return whole.call(std::move(x), how);
}

Tensor RandomCropImpl::changed(const Tensor& images) const {
  const std::size_t first = first_spatial(config.data_format);
  const auto axis = static_cast<std::int64_t>(first);
  const std::int64_t height = known_dim(images.shape(), axis, "for RandomCrop in training");
  const std::int64_t width = known_dim(images.shape(), axis + 1, "for RandomCrop in training");
  Tensor x = images;
  if (height > config.height && width > config.width) {
    const auto cut = [&](std::int64_t along, std::int64_t from, std::int64_t to) {
      const Tensor start = emit::cast(random_.uniform({}, 0, static_cast<double>(from - to + 1)), DType::i32);
      const Tensor place = emit::op("iota", {}, {{{"shape", Shape{Dim(to)}}, {"axis", std::int64_t{0}}}});
      const Tensor index = emit::map("add", {place, emit::broadcast(start, place.shape(), {})});
      x = emit::op("gather", {x, index}, {{{"axis", along}, {"batch", std::int64_t{0}}}});
    };
    cut(axis, height, config.height);
    cut(axis + 1, width, config.width);
    return x;
  }
  // Keras begins where the part with the ratio of the crop would, but takes as much as the crop wants.
  const auto cut = [&](std::int64_t along, std::int64_t extent, std::int64_t wanted, std::int64_t other,
                       std::int64_t other_wanted) {
    const auto ratio =
        static_cast<std::int64_t>(static_cast<double>(other * wanted) / static_cast<double>(other_wanted));
    const std::int64_t start = (extent - std::clamp<std::int64_t>(ratio, 1, extent)) / 2;
    x = emit::slice(x, along, start, std::min(start + wanted, extent));
  };
  cut(axis, height, config.height, width, config.width);
  cut(axis + 1, width, config.width, height, config.height);
  return resized(x, {{axis, config.height}, {axis + 1, config.width}}, "bilinear", false);
}

std::vector<Shape> RandomCropImpl::written_shapes(const std::vector<Shape>&, std::vector<Shape> results) const {
  Shape& shape = results.front();
  const std::size_t first = config.data_format == "channels_last" ? shape.size() - 3 : shape.size() - 2;
  shape.at(first) = Dim(config.height);
  shape.at(first + 1) = Dim(config.width);
  return results;
}

}  // namespace tusk::layers
