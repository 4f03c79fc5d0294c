// Connectionist temporal classification: the labels, with blanks around them, are the states of a walk through time;
// a scan adds up the probabilities of all walks, as logarithms.
#include "frontend/ops/ops.hpp"
#include "frontend/training/losses.hpp"

namespace tusk::losses {
namespace {

constexpr double kNever = -1e5;  // log 0, finite so that gradients are

// log(exp a + exp b + exp c)
Tensor added(const Tensor& a, const Tensor& b, const Tensor& c) {
  return ops::logsumexp(ops::stack({a, b, c}, -1), {.axis = {-1}});
}

// Element s of the last axis is element s - by of x; in front of those, log 0.
Tensor shifted(const Tensor& x, std::int64_t by, const Dim& states) {
  return emit::slice(emit::pad(x, {0, by}, {0, 0}, kNever), 1, 0, states);
}

}  // namespace

Tensor CTCImpl::values(const Tensor& y_true, const Tensor& y_pred) const {
  if (y_true.rank() != 2 || y_pred.rank() != 3) {
    throw Error(error("loss-labels", "CTC takes labels [batch, length] and logits [batch, time, classes], found " +
                                         keras_shape(y_true.shape()) + " and " + keras_shape(y_pred.shape())));
  }
  const Dim batch = y_pred.shape()[0];
  const Dim states = 2 * y_true.shape()[1] + 1;
  const Tensor ids = emit::cast(y_true, DType::i32);
  // State 2 i + 1 is label i, all others are the blank, class 0.
  const Tensor of_state =
      emit::op("pad", {ids}, {{{"low", Shape{0, 1}}, {"high", Shape{0, 1}}, {"inner", emit::Ints{0, 1}}}});
  const Tensor chances =  // [batch, time, states]
      emit::op("gather", {ops::log_softmax(y_pred), of_state},
               {{{"axis", std::int64_t{2}}, {"batch", std::int64_t{1}}}});
  // A label may follow the label before it without a blank between them, unless they are equal.
  const Tensor two_before = emit::slice(emit::pad(of_state, {0, 2}, {0, 0}, 0), 1, 0, states);
  const Tensor jumps = ops::logical_and(ops::not_equal(of_state, 0), ops::not_equal(of_state, two_before));
  const Tensor state = emit::op("iota", {}, {{{"shape", Shape{batch, states}}, {"axis", std::int64_t{1}}}});
  // In front of the first position every walk stands in the first blank: the next may be it, or the first label.
  const Tensor never = emit::filled("never", DType::f32, {batch, states}, kNever);
  const Tensor start = emit::map("select", {ops::equal(state, 0), 0.0, never});
  const auto step = [&](const std::vector<Tensor>& walks, const std::vector<Tensor>& chance) {
    const Tensor& at = walks.front();
    const Tensor jumped = emit::map("select", {jumps, shifted(at, 2, states), never});
    return std::vector<Tensor>{added(at, shifted(at, 1, states), jumped) + chance.front()};
  };
  const Tensor walks = emit::scan({start}, {{chances, {1}}}, {}, step).front();
  // They end in the last label or in the blank behind it.
  const Tensor length = ops::sum(ops::cast(ops::not_equal(ids, 0), "int32"), {.axis = {1}, .keepdims = true});
  const Tensor ends = ops::logical_or(ops::equal(state, 2 * length), ops::equal(state, 2 * length - 1));
  return -ops::logsumexp(emit::map("select", {ends, walks, never}), {.axis = {-1}});
}

}  // namespace tusk::losses
