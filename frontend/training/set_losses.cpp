// Losses of sets and of embeddings: overlaps, and pairs of a batch.
#include "frontend/ops/ops.hpp"
#include "frontend/training/losses.hpp"

namespace tusk::losses {
namespace {

// log sum exp over the last axis of those elements where `keep` is.
Tensor logsumexp_of(const Tensor& x, const Tensor& keep) {
  return ops::logsumexp(ops::where(keep, x, -ops::kInfinity), {.axis = {-1}});
}

}  // namespace

Tensor DiceImpl::values(const Tensor& y_true, const Tensor& y_pred) const {
  const auto sum = [&](const Tensor& x) { return ops::sum(x, {.axis = config.axis}); };
  return 1 - 2 * sum(y_true * y_pred) / (sum(y_true) + sum(y_pred) + emit::kEpsilon);
}

Tensor TverskyImpl::values(const Tensor& y_true, const Tensor& y_pred) const {
  const auto sum = [&](const Tensor& x) { return ops::sum(x, {.axis = config.axis}); };
  const Tensor both = sum(y_true * y_pred);
  const Tensor missed = sum(y_true * (1 - y_pred));
  const Tensor invented = sum((1 - y_true) * y_pred);
  return 1 - both / (both + config.alpha * missed + config.beta * invented + emit::kEpsilon);
}

Tensor CircleImpl::values(const Tensor& y_true, const Tensor& y_pred) const {
  if (y_true.rank() != 1 && !(y_true.rank() == 2 && y_true.shape()[1] == Dim(1))) {
    throw Error(error("loss-labels", "Circle takes one id for each row, found " + keras_shape(y_true.shape())));
  }
  const Tensor ids = y_true.rank() == 2 ? ops::squeeze(y_true, -1) : y_true;
  const Dim rows = y_pred.shape()[0];
  const Tensor x = 1 - ops::matmul(y_pred, ops::transpose(y_pred));
  const Tensor distance = keep_nan(x, ops::maximum(x, 0));
  const Tensor same = ops::equal(ops::expand_dims(ids, 1), ops::expand_dims(ids, 0));
  Tensor positive = same;
  if (config.remove_diagonal) {
    const auto iota = [&](std::int64_t axis) {
      return emit::op("iota", {}, {{{"shape", Shape{rows, rows}}, {"axis", axis}}});
    };
    positive = ops::logical_and(positive, emit::map("ne", {iota(0), iota(1)}));
  }
  const double m = config.margin;
  const Tensor near = ops::maximum(m + distance, 0) * (m - distance);
  const Tensor far = ops::maximum(1 + m - distance, 0) * (1 - m - distance);
  const Tensor value = ops::softplus(logsumexp_of(-config.gamma * near, positive) +
                                     logsumexp_of(config.gamma * far, ops::logical_not(same)));
  return value.with_mask(ops::greater(value, 0));
}

}  // namespace tusk::losses
