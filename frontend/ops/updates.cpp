// Operations that read or write a part of a tensor, at places that may be known only as the model runs: slices,
// scattering, segments, searching.
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "frontend/model/error.hpp"
#include "frontend/ops/operation.hpp"
#include "frontend/ops/ranges.hpp"

namespace tusk::ops {
namespace {

using Results = std::vector<Tensor>;

// ---- slices

/// Where a slice starts along each axis of x: numbers, or the elements of a tensor.
std::vector<emit::Arg> starts_of(const Arguments& a, const Tensor& x) {
  std::vector<emit::Arg> out;
  if (a.at("start_indices").get<Tensor>() == nullptr) {
    if (const std::optional<emit::Ints> known = a.ints("start_indices"))
      for (const std::int64_t start : *known) out.emplace_back(static_cast<double>(start));
  } else {
    const Tensor starts = emit::cast(a.tensor("start_indices"), DType::i32);
    if (starts.rank() == 1 && starts.shape()[0].is_constant() && starts.dim(0) == x.rank()) {
      for (std::int64_t i = 0; i < x.rank(); ++i) out.emplace_back(emit::reshape(emit::slice(starts, 0, i, i + 1), {}));
    }
  }
  if (out.size() != x.shape().size())
    a.refuse("start_indices", fmt::format("a number for each axis of {}", keras_shape(x.shape())));
  return out;
}

/// As many places of an axis as `size` from `start` on, all of them within the axis.
Tensor places(const emit::Arg& start, const Dim& size, const Dim& extent) {
  const Tensor counted = emit::op("iota", {}, {{{"shape", Shape{size}}, {"axis", std::int64_t{0}}}});
  const Tensor first =
      start.tensor() != nullptr ? *start.tensor() : emit::map("add", {emit::filled("zero", DType::i32, {}, 0), start});
  const Tensor inside = emit::map("max", {emit::map("min", {first, extent - size}), 0});
  return emit::map("add", {counted, emit::broadcast(inside, {size}, {})});
}

Results slice(const Arguments& a) {
  const Tensor whole = a.tensor("inputs");
  Tensor x = whole;
  const std::vector<emit::Arg> starts = starts_of(a, x);
  const std::optional<emit::Ints> sizes = a.ints("shape");
  if (!sizes || sizes->size() != x.shape().size())
    a.refuse("shape", fmt::format("an extent for each axis of {}", keras_shape(x.shape())));
  for (std::int64_t axis = 0; axis < x.rank(); ++axis) {
    const emit::Arg& start = starts[at(axis)];
    const Dim extent = x.shape()[at(axis)];
    const std::int64_t given = (*sizes)[at(axis)];
    if (given < -1) a.refuse("shape", "extents, or -1 for all that is left");
    if (start.tensor() != nullptr) {
      if (given == -1) a.refuse("shape", "extents, for starts that are not known");
      x = emit::op("gather", {x, places(start, Dim(given), extent)}, {{{"axis", axis}, {"batch", std::int64_t{0}}}});
      continue;
    }
    const std::int64_t first = a.ints("start_indices")->at(at(axis));
    const Dim limit = given == -1 ? extent : Dim(first + given);
    const bool fits = first >= 0 && (!extent.is_constant() || (first <= extent.constant() && limit.is_constant() &&
                                                               limit.constant() <= extent.constant()));
    if (!fits) a.refuse("shape", fmt::format("a slice of {}", keras_shape(whole.shape())));
    x = emit::slice(x, axis, first, limit);
  }
  return {x};
}

// Every element takes that of the updates which would lie over it, where one does.
Results slice_update(const Arguments& a) {
  const Tensor x = a.tensor("inputs");
  Tensor updates = emit::cast(a.tensor("updates"), x.dtype());
  const std::vector<emit::Arg> starts = starts_of(a, x);
  if (updates.rank() != x.rank()) a.refuse("updates", fmt::format("a tensor of rank {}", x.rank()));
  std::optional<Tensor> covered;
  for (std::int64_t axis = 0; axis < x.rank(); ++axis) {
    const Dim size = updates.shape()[at(axis)];
    const Dim extent = x.shape()[at(axis)];
    if (size == extent) continue;
    if (size.is_constant() && extent.is_constant() && size.constant() > extent.constant())
      a.refuse("updates", fmt::format("no more than {}", keras_shape(x.shape())));
    const Tensor first = emit::slice(places(starts[at(axis)], size, extent), 0, 0, 1);
    const Tensor counted = emit::op("iota", {}, {{{"shape", Shape{extent}}, {"axis", std::int64_t{0}}}});
    const Tensor from = emit::map("sub", {counted, emit::broadcast(first, {extent}, {0})});
    const Tensor over = emit::map("and", {emit::map("ge", {from, 0}), emit::map("lt", {from, size})});
    const Tensor inside = emit::map("max", {emit::map("min", {from, size - Dim(1)}), 0});
    updates = emit::op("gather", {updates, inside}, {{{"axis", axis}, {"batch", std::int64_t{0}}}});
    const Tensor wide = emit::broadcast(over, x.shape(), {axis});
    covered = covered ? emit::map("and", {*covered, wide}) : wide;
  }
  return {covered ? emit::map("select", {*covered, updates, x}) : updates};
}

// ---- scattering

/// x with its first axes as one, and the places in it that rows of indices name.
struct Target {
  Tensor rows;   // [elements of the first axes, rest]
  Tensor index;  // [updates]
};

Target target_of(const Arguments& a, const Tensor& x) {
  const Tensor indices = emit::cast(a.tensor("indices"), DType::i32);
  if (indices.rank() < 1) a.refuse("indices", "rows of places");
  const std::int64_t depth = indices.dim(-1);
  if (depth < 1 || depth > x.rank())
    a.refuse("indices", fmt::format("rows of 1 to {} places in {}", x.rank(), keras_shape(x.shape())));
  const Dim count = product(Shape(indices.shape().begin(), indices.shape().end() - 1));
  const Tensor rows = emit::reshape(indices, {count, Dim(depth)});
  Tensor index;
  Dim first(1);
  for (std::int64_t axis = 0; axis < depth; ++axis) {
    const Tensor place = emit::reshape(emit::slice(rows, 1, axis, axis + 1), {count});
    first *= x.shape()[at(axis)];
    index = axis == 0 ? place : emit::map("add", {emit::map("mul", {index, x.shape()[at(axis)]}), place});
  }
  Shape shape{first};
  shape.insert(shape.end(), x.shape().begin() + depth, x.shape().end());
  return {emit::reshape(x, std::move(shape)), index};
}

/// Turns the order of numbers round, so that the least becomes the largest; twice gives them back.
Tensor turned(const Tensor& x) {
  if (is_float(x.dtype())) return emit::map("neg", {x});
  return call("BitwiseNot", {{"x", x}});
}

Tensor scattered(std::string_view kind, const Tensor& rows, const Tensor& index, const Tensor& updates) {
  if (kind == "min") return turned(scattered("max", turned(rows), index, turned(updates)));
  return emit::op(fmt::format("scatter.{}", kind), {rows, index, updates},
                  {{{"axis", std::int64_t{0}}, {"batch", std::int64_t{0}}}});
}

Tensor scattered(const Arguments& a, std::string_view kind, const Tensor& x, std::string_view updates_name) {
  const Target target = target_of(a, x);
  const Tensor updates = emit::cast(a.tensor(updates_name), x.dtype());
  Shape shape = target.rows.shape();
  shape[0] = target.index.shape()[0];
  const Dim given = product(updates.shape());
  if (given.is_constant() && product(shape).is_constant() && !(given == product(shape)))
    a.refuse(updates_name, fmt::format("{} elements, one for each place", product(shape).str()));
  const Tensor rows = scattered(kind, target.rows, target.index, emit::reshape(updates, std::move(shape)));
  return emit::reshape(rows, x.shape());
}

// Sums at places of zeros.
Results scatter(const Arguments& a) {
  const std::optional<emit::Ints> extents = a.ints("shape");
  if (!extents || extents->empty() || std::ranges::any_of(*extents, [](std::int64_t n) { return n < 0; }))
    a.refuse("shape", "extents");
  const Shape shape(extents->begin(), extents->end());
  check_elements(shape);
  const Tensor values = a.tensor("values");
  if (values.dtype() == DType::boolean) a.refuse("values", "numbers");
  return {scattered(a, "add", emit::filled("zeros", values.dtype(), shape, 0), "values")};
}

Results scatter_update(const Arguments& a) {
  const Tensor x = a.tensor("inputs");
  const std::string reduction = a.text("reduction", "set");
  static constexpr std::string_view kKinds[] = {"set", "add", "max", "min"};
  if (std::ranges::find(kKinds, reduction) == std::end(kKinds)) a.refuse("reduction", "None, 'add', 'max' or 'min'");
  if (x.dtype() == DType::boolean && reduction != "set") a.refuse("inputs", "numbers");
  return {scattered(a, reduction, x, "updates")};
}

// Rows by the number of their segment. One without rows has the least (or largest) number of the type, as TensorFlow
// has it, not infinity.
template <FixedText kind>
Results segments(const Arguments& a) {
  const Tensor data = a.tensor("data");
  const Tensor ids = emit::cast(a.tensor("segment_ids"), DType::i32);
  if (data.dtype() == DType::boolean) a.refuse("data", "numbers");
  if (ids.rank() != 1 || data.rank() < 1) a.refuse("segment_ids", "a number for each row of data");
  if (!a.has("num_segments")) a.refuse("num_segments", "their number: it is not known before the model runs");
  const std::int64_t count = a.integer("num_segments");
  if (count < 1) a.refuse("num_segments", "1 or more");
  Shape shape = data.shape();
  shape[0] = Dim(count);
  check_elements(shape);
  const bool sum = kind.view() == "add";
  Tensor start = emit::filled("start", data.dtype(), shape, sum ? 0 : range_of(data.dtype()).first);
  if (kind.view() == "min") start = turned(start);
  return {scattered(kind.view(), start, ids, data)};
}

// ---- searching

/// How two tensors compare, each element of x with each of a vector, along a new last axis.
Tensor compared(std::string_view row, const Tensor& x, const Tensor& with) {
  const std::vector<Tensor> both = emit::with_one_dtype({x, emit::reshape(with, {product(with.shape())})});
  Shape shape = both[0].shape();
  shape.push_back(both[1].shape()[0]);
  check_elements(shape);
  emit::Ints dims;
  for (std::int64_t i = 0; i < x.rank(); ++i) dims.push_back(i);
  return emit::map(row,
                   {emit::broadcast(both[0], shape, std::move(dims)), emit::broadcast(both[1], shape, {x.rank()})});
}

Results is_in(const Arguments& a) {
  const Tensor x = a.tensor("x1");
  const Tensor found = emit::reduce("any", compared("eq", x, a.tensor("x2")), {x.rank()});
  return {a.flag("invert", false) ? emit::map("not", {found}) : found};
}

// How many elements of the sequence lie before each value.
Results search_sorted(const Arguments& a) {
  const Tensor sequence = a.tensor("sorted_sequence");
  const Tensor values = a.tensor("values");
  const std::string side = a.text("side", "left");
  if (sequence.rank() != 1) a.refuse("sorted_sequence", "a vector");
  if (side != "left" && side != "right") a.refuse("side", "'left' or 'right'");
  // NaN lies behind all numbers, if it is looked for from the right.
  Tensor before = compared(side == "left" ? "gt" : "lt", values, sequence);
  if (side == "right") before = emit::map("not", {before});
  return {emit::reduce("sum", emit::cast(before, DType::i32), {values.rank()})};
}

// Places of a tensor of `shape`, by axes, from those of all its elements in a row.
Results unravel_index(const Arguments& a) {
  Tensor index = a.tensor("indices");
  const emit::Ints shape = a.ints("shape").value_or(emit::Ints{});
  if (!is_integer(index.dtype())) a.refuse("indices", "integers");
  if (shape.empty() || shape.size() > kMostAxes || std::ranges::any_of(shape, [](std::int64_t n) { return n < 1; }))
    a.refuse("shape", fmt::format("1 to {} extents", kMostAxes));
  Results out(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    const auto extent = static_cast<double>(shape[axis]);
    out[axis] = emit::map("mod", {index, extent});
    index = emit::map("floordiv", {index, extent});
  }
  return out;
}

constexpr OperationDef kUpdateTable[] = {
    {"Slice", "inputs start_indices | shape", slice},
    {"SliceUpdate", "inputs start_indices updates", slice_update},
    {"Scatter", "indices values | shape", scatter},
    {"ScatterUpdate", "inputs indices updates | reduction", scatter_update},
    {"SegmentSum", "data segment_ids | num_segments sorted", segments<"add">},
    {"SegmentMax", "data segment_ids | num_segments sorted", segments<"max">},
    {"SegmentMin", "data segment_ids | num_segments sorted", segments<"min">},
    {"IsIn", "x1 x2 | assume_unique invert", is_in},
    {"SearchSorted", "sorted_sequence values | side", search_sorted},
    {"UnravelIndex", "indices | shape", unravel_index},
};

}  // namespace

std::span<const OperationDef> update_operations() { return kUpdateTable; }

}  // namespace tusk::ops
