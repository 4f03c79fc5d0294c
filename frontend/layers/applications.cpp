#include "frontend/layers/applications.hpp"

#include "frontend/model/emit.hpp"

namespace tusk::layers {

void LayerScaleImpl::build(const Shape&) {
  check_field("projection_dim", config.projection_dim);
  gamma_ = add_weight("gamma", {config.projection_dim}, {.initializer = "zeros"});
  gamma_.assign(Array::splat(DType::f32, {config.projection_dim}, config.init_values));
}

Tensor LayerScaleImpl::call(Tensor input, const Call&) {
  const Tensor x = emit::to_float(input);
  return emit::map("mul", {x, emit::aligned(gamma_, x.shape())});
}

Tensor StochasticDepthImpl::trained(const Tensor& x) const {
  Shape samples(x.shape().size(), Dim(1));
  samples.front() = x.shape().front();
  return dropout(x, config.drop_path_rate, samples, random_);
}

std::vector<Tensor> CustomScaleLayerImpl::call_all(const std::vector<Tensor>& inputs, const Call&) {
  const std::vector<Tensor> x = emit::broadcast_together({emit::to_float(inputs[0]), emit::to_float(inputs[1])});
  return {emit::map("add", {x[0], emit::map("mul", {x[1], config.scale})})};
}

}  // namespace tusk::layers
