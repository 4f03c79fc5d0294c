#include "frontend/training/confusion_metrics.hpp"

#include "frontend/ops/ops.hpp"
#include "frontend/training/loss.hpp"

namespace tusk::metrics {
namespace {

constexpr double kNever = -1e10;  // what is not among the top k

constexpr const char* kNames[] = {"true_positives", "false_positives", "true_negatives", "false_negatives"};

// The k largest of the last axis stay; of equal ones those that come first.
Tensor top(const Tensor& p, std::int64_t k) {
  const std::vector<Tensor> found = ops::top_k(p, k);
  const Dim classes = p.shape().back();
  const Tensor chosen = ops::sum(ops::one_hot(found[1], classes.constant()), {.axis = {-2}});
  return ops::where(ops::greater(chosen, 0), p, kNever);
}

// One class of the last axis.
Tensor column(const Tensor& x, std::int64_t at) {
  const std::int64_t axis = x.rank() - 1;
  return ops::squeeze(emit::slice(x, axis, at, at + 1), -1);
}

}  // namespace

void ConfusionBase::build() {
  const Options o = options();
  const auto count = static_cast<std::int64_t>(std::max<std::size_t>(1, o.thresholds.size()));
  for (const Kind kind : o.kinds) counts_.push_back(add_variable(kNames[static_cast<std::size_t>(kind)], {Dim(count)}));
}

void ConfusionBase::update(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  variables();
  const Options o = options();
  auto [truth, prediction] =
      with_one_rank(emit::cast(y_true, DType::f32), emit::cast(y_pred.with_mask({}), DType::f32));
  if (o.top_k) prediction = top(prediction, *o.top_k);
  if (o.class_id) {
    truth = column(truth, *o.class_id);
    prediction = column(prediction, *o.class_id);
  }
  Tensor weights = emit::filled("one", DType::f32, prediction.shape(), 1);
  if (sample_weight) {
    Tensor given = emit::cast(sample_weight, DType::f32);
    while (given.rank() < prediction.rank()) given = ops::expand_dims(given, -1);
    weights = emit::broadcast_together({given, prediction})[0];
  }
  const Tensor yes = ops::not_equal(truth, 0);
  std::vector<double> thresholds = o.thresholds;
  if (thresholds.empty()) thresholds = {o.top_k ? kNever : 0.5};
  for (std::size_t k = 0; k < counts_.size(); ++k) {
    const bool decided = o.kinds[k] == Kind::true_positives || o.kinds[k] == Kind::false_positives;
    const bool is = o.kinds[k] == Kind::true_positives || o.kinds[k] == Kind::false_negatives;
    std::vector<Tensor> counts;
    for (const double threshold : thresholds) {
      const Tensor above = ops::greater(prediction, threshold);
      const Tensor both = ops::logical_and(decided ? above : ops::logical_not(above), is ? yes : ops::logical_not(yes));
      counts.push_back(ops::sum(ops::where(both, weights, 0.0)));
    }
    add(counts_[k], ops::stack(counts));
  }
}

Tensor ConfusionBase::count_of(std::size_t kind) {
  variables();
  const Variable& count = counts_[kind];
  return count.shape().front() == 1 ? ops::squeeze(count, 0) : Trace::value(count);
}

template <FixedText keras_name, ConfusionBase::Kind wrong>
Tensor RatioImpl<keras_name, wrong>::result() {
  const Tensor right = count_of(0);
  return ops::divide_no_nan(right, right + count_of(1));
}

template struct RatioImpl<"Precision", ConfusionBase::Kind::false_positives>;
template struct RatioImpl<"Recall", ConfusionBase::Kind::false_negatives>;

}  // namespace tusk::metrics
