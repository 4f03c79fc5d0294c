#include "frontend/training/metrics.hpp"

#include "frontend/ops/ops.hpp"

namespace tusk::metrics {
namespace {

Tensor as_float(const Tensor& truth) { return emit::cast(truth, DType::f32); }

Tensor largest(const Tensor& x) { return ops::argmax(x, {.axis = -1}); }

// Classes without the last axis of 1 that they may have.
Tensor classes_of(const Tensor& y_true, const Tensor& y_pred) {
  const bool one_more = y_true.rank() == y_pred.rank() && y_true.shape().back() == Dim(1);
  return emit::cast(one_more ? ops::squeeze(y_true, -1) : y_true, DType::i32);
}

// Whether fewer than k have a larger p than the class.
Tensor in_top(const Tensor& classes, const Tensor& p, std::int64_t k) {
  const std::int64_t last = p.rank() - 1;
  const Tensor index = emit::op("iota", {}, {{{"shape", p.shape()}, {"axis", last}}});
  const Tensor chosen = emit::map("eq", {index, emit::leading(classes, p.shape())});
  const Tensor of_class = ops::sum(emit::map("select", {chosen, p, 0.0}), {.axis = {-1}, .keepdims = true});
  const Tensor above = ops::sum(as_float(ops::greater(p, of_class)), {.axis = {-1}});
  return as_float(ops::less(above, static_cast<double>(k)));
}

}  // namespace

Tensor CosineSimilarityImpl::values(const Tensor& t, const Tensor& p) const {
  return -losses::CosineSimilarity({.axis = config.axis}).base().values(t, p);
}

Tensor PearsonCorrelationImpl::values(const Tensor& t, const Tensor& p) const {
  const ops::Reduction over{.axis = config.axis.list(), .keepdims = true};
  const auto normal = [&](const Tensor& x) {
    const Tensor centered = x - ops::mean(x, over);
    return centered / ops::std(centered, over);
  };
  return ops::mean(normal(t) * normal(p), {.axis = config.axis.list()});
}

// Keras takes the mean of p from t, which does not change the sum.
Tensor ConcordanceCorrelationImpl::values(const Tensor& t, const Tensor& p) const {
  const ops::Reduction over{.axis = config.axis.list(), .keepdims = true};
  const Tensor t_mean = ops::mean(t, over);
  const Tensor p_mean = ops::mean(p, over);
  const Tensor together = (t - p_mean) * (p - p_mean);
  const Tensor apart = ops::var(t - t_mean, over) + ops::var(p - p_mean, over) + ops::square(t_mean - p_mean);
  return ops::mean(2 * together / (apart + emit::kEpsilon), {.axis = config.axis.list()});
}

Tensor RootMeanSquaredErrorImpl::values(const Tensor& t, const Tensor& p) const { return ops::square(p - t); }

Tensor RootMeanSquaredErrorImpl::result() { return ops::sqrt(MeanMetricBase::result()); }

Tensor BinaryCrossentropyImpl::values(const Tensor& t, const Tensor& p) const {
  return losses::BinaryCrossentropy({.from_logits = config.from_logits, .label_smoothing = config.label_smoothing})
      .base()
      .values(t, p);
}

Tensor CategoricalCrossentropyImpl::values(const Tensor& t, const Tensor& p) const {
  return losses::CategoricalCrossentropy(
             {.from_logits = config.from_logits, .label_smoothing = config.label_smoothing, .axis = config.axis})
      .base()
      .values(t, p);
}

Tensor SparseCategoricalCrossentropyImpl::values(const Tensor& t, const Tensor& p) const {
  return losses::SparseCategoricalCrossentropy(
             {.from_logits = config.from_logits, .ignore_class = config.ignore_class, .axis = config.axis})
      .base()
      .values(t, p);
}

Tensor AccuracyImpl::values(const Tensor& t, const Tensor& p) const { return as_float(ops::equal(t, p)); }

Tensor BinaryAccuracyImpl::values(const Tensor& t, const Tensor& p) const {
  return as_float(ops::equal(t, as_float(ops::greater(p, config.threshold))));
}

Tensor CategoricalAccuracyImpl::values(const Tensor& t, const Tensor& p) const {
  return as_float(ops::equal(largest(t), largest(p)));
}

Tensor SparseCategoricalAccuracyImpl::values(const Tensor& t, const Tensor& p) const {
  return as_float(ops::equal(classes_of(t, p), largest(p)));
}

Tensor TopKCategoricalAccuracyImpl::values(const Tensor& t, const Tensor& p) const {
  return in_top(largest(t), p, config.k);
}

Tensor SparseTopKCategoricalAccuracyImpl::values(const Tensor& t, const Tensor& p) const {
  return in_top(classes_of(t, p), p, config.k);
}

}  // namespace tusk::metrics
