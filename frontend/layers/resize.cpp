#include "frontend/layers/resize.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "frontend/model/emit.hpp"
#include "frontend/model/tables.hpp"

namespace tusk::layers {
namespace {

// The kernels, as functions of a distance in samples: triangle; Keys' cubic with a = -0.5; sinc windowed by a wider
// one.
double lanczos(double x, double radius) {
  if (x == 0) return 1;
  if (std::abs(x) >= radius) return 0;
  const double pi_x = std::numbers::pi * x;
  return radius * std::sin(pi_x) * std::sin(pi_x / radius) / (pi_x * pi_x);
}

double kernel(Interpolation interpolation, double x) {
  x = std::abs(x);
  if (interpolation == "bilinear") return std::max(0.0, 1 - x);
  if (interpolation == "lanczos3") return lanczos(x, 3);
  if (interpolation == "lanczos5") return lanczos(x, 5);
  if (x >= 2) return 0;
  return x >= 1 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : (1.5 * x - 2.5) * x * x + 1;
}

double radius_of(Interpolation interpolation) {
  return interpolation == "bilinear" ? 1 : interpolation == "bicubic" ? 2 : interpolation == "lanczos3" ? 3 : 5;
}

// What each sample reads: as many elements for each, with their weights.
struct Taps {
  std::int64_t count = 0;
  Array index, weight;  // [size, count]
};

Taps taps_of(std::int64_t extent, std::int64_t size, Interpolation interpolation, bool antialias) {
  // Where TensorFlow, Keras' default, finds the places in float32, so do we: at a thousand pixels it shows.
  const bool narrow = interpolation != "lanczos3" && interpolation != "lanczos5" && !antialias;
  const float narrow_ratio = static_cast<float>(extent) / static_cast<float>(size);
  const double ratio = static_cast<double>(extent) / static_cast<double>(size);
  const double scale = antialias ? std::max(ratio, 1.0) : 1.0;
  const double reach = radius_of(interpolation) * scale;
  Taps taps;
  taps.count = std::min(extent, static_cast<std::int64_t>(std::ceil(2 * reach)) + 1);
  check_table(size, taps.count);
  taps.index = Array(DType::i32, {size, taps.count});
  taps.weight = Array(DType::f64, {size, taps.count});
  std::vector<double> weights(static_cast<std::size_t>(taps.count));
  for (std::int64_t i = 0; i < size; ++i) {
    double at =
        narrow ? (static_cast<float>(i) + 0.5F) * narrow_ratio - 0.5F : (static_cast<double>(i) + 0.5) * ratio - 0.5;
    // TensorFlow, Keras' default, takes the cubic from a table of 1024 steps; other backends do not.
    if (interpolation == "bicubic" && !antialias)
      at = std::floor(at) + std::nearbyint((at - std::floor(at)) * 1024) / 1024;
    const auto first =
        std::clamp<std::int64_t>(static_cast<std::int64_t>(std::ceil(at - reach)), 0, extent - taps.count);
    double sum = 0;
    for (std::int64_t t = 0; t < taps.count; ++t) {
      double& weight = weights[static_cast<std::size_t>(t)];
      weight = kernel(interpolation, (at - static_cast<double>(first + t)) / scale);
      sum += weight;
    }
    for (std::int64_t t = 0; t < taps.count; ++t) {
      taps.index.set_int(i * taps.count + t, first + t);
      taps.weight.set(i * taps.count + t, weights[static_cast<std::size_t>(t)] / sum);
    }
  }
  return taps;
}

Tensor taken(const Tensor& x, std::int64_t axis, const Tensor& index) {
  return emit::op("gather", {x, index}, {{{"axis", axis}, {"batch", std::int64_t{0}}}});
}

// The same samples, where the extent, the size or the part is known only as the function runs: as TensorFlow finds
// them.
Tensor along_open_axis(const Tensor& x, const Resized& to, Interpolation interpolation) {
  const Dim whole = x.shape()[static_cast<std::size_t>(to.axis)];
  const Shape samples{to.size};
  const Tensor place = emit::op("iota", {}, {{{"shape", samples}, {"axis", std::int64_t{0}}}});
  const Tensor extent = to.part ? emit::broadcast(to.part->extent, samples, {})
                                : emit::map("add", {emit::filled("zero", DType::i32, samples, 0), whole});
  const Tensor ratio = emit::map("div", {emit::cast(extent, DType::f32), to.size});
  const Tensor middle = emit::map("mul", {emit::map("add", {emit::cast(place, DType::f32), 0.5}), ratio});
  const auto read = [&](const Tensor& below) {
    const Tensor index = emit::cast(below, DType::i32);
    const Tensor inside = emit::map("max", {emit::map("min", {index, emit::map("sub", {extent, 1})}), 0});
    if (!to.part) return taken(x, to.axis, inside);
    const Tensor from = emit::map("add", {inside, emit::broadcast(to.part->start, samples, {})});
    const Tensor y = taken(x, to.axis, from);
    if (!to.part->beyond) return y;
    const Tensor outside = emit::map("or", {emit::map("lt", {from, 0}), emit::map("ge", {from, whole})});
    return emit::map("select", {emit::broadcast(outside, y.shape(), {to.axis}), *to.part->beyond, y});
  };
  if (interpolation == "nearest") return read(emit::map("floor", {middle}));
  const Tensor at = emit::map("sub", {middle, 0.5});
  const Tensor below = emit::map("floor", {at});
  const Tensor low = read(below);
  const Tensor high = read(emit::map("add", {below, 1.0}));
  const Tensor share = emit::broadcast(emit::map("sub", {at, below}), low.shape(), {to.axis}, "share");
  return emit::map("add", {low, emit::map("mul", {emit::map("sub", {high, low}), share})});
}

Tensor along_axis(const Tensor& x, const Resized& to, Interpolation interpolation, bool antialias) {
  const Dim& open = x.shape()[static_cast<std::size_t>(to.axis)];
  if (!open.is_constant() || !to.size.is_constant() || to.part) return along_open_axis(x, to, interpolation);
  const std::int64_t extent = open.constant();
  const std::int64_t size = to.size.constant();
  if (interpolation == "nearest") {
    check_table(size, 1);
    Array index(DType::i32, {size});
    const float ratio = static_cast<float>(extent) / static_cast<float>(size);
    for (std::int64_t i = 0; i < size; ++i) {
      const float at = std::floor((static_cast<float>(i) + 0.5F) * ratio);
      index.set_int(i, std::min(static_cast<std::int64_t>(at), extent - 1));
    }
    return taken(x, to.axis, emit::constant("index", std::move(index)));
  }
  if (extent == size) return x;
  Taps taps = taps_of(extent, size, interpolation, antialias);
  return emit::weighted_gather(x, to.axis, std::move(taps.index), taps.weight);
}

/// The dtype's own ends for what lies beyond: cast itself would wrap within 32 bits.
Tensor saturated(const Tensor& x, DType to) {
  Tensor y = x;
  if (size_of(to) == 1) {
    const double least = to == DType::i8 ? -128 : 0;
    y = emit::map("min", {emit::map("max", {y, least}), least + 255});
  }
  return emit::cast(y, to);
}

// The weights of a bilinear kernel are whole multiples of 1 / (2 * size), so a sum of integers is exact until it is
// divided: halves are halves, whoever computes them.
Tensor resized_integers(const Tensor& x, const std::vector<Resized>& axes, Interpolation interpolation,
                        bool antialias) {
  const bool whole = interpolation == "bilinear" && !antialias;
  double divisor = 1;
  Tensor y = emit::cast(x, DType::f64);
  for (const Resized& to : axes) {
    const std::int64_t extent = y.dim(to.axis);
    const std::int64_t size = to.size.constant();
    if (extent == size) continue;
    Taps taps = taps_of(extent, size, interpolation, antialias);
    const double multiple = 2 * static_cast<double>(size);
    for (std::int64_t i = 0; whole && i < taps.weight.size(); ++i)
      taps.weight.set(i, std::nearbyint(taps.weight.at(i) * multiple));
    if (whole) divisor *= multiple;
    y = emit::weighted_gather(y, to.axis, std::move(taps.index), taps.weight);
  }
  if (divisor != 1) y = emit::map("div", {y, divisor});
  return saturated(emit::map("rint", {y}), x.dtype());
}

}  // namespace

std::string needs_sizes(Interpolation interpolation, bool antialias, DType type) {
  if (interpolation == "nearest") return "";
  if (interpolation != "bilinear") return fmt::format("interpolation = {}", interpolation.str());
  return antialias ? "antialias = true" : is_float(type) ? "" : fmt::format("interpolated {}", keras_dtype(type));
}

Tensor interpolated(const Tensor& x, const std::vector<Resized>& axes, Interpolation interpolation, bool antialias) {
  Tensor y = emit::cast(x, DType::f32);
  for (const Resized& to : axes) y = along_axis(y, to, interpolation, antialias);
  return y;
}

Tensor resized(const Tensor& x, const std::vector<Resized>& axes, Interpolation interpolation, bool antialias) {
  if (interpolation != "nearest") {
    if (is_integer(x.dtype())) return resized_integers(x, axes, interpolation, antialias);
    return emit::cast(interpolated(x, axes, interpolation, antialias), x.dtype());
  }
  Tensor y = x;
  for (const Resized& to : axes) y = along_axis(y, to, interpolation, antialias);
  return y;
}

}  // namespace tusk::layers
