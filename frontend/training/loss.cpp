#include "frontend/training/loss.hpp"

#include "frontend/model/emit.hpp"
#include "frontend/ops/ops.hpp"
#include "frontend/training/losses.hpp"
#include "frontend/training/sample_weights.hpp"

namespace tusk {
namespace {

bool ends_in_one(const Tensor& x) { return x.rank() > 0 && x.shape().back() == Dim(1); }

// The rule for a pair of which `x` has one axis more.
std::pair<Tensor, Tensor> without_last(const Tensor& x, const Tensor& y) {
  if (!ends_in_one(x)) return {x, y};
  if (y.rank() == 1) return {x, ops::expand_dims(y, -1)};
  return {ops::squeeze(x, -1), y};
}

emit::Ints all_axes(const Tensor& x) {
  emit::Ints axes;
  for (std::int64_t i = 0; i < x.rank(); ++i) axes.push_back(i);
  return axes;
}

Tensor total(const Tensor& x) { return x.rank() == 0 ? x : emit::reduce("sum", x, all_axes(x)); }

// 1 / 0 for a mask; for means the valid ones weigh as much as all do.
Tensor weights_of(const Tensor& mask, Reduction reduction) {
  const Tensor ones = emit::cast(mask, DType::f32);
  if (reduction != "sum_over_batch_size" && reduction != "mean") return ones;
  const Tensor valid = total(ones);
  const Tensor factor =
      emit::map("select", {emit::map("gt", {valid, 0.0}), emit::map("div", {product(mask.shape()), valid}), 0.0});
  return ops::multiply(ones, factor);
}

}  // namespace

Tensor keep_nan(const Tensor& x, const Tensor& limited) { return ops::where(ops::isnan(x), x, limited); }

std::pair<Tensor, Tensor> with_one_rank(const Tensor& a, const Tensor& b) {
  if (a.rank() == b.rank() + 1) return without_last(a, b);
  if (b.rank() == a.rank() + 1) {
    const auto [y, x] = without_last(b, a);
    return {x, y};
  }
  return {a, b};
}

void LossBase::set_identity(std::string_view class_name, std::string name, Reduction reduction) {
  class_name_ = class_name;
  name_ = std::move(name);
  reduction_ = reduction;
}

Loss::Loss(ValueFunction function) : Loss(losses::LossFunctionWrapper({.fn = std::move(function)})) {}

Tensor losses::LossFunctionWrapperImpl::values(const Tensor& y_true, const Tensor& y_pred) const {
  if (!config.fn) throw Error(error("compile-loss", "a loss is an empty function, expected one of y_true and y_pred"));
  const Tensor values = config.fn(y_true, y_pred);
  return emit::cast(values, DType::f32).with_mask(values.mask());
}

Tensor Loss::reduced(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight,
                     Reduction reduction) const {
  const auto [truth, prediction] =
      with_one_rank(emit::cast(y_true, DType::f32), emit::cast(y_pred.with_mask({}), DType::f32));
  Tensor values = loss_->values(truth, prediction);
  Tensor mask = y_pred.mask();
  if (const Tensor own = values.mask()) mask = mask ? ops::logical_and(mask, own) : own;
  values = values.with_mask({});

  Tensor weights = sample_weight ? emit::cast(sample_weight, DType::f32) : Tensor();
  if (mask) {
    Tensor kept = weights_of(mask, reduction);
    if (weights) {
      const auto [a, b] = with_one_rank(kept, weights);
      check_weights(b, a);
      kept = ops::multiply(a, b);
    }
    weights = kept;
  }
  if (weights) {
    const auto [a, b] = with_one_rank(values, weights);
    check_weights(b, a);
    values = ops::multiply(a, b);
    weights = b;
  }
  if (reduction == "none" || values.rank() == 0) return values;
  const Tensor sum = total(values);
  if (reduction == "sum") return sum;
  if (reduction == "mean_with_sample_weight" && weights) return ops::divide_no_nan(sum, total(weights));
  return emit::map("div", {sum, product(values.shape())});
}

}  // namespace tusk
