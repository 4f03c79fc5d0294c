// Operations over axes: sums, extrema, statistics, and what is found along an axis.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "frontend/model/error.hpp"
#include "frontend/ops/operation.hpp"

namespace tusk::ops {
namespace {

using Results = std::vector<Tensor>;

Tensor kept(const Arguments& a, const Tensor& reduced, const Tensor& x, const emit::Ints& axes) {
  if (!a.flag("keepdims", false)) return reduced;
  Shape shape = x.shape();
  for (const std::int64_t axis : axes) shape[static_cast<std::size_t>(axis)] = Dim(1);
  return emit::reshape(reduced, std::move(shape));
}

Tensor number(const Tensor& x) { return x.dtype() == DType::boolean ? emit::cast(x, DType::i32) : x; }

/// Sums of small integers are of 32 bits.
Tensor widened(const Tensor& x) {
  if (x.dtype() == DType::u8) return emit::cast(x, DType::u32);
  return x.dtype() == DType::i8 ? emit::cast(x, DType::i32) : x;
}

template <FixedText kind>
Results reduced(const Arguments& a) {
  constexpr bool extremum = kind.view() == "max" || kind.view() == "min";
  Tensor x = a.tensor("x");
  if (extremum && x.dtype() == DType::boolean && !a.has("initial")) {
    const emit::Ints axes = a.axes("axis", x);
    return {axes.empty() ? x : kept(a, emit::reduce(kind.view() == "max" ? "any" : "all", x, axes), x, axes)};
  }
  x = number(x);
  // A dtype that prod is given only keeps the type of its operand.
  if (!extremum && !a.has("dtype")) x = widened(x);
  const emit::Ints axes = a.axes("axis", x);
  if (axes.empty()) return {x};
  Tensor y = kept(a, emit::reduce(kind.view(), x, axes), x, axes);
  if (a.has("initial")) y = emit::map(kind.view(), {y, a.number("initial")});
  return {y};
}

template <FixedText kind>
Results all_or_any(const Arguments& a) {
  const Tensor x = emit::cast(a.tensor("x"), DType::boolean);
  const emit::Ints axes = a.axes("axis", x);
  return {axes.empty() ? x : kept(a, emit::reduce(kind.view(), x, axes), x, axes)};
}

Results mean(const Arguments& a) {
  const Tensor x = a.floats("x");
  const emit::Ints axes = a.axes("axis", x);
  return {axes.empty() ? x : kept(a, emit::mean(x, axes), x, axes)};
}

Tensor variance_of(const Tensor& x, const emit::Ints& axes) {
  const Tensor apart = emit::map("sub", {x, emit::spread(emit::mean(x, axes), x.shape(), axes)});
  return emit::mean(emit::map("mul", {apart, apart}), axes);
}

Results variance(const Arguments& a) {
  const Tensor x = a.floats("x");
  const emit::Ints axes = a.axes("axis", x);
  return {kept(a, variance_of(x, axes), x, axes)};
}

Results deviation(const Arguments& a) {
  const Tensor x = a.floats("x");
  const emit::Ints axes = a.axes("axis", x);
  return {kept(a, emit::map("sqrt", {variance_of(x, axes)}), x, axes)};
}

Results average(const Arguments& a) {
  const Tensor x = a.floats("x");
  const emit::Ints axes = a.axes("axis", x);
  if (!a.has("weights")) return {emit::mean(x, axes)};
  const DType type = *emit::common_float({x, a.floats("weights")});
  const Tensor wide = emit::to_wide_float(emit::cast(x, type));
  Tensor weights = emit::cast(a.tensor("weights"), wide.dtype());
  if (weights.rank() == 1 && axes.size() == 1 && x.rank() > 1) weights = emit::broadcast(weights, x.shape(), axes);
  if (weights.rank() != x.rank()) a.refuse("weights", "weights of the shape of x, or of its one axis");
  const Tensor sum = emit::reduce("sum", emit::map("mul", {wide, weights}), axes);
  return {emit::cast(emit::map("div", {sum, emit::reduce("sum", weights, axes)}), type)};
}

Results moments(const Arguments& a) {
  const Tensor x = a.floats("x");
  const emit::Ints axes = a.axes("axes", x);
  return {kept(a, emit::mean(x, axes), x, axes), kept(a, variance_of(x, axes), x, axes)};
}

Results count_nonzero(const Arguments& a) {
  const Tensor x = a.tensor("x");
  const Tensor counted = emit::cast(emit::cast(x, DType::boolean), DType::i32);
  return {emit::reduce("sum", counted, a.axes("axis", x))};
}

// One axis, or none for all elements in their order.
template <FixedText kind>
Results arg(const Arguments& a) {
  Tensor x = number(a.tensor("x"));
  const bool all = !a.has("axis");
  const auto rank = static_cast<std::size_t>(x.rank());
  Shape shape = x.shape();
  if (all) x = emit::reshape(x, {product(x.shape())});
  const std::int64_t axis = all ? 0 : emit::axis_of(x, a.integer("axis"));
  const Tensor y = emit::op(fmt::format("argreduce.{}", kind.view()), {x}, {{{"axis", axis}}});
  if (!a.flag("keepdims", false)) return {y};
  if (all) return {emit::reshape(y, Shape(rank, Dim(1)))};
  shape[static_cast<std::size_t>(axis)] = Dim(1);
  return {emit::reshape(y, std::move(shape))};
}

Results sorted(const Tensor& of, std::int64_t axis, bool descending) {
  graph::Attrs attrs{{{"axis", axis}}};
  if (descending) attrs.set("descending", true);
  const Tensor x = number(of);
  return Trace::current().add("sort", {Trace::current().operand(x)}, std::move(attrs), {});
}

/// With axis None: all elements in a row.
Tensor in_a_row(const Arguments& a) {
  const Tensor x = a.tensor("x");
  return a.is_null("axis") ? emit::reshape(x, {product(x.shape())}) : x;
}

Results sort(const Arguments& a) {
  const Tensor x = in_a_row(a);
  return {sorted(x, emit::axis_of(x, a.integer("axis", -1)), false)[0]};
}

Results argsort(const Arguments& a) {
  const Tensor x = in_a_row(a);
  return {sorted(x, emit::axis_of(x, a.integer("axis", -1)), false)[1]};
}

Results top_k(const Arguments& a) {
  const Tensor x = a.tensor("x");
  const std::int64_t k = a.integer("k");
  const std::int64_t axis = emit::axis_of(x, -1);
  const Dim& extent = x.shape().back();
  if (k < 1 || (extent.is_constant() && k > extent.constant()))
    a.refuse("k", fmt::format("1 to the extent of the last axis, {}", extent.str()));
  const Results all = sorted(x, axis, true);
  return {emit::slice(all[0], axis, 0, k), emit::slice(all[1], axis, 0, k)};
}

Results logsumexp(const Arguments& a) {
  const Tensor x = a.floats("x");
  const emit::Ints axes = a.axes("axis", x);
  return {kept(a, emit::op("logsumexp", {x}, {{{"axes", axes}}}), x, axes)};
}

// The largest (or least) sum of sizes of a column, the first of the axes, or of a row.
Tensor matrix_norm(const Arguments& a, const Tensor& size, bool columns, bool largest) {
  emit::Ints axes{0, 1};
  if (const std::optional<emit::Ints> given = a.ints("axis"))
    axes = {emit::axis_of(size, given->at(0)), emit::axis_of(size, given->at(1))};
  if (!columns) std::swap(axes[0], axes[1]);
  const Tensor sums = emit::reduce("sum", size, {axes[0]});
  return emit::reduce(largest ? "max" : "min", sums, {axes[1] - (axes[1] > axes[0] ? 1 : 0)});
}

// Of vectors: the order is None, a number, inf or -inf; of matrices None and 'fro' are the same over two axes, 1, -1,
// inf and -inf are sums of columns and rows.
Results norm(const Arguments& a) {
  const Tensor x = a.floats("x");
  const emit::Ints axes = a.axes("axis", x);
  const std::string word = a.at("ord").get<std::string>() != nullptr ? a.text("ord", "") : "";
  const bool vector = axes.size() == 1;
  const bool plain = !a.has("ord") || word == "fro" || (vector && a.at("ord").number() == 2.0);
  const Tensor size = emit::map("abs", {x});
  Tensor y;
  if (plain) {
    y = emit::map("sqrt", {emit::reduce("sum", emit::map("mul", {x, x}), axes)});
  } else if (vector && word == "inf") {
    y = emit::reduce("max", size, axes);
  } else if (vector && a.at("ord").number()) {
    const double order = a.number("ord");
    if (order == 0) {
      y = emit::reduce("sum", emit::cast(emit::map("ne", {x, 0}), DType::f32), axes);
    } else if (order == 1) {
      y = emit::reduce("sum", size, axes);
    } else if (order > 1e300) {
      y = emit::reduce("max", size, axes);
    } else if (order < -1e300) {
      y = emit::reduce("min", size, axes);
    } else {
      y = emit::map("pow", {emit::reduce("sum", emit::map("pow", {size, order}), axes), 1 / order});
    }
  } else if (const double order = word == "inf"    ? kInfinity
                                  : word == "-inf" ? -kInfinity
                                                   : a.at("ord").number().value_or(0);
             axes.size() == 2 && (std::abs(order) == 1 || std::isinf(order))) {
    y = matrix_norm(a, size, std::abs(order) == 1, order > 0);
  } else {
    a.refuse("ord", "a norm of vectors, 'fro', or for two axes 1, -1, inf or -inf");
  }
  return {kept(a, y, x, axes)};
}

// Running sums and products: a scan along the axis.
template <FixedText row>
Results cumulative(const Arguments& a) {
  Tensor x = number(a.tensor("x"));
  if (a.has("dtype")) x = emit::cast(x, a.dtype("dtype", x.dtype()));
  const bool all = !a.has("axis");
  if (all) x = emit::reshape(x, {product(x.shape())});
  const std::int64_t axis = all ? 0 : emit::axis_of(x, a.integer("axis"));
  Shape rest = x.shape();
  rest.erase(rest.begin() + axis);
  const double unit = row.view() == "mul" ? 1 : 0;
  const Tensor start = emit::filled("start", x.dtype(), rest, unit);
  return {emit::scan({start}, {{x, {axis}}}, {{axis}},
                     [](const std::vector<Tensor>& carry, const std::vector<Tensor>& taken) {
                       const Tensor next = emit::map(row.view(), {carry[0], taken[0]});
                       return std::vector<Tensor>{next, next};
                     })[1]};
}

constexpr OperationDef kReductionTable[] = {
    {"Sum", "x | axis keepdims", reduced<"sum">},
    {"Prod", "x | axis keepdims dtype", reduced<"prod">},
    {"Max", "x | axis keepdims initial", reduced<"max">},
    {"Amax", "x | axis keepdims", reduced<"max">},
    {"Min", "x | axis keepdims initial", reduced<"min">},
    {"Amin", "x | axis keepdims", reduced<"min">},
    {"All", "x | axis keepdims", all_or_any<"all">},
    {"Any", "x | axis keepdims", all_or_any<"any">},
    {"Mean", "x | axis keepdims", mean},
    {"Var", "x | axis keepdims", variance},
    {"Std", "x | axis keepdims", deviation},
    {"Average", "x weights | axis", average},
    {"Moments", "x | axes keepdims synchronized", moments},
    {"CountNonzero", "x | axis", count_nonzero},
    {"Argmax", "x | axis keepdims", arg<"max">},
    {"Argmin", "x | axis keepdims", arg<"min">},
    {"Sort", "x | axis", sort},
    {"Argsort", "x | axis", argsort},
    {"TopK", "x | k sorted", top_k},
    {"Logsumexp", "x | axis keepdims", logsumexp},
    {"Norm", "x | ord axis keepdims", norm},
    {"Cumsum", "x | axis dtype", cumulative<"add">},
    {"Cumprod", "x | axis dtype", cumulative<"mul">},
};

}  // namespace

std::span<const OperationDef> reduction_operations() { return kReductionTable; }

}  // namespace tusk::ops
