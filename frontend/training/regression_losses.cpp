// Losses of numbers: regression, margins, distances of distributions.
#include <cmath>
#include <numbers>

#include "frontend/ops/ops.hpp"
#include "frontend/training/losses.hpp"

namespace tusk::losses {
namespace {

Tensor mean(const Tensor& x) { return ops::mean(x, {.axis = {-1}}); }
Tensor sum(const Tensor& x) { return ops::sum(x, {.axis = {-1}}); }

// 0 and 1 as -1 and 1, if there is nothing else in the batch.
Tensor signs(const Tensor& y_true) {
  const Tensor is_binary = ops::all(ops::logical_or(ops::equal(y_true, 0), ops::equal(y_true, 1)));
  return ops::where(is_binary, 2 * y_true - 1, y_true);
}

Tensor hinge(const Tensor& y_true, const Tensor& y_pred) {
  const Tensor x = 1 - signs(y_true) * y_pred;
  return keep_nan(x, ops::maximum(x, 0));
}

}  // namespace

Tensor MeanSquaredErrorImpl::values(const Tensor& y_true, const Tensor& y_pred) const {
  return mean(ops::square(y_true - y_pred));
}

Tensor MeanAbsoluteErrorImpl::values(const Tensor& y_true, const Tensor& y_pred) const {
  return mean(ops::abs(y_true - y_pred));
}

Tensor MeanAbsolutePercentageErrorImpl::values(const Tensor& y_true, const Tensor& y_pred) const {
  return 100 * mean(ops::abs((y_true - y_pred) / ops::maximum(ops::abs(y_true), emit::kEpsilon)));
}

Tensor MeanSquaredLogarithmicErrorImpl::values(const Tensor& y_true, const Tensor& y_pred) const {
  const auto logarithm = [](const Tensor& x) { return ops::log(keep_nan(x, ops::maximum(x, emit::kEpsilon)) + 1); };
  return mean(ops::square(logarithm(y_pred) - logarithm(y_true)));
}

Tensor LogCoshImpl::values(const Tensor& y_true, const Tensor& y_pred) const {
  const Tensor error = y_pred - y_true;
  return mean(error + ops::softplus(-2 * error) - std::numbers::ln2);
}

Tensor PoissonImpl::values(const Tensor& y_true, const Tensor& y_pred) const {
  return mean(y_pred - y_true * ops::log(y_pred + emit::kEpsilon));
}

Tensor KLDivergenceImpl::values(const Tensor& y_true, const Tensor& y_pred) const {
  const Tensor t = ops::clip(y_true, emit::kEpsilon, 1);
  const Tensor p = keep_nan(y_pred, ops::clip(y_pred, emit::kEpsilon, 1));
  return sum(t * ops::log(t / p));
}

Tensor HingeImpl::values(const Tensor& y_true, const Tensor& y_pred) const { return mean(hinge(y_true, y_pred)); }

Tensor SquaredHingeImpl::values(const Tensor& y_true, const Tensor& y_pred) const {
  return mean(ops::square(hinge(y_true, y_pred)));
}

Tensor CategoricalHingeImpl::values(const Tensor& y_true, const Tensor& y_pred) const {
  const Tensor wrong = ops::max((1 - y_true) * y_pred, {.axis = {-1}});
  const Tensor x = wrong - sum(y_true * y_pred) + 1;
  return keep_nan(x, ops::maximum(x, 0));
}

Tensor HuberImpl::values(const Tensor& y_true, const Tensor& y_pred) const {
  const Tensor error = ops::abs(y_pred - y_true);
  return mean(ops::where(ops::less_equal(error, config.delta), 0.5 * ops::square(error),
                         config.delta * error - 0.5 * config.delta * config.delta));
}

Tensor CosineSimilarityImpl::values(const Tensor& y_true, const Tensor& y_pred) const {
  const emit::Ints axis{emit::axis_of(y_pred, config.axis)};
  constexpr double kLeastNorm = 1e-6;
  return -ops::sum(emit::normalized(y_true, axis, kLeastNorm) * emit::normalized(y_pred, axis, kLeastNorm),
                   {.axis = axis});
}

}  // namespace tusk::losses
