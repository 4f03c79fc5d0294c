// Losses of probabilities: crossentropies.
#include "frontend/ops/ops.hpp"
#include "frontend/training/losses.hpp"

namespace tusk::losses {
namespace {

Tensor clipped(const Tensor& probabilities) {
  return keep_nan(probabilities, ops::clip(probabilities, emit::kEpsilon, 1 - emit::kEpsilon));
}

// -t log p - (1 - t) log(1 - p)
Tensor binary(const Tensor& t, const Tensor& p) { return -(t * ops::log(p) + (1 - t) * ops::log(1 - p)); }

// The same of p = sigmoid(x), without the roundings of p near 0 and 1.
Tensor binary_of_logits(const Tensor& t, const Tensor& x) {
  return ops::maximum(x, 0) - x * t + ops::log1p(ops::exp(-ops::abs(x)));
}

// Each class' probability; those of a position add up to 1.
Tensor normalized(const Tensor& p, std::int64_t axis) { return p / ops::sum(p, {.axis = {axis}, .keepdims = true}); }

double classes(const Tensor& y_pred, std::int64_t axis) {
  const Dim& extent = y_pred.shape()[static_cast<std::size_t>(emit::axis_of(y_pred, axis))];
  if (!extent.is_constant()) {
    throw Error(error("loss-classes", "label_smoothing needs to know the number of classes, y_pred has shape " +
                                          keras_shape(y_pred.shape())));
  }
  return static_cast<double>(extent.constant());
}

Tensor smoothed(const Tensor& y_true, const Tensor& y_pred, double smoothing, std::int64_t axis) {
  return smoothing == 0 ? y_true : y_true * (1 - smoothing) + smoothing / classes(y_pred, axis);
}

Tensor log_probabilities(const Tensor& y_pred, bool from_logits, std::int64_t axis) {
  return from_logits ? ops::log_softmax(y_pred, axis) : ops::log(clipped(normalized(y_pred, axis)));
}

// 1 at the class of each position, 0 elsewhere: floats of the shape of y_pred.
Tensor chosen(const Tensor& classes, const Tensor& y_pred, std::int64_t axis) {
  const std::int64_t at = emit::axis_of(y_pred, axis);
  const Shape& shape = y_pred.shape();
  emit::Ints others;
  for (std::int64_t i = 0; i < y_pred.rank(); ++i) {
    if (i != at) others.push_back(i);
  }
  if (static_cast<std::size_t>(classes.rank()) != others.size()) {
    throw Error(error("loss-labels", "labels of shape " + keras_shape(classes.shape()) + " for predictions of shape " +
                                         keras_shape(shape))
                    .note("expected one integer for each position; one-hot labels need the categorical loss"));
  }
  const Tensor index = emit::op("iota", {}, {{{"shape", shape}, {"axis", at}}});
  const Tensor wanted = emit::broadcast(emit::cast(classes, DType::i32), shape, others);
  return emit::cast(emit::map("eq", {index, wanted}), DType::f32);
}

}  // namespace

Tensor BinaryCrossentropyImpl::values(const Tensor& y_true, const Tensor& y_pred) const {
  const double s = config.label_smoothing;
  const Tensor t = s == 0 ? y_true : y_true * (1 - s) + 0.5 * s;
  const Tensor each = config.from_logits ? binary_of_logits(t, y_pred) : binary(t, clipped(y_pred));
  return ops::mean(each, {.axis = {config.axis}});
}

Tensor BinaryFocalCrossentropyImpl::values(const Tensor& y_true, const Tensor& y_pred) const {
  const double s = config.label_smoothing;
  const Tensor t = s == 0 ? y_true : y_true * (1 - s) + 0.5 * s;
  const Tensor p = config.from_logits ? ops::sigmoid(y_pred) : y_pred;
  const Tensor right = t * p + (1 - t) * (1 - p);
  Tensor each = ops::power(1 - right, config.gamma) * binary(t, clipped(p));
  if (config.apply_class_balancing) each = each * (t * config.alpha + (1 - t) * (1 - config.alpha));
  return ops::mean(each, {.axis = {config.axis}});
}

Tensor CategoricalCrossentropyImpl::values(const Tensor& y_true, const Tensor& y_pred) const {
  const Tensor t = smoothed(y_true, y_pred, config.label_smoothing, config.axis);
  return -ops::sum(t * log_probabilities(y_pred, config.from_logits, config.axis), {.axis = {config.axis}});
}

Tensor CategoricalFocalCrossentropyImpl::values(const Tensor& y_true, const Tensor& y_pred) const {
  const Tensor t = smoothed(y_true, y_pred, config.label_smoothing, config.axis);
  const Tensor given = config.from_logits ? ops::softmax(y_pred, config.axis) : y_pred;
  const Tensor p = clipped(normalized(given, config.axis));
  const Tensor focus = config.alpha * ops::power(1 - p, config.gamma);
  return ops::sum(focus * -(t * ops::log(p)), {.axis = {config.axis}});
}

Tensor SparseCategoricalCrossentropyImpl::values(const Tensor& y_true, const Tensor& y_pred) const {
  const std::int64_t axis = emit::axis_of(y_pred, config.axis);
  Tensor t = y_true;
  if (t.rank() == y_pred.rank() && t.shape()[static_cast<std::size_t>(axis)] == Dim(1)) t = ops::squeeze(t, axis);
  Tensor p = y_pred;
  Tensor valid;
  if (config.ignore_class) {
    valid = ops::not_equal(t, *config.ignore_class);
    t = ops::where(valid, t, 0);
    p = ops::where(ops::expand_dims(valid, axis), p, 0);
  }
  // Without a sum of 1 first: every class left out would divide by 0.
  const Tensor logs = config.from_logits ? ops::log_softmax(p, axis) : ops::log_softmax(ops::log(clipped(p)), axis);
  const Tensor each = -ops::sum(chosen(t, y_pred, axis) * logs, {.axis = {axis}});
  return valid ? ops::where(valid, each, 0).with_mask(valid) : each;
}

Tensor CategoricalGeneralizedCrossEntropyImpl::values(const Tensor& y_true, const Tensor& y_pred) const {
  const Tensor p = ops::sum(chosen(y_true, y_pred, -1) * y_pred, {.axis = {-1}});
  return (1 - ops::power(p, config.q)) / config.q;
}

}  // namespace tusk::losses
