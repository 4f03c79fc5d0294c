#include "frontend/layers/wrappers.hpp"

#include <fmt/format.h>

#include "frontend/model/emit.hpp"

namespace tusk::layers {
namespace {

void check_layer(const Layer& layer) {
  if (layer.shared() == nullptr) throw Error(error("field-value", "layer is not given"));
}

}  // namespace

void TimeDistributedImpl::build(const Shape& in) {
  check_layer(config.layer);
  check_min_rank(in, 2);
  Shape step = in;
  step.erase(step.begin() + 1);
  add_child(config.layer, {step});
}

// Steps of samples are samples: the layer sees [batch * time, ...].
std::vector<Tensor> TimeDistributedImpl::call_all(const std::vector<Tensor>& inputs, const Call& call) {
  const Tensor& x = inputs.front();
  const Dim batch = x.shape()[0];
  const Dim time = x.shape()[1];
  Shape steps = x.shape();
  steps.erase(steps.begin());
  steps[0] = batch * time;
  Call inner;
  inner.training = call.training;
  inner.inside = true;
  Tensor samples = emit::reshape(x, std::move(steps)).with_mask({});
  if (const Tensor& mask = call.mask.list.front(); mask && mask.rank() > 2) {
    Shape of_steps = mask.shape();
    of_steps.erase(of_steps.begin());
    of_steps[0] = batch * time;
    samples = samples.with_mask(emit::reshape(mask, std::move(of_steps)));
  }
  std::vector<Tensor> results = config.layer.base().apply({samples}, inner);
  for (Tensor& result : results) {
    Shape shape = result.shape();
    if (shape.empty() || !(shape[0] == batch * time)) {
      fail("layer-wrapped", fmt::format("layer `{}` gives {} for {} samples", config.layer.name(), keras_shape(shape),
                                        (batch * time).str()));
    }
    shape[0] = batch;
    shape.insert(shape.begin() + 1, time);
    result = emit::reshape(result, std::move(shape));
  }
  return results;
}

std::vector<Shape> TimeDistributedImpl::written_shapes(const std::vector<Shape>& inputs,
                                                       std::vector<Shape> results) const {
  const auto of_step = [](Shape shape) {
    shape.erase(shape.begin() + 1);
    return shape;
  };
  Shape& shape = results.front();
  const Shape written = config.layer.base().written_shapes({of_step(inputs.front())}, {of_step(shape)}).front();
  for (std::size_t i = 1; i < written.size(); ++i) shape[i + 1] = written[i];
  return results;
}

void SpectralNormalizationImpl::build(const Shape& in) {
  check_layer(config.layer);
  check_field("power_iterations", config.power_iterations);
  add_child(config.layer, {in});
  const std::vector<Variable>& inner = config.layer.base().own_weights();
  if (inner.empty() || (inner.front().name() != "kernel" && inner.front().name() != "embeddings"))
    fail("layer-wrapped", fmt::format("layer `{}` has no kernel", config.layer.name()));
  add_weight("vector_u", {1, inner.front().shape().back()},
             {.initializer = initializers::TruncatedNormal({.stddev = 0.02}), .trainable = false});
}

// The kernel itself becomes the normalized one, so that the layer, its penalties and the optimizer go on from it.
void SpectralNormalizationImpl::normalize() const {
  const Variable& kernel = config.layer.base().own_weights().front();
  const Variable& vector = own_weights().front();
  Trace::current().name_weights(config.layer.base());
  const Tensor w = Trace::value(kernel);
  emit::Ints all;
  for (std::int64_t axis = 0; axis < w.rank(); ++axis) all.push_back(axis);
  const Tensor any = emit::map("ne", {emit::reduce("max", emit::map("abs", {w}), all), 0});
  Trace::current().only_if(any, [&] {
    const Shape last{w.shape().back()};
    Shape before = w.shape();
    before.pop_back();
    const Tensor rows = emit::reshape(w, {product(before), last[0]});
    // Of the matrix with a vector of its columns, or of its rows.
    const auto times = [&](const Tensor& x, const char* over, const char* left) {
      graph::ContractSpec spec;
      spec.a = {"r", "c"};
      spec.b = {over};
      spec.y = {left};
      return emit::contract(rows, x, std::nullopt, std::move(spec));
    };
    const auto unit = [](const Tensor& x) { return emit::normalized(x, {0}, emit::kEpsilon); };
    Tensor u = emit::reshape(Trace::value(vector), last);
    Tensor v;
    for (std::int64_t i = 0; i < config.power_iterations; ++i) {
      v = unit(times(u, "c", "r"));
      u = unit(times(v, "r", "c"));
    }
    const Tensor norm = emit::reduce("sum", emit::map("mul", {times(v, "r", "c"), u}), {0});
    Trace::current().assign(vector, emit::reshape(u, {Dim(1), last[0]}));
    Trace::current().assign(kernel, emit::map("div", {w, emit::broadcast(norm, w.shape(), {})}));
  });
}

Tensor SpectralNormalizationImpl::call(Tensor x, const Call& call) {
  if (call.training) normalize();
  return emit::cast(config.layer(x, call), x.dtype());
}

std::vector<Variable> SpectralNormalizationImpl::weights() const {
  std::vector<Variable> out = config.layer.weights();
  if (!out.empty() && !own_weights().empty()) out.insert(out.begin() + 1, own_weights().front());
  return out;
}

}  // namespace tusk::layers
