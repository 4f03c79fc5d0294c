#include "frontend/training/penalties.hpp"

#include <fmt/format.h>

#include "frontend/layers/attention.hpp"
#include "frontend/layers/noise.hpp"
#include "frontend/model/model.hpp"
#include "frontend/ops/ops.hpp"

namespace tusk {
namespace {

// Keras keeps the factors of two of the classes in f32, and writes them so.
double single(double number) { return static_cast<double>(static_cast<float>(number)); }

// Rows (or columns) that are not at right angles.
Tensor orthogonal(const Regularizer& regularizer, const Tensor& x) {
  if (x.rank() != 2) {
    throw Error(error("training-config",
                      fmt::format("OrthogonalRegularizer takes matrices, found {}", keras_shape(x.shape()))));
  }
  constexpr double kLeastNorm = 1e-6;
  const bool by_rows = regularizer.by_rows;
  const Tensor unit = emit::normalized(x, {by_rows ? 1 : 0}, kLeastNorm);
  const Tensor products = by_rows ? ops::matmul(unit, ops::transpose(unit)) : ops::matmul(ops::transpose(unit), unit);
  const Dim size = products.shape()[0];
  const auto iota = [&](std::int64_t axis) {
    return emit::op("iota", {}, {{{"shape", Shape{size, size}}, {"axis", axis}}});
  };
  const Tensor apart = emit::map("select", {emit::map("ne", {iota(0), iota(1)}), products, 0.0});
  const auto n = static_cast<double>(size.constant());
  return single(regularizer.factor) * 0.5 * ops::sum(ops::abs(apart)) / (n * (n - 1) / 2);
}

Tensor sums(const Tensor& x, double l1, double l2) {
  Tensor out;
  if (l1 != 0) out = l1 * ops::sum(ops::abs(x));
  if (l2 != 0) {
    const Tensor squares = l2 * ops::sum(ops::square(x));
    out = out ? out + squares : squares;
  }
  return out ? out : emit::filled("zero", DType::f32, {}, 0);
}

[[noreturn]] void refuse(const Layer& layer, const std::string& message) {
  Diagnostic problem = error("layer-training", fmt::format("{} has {}", layer.class_name(), message));
  problem.layer = layer.name();
  throw Error(problem);
}

}  // namespace

Tensor penalty_of(const Regularizer& regularizer, const Tensor& value) {
  const Tensor x = emit::cast(value, DType::f32);
  if (regularizer.kind == Regularizer::Kind::orthogonal) return orthogonal(regularizer, x);
  const bool is_l1 = regularizer.kind == Regularizer::Kind::l1;
  return sums(x, is_l1 ? single(regularizer.l1) : regularizer.l1, regularizer.l2);
}

Tensor constrained(const Constraint& constraint, const Tensor& w) {
  using Kind = Constraint::Kind;
  if (constraint.kind == Kind::none) return w;
  if (constraint.kind == Kind::non_neg) return ops::maximum(w, 0);
  const std::vector<std::int64_t> axes(constraint.axes.begin(),
                                       constraint.axes.begin() + static_cast<std::ptrdiff_t>(constraint.axis_count));
  const Tensor length = ops::sqrt(ops::sum(ops::square(w), {.axis = axes, .keepdims = true}));
  if (constraint.kind == Kind::unit_norm) return w / (emit::kEpsilon + length);
  Tensor wanted = ops::clip(length, constraint.min_value, constraint.max_value);
  if (constraint.kind == Kind::min_max_norm) wanted = constraint.rate * wanted + (1 - constraint.rate) * length;
  return w * (wanted / (emit::kEpsilon + length));
}

void check_penalties(const Layer& layer) {
  for (const auto& [key, config] : layer.base().unknown_penalties())
    refuse(layer, fmt::format("{} = {}, which training does not know", key, config));
  const auto* model = dynamic_cast<const FunctionalImpl*>(&layer.base());
  for (const Layer& inner : model != nullptr ? model->layers : layer.base().children()) {
    check_penalties(inner);
    const bool is_seen =
        model != nullptr || dynamic_cast<const layers::ProjectedAttentionBase*>(&layer.base()) != nullptr;
    if (!is_seen && inner.base().activity_regularizer())
      refuse(layer, fmt::format("a {} with an activity_regularizer inside, which this release cannot compile",
                                inner.class_name()));
  }
}

std::vector<Tensor> activity_penalties(const LayerBase& layer, const std::vector<Tensor>& results) {
  std::vector<Tensor> out;
  const auto add = [&](const Tensor& result, const Tensor& penalty) {
    out.push_back(emit::map("div", {penalty, result.shape().front()}));
  };
  if (layer.activity_regularizer()) {
    for (const Tensor& result : results) add(result, penalty_of(layer.activity_regularizer(), result));
  }
  if (const auto* own = dynamic_cast<const layers::ActivityRegularizationImpl*>(&layer)) {
    for (const Tensor& result : results)
      add(result, sums(emit::cast(result, DType::f32), own->config.l1, own->config.l2));
  }
  return out;
}

}  // namespace tusk
