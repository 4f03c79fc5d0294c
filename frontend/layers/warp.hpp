// Images whose places are read from elsewhere: what rotations, zooms and translations share.
#pragma once

#include <array>
#include <cstdint>

#include "frontend/model/choices.hpp"
#include "frontend/model/tensor.hpp"

namespace tusk::layers {

using FillMode = OneOf<"reflect", "wrap", "constant", "nearest">;
using WarpInterpolation = OneOf<"nearest", "bilinear">;

/// How places beside and between those of the image are read.
struct Sampling {
  FillMode fill_mode = "reflect";
  double fill_value = 0;  // of "constant"
  WarpInterpolation interpolation = "bilinear";
  DataFormat data_format = "channels_last";
};

/// For each sample (f32, [batch]): place (x, y) of the result is read from a0 x + a1 y + a2, b0 x + b1 y + b2.
using Affine = std::array<Tensor, 6>;

/// As TensorFlow's ImageProjectiveTransformV3: places are found in float32 whatever the images are.
/// Keras: ops.image.affine_transform.
Tensor warped(const Tensor& images, const Affine& matrix, const Sampling& how);

/// An extent as a number (f32), and the numbers of the places along an axis, [1, ..., n, ..., 1] (f32).
Tensor extent(const Dim& dim);
Tensor places(const Shape& shape, std::int64_t axis);

}  // namespace tusk::layers
