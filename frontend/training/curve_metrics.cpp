#include "frontend/training/curve_metrics.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "frontend/ops/ops.hpp"

namespace tusk::metrics {
namespace {

// Values at all thresholds but the last, and at all but the first.
Tensor lower(const Tensor& x) { return emit::slice(x, 0, 0, x.dim(0) - 1); }
Tensor upper(const Tensor& x) { return emit::slice(x, 0, 1, x.dim(0)); }

}  // namespace

std::vector<ConfusionBase::Kind> CurveBase::all_kinds() {
  return {Kind::true_positives, Kind::false_positives, Kind::true_negatives, Kind::false_negatives};
}

Tensor CurveBase::share(Kind a, Kind b) {
  const Tensor counted = counts_of(a);
  return ops::divide_no_nan(counted, counted + counts_of(b));
}

void AUCImpl::check() const {
  if (config.thresholds.empty() && config.num_thresholds <= 1)
    refuse_option(fmt::format("num_thresholds is {}, expected at least 2", config.num_thresholds));
  if (config.num_labels && !config.multi_label)
    refuse_option("num_labels is set, which is for multi_label = true only");
  if (config.num_labels && *config.num_labels < 1)
    refuse_option(fmt::format("num_labels is {}, expected at least 1", *config.num_labels));
}

ConfusionBase::Options AUCImpl::options() const {
  Options o{.kinds = all_kinds(), .thresholds = evenly(config.num_thresholds), .even = true, .closed = true};
  if (!config.multi_label) o.label_weights = config.label_weights;
  if (config.thresholds.empty()) return o;
  o.thresholds = config.thresholds;
  std::ranges::sort(o.thresholds);
  o.thresholds.insert(o.thresholds.begin(), 0);
  o.thresholds.push_back(1);
  o.even = are_even(o.thresholds);
  return o;
}

void AUCImpl::build() {
  if (config.multi_label && labels_ == 0) {
    if (!config.num_labels) refuse_inputs("has no variables before its first update, which tells the number of labels");
    labels_ = *config.num_labels;
  }
  ConfusionBase::build();
}

void AUCImpl::update(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  if (config.multi_label) {
    const std::int64_t labels = outputs_of(y_true, y_pred);
    if (config.num_labels.value_or(labels) != labels || (labels_ != 0 && labels_ != labels))
      refuse_inputs(fmt::format("counts {} labels, found {}", config.num_labels.value_or(labels_), labels));
    labels_ = labels;
  }
  const auto given = static_cast<std::int64_t>(config.label_weights.size());
  if (given != 0 && (y_pred.rank() == 0 || !(y_pred.shape().back() == Dim(given))))
    refuse_inputs(fmt::format("has {} label_weights for y_pred of {}", given, keras_shape(y_pred.shape())));
  ConfusionBase::update(y_true, config.from_logits ? ops::sigmoid(y_pred) : y_pred, sample_weight);
}

// Between two thresholds the true positives grow evenly with all that are decided yes; precision is their ratio.
Tensor AUCImpl::interpolated_precision() {
  const Tensor right = counts_of(Kind::true_positives);
  const Tensor decided = right + counts_of(Kind::false_positives);
  const Tensor more_right = lower(right) - upper(right);
  const Tensor slope = ops::divide_no_nan(more_right, ops::maximum(lower(decided) - upper(decided), 0));
  const Tensor offset = upper(right) - slope * upper(decided);
  const Tensor both = ops::logical_and(ops::greater(lower(decided), 0), ops::greater(upper(decided), 0));
  const Tensor growth = ops::where(both, ops::divide_no_nan(lower(decided), upper(decided)), 1.0);
  const Tensor positives = upper(right) + upper(counts_of(Kind::false_negatives));
  return ops::divide_no_nan(slope * (more_right + offset * ops::log(growth)), ops::maximum(positives, 0));
}

Tensor AUCImpl::result() {
  Tensor parts;
  if (config.curve == "PR" && config.summation_method == "interpolation") {
    parts = interpolated_precision();
  } else {
    Tensor x = share(Kind::true_positives, Kind::false_negatives);
    Tensor y = x;
    if (config.curve == "ROC") {
      x = share(Kind::false_positives, Kind::true_negatives);
    } else if (config.curve == "PR") {
      y = share(Kind::true_positives, Kind::false_positives);
    } else {
      const Tensor right = counts_of(Kind::true_positives);
      const Tensor wrong = counts_of(Kind::false_positives);
      const Tensor missed = counts_of(Kind::false_negatives);
      const Tensor odds = ops::divide_no_nan(right + missed, counts_of(Kind::true_negatives) + wrong);
      const Tensor none = ops::equal(right, 0);
      x = ops::maximum(ops::where(none, 0.0, 1 - odds * ops::divide_no_nan(missed, right)), 0);
      y = ops::where(none, 1.0, 1 - odds * ops::divide_no_nan(wrong, right));
    }
    const Tensor heights = config.summation_method == "interpolation" ? (lower(y) + upper(y)) / 2
                           : config.summation_method == "minoring"    ? ops::minimum(lower(y), upper(y))
                                                                      : ops::maximum(lower(y), upper(y));
    parts = (lower(x) - upper(x)) * heights;
  }
  const Tensor area = ops::sum(parts, {.axis = {0}});
  if (!config.multi_label) return area;
  if (config.label_weights.empty()) return ops::mean(area);
  Array given(DType::f32, {labels_});
  for (std::int64_t i = 0; i < labels_; ++i) given.set(i, config.label_weights[static_cast<std::size_t>(i)]);
  const Tensor weights = emit::constant("label_weights", std::move(given));
  return ops::divide_no_nan(ops::sum(area * weights), ops::sum(weights));
}

void BestBase::check_bound(std::string_view field, double value, std::int64_t num_thresholds) const {
  if (!(value >= 0 && value <= 1)) refuse_option(fmt::format("{} is {}, expected a number in [0, 1]", field, value));
  if (num_thresholds < 1) refuse_option(fmt::format("num_thresholds is {}, expected at least 1", num_thresholds));
}

ConfusionBase::Options BestBase::options(std::int64_t num_thresholds, std::optional<std::int64_t> class_id) {
  const bool even = num_thresholds > 1;
  return {.kinds = all_kinds(),
          .thresholds = even ? evenly(num_thresholds) : std::vector<double>{0.5},
          .class_id = class_id,
          .even = even};
}

Tensor BestBase::ratio(Ratio ratio) {
  switch (ratio) {
    case Ratio::recall:
      return share(Kind::true_positives, Kind::false_negatives);
    case Ratio::specificity:
      return share(Kind::true_negatives, Kind::false_positives);
    case Ratio::precision:
      return share(Kind::true_positives, Kind::false_positives);
  }
  return {};
}

Tensor BestBase::best(Ratio wanted, Ratio bound, double value) {
  const Tensor feasible = ops::greater_equal(ratio(bound), value);
  return ops::max(ops::where(feasible, ratio(wanted), 0.0));
}

}  // namespace tusk::metrics
