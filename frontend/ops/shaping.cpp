// Operations that move elements: shapes, axes, copies, padding.
#include <fmt/format.h>

#include <algorithm>

#include "frontend/ops/operation.hpp"

namespace tusk::ops {
namespace {

using Results = std::vector<Tensor>;

constexpr std::int64_t kMostParts = 4096;

Tensor joined(const std::vector<Tensor>& parts, std::int64_t axis) {
  if (parts.size() == 1) return parts.front();
  return emit::op("concat", {parts.begin(), parts.end()}, {{{"axis", axis}}});
}

// Of the whole tensor, with the batch; -1 is what is left.
Results reshape(const Arguments& a) {
  const Tensor x = a.tensor("x");
  const std::optional<emit::Ints> target = a.ints("newshape");
  if (!target || target->size() > 32) a.refuse("newshape", "at most 32 extents");
  Shape shape;
  Dim known(1);
  std::optional<std::size_t> open;
  for (const std::int64_t extent : *target) {
    if (extent == -1 && !open) {
      open = shape.size();
    } else if (extent < 0) {
      a.refuse("newshape", "extents of 0 or more, and one -1");
    }
    shape.emplace_back(extent);
    if (extent != -1) known *= Dim(extent);
    check_elements(shape);
  }
  if (open) {
    const std::optional<Dim> rest = product(x.shape()).exact_div(known);
    if (!rest) a.refuse("newshape", fmt::format("one that the elements of {} fill", keras_shape(x.shape())));
    shape[*open] = *rest;
  }
  return {emit::reshape(x, std::move(shape))};
}

Results ravel(const Arguments& a) {
  const Tensor x = a.tensor("x");
  return {emit::reshape(x, {product(x.shape())})};
}

Results transpose(const Arguments& a) {
  const Tensor x = a.tensor("x");
  emit::Ints perm;
  if (const std::optional<emit::Ints> axes = a.ints("axes")) {
    for (const std::int64_t axis : *axes) perm.push_back(emit::axis_of(x, axis));
  } else {
    for (std::int64_t axis = x.rank(); axis-- > 0;) perm.push_back(axis);
  }
  return {emit::transpose(x, std::move(perm))};
}

Results moveaxis(const Arguments& a) {
  const Tensor x = a.tensor("x");
  const std::optional<emit::Ints> from = a.ints("source");
  const std::optional<emit::Ints> to = a.ints("destination");
  if (!from || !to || from->size() != to->size()) a.refuse("destination", "as many axes as source has");
  emit::Ints perm(x.shape().size(), -1);
  std::vector<bool> taken(x.shape().size());
  for (std::size_t i = 0; i < from->size(); ++i) {
    const std::int64_t axis = emit::axis_of(x, (*from)[i]);
    std::int64_t& place = perm[at(emit::axis_of(x, (*to)[i]))];
    if (place != -1 || taken[at(axis)]) a.refuse("source", "different axes");
    place = axis;
    taken[at(axis)] = true;
  }
  std::int64_t next = 0;
  for (std::int64_t& place : perm) {
    if (place != -1) continue;
    while (taken[at(next)]) ++next;
    place = next++;
  }
  return {emit::transpose(x, std::move(perm))};
}

Results swapaxes(const Arguments& a) {
  const Tensor x = a.tensor("x");
  emit::Ints perm;
  for (std::int64_t axis = 0; axis < x.rank(); ++axis) perm.push_back(axis);
  std::swap(perm[at(emit::axis_of(x, a.integer("axis1")))], perm[at(emit::axis_of(x, a.integer("axis2")))]);
  return {emit::transpose(x, std::move(perm))};
}

Results expand_dims(const Arguments& a) {
  const Tensor x = a.tensor("x");
  emit::Ints axes = a.ints("axis").value_or(emit::Ints{});
  const std::int64_t rank = x.rank() + static_cast<std::int64_t>(axes.size());
  for (std::int64_t& axis : axes) {
    if (axis < -rank || axis >= rank) a.refuse("axis", fmt::format("an axis of the result, of rank {}", rank));
    axis += axis < 0 ? rank : 0;
  }
  std::ranges::sort(axes);
  if (axes.empty() || std::ranges::adjacent_find(axes) != axes.end()) a.refuse("axis", "different axes");
  Shape shape = x.shape();
  for (const std::int64_t axis : axes) shape.insert(shape.begin() + axis, Dim(1));
  return {emit::reshape(x, std::move(shape))};
}

Results squeeze(const Arguments& a) {
  const Tensor x = a.tensor("x");
  Shape shape;
  std::vector<bool> drop(x.shape().size());
  if (a.has("axis")) {
    for (const std::int64_t axis : a.axes("axis", x)) {
      if (!(x.shape()[at(axis)] == Dim(1)))
        a.refuse("axis", fmt::format("an axis of {} that is 1", keras_shape(x.shape())));
      drop[at(axis)] = true;
    }
  } else {
    for (std::size_t i = 0; i < drop.size(); ++i) drop[i] = x.shape()[i] == Dim(1);
  }
  for (std::size_t i = 0; i < drop.size(); ++i) {
    if (!drop[i]) shape.push_back(x.shape()[i]);
  }
  return {emit::reshape(x, std::move(shape))};
}

Results concatenate(const Arguments& a) {
  const std::vector<Tensor> parts = emit::with_one_dtype(a.tensors("xs"));
  return {joined(parts, emit::axis_of(parts.front(), a.integer("axis", 0)))};
}

Results append(const Arguments& a) {
  std::vector<Tensor> parts = emit::with_one_dtype({a.tensor("x1"), a.tensor("x2")});
  if (a.has("axis")) return {joined(parts, emit::axis_of(parts.front(), a.integer("axis")))};
  for (Tensor& x : parts) x = emit::reshape(x, {product(x.shape())});
  return {joined(parts, 0)};
}

Results stack(const Arguments& a) {
  std::vector<Tensor> parts = emit::with_one_dtype(a.tensors("x"));
  const std::int64_t rank = parts.front().rank() + 1;
  std::int64_t axis = a.integer("axis", 0);
  if (axis < -rank || axis >= rank) a.refuse("axis", fmt::format("an axis of the result, of rank {}", rank));
  axis += axis < 0 ? rank : 0;
  for (Tensor& part : parts) {
    Shape shape = part.shape();
    shape.insert(shape.begin() + std::min<std::int64_t>(axis, part.rank()), Dim(1));
    part = emit::reshape(part, std::move(shape));
  }
  return {joined(parts, axis)};
}

Results hstack(const Arguments& a) {
  const std::vector<Tensor> parts = emit::with_one_dtype(a.tensors("xs"));
  return {joined(parts, parts.front().rank() == 1 ? 0 : 1)};
}

Results vstack(const Arguments& a) {
  std::vector<Tensor> parts = emit::with_one_dtype(a.tensors("xs"));
  for (Tensor& x : parts) {
    if (x.rank() == 1) x = emit::reshape(x, {Dim(1), x.shape()[0]});
  }
  return {joined(parts, 0)};
}

// Sections of equal extent, or cuts at the positions of a list.
Results split(const Arguments& a) {
  const Tensor x = a.tensor("x");
  const std::int64_t axis = emit::axis_of(x, a.integer("axis", 0));
  const Dim& extent = x.shape()[at(axis)];
  Shape cuts{Dim(0)};
  if (a.at("indices_or_sections").get<std::int64_t>() != nullptr) {
    const std::int64_t sections = a.integer("indices_or_sections");
    const std::optional<Dim> size = sections < 1 ? std::nullopt : extent.exact_div(Dim(sections));
    if (!size || sections > kMostParts) a.refuse("indices_or_sections", fmt::format("a divisor of {}", extent.str()));
    for (std::int64_t i = 1; i < sections; ++i) cuts.push_back(*size * Dim(i));
  } else {
    for (const std::int64_t position : a.ints("indices_or_sections").value_or(emit::Ints{}))
      cuts.push_back(position < 0 ? extent + Dim(position) : Dim(position));
  }
  cuts.push_back(extent);
  if (cuts.size() > at(kMostParts)) a.refuse("indices_or_sections", fmt::format("at most {} parts", kMostParts));
  Results out;
  for (std::size_t i = 0; i + 1 < cuts.size(); ++i) out.push_back(emit::slice(x, axis, cuts[i], cuts[i + 1]));
  return out;
}

Results unstack(const Arguments& a) {
  const Tensor x = a.tensor("x");
  const std::int64_t axis = emit::axis_of(x, a.integer("axis", 0));
  const std::int64_t count = x.dim(axis);
  if (count > kMostParts) a.refuse("axis", fmt::format("an axis of at most {}", kMostParts));
  Shape shape = x.shape();
  shape.erase(shape.begin() + axis);
  Results out;
  for (std::int64_t i = 0; i < count; ++i) out.push_back(emit::reshape(emit::slice(x, axis, i, i + 1), shape));
  return out;
}

/// The axis again and again.
Tensor tiled(const Tensor& x, std::int64_t axis, std::int64_t times) {
  if (times == 1) return x;
  Shape wide = x.shape();
  wide.insert(wide.begin() + axis, Dim(1));
  Shape flat = x.shape();
  flat[at(axis)] *= Dim(times);
  return emit::reshape(emit::repeated(emit::reshape(x, std::move(wide)), axis, times), std::move(flat));
}

Results repeat(const Arguments& a) {
  Tensor x = a.tensor("x");
  const std::optional<emit::Ints> repeats = a.ints("repeats");
  if (!repeats || repeats->empty() || std::ranges::any_of(*repeats, [](std::int64_t n) { return n < 0; }))
    a.refuse("repeats", "numbers of copies");
  if (!a.has("axis")) x = emit::reshape(x, {product(x.shape())});
  const std::int64_t axis = a.has("axis") ? emit::axis_of(x, a.integer("axis")) : 0;
  if (repeats->size() == 1 && repeats->front() > 0) return {emit::repeated(x, axis, repeats->front())};
  if (static_cast<std::int64_t>(repeats->size()) != x.dim(axis))
    a.refuse("repeats", fmt::format("one number, or one for each of {} elements", x.dim(axis)));
  emit::Ints index;
  for (std::size_t i = 0; i < repeats->size(); ++i) {
    if ((*repeats)[i] > 1 << 20 || index.size() > 1 << 20) a.refuse("repeats", "fewer copies");
    index.insert(index.end(), at((*repeats)[i]), static_cast<std::int64_t>(i));
  }
  Array positions(DType::i32, {static_cast<std::int64_t>(index.size())});
  for (std::size_t i = 0; i < index.size(); ++i) positions.set_int(static_cast<std::int64_t>(i), index[i]);
  return {emit::op("gather", {x, emit::constant("repeats", std::move(positions))},
                   {{{"axis", axis}, {"batch", std::int64_t{0}}}})};
}

Results tile(const Arguments& a) {
  Tensor x = a.tensor("x");
  emit::Ints repeats = a.ints("repeats").value_or(emit::Ints{});
  if (repeats.size() > 32 || std::ranges::any_of(repeats, [](std::int64_t n) { return n < 1; }))
    a.refuse("repeats", "numbers of copies, at least 1 each");
  if (repeats.size() < x.shape().size()) repeats.insert(repeats.begin(), x.shape().size() - repeats.size(), 1);
  Shape shape = x.shape();
  shape.insert(shape.begin(), repeats.size() - shape.size(), Dim(1));
  x = emit::reshape(x, std::move(shape));
  for (std::size_t i = 0; i < repeats.size(); ++i) x = tiled(x, static_cast<std::int64_t>(i), repeats[i]);
  return {x};
}

Results broadcast_to(const Arguments& a) {
  const Tensor x = a.tensor("x");
  const std::optional<emit::Ints> target = a.ints("shape");
  if (!target || target->size() < x.shape().size() || target->size() > 32)
    a.refuse("shape", fmt::format("a shape that {} broadcasts to", keras_shape(x.shape())));
  emit::Ints dims;
  const std::size_t fresh = target->size() - x.shape().size();
  Shape shape;
  for (std::size_t i = 0; i < target->size(); ++i) {
    // -1 keeps what is there.
    const bool keeps = (*target)[i] == -1 && i >= fresh;
    if ((*target)[i] < 0 && !keeps) a.refuse("shape", "extents");
    shape.push_back(keeps ? x.shape()[i - fresh] : Dim((*target)[i]));
    if (i >= fresh) dims.push_back(static_cast<std::int64_t>(i));
  }
  check_elements(shape);
  return {shape == x.shape() ? x : emit::broadcast(x, std::move(shape), std::move(dims))};
}

Tensor reversed(const Tensor& x, std::int64_t axis) {
  return emit::slice(x, axis, x.shape()[at(axis)] - Dim(1), Dim(-1), -1);
}

Results flip(const Arguments& a) {
  Tensor x = a.tensor("x");
  for (const std::int64_t axis : a.axes("axis", x)) x = reversed(x, axis);
  return {x};
}

// Turns axes[0] towards axes[1], k times.
Results rot90(const Arguments& a) {
  const Tensor x = a.tensor("array");
  const emit::Ints axes = a.ints("axes").value_or(emit::Ints{0, 1});
  if (axes.size() != 2) a.refuse("axes", "two axes");
  const std::int64_t from = emit::axis_of(x, axes[0]);
  const std::int64_t to = emit::axis_of(x, axes[1]);
  if (from == to) a.refuse("axes", "two different axes");
  const std::int64_t turns = ((a.integer("k", 1) % 4) + 4) % 4;
  if (turns == 0) return {x};
  if (turns == 2) return {reversed(reversed(x, from), to)};
  emit::Ints perm;
  for (std::int64_t i = 0; i < x.rank(); ++i) perm.push_back(i == from ? to : i == to ? from : i);
  return {turns == 1 ? reversed(emit::transpose(x, perm), from) : reversed(emit::transpose(x, perm), to)};
}

Results roll(const Arguments& a) {
  Tensor x = a.tensor("x");
  const Shape shape = x.shape();
  const emit::Ints shifts = a.ints("shift").value_or(emit::Ints{});
  emit::Ints axes = a.ints("axis").value_or(emit::Ints{});
  if (axes.empty()) {
    x = emit::reshape(x, {product(shape)});
    axes = {0};
  }
  if (shifts.size() != axes.size() && shifts.size() != 1) a.refuse("shift", "one number for each axis");
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const std::int64_t axis = emit::axis_of(x, axes[i]);
    const Dim extent = x.shape()[at(axis)];
    std::int64_t shift = shifts[shifts.size() == 1 ? 0 : i];
    if (!extent.is_constant()) {
      // Where the extent is known at run time only, so is the shift modulo the extent.
      const Tensor counted = emit::op("iota", {}, {{{"shape", Shape{extent}}, {"axis", std::int64_t{0}}}});
      const Tensor from = emit::map("mod", {emit::map("sub", {counted, static_cast<double>(shift)}), extent});
      x = emit::op("gather", {x, from}, {{{"axis", axis}, {"batch", std::int64_t{0}}}});
      continue;
    }
    if (extent.is_constant() && extent.constant() > 0)
      shift = (shift % extent.constant() + extent.constant()) % extent.constant();
    if (shift == 0) continue;
    const Dim cut = shift > 0 ? extent - Dim(shift) : Dim(-shift);
    x = joined({emit::slice(x, axis, cut, extent), emit::slice(x, axis, 0, cut)}, axis);
  }
  return {emit::reshape(x, shape)};
}

// The pairs of `pad_width`: one number or pair for all axes, or one for each.
std::vector<std::pair<std::int64_t, std::int64_t>> pad_widths(const Arguments& a, std::size_t rank) {
  std::vector<emit::Ints> pairs;
  if (const Argument::List* list = a.at("pad_width").get<Argument::List>();
      list != nullptr && !list->empty() && list->front().get<Argument::List>() != nullptr) {
    for (const Argument& entry : *list) {
      Arguments one;
      one.set("pad_width", entry);
      pairs.push_back(one.ints("pad_width").value_or(emit::Ints{}));
    }
  } else if (const std::optional<emit::Ints> same = a.ints("pad_width")) {
    pairs.push_back(*same);
  }
  if (pairs.size() == 1) pairs.resize(rank, pairs.front());
  std::vector<std::pair<std::int64_t, std::int64_t>> out;
  for (const emit::Ints& pair : pairs) {
    if (pair.empty() || pair.size() > 2 || pair.front() < 0 || pair.back() < 0)
      a.refuse("pad_width", "pairs of numbers");
    out.emplace_back(pair.front(), pair.back());
  }
  if (out.size() != rank) a.refuse("pad_width", fmt::format("a pair for each of {} axes", rank));
  return out;
}

Results pad(const Arguments& a) {
  Tensor x = a.tensor("x");
  const auto widths = pad_widths(a, x.shape().size());
  const std::string mode = a.text("mode", "constant");
  if (mode == "constant") {
    Shape low;
    Shape high;
    for (const auto& [before, after] : widths) {
      low.emplace_back(before);
      high.emplace_back(after);
    }
    return {emit::pad(x, std::move(low), std::move(high), a.number("constant_values", 0))};
  }
  if (mode != "reflect" && mode != "symmetric" && mode != "edge")
    a.refuse("mode", "'constant', 'reflect', 'symmetric' or 'edge'");
  for (std::size_t i = 0; i < widths.size(); ++i) {
    const auto axis = static_cast<std::int64_t>(i);
    const Dim n = x.shape()[i];
    const auto [before, after] = widths[i];
    const auto edge = [&](const Dim& position, std::int64_t count) {
      Shape shape = x.shape();
      shape[i] = Dim(count);
      emit::Ints dims;
      for (std::int64_t k = 0; k < x.rank(); ++k) dims.push_back(k);
      return emit::broadcast(emit::slice(x, axis, position, position + Dim(1)), std::move(shape), std::move(dims));
    };
    // The mirror stands on the last element, or behind it.
    const std::int64_t skip = mode == "reflect" ? 1 : 0;
    std::vector<Tensor> parts;
    if (before > 0)
      parts.push_back(mode == "edge" ? edge(0, before) : emit::slice(x, axis, before - 1 + skip, skip - 1, -1));
    parts.push_back(x);
    if (after > 0)
      parts.push_back(mode == "edge" ? edge(n - Dim(1), after)
                                     : emit::slice(x, axis, n - Dim(1 + skip), n - Dim(1 + skip + after), -1));
    x = joined(parts, axis);
  }
  return {x};
}

// Differences of neighbours, n times.
Results diff(const Arguments& a) {
  Tensor x = a.tensor("a");
  const std::int64_t axis = emit::axis_of(x, a.integer("axis", -1));
  const std::int64_t times = a.integer("n", 1);
  if (times < 0 || times > 64) a.refuse("n", "0 to 64");
  for (std::int64_t i = 0; i < times; ++i) {
    const Dim n = x.shape()[at(axis)];
    if (n == Dim(0)) a.refuse("n", "at most the length of the axis");
    x = emit::map(x.dtype() == DType::boolean ? "ne" : "sub",
                  {emit::slice(x, axis, 1, n), emit::slice(x, axis, 0, n - Dim(1))});
  }
  return {x};
}

// Parts as equal as they can be, the longer ones first.
Results array_split(const Arguments& a) {
  const Tensor x = a.tensor("x");
  const std::int64_t axis = emit::axis_of(x, a.integer("axis", 0));
  const std::int64_t count = a.integer("indices_or_sections");
  const std::int64_t extent = x.dim(axis);
  if (count < 1 || count > kMostParts) a.refuse("indices_or_sections", fmt::format("1 to {} parts", kMostParts));
  Results out;
  std::int64_t start = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t limit = start + extent / count + (i < extent % count ? 1 : 0);
    out.push_back(emit::slice(x, axis, start, limit));
    start = limit;
  }
  return out;
}

template <std::int64_t axis>
Results split_along(const Arguments& a) {
  const std::int64_t along = axis == 1 && a.tensor("x").rank() == 1 ? 0 : axis;
  return call_all("Split", {{"x", a.at("x")}, {"indices_or_sections", a.at("indices_or_sections")}, {"axis", along}});
}

Results dstack(const Arguments& a) {
  std::vector<Tensor> parts = emit::with_one_dtype(a.tensors("xs"));
  for (Tensor& x : parts) {
    Shape shape = x.shape();
    if (shape.empty()) shape.emplace_back(1);
    if (shape.size() == 1) shape.insert(shape.begin(), Dim(1));
    if (shape.size() == 2) shape.emplace_back(1);
    if (shape != x.shape()) x = emit::reshape(x, std::move(shape));
  }
  return {joined(parts, 2)};
}

template <std::int64_t axis>
Results flip_along(const Arguments& a) {
  const Tensor x = a.tensor("x");
  return {reversed(x, emit::axis_of(x, axis))};
}

constexpr OperationDef kShapingTable[] = {
    {"Reshape", "x | newshape", reshape},
    {"Ravel", "x", ravel},
    {"Transpose", "x | axes", transpose},
    {"Moveaxis", "x | source destination", moveaxis},
    {"Swapaxes", "x | axis1 axis2", swapaxes},
    {"ExpandDims", "x | axis", expand_dims},
    {"Squeeze", "x | axis", squeeze},
    {"Concatenate", "xs | axis", concatenate},
    {"Append", "x1 x2 | axis", append},
    {"Stack", "x | axis", stack},
    {"Hstack", "xs", hstack},
    {"Vstack", "xs", vstack},
    {"Split", "x | indices_or_sections axis", split},
    {"Unstack", "x | num axis", unstack},
    {"Repeat", "x | repeats axis", repeat},
    {"Tile", "x | repeats", tile},
    {"BroadcastTo", "x | shape", broadcast_to},
    {"Flip", "x | axis", flip},
    {"Rot90", "array | k axes", rot90},
    {"Roll", "x | shift axis", roll},
    {"Pad", "x constant_values | pad_width mode", pad},
    {"Diff", "a | n axis", diff},
    {"ArraySplit", "x | indices_or_sections axis", array_split},
    {"Hsplit", "x | indices_or_sections", split_along<1>},
    {"Vsplit", "x | indices_or_sections", split_along<0>},
    {"Dsplit", "x | indices_or_sections", split_along<2>},
    {"Dstack", "xs", dstack},
    {"Fliplr", "x", flip_along<1>},
    {"Flipud", "x", flip_along<0>},
};

}  // namespace

std::span<const OperationDef> shaping_operations() { return kShapingTable; }

}  // namespace tusk::ops
