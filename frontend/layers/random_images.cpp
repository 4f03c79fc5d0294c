#include "frontend/layers/random_images.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "frontend/model/emit.hpp"

namespace tusk::layers {

Tensor RandomImage::call(Tensor x, const Call& how) {
  if (!how.training) return keeps_integers() ? x : emit::to_float(x);
  if (is_keras2()) {
    fail("layer-training", fmt::format("{} of a Keras 2 file is called with training = true, where it follows other "
                                       "rules; make the layer anew",
                                       class_name()));
  }
  return changed(trains_integers() ? x : emit::to_compute_dtype(x));
}

Range RandomImage::range_of(std::string_view field, const Numbers& given, Bounds bounds) const {
  const double least = bounds.least;
  const double most = bounds.most;
  const auto within = [&](double number) { return number >= least && number <= most; };
  const std::vector<double>& numbers = given.values;
  if (numbers.size() == 1 && within(numbers[0])) return {std::max(-std::abs(numbers[0]), least), std::abs(numbers[0])};
  if (numbers.size() == 2) {
    const auto [low, high] = std::minmax(numbers[0], numbers[1]);
    if (bounds.each ? within(low) && within(high) : numbers[0] <= most && numbers[1] >= least && high - low < INFINITY)
      return {low, high};
  }
  fail("field-value", fmt::format("{} is ({}), expected a number or two, from {} to {}", field,
                                  fmt::join(numbers, ", "), least, most));
}

Range RandomImage::value_range_of(const Numbers& given) const {
  const std::vector<double>& numbers = given.values;
  if (numbers.size() != 2) fail("field-value", fmt::format("value_range has {} numbers, expected 2", numbers.size()));
  return {std::min(numbers[0], numbers[1]), std::max(numbers[0], numbers[1])};
}

Tensor RandomImage::drawn(const Tensor& images, Range range) const {
  const Shape samples{images.shape().front()};
  if (range.low == range.high) return emit::filled("number", DType::f32, samples, range.low);
  return random_.uniform(samples, range.low, range.high);
}

Tensor RandomImage::beside(const Tensor& numbers, const Tensor& images) {
  return emit::reshape(emit::cast(numbers, images.dtype()), {images.shape().front(), Dim(1), Dim(1), Dim(1)});
}

Tensor RandomImage::chosen(const Tensor& images, Range probability) const {
  const Shape samples{images.shape().front()};
  if (probability.low >= 1) return emit::filled("all", DType::boolean, samples, 1);
  return emit::map("lt", {random_.uniform(samples, 0, 1), drawn(images, probability)});
}

template <FixedText keras_name>
Tensor RefusedRandomImageImpl<keras_name>::call(Tensor x, const Call& how) {
  if (how.training) {
    fail("layer-training",
         fmt::format("{} is called with training = true, which this release cannot compute", class_name));
  }
  return class_name == "MixUp" ? x : emit::to_float(x);
}

#define TUSK_INSTANTIATE(Name) template struct RefusedRandomImageImpl<#Name>;
TUSK_REFUSED_RANDOM_IMAGES(TUSK_INSTANTIATE)
#undef TUSK_INSTANTIATE

}  // namespace tusk::layers
