// Resizing of images: what UpSampling and Resizing share.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "frontend/model/choices.hpp"
#include "frontend/model/tensor.hpp"

namespace tusk::layers {

using Interpolation = OneOf<"nearest", "bilinear", "bicubic", "lanczos3", "lanczos5">;

/// The part of an axis that is read, found as the function runs (i32 scalars). It may begin before the axis and end
/// behind it: there lies `beyond`.
struct Part {
  Tensor start, extent;
  std::optional<double> beyond = {};
};

struct Resized {
  std::int64_t axis = 0;
  Dim size = 1;
  std::optional<Part> part = {};  // none: the whole axis
};

/// What keeps axes of open extent from being resized, "" if nothing does: elements and weights are then found as the
/// function runs.
std::string needs_sizes(Interpolation interpolation, bool antialias, DType type);

/// Each axis of extent n to `size` samples: sample i lies at (i + 0.5) * n / size - 0.5 (half-pixel centres), the
/// weights of the elements that a kernel reaches add up to 1. antialias widens the kernel by n / size where that is
/// more than 1. The result is f32, as TensorFlow's is, whatever x is.
Tensor interpolated(const Tensor& x, const std::vector<Resized>& axes, Interpolation interpolation, bool antialias);

/// The same in the dtype of x; integers are rounded, halves to even (Keras computes them in f32, so where the
/// exact value is a half, it may round the other way).
/// Keras: ops.image.resize.
Tensor resized(const Tensor& x, const std::vector<Resized>& axes, Interpolation interpolation, bool antialias);

}  // namespace tusk::layers
