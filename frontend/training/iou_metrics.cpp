#include "frontend/training/iou_metrics.hpp"

#include <fmt/format.h>

#include "frontend/ops/ops.hpp"

namespace tusk::metrics {
namespace {

constexpr std::int64_t kMostClasses = 1 << 14;  // their counts are a square matrix

DType type_of(CountType type) { return type == "int64" ? DType::i64 : type == "int32" ? DType::i32 : DType::f32; }

Tensor in_a_row(const Tensor& x) { return emit::reshape(x, {product(x.shape())}); }

// Of classes in `type`: whether they are among 0, ..., count - 1.
Tensor is_known(const Tensor& classes, std::int64_t count) {
  return ops::logical_and(emit::map("ge", {classes, 0}), emit::map("lt", {classes, static_cast<double>(count)}));
}

}  // namespace

void IoUBase::check() const {
  const Options o = options();
  if (o.num_classes < 1 || o.num_classes > kMostClasses)
    refuse_option(fmt::format("num_classes is {}, expected a number from 1 to {}", o.num_classes, kMostClasses));
  for (const std::int64_t id : o.target_class_ids) {
    if (id < 0 || id >= o.num_classes)
      refuse_option(fmt::format("target class {} is none of the {} classes", id, o.num_classes));
  }
}

void IoUImpl::check() const {
  IoUBase::check();
  if (config.target_class_ids.empty()) refuse_option("target_class_ids is empty");
}

void OneHotIoUImpl::check() const {
  IoUBase::check();
  if (config.target_class_ids.empty()) refuse_option("target_class_ids is empty");
}

void IoUBase::build() {
  const Options o = options();
  counts_ = add_variable("total_confusion_matrix", {Dim(o.num_classes), Dim(o.num_classes)}, type_of(o.dtype));
}

void IoUBase::update(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  variables();
  const Options o = options();
  const DType type = type_of(o.dtype);
  const auto classes = [&](const Tensor& y, bool sparse) {
    return in_a_row(emit::cast(sparse ? y.with_mask({}) : ops::argmax(y.with_mask({}), {.axis = o.axis}), type));
  };
  const Tensor truth = classes(y_true, o.sparse_y_true);
  const Tensor prediction = classes(y_pred, o.sparse_y_pred);
  Tensor weights = emit::filled("one", type, truth.shape(), 1);
  if (sample_weight) {
    const Tensor given = in_a_row(emit::cast(sample_weight, type));
    const Dim& count = given.shape().front();
    if (!(count == truth.shape().front()) && !(count == Dim(1)))
      throw Error(
          error("sample-weight", fmt::format("sample_weight has shape {}, the classes of {} have {}",
                                             keras_shape(sample_weight.shape()), name(), keras_shape(y_true.shape())))
              .note("expected a weight for each position, or one number"));
    weights = emit::broadcast_together({given, weights})[0];
  }
  Tensor counted = ops::logical_and(is_known(truth, o.num_classes), is_known(prediction, o.num_classes));
  if (o.ignore_class)
    counted = ops::logical_and(counted, emit::map("ne", {truth, static_cast<double>(*o.ignore_class)}));
  const Tensor row = emit::map("mul", {emit::cast(truth, DType::i32), static_cast<double>(o.num_classes)});
  const Tensor place = emit::map("add", {row, emit::cast(prediction, DType::i32)});
  const Tensor sums =
      ops::segment_sum(weights, emit::map("select", {counted, place, -1}), o.num_classes * o.num_classes);
  add(counts_, emit::reshape(sums, counts_.type().shape));
}

Tensor IoUBase::result() {
  variables();
  const Options o = options();
  const Tensor counts = Trace::value(counts_);
  Tensor right = emit::slice(in_a_row(counts), 0, 0, o.num_classes * o.num_classes, o.num_classes + 1);
  Tensor all = ops::sum(counts, {.axis = {0}}) + ops::sum(counts, {.axis = {1}}) - right;
  if (!o.target_class_ids.empty()) {
    Array ids(DType::i32, {static_cast<std::int64_t>(o.target_class_ids.size())});
    for (std::int64_t i = 0; i < ids.size(); ++i) ids.set_int(i, o.target_class_ids[static_cast<std::size_t>(i)]);
    const Tensor targets = emit::constant("target_class_ids", std::move(ids));
    right = ops::take(right, targets, 0);
    all = ops::take(all, targets, 0);
  }
  right = emit::cast(right, DType::f32);
  all = emit::cast(all, DType::f32);
  const Tensor valid = ops::greater(all, 1e-9);
  const Tensor share = ops::where(valid, right / (all + emit::kEpsilon), 0.0);
  return ops::sum(share) / (ops::sum(emit::cast(valid, DType::f32)) + emit::kEpsilon);
}

void BinaryIoUImpl::update(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  const Tensor above = ops::greater_equal(emit::cast(y_pred.with_mask({}), DType::f32), config.threshold);
  IoUBase::update(y_true, emit::cast(above, DType::i32), sample_weight);
}

}  // namespace tusk::metrics
