// Operations that pick elements: Python's indexing, and by tensors of indices.
#include <fmt/format.h>

#include <algorithm>

#include "frontend/model/error.hpp"
#include "frontend/ops/operation.hpp"

namespace tusk::ops {
namespace {

using Results = std::vector<Tensor>;

/// What a slice reads of an axis of n elements: from, limit (as the op takes it) and step.
struct Span {
  Dim start, limit;
  std::int64_t step = 1;
};

Span known_span(const Slice& slice, std::int64_t n) {
  const std::int64_t step = slice.step.value_or(1);
  const auto clamped = [&](std::optional<std::int64_t> position, std::int64_t otherwise) {
    if (!position) return otherwise;
    const std::int64_t from_zero = *position < 0 ? *position + n : *position;
    return step > 0 ? std::clamp<std::int64_t>(from_zero, 0, n) : std::clamp<std::int64_t>(from_zero, -1, n - 1);
  };
  const std::int64_t start = clamped(slice.start, step > 0 ? 0 : n - 1);
  const std::int64_t limit = clamped(slice.stop, step > 0 ? n : -1);
  if (step > 0 ? limit < start : limit > start) return {start, start, step};
  return {start, limit, step};
}

// Where n is known at run time only, a start beyond it is refused there; a limit beyond it is clamped.
Span open_span(const Slice& slice, const Dim& n) {
  const std::int64_t step = slice.step.value_or(1);
  if (step < 0) {
    if (slice.start || slice.stop)
      throw Error(error("ops-argument", "a slice backwards of an axis that is not known takes the whole axis"));
    return {n - Dim(1), Dim(-1), step};
  }
  Span span{Dim(0), n, step};
  if (slice.start) span.start = *slice.start < 0 ? (n + Dim(*slice.start)).max0() : Dim(*slice.start);
  if (slice.stop) span.limit = *slice.stop < 0 ? n + Dim(*slice.stop) : n - (n - Dim(*slice.stop)).max0();
  return span;
}

/// As i32, negative ones counted from the end.
Tensor from_zero(const Tensor& index, const Dim& extent) {
  const Tensor i = emit::cast(index, DType::i32);
  return emit::map("select", {emit::map("lt", {i, 0}), emit::map("add", {i, extent}), i});
}

Tensor taken(const Tensor& x, const Tensor& index, std::int64_t axis) {
  if (index.dtype() == DType::boolean || is_float(index.dtype()))
    throw Error(error("ops-argument", "an index is no integer"));
  return emit::op("gather", {x, from_zero(index, x.shape()[at(axis)])}, {{{"axis", axis}, {"batch", std::int64_t{0}}}});
}

Results get_item(const Arguments& a) {
  Tensor x = a.tensor("x");
  Argument::List keys;
  const Argument& given = a.at("key");
  if (const Argument::List* list = given.get<Argument::List>()) {
    keys = *list;
  } else {
    keys = {given};
  }
  const auto is_new = [](const Argument& key) { return key.is_none(); };
  const auto is_dots = [](const Argument& key) { return key.get<Argument::Ellipsis>() != nullptr; };
  const auto dots = std::ranges::count_if(keys, is_dots);
  const auto used = static_cast<std::int64_t>(keys.size()) - std::ranges::count_if(keys, is_new) - dots;
  if (dots > 1 || used > x.rank()) a.refuse("key", fmt::format("an index of {}", keras_shape(x.shape())));
  if (dots == 0) keys.emplace_back(Argument::Ellipsis{});
  // First the slices of all axes at once, then indices by tensors, then new and dropped axes.
  Shape start(x.shape().size(), Dim(0));
  Shape limit = x.shape();
  emit::Ints step(x.shape().size(), 1);
  std::vector<bool> drop(x.shape().size());
  std::vector<std::pair<std::int64_t, Argument>> picks;
  std::vector<std::int64_t> order;  // axes of x, -1 for new ones
  std::int64_t axis = 0;
  for (const Argument& key : keys) {
    if (is_new(key)) {
      order.push_back(-1);
      continue;
    }
    if (is_dots(key)) {
      for (std::int64_t i = used; i < x.rank(); ++i) order.push_back(axis++);
      continue;
    }
    const Dim& n = x.shape()[at(axis)];
    if (const Slice* slice = key.get<Slice>()) {
      if (slice->step == 0) a.refuse("key", "a step that is not 0");
      const Span span = n.is_constant() ? known_span(*slice, n.constant()) : open_span(*slice, n);
      start[at(axis)] = span.start;
      limit[at(axis)] = span.limit;
      step[at(axis)] = span.step;
    } else if (const std::int64_t* one = key.get<std::int64_t>()) {
      if (n.is_constant() && (*one >= n.constant() || *one < -n.constant()))
        a.refuse("key", fmt::format("an index of {}", keras_shape(x.shape())));
      start[at(axis)] = *one < 0 ? n + Dim(*one) : Dim(*one);
      limit[at(axis)] = start[at(axis)] + Dim(1);
      drop[at(axis)] = true;
    } else if (key.get<Tensor>() != nullptr || key.get<Array>() != nullptr || key.get<Argument::List>() != nullptr) {
      picks.emplace_back(axis, key);
    } else {
      a.refuse("key", "integers, slices, None, ... or one tensor of indices");
    }
    order.push_back(axis++);
  }
  if (picks.size() > 1) a.refuse("key", "one tensor of indices at most");
  if (start != Shape(x.shape().size(), Dim(0)) || limit != x.shape() || step != emit::Ints(x.shape().size(), 1))
    x = emit::op("slice", {x}, {{{"start", start}, {"limit", limit}, {"step", step}}});
  std::int64_t fresh = 0;  // axes that a pick adds
  for (const auto& [where, key] : picks) {
    Arguments one;
    one.set("key", key);
    const Tensor index = one.tensor("key");
    x = taken(x, index, where);
    fresh = index.rank() - 1;
  }
  Shape shape;
  for (const std::int64_t of : order) {
    if (of == -1) {
      shape.emplace_back(1);
      continue;
    }
    const bool picked = !picks.empty() && picks.front().first == of;
    const std::int64_t from = !picks.empty() && of > picks.front().first ? of + fresh : of;
    for (std::int64_t i = 0; i < (picked ? fresh + 1 : 1); ++i) {
      if (!drop[at(of)]) shape.push_back(x.shape()[at(from + i)]);
    }
  }
  return {emit::reshape(x, std::move(shape))};
}

Results take(const Arguments& a) {
  Tensor x = a.tensor("x");
  if (!a.has("axis")) x = emit::reshape(x, {product(x.shape())});
  const std::int64_t axis = a.has("axis") ? emit::axis_of(x, a.integer("axis")) : 0;
  return {taken(x, a.tensor("indices"), axis)};
}

// The axis goes behind the others, which become the batch of a gather.
Results take_along_axis(const Arguments& a) {
  Tensor x = a.tensor("x");
  Tensor index = a.tensor("indices");
  if (!a.has("axis")) {
    x = emit::reshape(x, {product(x.shape())});
    index = emit::reshape(index, {product(index.shape())});
  }
  const std::int64_t axis = a.has("axis") ? emit::axis_of(x, a.integer("axis")) : 0;
  if (index.rank() != x.rank()) a.refuse("indices", fmt::format("rank {}, as x has", x.rank()));
  Shape wide = index.shape();
  Shape data = x.shape();
  for (std::size_t i = 0; i < wide.size(); ++i) {
    if (static_cast<std::int64_t>(i) == axis) continue;
    if (wide[i] == Dim(1)) wide[i] = data[i];
    if (data[i] == Dim(1)) data[i] = wide[i];
  }
  emit::Ints all;
  emit::Ints last;
  for (std::int64_t i = 0; i < x.rank(); ++i) {
    all.push_back(i);
    if (i != axis) last.push_back(i);
  }
  last.push_back(axis);
  if (wide != index.shape()) index = emit::broadcast(index, wide, all);
  if (data != x.shape()) x = emit::broadcast(x, data, all);
  index = from_zero(index, x.shape()[at(axis)]);
  const Tensor picked = emit::op("gather", {emit::transpose(x, last), emit::transpose(index, last)},
                                 {{{"axis", x.rank() - 1}, {"batch", x.rank() - 1}}});
  emit::Ints back(last.size());
  for (std::size_t i = 0; i < last.size(); ++i) back[at(last[i])] = static_cast<std::int64_t>(i);
  return {emit::transpose(picked, std::move(back))};
}

/// 1 where the index along a new axis is that of the class.
Tensor one_hot_of(const Tensor& index, std::int64_t classes, std::int64_t axis, DType type) {
  Shape shape = index.shape();
  shape.insert(shape.begin() + axis, Dim(classes));
  check_elements(shape);
  emit::Ints dims;
  for (std::int64_t i = 0; i < index.rank(); ++i) dims.push_back(i < axis ? i : i + 1);
  const Tensor counted = emit::op("iota", {}, {{{"shape", shape}, {"axis", axis}}});
  const Tensor ids = emit::cast(index, DType::i32);
  return emit::cast(emit::map("eq", {emit::broadcast(ids, shape, std::move(dims)), counted}), type);
}

Results one_hot(const Arguments& a) {
  const Tensor x = a.tensor("x");
  const std::int64_t classes = a.integer("num_classes");
  if (classes < 1) a.refuse("num_classes", "at least 1");
  std::int64_t axis = a.integer("axis", -1);
  if (axis < -1 || axis > x.rank()) a.refuse("axis", "an axis of the result");
  if (a.flag("sparse", false)) a.refuse("sparse", "False");
  axis = axis == -1 ? x.rank() : axis;
  return {one_hot_of(x, classes, axis, a.dtype("dtype", DType::f32))};
}

// Classes that occur along the last axis of the indices.
Results multi_hot(const Arguments& a) {
  const Tensor x = a.tensor("inputs");
  const std::int64_t classes = a.integer("num_classes");
  if (classes < 1) a.refuse("num_classes", "at least 1");
  if (a.flag("sparse", false)) a.refuse("sparse", "False");
  if (a.integer("axis", -1) != -1) a.refuse("axis", "-1");
  const DType type = a.dtype("dtype", DType::f32);
  const std::int64_t reduced = x.rank() > 1 ? 1 : 0;
  return {emit::reduce(type == DType::boolean ? "any" : "max", one_hot_of(x, classes, x.rank(), type), {reduced})};
}

// The number of boundaries that are not above x.
Results digitize(const Arguments& a) {
  const std::vector<Tensor> both = emit::with_one_dtype({a.floats("x"), a.floats("bins")});
  const Tensor& x = both[0];
  const Tensor& bins = both[1];
  if (bins.rank() != 1) a.refuse("bins", "a list of numbers");
  Shape shape = x.shape();
  emit::Ints dims;
  for (std::int64_t i = 0; i < x.rank(); ++i) dims.push_back(i);
  shape.push_back(bins.shape()[0]);
  const Tensor below =
      emit::map("ge", {emit::broadcast(x, shape, std::move(dims)), emit::broadcast(bins, shape, {x.rank()})});
  return {emit::reduce("sum", emit::cast(below, DType::i32), {x.rank()})};
}

constexpr OperationDef kIndexingTable[] = {
    {"GetItem", "x key", get_item},
    {"Take", "x indices | axis", take},
    {"TakeAlongAxis", "x indices | axis", take_along_axis},
    {"OneHot", "x | num_classes axis dtype sparse", one_hot},
    {"MultiHot", "inputs | num_classes axis dtype sparse", multi_hot},
    {"Digitize", "x bins", digitize},
};

}  // namespace

std::span<const OperationDef> indexing_operations() { return kIndexingTable; }

}  // namespace tusk::ops
