// Operations on the shape of matrices: triangles, diagonals, grids, powers as columns.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "frontend/model/error.hpp"
#include "frontend/ops/operation.hpp"

namespace tusk::ops {
namespace {

using Results = std::vector<Tensor>;

/// row + k >= column: the lower triangle of the last two axes.
Tensor lower_triangle(const Tensor& x, std::int64_t k) {
  if (x.rank() < 2)
    throw Error(
        error("ops-argument", fmt::format("x is a tensor of shape {}, expected matrices", keras_shape(x.shape()))));
  const auto iota = [&](std::int64_t axis) { return emit::op("iota", {}, {{{"shape", x.shape()}, {"axis", axis}}}); };
  return emit::map("ge", {emit::map("add", {iota(x.rank() - 2), static_cast<double>(k)}), iota(x.rank() - 1)});
}

Results tril(const Arguments& a) {
  const Tensor x = a.tensor("x");
  if (x.dtype() == DType::boolean) return {emit::map("and", {x, lower_triangle(x, a.integer("k", 0))})};
  return {emit::map("select", {lower_triangle(x, a.integer("k", 0)), x, 0})};
}

Results triu(const Arguments& a) {
  const Tensor x = a.tensor("x");
  const Tensor below = lower_triangle(x, a.integer("k", 0) - 1);
  if (x.dtype() == DType::boolean) return {emit::map("and", {x, emit::map("not", {below})})};
  return {emit::map("select", {below, 0, x})};
}

/// Diagonals of matrices over two axes, as the last axis: every (columns + 1)-th element of a matrix in a row.
Tensor diagonal_of(const Arguments& a) {
  Tensor x = a.tensor("x");
  const std::int64_t rows_axis = emit::axis_of(x, a.integer("axis1", 0));
  const std::int64_t columns_axis = emit::axis_of(x, a.integer("axis2", 1));
  if (rows_axis == columns_axis) a.refuse("axis2", "another axis than axis1");
  const std::int64_t rows = x.dim(rows_axis);
  const std::int64_t columns = x.dim(columns_axis);
  const std::int64_t offset = a.integer("offset", 0);
  const std::int64_t length = std::min(offset < 0 ? rows + offset : rows, offset > 0 ? columns - offset : columns);
  if (length < 1) a.refuse("offset", fmt::format("a diagonal of {} rows and {} columns", rows, columns));
  emit::Ints perm;
  Shape shape;
  for (std::int64_t i = 0; i < x.rank(); ++i) {
    if (i == rows_axis || i == columns_axis) continue;
    perm.push_back(i);
    shape.push_back(x.shape()[at(i)]);
  }
  perm.push_back(rows_axis);
  perm.push_back(columns_axis);
  shape.emplace_back(rows * columns);
  const std::int64_t start = offset >= 0 ? offset : -offset * columns;
  x = emit::reshape(emit::transpose(x, std::move(perm)), std::move(shape));
  return emit::slice(x, x.rank() - 1, start, start + (length - 1) * (columns + 1) + 1, columns + 1);
}

Results diagonal(const Arguments& a) { return {diagonal_of(a)}; }

Results trace(const Arguments& a) {
  Tensor diagonals = diagonal_of(a);
  if (diagonals.dtype() == DType::u8) diagonals = emit::cast(diagonals, DType::u32);
  if (diagonals.dtype() == DType::i8 || diagonals.dtype() == DType::boolean)
    diagonals = emit::cast(diagonals, DType::i32);
  return {emit::reduce("sum", diagonals, {diagonals.rank() - 1})};
}

/// The matrix whose k-th diagonal is x: row i has the element i + min(k, 0) of x, in column i + k.
Tensor matrix_of_diagonal(const Tensor& x, std::int64_t k) {
  const Dim size = x.shape()[0] + Dim(std::abs(k));
  const Tensor padded = emit::pad(x, {Dim(std::max<std::int64_t>(-k, 0))}, {Dim(std::max<std::int64_t>(k, 0))}, 0);
  const Shape shape{size, size};
  check_elements(shape);
  const auto iota = [&](std::int64_t axis) { return emit::op("iota", {}, {{{"shape", shape}, {"axis", axis}}}); };
  const Tensor on = emit::map("eq", {emit::map("add", {iota(0), static_cast<double>(k)}), iota(1)});
  const Tensor rows = emit::broadcast(padded, shape, {0});
  if (x.dtype() == DType::boolean) return emit::map("and", {on, rows});
  return emit::map("select", {on, rows, 0});
}

std::int64_t diagonal_number(const Arguments& a) {
  const std::int64_t k = a.integer("k", 0);
  if (std::abs(k) > 1 << 20) a.refuse("k", "the number of a diagonal");
  return k;
}

Results diag(const Arguments& a) {
  const Tensor x = a.tensor("x");
  if (x.rank() == 1) return {matrix_of_diagonal(x, diagonal_number(a))};
  if (x.rank() != 2) a.refuse("x", "a vector or a matrix");
  return {call("Diagonal", {{"x", x}, {"offset", a.at("k")}})};
}

Results diagflat(const Arguments& a) {
  const Tensor x = a.tensor("x");
  return {matrix_of_diagonal(emit::reshape(x, {product(x.shape())}), diagonal_number(a))};
}

// Vectors along axes of their own; "xy" has the second one along the first axis.
Results meshgrid(const Arguments& a) {
  const std::vector<Tensor> x = a.tensors("x");
  const std::string indexing = a.text("indexing", "xy");
  if (indexing != "xy" && indexing != "ij") a.refuse("indexing", "'xy' or 'ij'");
  const auto axis_of = [&](std::size_t i) { return indexing == "xy" && x.size() > 1 && i < 2 ? 1 - i : i; };
  Shape shape(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (x[i].rank() > 1) a.refuse("x", "vectors");
    shape[axis_of(i)] = x[i].rank() == 1 ? x[i].shape()[0] : Dim(1);
  }
  check_elements(shape);
  Results out;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const Tensor flat = emit::reshape(x[i], {product(x[i].shape())});
    out.push_back(emit::broadcast(flat, shape, {static_cast<std::int64_t>(axis_of(i))}));
  }
  return out;
}

// Powers of a vector's elements as columns, by floats whatever its type.
Results vander(const Arguments& a) {
  const Tensor x = a.tensor("x");
  if (x.rank() != 1) a.refuse("x", "a vector");
  const std::int64_t columns = a.has("N") ? a.integer("N") : x.dim(0);
  if (columns < 1 || columns > 65536) a.refuse("N", "a number of columns");
  const Tensor base = emit::to_float(x);
  Array powers(base.dtype(), {columns});
  for (std::int64_t i = 0; i < columns; ++i)
    powers.set(i, static_cast<double>(a.flag("increasing", false) ? i : columns - 1 - i));
  const Shape shape{x.shape()[0], Dim(columns)};
  check_elements(shape);
  const Tensor exponents = emit::broadcast(emit::constant("powers", std::move(powers)), shape, {1});
  return {emit::cast(emit::map("pow", {emit::broadcast(base, shape, {0}), exponents}), x.dtype())};
}

constexpr OperationDef kMatrixTable[] = {
    {"Tril", "x | k", tril},
    {"Triu", "x | k", triu},
    {"Diagonal", "x | offset axis1 axis2", diagonal},
    {"Trace", "x | offset axis1 axis2", trace},
    {"Diag", "x | k", diag},
    {"Diagflat", "x | k", diagflat},
    {"Meshgrid", "*x | indexing", meshgrid},
    {"Vander", "x | N increasing", vander},
};

}  // namespace

std::span<const OperationDef> matrix_operations() { return kMatrixTable; }

}  // namespace tusk::ops
