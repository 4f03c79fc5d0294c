#include "frontend/layers/warp.hpp"

#include "frontend/model/emit.hpp"
#include "frontend/ops/ops.hpp"

namespace tusk::layers {
namespace {

// ---- one coordinate (f32), for an axis of n elements, from anywhere to 0 ... n - 1

Tensor clamped(const Tensor& at, const Tensor& n) { return ops::maximum(ops::minimum(at, n - 1.0), 0.0); }

// d c b a | a b c d | d c b a
Tensor reflected(const Tensor& at, const Tensor& n) {
  const Tensor period = n * 2.0;
  const Tensor below = at + period * ops::floor(-at / period);
  const Tensor above = at - period * ops::floor(at / period);
  const Tensor from_below = ops::where(ops::less(below, -n), below + period, -below - 1.0);
  const Tensor from_above = ops::where(ops::greater_equal(above, n), period - above - 1.0, above);
  return ops::where(ops::less(at, 0.0), from_below, ops::where(ops::greater(at, n - 1.0), from_above, at));
}

// a b c d | a b c d | a b c d, with TensorFlow's number of turns: it counts them by n - 1.
Tensor wrapped(const Tensor& at, const Tensor& n) {
  const Tensor steps = ops::maximum(n - 1.0, 1.0);
  const Tensor from_below = at + n * (ops::floor(-at / steps) + 1.0);
  const Tensor from_above = at - n * ops::floor(at / steps);
  return ops::where(ops::less(at, 0.0), from_below, ops::where(ops::greater(at, n - 1.0), from_above, at));
}

Tensor placed(const Tensor& at, const Tensor& n, FillMode mode) {
  if (mode == "reflect") return clamped(reflected(at, n), n);
  if (mode == "wrap") return clamped(wrapped(at, n), n);
  return mode == "nearest" ? clamped(at, n) : at;
}

// Halves away from 0.
Tensor rounded(const Tensor& at) {
  return ops::where(ops::less(at, 0.0), -ops::floor(-at + 0.5), ops::floor(at + 0.5));
}

}  // namespace

Tensor extent(const Dim& dim) { return emit::map("add", {emit::filled("zero", DType::f32, {}, 0), dim}); }

Tensor places(const Shape& shape, std::int64_t axis) {
  Shape line(shape.size(), Dim(1));
  line[static_cast<std::size_t>(axis)] = shape[static_cast<std::size_t>(axis)];
  return emit::cast(emit::op("iota", {}, {{{"shape", line}, {"axis", axis}}}), DType::f32);
}

Tensor warped(const Tensor& images, const Affine& matrix, const Sampling& how) {
  const bool channels_first = how.data_format == "channels_first";
  const Tensor x = channels_first ? emit::transpose(images, {0, 2, 3, 1}) : images;
  const Dim batch = x.shape()[0];
  const Dim rows = x.shape()[1];
  const Dim columns = x.shape()[2];
  const Dim channels = x.shape()[3];
  const Shape plane{batch, rows, columns};
  const Tensor height = extent(rows);
  const Tensor width = extent(columns);
  const auto transformed = [&](std::size_t first) {
    const auto number = [&](std::size_t i) { return emit::reshape(matrix[first + i], {batch, Dim(1), Dim(1)}); };
    return number(0) * places(plane, 2) + number(1) * places(plane, 1) + number(2);
  };
  const Tensor column = placed(transformed(0), width, how.fill_mode);
  const Tensor row = placed(transformed(3), height, how.fill_mode);
  const Tensor flat = emit::reshape(x, {batch, rows * columns, channels});
  // The elements at whole coordinates.
  const auto read = [&](const Tensor& r, const Tensor& c) {
    const auto whole = [](const Tensor& at, const Tensor& n) { return emit::cast(clamped(at, n), DType::i32); };
    const Tensor index = emit::map("add", {emit::map("mul", {whole(r, height), columns}), whole(c, width)});
    const Tensor taken = emit::op("gather", {flat, emit::reshape(index, {batch, rows * columns})},
                                  {{{"axis", std::int64_t{1}}, {"batch", std::int64_t{1}}}});
    const Tensor value = emit::reshape(taken, {batch, rows, columns, channels});
    if (!(how.fill_mode == "constant")) return value;
    const auto inside = [](const Tensor& at, const Tensor& n) {
      return ops::logical_and(ops::greater_equal(at, 0.0), ops::less(at, n));
    };
    const Tensor known = emit::leading(ops::logical_and(inside(r, height), inside(c, width)), value.shape());
    return emit::map("select", {known, value, how.fill_value});
  };
  Tensor y;
  if (how.interpolation == "nearest") {
    y = read(rounded(row), rounded(column));
  } else {
    const Tensor above = ops::floor(row);
    const Tensor left = ops::floor(column);
    const DType wide = x.dtype() == DType::f64 ? DType::f64 : DType::f32;
    const auto between = [&](const Tensor& at, const Tensor& low, const Tensor& a, const Tensor& b) {
      const auto share = [&](const Tensor& of) { return emit::leading(emit::cast(of, wide), x.shape()); };
      return share(low + 1.0 - at) * emit::cast(a, wide) + share(at - low) * emit::cast(b, wide);
    };
    const auto line = [&](const Tensor& r) { return between(column, left, read(r, left), read(r, left + 1.0)); };
    y = emit::cast(between(row, above, line(above), line(above + 1.0)), x.dtype());
  }
  return channels_first ? emit::transpose(y, {0, 3, 1, 2}) : y;
}

}  // namespace tusk::layers
