#include "frontend/training/reduction_metrics.hpp"

#include "frontend/ops/ops.hpp"

namespace tusk::metrics {
namespace {

constexpr const char* kValuesOnly = "takes values and their weights, not y_true and y_pred";

// f32; without positions that the mask of the values leaves out, as in Keras if there are weights at all.
Tensor weights_of(const Tensor& values, const Tensor& sample_weight) {
  if (!sample_weight) return {};
  const Tensor weights = emit::cast(sample_weight, DType::f32);
  if (!values.mask()) return weights;
  const auto [kept, given] = with_one_rank(emit::cast(values.mask(), DType::f32), weights);
  return kept * given;
}

}  // namespace

void MeanImpl::update(const Tensor& given, const Tensor& nothing, const Tensor& sample_weight) {
  if (nothing) refuse_inputs(kValuesOnly);
  update_mean(given.with_mask({}), weights_of(given, sample_weight));
}

void SumImpl::build() { total_ = add_variable("total"); }

void SumImpl::update(const Tensor& given, const Tensor& nothing, const Tensor& sample_weight) {
  if (nothing) refuse_inputs(kValuesOnly);
  variables();
  Tensor values = emit::cast(given.with_mask({}), DType::f32);
  if (sample_weight) {
    auto [each, weights] = with_one_rank(values, weights_of(given, sample_weight));
    while (weights.rank() < each.rank()) weights = ops::expand_dims(weights, -1);
    values = each * weights;
  }
  add(total_, values.rank() == 0 ? values : ops::sum(values));
}

Tensor SumImpl::result() {
  variables();
  return Trace::value(total_);
}

void MeanMetricWrapperImpl::check() const {
  if (!config.fn) refuse_option("fn is empty, expected a function of y_true and y_pred");
}

}  // namespace tusk::metrics

namespace tusk {

Metric::Metric(ValueFunction function)
    : Metric(metrics::MeanMetricWrapper({.fn = std::move(function), .name = "lambda"})) {}

}  // namespace tusk
