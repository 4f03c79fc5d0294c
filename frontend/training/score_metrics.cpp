#include "frontend/training/score_metrics.hpp"

#include <fmt/format.h>

#include "frontend/ops/ops.hpp"
#include "frontend/training/loss.hpp"

namespace tusk::metrics {
namespace {

constexpr const char* kNoVariables = "has no variables before its first update, which tells the number of outputs";

Tensor as_float(const Tensor& x) { return emit::cast(x, DType::f32); }

}  // namespace

void FScoreBase::check() const {
  const Options o = options();
  if (!(o.beta > 0)) refuse_option(fmt::format("beta is {}, expected a number above 0", o.beta));
  if (o.threshold && !(*o.threshold > 0 && *o.threshold <= 1))
    refuse_option(fmt::format("threshold is {}, expected a number above 0 and at most 1", *o.threshold));
}

void FScoreBase::build() {
  if (classes_ == 0) refuse_inputs(kNoVariables);
  const Shape shape = options().average == "micro" ? Shape{} : Shape{Dim(classes_)};
  right_ = add_variable("true_positives", shape);
  wrong_ = add_variable("false_positives", shape);
  missed_ = add_variable("false_negatives", shape);
  there_ = add_variable("intermediate_weights", shape);
}

void FScoreBase::update(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  classes_ = outputs_of(y_true, y_pred);
  variables();
  const Options o = options();
  const Tensor truth = as_float(y_true);
  const Tensor p = as_float(y_pred.with_mask({}));
  Tensor decided;
  if (o.threshold) {
    decided = ops::greater(p, *o.threshold);
  } else {
    decided = ops::logical_and(ops::greater_equal(p, ops::max(p, {.axis = {-1}, .keepdims = true})),
                               ops::greater(ops::abs(p), 1e-9));
  }
  const Tensor yes = as_float(decided);
  if (sample_weight && sample_weight.rank() != 1)
    throw Error(error("sample-weight",
                      fmt::format("sample_weight of {} has shape {}", name(), keras_shape(sample_weight.shape())))
                    .note("expected a weight for each sample"));
  const Tensor weight = sample_weight ? ops::expand_dims(as_float(sample_weight), 1) : Tensor();
  const auto total = [&](const Tensor& x) {
    const Tensor each = weight ? x * weight : x;
    return o.average == "micro" ? ops::sum(each) : ops::sum(each, {.axis = {0}});
  };
  add(right_, total(yes * truth));
  add(wrong_, total(yes * (1 - truth)));
  add(missed_, total((1 - yes) * truth));
  add(there_, total(truth));
}

Tensor FScoreBase::result() {
  variables();
  const Options o = options();
  const double square = o.beta * o.beta;
  const Tensor precision = right_ / (right_ + wrong_ + emit::kEpsilon);
  const Tensor recall = right_ / (right_ + missed_ + emit::kEpsilon);
  const Tensor scores = (1 + square) * (precision * recall / (square * precision + recall + emit::kEpsilon));
  if (o.average == "weighted") return ops::sum(scores * (there_ / (ops::sum(there_) + emit::kEpsilon)));
  return o.average == "macro" ? ops::mean(scores) : scores;
}

void R2ScoreImpl::check() const {
  const std::string& word = config.class_aggregation;
  if (!word.empty() && word != "uniform_average" && word != "variance_weighted_average")
    refuse_option(
        fmt::format("class_aggregation is \"{}\", expected \"uniform_average\", \"variance_weighted_average\" "
                    "or none",
                    word));
  if (config.num_regressors < 0)
    refuse_option(fmt::format("num_regressors is {}, expected at least 0", config.num_regressors));
}

void R2ScoreImpl::build() {
  if (outputs_ == 0) refuse_inputs(kNoVariables);
  num_samples_ = add_variable("num_samples");
  squared_sum_ = add_variable("squared_sum", {Dim(outputs_)});
  sum_ = add_variable("sum", {Dim(outputs_)});
  residual_ = add_variable("residual", {Dim(outputs_)});
  count_ = add_variable("count", {Dim(outputs_)});
}

void R2ScoreImpl::update(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  const auto [t, p] = with_one_rank(as_float(y_true), as_float(y_pred.with_mask({})));
  outputs_ = outputs_of(t, p);
  variables();
  Tensor weights = sample_weight ? as_float(sample_weight) : emit::filled("one", DType::f32, {}, 1);
  if (weights.rank() == 1) weights = ops::expand_dims(weights, 1);
  weights = emit::broadcast_together({weights, t})[0];
  const auto total = [](const Tensor& x) { return ops::sum(x, {.axis = {0}}); };
  add(sum_, total(t * weights));
  add(squared_sum_, total(t * (t * weights)));
  add(residual_, total(ops::square(t - p) * weights));
  add(count_, total(weights));
  add(num_samples_, emit::map("add", {emit::filled("zero", DType::f32, {}, 0), product(t.shape())}));
}

Tensor R2ScoreImpl::result() {
  variables();
  const Tensor total = squared_sum_ - sum_ * (sum_ / count_);
  const Tensor raw = 1 - residual_ / total;
  Tensor score = ops::where(ops::isinf(raw), 0.0, raw);
  if (config.class_aggregation == "uniform_average") {
    score = ops::mean(score);
  } else if (!config.class_aggregation.empty()) {
    score = ops::sum(total * score) / ops::sum(total);
  }
  if (config.num_regressors == 0) return score;
  const auto regressors = static_cast<double>(config.num_regressors);
  const Tensor freedom = num_samples_ - regressors - 1;
  const Tensor adjusted = 1 - (1 - score) * (num_samples_ - 1) / freedom;
  return ops::where(ops::greater(freedom, 0), adjusted, score);
}

}  // namespace tusk::metrics
