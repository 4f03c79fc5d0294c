// Operations that order or count: quantiles, sums that leave NaN out, ranges, areas, correlation.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "frontend/model/error.hpp"
#include "frontend/ops/operation.hpp"

namespace tusk::ops {
namespace {

using Results = std::vector<Tensor>;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Tensor is_nan(const Tensor& x) { return emit::map("ne", {x, x}); }

/// The arguments of a reduction over the same axes, of another tensor.
Arguments over_the_same_axes(const Arguments& a, const Tensor& x) {
  Arguments out{{"x", x}};
  for (const char* name : {"axis", "keepdims"}) {
    if (a.has(name)) out.set(name, a.at(name));
  }
  return out;
}

Tensor reduced(std::string_view class_name, const Arguments& a, const Tensor& x) {
  return call(class_name, over_the_same_axes(a, x));
}

// ---- quantiles

/// Where a quantile lies among sorted elements: between two of them, or on one.
struct Place {
  std::int64_t low = 0, high = 0;
  double share_of_low = 0;
};

// q is a float32, as Keras' are; everything else is of doubles.
Place place_of(float q, std::int64_t count, const std::string& method) {
  const double exact = static_cast<double>(count - 1) * static_cast<double>(q);
  const auto index = [&](double of) { return std::clamp<std::int64_t>(static_cast<std::int64_t>(of), 0, count - 1); };
  if (method == "lower") return {index(std::floor(exact)), index(std::floor(exact)), 0};
  if (method == "higher") return {index(std::ceil(exact)), index(std::ceil(exact)), 0};
  if (method == "nearest") return {index(std::nearbyint(exact)), index(std::nearbyint(exact)), 0};
  if (method == "midpoint") return {index(std::floor(exact)), index(std::ceil(exact)), 0.5};
  const std::int64_t low = std::max<std::int64_t>(index(std::ceil(exact)) - 1, 0);
  const std::int64_t high = std::min(low + 1, count - 1);
  return {low, high, static_cast<double>(high) - exact};
}

/// The axes become one, the last.
Tensor with_axes_last(const Tensor& x, const emit::Ints& axes) {
  emit::Ints perm = emit::other_axes(x, axes);
  Shape shape;
  for (const std::int64_t axis : perm) shape.push_back(x.shape()[static_cast<std::size_t>(axis)]);
  Dim count(1);
  for (const std::int64_t axis : axes) count *= x.shape()[static_cast<std::size_t>(axis)];
  perm.insert(perm.end(), axes.begin(), axes.end());
  shape.push_back(count);
  return emit::reshape(emit::transpose(x, std::move(perm)), std::move(shape));
}

/// Of several: along a first axis. `is_list`: also of one.
Tensor quantiles(const Arguments& a, const std::vector<double>& qs, bool is_list) {
  const Tensor x = a.floats("x");
  const emit::Ints axes = a.axes("axis", x);
  const std::string method = a.text("method", "linear");
  static constexpr std::string_view kMethods[] = {"linear", "lower", "higher", "midpoint", "nearest"};
  if (std::ranges::find(kMethods, method) == std::end(kMethods))
    a.refuse("method", "'linear', 'lower', 'higher', 'midpoint' or 'nearest'");
  const Tensor rows = with_axes_last(x, axes);
  const std::int64_t last = rows.rank() - 1;
  const std::int64_t count = rows.dim(last);
  if (count < 1) a.refuse("axis", fmt::format("an axis of {} that has elements", keras_shape(x.shape())));
  const auto size = static_cast<std::int64_t>(qs.size());
  Array low(DType::i32, {size});
  Array high(DType::i32, {size});
  Array share(rows.dtype(), {size});
  bool one_element = true;
  for (std::int64_t i = 0; i < size; ++i) {
    const double q = qs[static_cast<std::size_t>(i)];
    if (!(q >= 0 && q <= 1)) throw Error(error("ops-argument", fmt::format("q is {}, expected 0 to 1", q)));
    const Place place = place_of(static_cast<float>(q), count, method);
    low.set_int(i, place.low);
    high.set_int(i, place.high);
    share.set(i, place.share_of_low);
    one_element = one_element && place.low == place.high;
  }
  const Tensor sorted = call("Sort", {{"x", rows}, {"axis", last}});
  const auto picked = [&](std::string_view name, Array index) {
    return emit::op("gather", {sorted, emit::constant(name, std::move(index))},
                    {{{"axis", last}, {"batch", std::int64_t{0}}}});
  };
  Tensor y = picked("high", std::move(high));
  if (!one_element) {
    const Tensor of_low = emit::broadcast(emit::constant("share", std::move(share)), y.shape(), {last});
    const Tensor of_high = emit::map("sub", {1, of_low});
    y = emit::map("add", {emit::map("mul", {y, of_high}), emit::map("mul", {picked("low", std::move(low)), of_low})});
  }
  const Tensor spoilt = emit::reduce("any", is_nan(rows), {last});
  y = emit::map("select", {emit::spread(spoilt, y.shape(), {last}), kNaN, y});
  // The quantiles come first.
  emit::Ints perm{last};
  for (std::int64_t i = 0; i < last; ++i) perm.push_back(i);
  y = emit::transpose(y, std::move(perm));
  Shape shape;
  if (is_list) shape.emplace_back(size);
  for (std::int64_t i = 0; i < x.rank(); ++i) {
    const bool goes = std::ranges::find(axes, i) != axes.end();
    if (!goes) shape.push_back(x.shape()[static_cast<std::size_t>(i)]);
    if (goes && a.flag("keepdims", false)) shape.emplace_back(1);
  }
  return emit::reshape(y, std::move(shape));
}

Results median(const Arguments& a) { return {quantiles(a, {0.5}, false)}; }

Results quantile(const Arguments& a) { return {quantiles(a, a.known_numbers("q"), !a.at("q").number())}; }

Results percentile(const Arguments& a) {
  std::vector<double> qs = a.known_numbers("q");
  for (double& q : qs) q = static_cast<double>(static_cast<float>(q) / 100.0F);
  return {quantiles(a, qs, !a.at("q").number())};
}

// ---- without NaN

/// x with a number in the place of each NaN.
Tensor without_nan(const Tensor& x, double instead) {
  return is_float(x.dtype()) ? emit::map("select", {is_nan(x), instead, x}) : x;
}

// Extrema leave NaN out (N6); where nothing is left the result is NaN.
template <FixedText class_name>
Results nan_extremum(const Arguments& a) {
  const Tensor x = a.tensor("x");
  const Tensor y = reduced(class_name.view(), a, x);
  if (!is_float(x.dtype())) return {y};
  return {emit::map("select", {reduced("All", a, is_nan(x)), kNaN, y})};
}

template <FixedText class_name>
Results nan_index(const Arguments& a) {
  const Tensor x = a.tensor("x");
  const Tensor y = reduced(class_name.view(), a, x);
  if (!is_float(x.dtype())) return {y};
  return {emit::map("select", {reduced("All", a, is_nan(x)), -1, y})};
}

template <FixedText class_name, int unit>
Results nan_sum(const Arguments& a) {
  return {reduced(class_name.view(), a, without_nan(a.tensor("x"), unit))};
}

// Of running sums, infinities become the largest numbers, too.
template <FixedText class_name, int unit>
Results nan_running(const Arguments& a) {
  Arguments all = a;
  all.set("x", call("NanToNum", {{"x", a.at("x")}, {"nan", unit}}));
  return {call(class_name.view(), std::move(all))};
}

/// How many elements are no NaN.
Tensor count_of(const Arguments& a, const Tensor& x) {
  return reduced("Sum", a, emit::cast(emit::map("eq", {x, x}), x.dtype()));
}

Tensor nan_mean_of(const Arguments& a, const Tensor& x) {
  return emit::map("div", {reduced("Sum", a, without_nan(x, 0)), count_of(a, x)});
}

Results nan_mean(const Arguments& a) { return {nan_mean_of(a, a.floats("x"))}; }

Tensor nan_variance_of(const Arguments& a) {
  const Tensor x = a.floats("x");
  Arguments kept = a;
  kept.set("keepdims", true);
  const std::vector<Tensor> both = emit::broadcast_together({x, nan_mean_of(kept, x)});
  // NaN goes before the square: else it comes back in the gradient, times zero.
  const Tensor apart = emit::map("select", {is_nan(x), 0, emit::map("sub", {both[0], both[1]})});
  return emit::map("div", {reduced("Sum", a, emit::map("mul", {apart, apart})), count_of(a, x)});
}

Results nan_variance(const Arguments& a) { return {nan_variance_of(a)}; }
Results nan_deviation(const Arguments& a) { return {emit::map("sqrt", {nan_variance_of(a)})}; }

// ---- others

Results peak_to_peak(const Arguments& a) {
  const Tensor x = a.tensor("x");
  return {emit::map("sub", {reduced("Max", a, x), reduced("Min", a, x)})};
}

// The area under a line through points: x apart, or all dx.
Results trapezoid(const Arguments& a) {
  const Tensor y = a.floats("y");
  const std::int64_t axis = emit::axis_of(y, a.integer("axis", -1));
  const Dim n = y.shape()[static_cast<std::size_t>(axis)];
  if (n == Dim(0)) a.refuse("axis", "an axis that has elements");
  const Tensor sums = emit::map("add", {emit::slice(y, axis, 1, n), emit::slice(y, axis, 0, n - Dim(1))});
  const Tensor middle = emit::map("mul", {sums, 0.5});
  if (!a.has("x")) return {emit::reduce("sum", emit::map("mul", {middle, a.number("dx", 1)}), {axis})};
  Tensor x = emit::cast(a.tensor("x"), y.dtype());
  if (x.rank() != 1 && x.rank() != y.rank()) a.refuse("x", "places along the axis");
  x = call("Diff", {{"a", x}, {"axis", x.rank() == 1 ? 0 : axis}});
  x = x.rank() == 1 ? emit::broadcast(x, middle.shape(), {axis}) : emit::broadcast_together({x, middle})[0];
  return {emit::reduce("sum", emit::map("mul", {middle, x}), {axis})};
}

// Of the rows of a matrix.
Results corrcoef(const Arguments& a) {
  const Tensor x = a.floats("x");
  if (x.rank() != 2) a.refuse("x", "a matrix, whose rows are variables");
  const Tensor apart = emit::map("sub", {x, emit::spread(emit::mean(x, {1}), x.shape(), {1})});
  const Dim others = x.shape()[1] - Dim(1);
  const Tensor covariance =
      emit::map("div", {call("Matmul", {{"x1", apart}, {"x2", emit::transpose(apart, {1, 0})}}), others});
  const Tensor variance = emit::map("div", {emit::reduce("sum", emit::map("mul", {apart, apart}), {1}), others});
  const Tensor deviation = emit::map("sqrt", {variance});
  const Tensor both = emit::map("mul", {emit::broadcast(deviation, covariance.shape(), {0}),
                                        emit::broadcast(deviation, covariance.shape(), {1})});
  const Tensor y = emit::map("div", {covariance, both});
  const Tensor clipped = emit::map("min", {emit::map("max", {y, -1}), 1});
  return {emit::map("select", {is_nan(y), y, clipped})};
}

// Counts of a vector's elements between edges at equal distances, and the edges. Every bin has its left edge, the last
// one its right edge, too.
Results histogram(const Arguments& a) {
  const Tensor x = a.floats("x");
  if (x.rank() != 1) a.refuse("x", "a vector");
  const std::int64_t bins = a.integer("bins", 10);
  if (bins < 1 || bins > 65536) a.refuse("bins", "a number of bins");
  Tensor low;
  Tensor high;
  if (a.has("range")) {
    const std::vector<double> range = a.known_numbers("range");
    if (range.size() != 2 || range[1] < range[0]) a.refuse("range", "two numbers, the second not below the first");
    low = emit::filled("low", x.dtype(), {}, range[0]);
    high = emit::filled("high", x.dtype(), {}, range[1]);
  } else {
    low = emit::reduce("min", x, {0});
    high = emit::reduce("max", x, {0});
  }
  const Shape inner{Dim(bins)};
  const Tensor counted = emit::cast(emit::op("iota", {}, {{{"shape", inner}, {"axis", std::int64_t{0}}}}), x.dtype());
  const Tensor step = emit::map("div", {emit::map("sub", {high, low}), static_cast<double>(bins)});
  const Tensor edges = emit::map(
      "add", {emit::map("mul", {counted, emit::broadcast(step, inner, {})}), emit::broadcast(low, inner, {})});
  const auto beside = [&](std::string_view row, const Tensor& end) {
    return emit::map(row, {x, emit::broadcast(end, x.shape(), {})});
  };
  const Tensor inside = emit::map("and", {beside("ge", low), beside("le", high)});
  // The first edge is below all that is inside.
  const Tensor index =
      call("SearchSorted", {{"sorted_sequence", emit::slice(edges, 0, 1, bins)}, {"values", x}, {"side", "right"}});
  const Tensor ones = emit::filled("one", x.dtype(), x.shape(), 1);
  const Tensor counts = emit::op(
      "scatter.add", {emit::filled("zeros", x.dtype(), inner, 0), emit::map("select", {inside, index, -1}), ones},
      {{{"axis", std::int64_t{0}}, {"batch", std::int64_t{0}}}});
  return {counts, emit::op("concat", {edges, emit::reshape(high, {Dim(1)})}, {{{"axis", std::int64_t{0}}}})};
}

// Whether fewer than k predictions are above that of the target; not if one of the row is no finite number.
Results in_top_k(const Arguments& a) {
  const Tensor targets = a.tensor("targets");
  const Tensor predictions = a.floats("predictions");
  if (targets.rank() != 1 || predictions.rank() != 2 || !is_integer(targets.dtype()))
    a.refuse("targets", fmt::format("an integer for each row of {}", keras_shape(predictions.shape())));
  const Tensor index = emit::reshape(emit::cast(targets, DType::i32), {targets.shape()[0], Dim(1)});
  const Tensor of_target = call("TakeAlongAxis", {{"x", predictions}, {"indices", index}, {"axis", 1}});
  const Tensor above = emit::map("gt", {predictions, emit::broadcast(of_target, predictions.shape(), {0, 1})});
  const Tensor rank = emit::reduce("sum", emit::cast(above, DType::i32), {1});
  const Tensor finite = emit::reduce("all", call("Isfinite", {{"x", predictions}}), {1});
  const Dim classes = predictions.shape()[1];
  const Tensor inside =
      emit::map("and", {emit::map("ge", {targets, 0}), emit::map("lt", {emit::cast(targets, DType::i32), classes})});
  const Tensor among = emit::map("lt", {rank, static_cast<double>(a.integer("k"))});
  return {emit::map("and", {emit::map("and", {among, inside}), finite})};
}

constexpr OperationDef kStatisticsTable[] = {
    {"Median", "x | axis keepdims", median},
    {"Quantile", "x q | axis method keepdims", quantile},
    {"Percentile", "x q | axis method keepdims", percentile},
    {"Nanmax", "x | axis keepdims", nan_extremum<"Max">},
    {"Nanmin", "x | axis keepdims", nan_extremum<"Min">},
    {"Nanargmax", "x | axis keepdims", nan_index<"Argmax">},
    {"Nanargmin", "x | axis keepdims", nan_index<"Argmin">},
    {"Nansum", "x | axis keepdims", nan_sum<"Sum", 0>},
    {"Nanprod", "x | axis keepdims", nan_sum<"Prod", 1>},
    {"Nancumsum", "x | axis dtype", nan_running<"Cumsum", 0>},
    {"Nancumprod", "x | axis dtype", nan_running<"Cumprod", 1>},
    {"Nanmean", "x | axis keepdims", nan_mean},
    {"Nanvar", "x | axis keepdims", nan_variance},
    {"Nanstd", "x | axis keepdims", nan_deviation},
    {"Ptp", "x | axis keepdims", peak_to_peak},
    {"Trapezoid", "y | x dx axis", trapezoid},
    {"Corrcoef", "x", corrcoef},
    {"Histogram", "x | bins range", histogram},
    {"InTopK", "targets predictions | k", in_top_k},
};

}  // namespace

std::span<const OperationDef> statistics_operations() { return kStatisticsTable; }

}  // namespace tusk::ops
