#include "frontend/training/metric.hpp"

#include <fmt/format.h>

#include "frontend/ops/ops.hpp"
#include "frontend/training/loss.hpp"
#include "frontend/training/sample_weights.hpp"

namespace tusk {
namespace {

// The mean over the axes from `first` on.
Tensor mean_behind(const Tensor& x, std::int64_t first) {
  if (x.rank() <= first) return x;
  std::vector<std::int64_t> axes;
  for (std::int64_t axis = first; axis < x.rank(); ++axis) axes.push_back(axis);
  return ops::mean(x, {.axis = axes});
}

}  // namespace

void MetricBase::set_identity(std::string_view class_name, std::string name) {
  class_name_ = class_name;
  name_ = name.empty() ? automatic_name(class_name) : std::move(name);
}

const std::vector<Variable>& MetricBase::variables() {
  if (!std::exchange(built_, true)) build();
  return variables_;
}

Variable MetricBase::add_variable(std::string_view name, const Shape& shape, DType dtype) {
  variables_.push_back(Variable(fmt::format("{}/{}", name_, name), {dtype, shape}, "zeros", false, false, 0));
  return variables_.back();
}

void MetricBase::add(const Variable& variable, const Tensor& value) {
  Trace::current().assign(variable, Trace::value(variable) + value);
}

void MetricBase::refuse_option(std::string_view message) const {
  throw Error(error("metric-option", fmt::format("{}: {}", name_, message)));
}

void MetricBase::refuse_inputs(std::string_view message) const {
  throw Error(error("metric-inputs", fmt::format("{} {}", name_, message)));
}

std::int64_t MetricBase::outputs_of(const Tensor& y_true, const Tensor& y_pred) const {
  const bool known = y_pred.rank() == 2 && y_true.rank() == 2 && y_pred.shape().back().is_constant();
  if (!known)
    refuse_inputs(
        fmt::format("takes y_true and y_pred of [batch, outputs] with a known number of outputs, found {} and {}",
                    keras_shape(y_true.shape()), keras_shape(y_pred.shape())));
  return y_pred.shape().back().constant();
}

void MeanMetricBase::build() {
  total_ = add_variable("total");
  count_ = add_variable("count");
}

void MeanMetricBase::update(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  variables();
  const auto [truth, prediction] =
      with_one_rank(emit::cast(y_true, DType::f32), emit::cast(y_pred.with_mask({}), DType::f32));
  const Tensor each = values(truth, prediction);
  Tensor weights = sample_weight ? emit::cast(sample_weight, DType::f32) : Tensor();
  for (const Tensor& mask : {y_pred.mask(), sample_weight ? each.mask() : Tensor()}) {
    if (!mask) continue;
    const Tensor kept = emit::cast(mask, DType::f32);
    if (weights) {
      const auto [a, b] = with_one_rank(kept, weights);
      check_weights(b, a);
      weights = a * b;
    } else {
      weights = kept;
    }
  }
  update_mean(each.with_mask({}), weights);
}

void MeanMetricBase::update_mean(const Tensor& given, const Tensor& sample_weight) {
  variables();
  Tensor each = emit::cast(given, DType::f32);
  Tensor count;
  if (sample_weight) {
    auto [values, weights] = with_one_rank(each, sample_weight);
    const std::int64_t rank = weights.rank();
    values = mean_behind(values, rank);
    check_weights(weights, values);
    const std::vector<Tensor> both = emit::broadcast_together({values, weights});
    each = both[0] * both[1];
    count = ops::sum(rank > 1 ? mean_behind(both[1], 1) : both[1]);
  }
  each = mean_behind(each, 1);
  if (!count) {
    const Dim samples = each.rank() == 0 ? Dim(1) : each.shape().front();
    count = emit::map("add", {emit::filled("zero", DType::f32, {}, 0), samples});
  }
  add(total_, each.rank() == 0 ? each : ops::sum(each));
  add(count_, count);
}

Tensor MeanMetricBase::result() {
  variables();
  return ops::divide_no_nan(total_, count_);
}

}  // namespace tusk
