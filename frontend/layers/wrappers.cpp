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
  const std::vector<Variable> inner = config.layer.weights();
  if (inner.empty() || (inner.front().name() != "kernel" && inner.front().name() != "embeddings"))
    fail("layer-wrapped", fmt::format("layer `{}` has no kernel", config.layer.name()));
  add_weight("vector_u", {1, inner.front().shape().back()}, {.initializer = "truncated_normal", .trainable = false});
}

Tensor SpectralNormalizationImpl::call(Tensor x, const Call& call) {
  if (call.training) {
    fail("layer-training",
         fmt::format("{} is called with training = true, which this release cannot compute", class_name()));
  }
  return emit::cast(config.layer(x, call), x.dtype());
}

std::vector<Variable> SpectralNormalizationImpl::weights() const {
  std::vector<Variable> out = config.layer.weights();
  if (!out.empty() && !own_weights().empty()) out.insert(out.begin() + 1, own_weights().front());
  return out;
}

}  // namespace tusk::layers
