#include "frontend/layers/core.hpp"

#include <fmt/format.h>

#include "frontend/model/trace.hpp"

namespace tusk::layers {

void DenseImpl::build(const Shape& in) {
  check_field("units", config.units);
  if (in.size() < 2) fail("layer-rank", fmt::format("Dense needs rank 2 or more, found {}", keras_shape(in)));
  kernel_ = add_weight("kernel", {known_dim(in, -1), config.units}, {.initializer = config.kernel_initializer});
  if (config.use_bias) bias_ = add_weight("bias", {config.units}, {.initializer = config.bias_initializer});
}

Tensor DenseImpl::call(Tensor input, const Call&) {
  const Tensor x = emit::to_float(input);
  graph::ContractSpec spec;
  spec.a = {"n"};
  static constexpr const char* kNames[] = {"t", "u", "v", "w"};
  for (std::size_t i = 1; i + 1 < x.shape().size(); ++i) {
    spec.a.push_back(i <= std::size(kNames) ? kNames[i - 1] : fmt::format("n{}", i));
  }
  spec.y = spec.a;
  spec.a.emplace_back("k");
  spec.b = {"k", "o"};
  spec.y.emplace_back("o");
  std::optional<Tensor> init;
  if (bias_) {
    Shape shape = x.shape();
    shape.back() = Dim(config.units);
    init = emit::broadcast(bias_, std::move(shape), {x.rank() - 1}, "bias");
  }
  return config.activation(emit::contract(x, kernel_, init, std::move(spec)));
}

Tensor ActivationImpl::call(Tensor x, const Call&) { return config.activation(x); }

Tensor RescalingImpl::call(Tensor input, const Call&) {
  const Tensor x = emit::to_float(input);
  const auto term = [&](std::string_view field, const Numbers& numbers) -> emit::Arg {
    if (numbers.values.size() == 1) return numbers.values.front();
    const auto count = static_cast<std::int64_t>(numbers.values.size());
    if (!(x.shape().back() == Dim(count))) {
      fail("field-value",
           fmt::format("{} has {} numbers, the last axis of {} differs", field, count, keras_shape(x.shape())));
    }
    Array array(DType::f32, {count});
    for (std::int64_t i = 0; i < count; ++i) array.set(i, numbers.values[static_cast<std::size_t>(i)]);
    return emit::broadcast(emit::constant(field, array), x.shape(), {x.rank() - 1}, field);
  };
  const Tensor scaled = emit::map("mul", {x, term("scale", config.scale)});
  const std::vector<double>& offset = config.offset.values;
  if (offset.size() == 1 && offset[0] == 0) return scaled;
  return emit::map("add", {scaled, term("offset", config.offset)});
}

}  // namespace tusk::layers
