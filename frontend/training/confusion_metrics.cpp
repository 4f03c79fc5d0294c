#include "frontend/training/confusion_metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "frontend/ops/ops.hpp"
#include "frontend/training/loss.hpp"

namespace tusk::metrics {
namespace {

using Kind = ConfusionBase::Kind;

constexpr double kNever = -1e10;  // what is not among the top k

constexpr const char* kNames[] = {"true_positives", "false_positives", "true_negatives", "false_negatives"};

bool is_decided_yes(Kind kind) { return kind == Kind::true_positives || kind == Kind::false_positives; }
bool is_yes(Kind kind) { return kind == Kind::true_positives || kind == Kind::false_negatives; }

// The k largest of the last axis stay; of equal ones those that come first.
Tensor top(const Tensor& p, std::int64_t k) {
  const std::vector<Tensor> found = ops::top_k(p, k);
  const Dim classes = p.shape().back();
  const Tensor chosen = ops::sum(ops::one_hot(found[1], classes.constant()), {.axis = {-2}});
  return ops::where(ops::greater(chosen, 0), p, kNever);
}

// One class of the last axis.
Tensor column(const Tensor& x, std::int64_t at) {
  const std::int64_t axis = x.rank() - 1;
  return ops::squeeze(emit::slice(x, axis, at, at + 1), -1);
}

Array numbers(const std::vector<double>& values, std::vector<std::int64_t> shape) {
  Array array(DType::f32, std::move(shape));
  for (std::size_t i = 0; i < values.size(); ++i) array.set(static_cast<std::int64_t>(i), values[i]);
  return array;
}

/// Elements in a row, or a row for each sample with an element for each label.
struct Samples {
  Tensor p, weights;
  Tensor yes;      // bool
  Tensor buckets;  // for even thresholds: the last one that p is above, i32
};

// Sums of what lies in each bucket or above: [thresholds] or [thresholds, labels].
Tensor sums_above(const Samples& s, const Tensor& values, std::int64_t thresholds, std::int64_t labels) {
  const auto from_the_end = [](const Tensor& x, std::int64_t axis) {
    return ops::flip(ops::cumsum(ops::flip(x, axis), axis), axis);
  };
  if (labels == 0) return from_the_end(ops::segment_sum(values, s.buckets, thresholds), 0);
  const Tensor label = emit::op("iota", {}, {{{"shape", s.buckets.shape()}, {"axis", std::int64_t{1}}}});
  const Shape all{product(values.shape())};
  const Tensor place = emit::map("add", {s.buckets, emit::map("mul", {label, static_cast<double>(thresholds)})});
  const Tensor sums = ops::segment_sum(emit::reshape(values, all), emit::reshape(place, all), thresholds * labels);
  return ops::transpose(from_the_end(emit::reshape(sums, {Dim(labels), Dim(thresholds)}), 1));
}

Tensor in_buckets(const Samples& s, Kind kind, std::int64_t thresholds, std::int64_t labels) {
  const Tensor values = ops::where(is_yes(kind) ? s.yes : ops::logical_not(s.yes), s.weights, 0.0);
  const Tensor above = sums_above(s, values, thresholds, labels);
  return is_decided_yes(kind) ? above : ops::sum(values, {.axis = {0}}) - above;
}

// Each threshold by itself; `thresholds` has axes of 1 behind.
Tensor one_by_one(const Samples& s, Kind kind, const Tensor& thresholds) {
  const Tensor above = ops::greater(ops::expand_dims(s.p, 0), thresholds);
  const Tensor decided = is_decided_yes(kind) ? above : ops::logical_not(above);
  const Tensor yes = is_yes(kind) ? s.yes : ops::logical_not(s.yes);
  const Tensor both = ops::logical_and(decided, ops::expand_dims(yes, 0));
  return ops::sum(ops::where(both, ops::expand_dims(s.weights, 0), 0.0), {.axis = {1}});
}

}  // namespace

std::vector<double> ConfusionBase::evenly(std::int64_t count) {
  std::vector<double> thresholds;
  for (std::int64_t i = 0; i < count; ++i)
    thresholds.push_back(static_cast<double>(i) / static_cast<double>(count - 1));
  return thresholds;
}

bool ConfusionBase::are_even(const std::vector<double>& thresholds) {
  if (thresholds.size() < 3) return false;
  const std::vector<double> wanted = evenly(static_cast<std::int64_t>(thresholds.size()));
  return std::ranges::equal(thresholds, wanted, [](double given, double even) {
    return std::abs(given - even) <= emit::kEpsilon + 1e-5 * even;
  });
}

void ConfusionBase::check_range(const Thresholds& thresholds) const {
  for (const double each : thresholds.list()) {
    if (!(each >= 0 && each <= 1)) refuse_option(fmt::format("a threshold is {}, expected numbers in [0, 1]", each));
  }
}

ConfusionBase::Options ConfusionBase::decisions(std::vector<Kind> kinds, const Thresholds& thresholds,
                                                std::optional<std::int64_t> top_k,
                                                std::optional<std::int64_t> class_id) {
  std::vector<double> list = thresholds.list();
  if (list.empty()) list = {top_k ? kNever : 0.5};
  return {std::move(kinds), list, top_k, class_id, are_even(list)};
}

void ConfusionBase::build() {
  const Options o = options();
  Shape shape{Dim(static_cast<std::int64_t>(o.thresholds.size()))};
  if (labels_ != 0) shape.emplace_back(labels_);
  for (const Kind kind : o.kinds)
    counts_.push_back(
        add_variable(o.kinds.size() == 1 ? "accumulator" : kNames[static_cast<std::size_t>(kind)], shape));
}

void ConfusionBase::update(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  variables();
  const Options o = options();
  auto [truth, prediction] =
      with_one_rank(emit::cast(y_true, DType::f32), emit::cast(y_pred.with_mask({}), DType::f32));
  if (o.top_k) prediction = top(prediction, *o.top_k);
  if (o.class_id) {
    truth = column(truth, *o.class_id);
    prediction = column(prediction, *o.class_id);
  }
  Tensor weights = emit::filled("one", DType::f32, prediction.shape(), 1);
  if (sample_weight) {
    Tensor given = emit::cast(sample_weight, DType::f32);
    while (given.rank() < prediction.rank()) given = ops::expand_dims(given, -1);
    weights = emit::broadcast_together({given, prediction})[0];
  }
  const auto count = static_cast<std::int64_t>(o.thresholds.size());
  if (!o.label_weights.empty()) {
    const auto labels = static_cast<std::int64_t>(o.label_weights.size());
    weights = weights * emit::constant("label_weights", numbers(o.label_weights, {labels}));
  }
  const auto in_a_row = [&](const Tensor& x) { return labels_ == 0 ? emit::reshape(x, {product(x.shape())}) : x; };
  Samples samples{in_a_row(prediction), in_a_row(weights), in_a_row(ops::not_equal(truth, 0)), {}};

  Tensor thresholds;
  if (o.even) {
    const Tensor bucket = ops::ceil(ops::clip(samples.p, 0, 1) * static_cast<double>(count - 1)) - 1;
    samples.buckets = emit::cast(o.closed ? ops::maximum(bucket, 0) : bucket, DType::i32);
  } else {
    std::vector<double> list = o.thresholds;
    if (o.closed) {
      list.front() -= emit::kEpsilon;
      list.back() += emit::kEpsilon;
    }
    std::vector<std::int64_t> shape(labels_ == 0 ? 2 : 3, 1);
    shape[0] = count;
    thresholds = emit::constant("thresholds", numbers(list, std::move(shape)));
  }
  for (std::size_t k = 0; k < counts_.size(); ++k) {
    add(counts_[k],
        o.even ? in_buckets(samples, o.kinds[k], count, labels_) : one_by_one(samples, o.kinds[k], thresholds));
  }
}

Tensor ConfusionBase::counts_of(std::size_t kind) {
  variables();
  return Trace::value(counts_[kind]);
}

Tensor ConfusionBase::count_of(std::size_t kind) {
  const Tensor counts = counts_of(kind);
  return counts.shape().front() == 1 ? ops::squeeze(counts, 0) : counts;
}

template <FixedText keras_name, ConfusionBase::Kind wrong>
Tensor RatioImpl<keras_name, wrong>::result() {
  const Tensor right = count_of(0);
  return ops::divide_no_nan(right, right + count_of(1));
}

template struct RatioImpl<"Precision", ConfusionBase::Kind::false_positives>;
template struct RatioImpl<"Recall", ConfusionBase::Kind::false_negatives>;

}  // namespace tusk::metrics
