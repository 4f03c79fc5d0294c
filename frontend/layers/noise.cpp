#include "frontend/layers/noise.hpp"

#include <fmt/format.h>

#include <cmath>

#include "frontend/model/emit.hpp"

namespace tusk::layers {

Tensor dropout(const Tensor& x, double rate, const Shape& noise, const SeedGenerator& random) {
  if (!(rate >= 0 && rate <= 1))
    throw Error(error("field-value", fmt::format("the share to drop is {}, expected 0 to 1", rate)));
  if (rate == 1) return emit::map("select", {emit::filled("none", DType::boolean, x.shape(), 0), x, 0});
  const Tensor kept = emit::aligned(random.chance(noise, 1 - rate), x.shape());
  return emit::map("select", {kept, emit::map("mul", {x, 1 / (1 - rate)}), 0});
}

void TrainingOnlyImpl::prepare(std::string_view field, double rate, std::optional<std::int64_t> seed) {
  if (!(rate >= 0 && rate <= 1)) fail("field-value", fmt::format("{} is {}, expected 0 to 1", field, rate));
  random_ = add_seed_generator(seed);
}

Tensor TrainingOnlyImpl::call(Tensor x, const Call& how) {
  if (!how.training || strength() == 0) return x;
  if (!is_float(x.dtype())) {
    fail("layer-dtype",
         fmt::format("{} takes floats when it is trained, found {}", class_name(), keras_dtype(x.dtype())));
  }
  return trained(x);
}

Shape TrainingOnlyImpl::noise_shape(const Tensor& x, const std::vector<InputDim>& given) const {
  if (given.empty()) return x.shape();
  const std::size_t rank = x.shape().size();
  Shape shape;
  std::string written;
  bool fits = given.size() <= rank;
  for (std::size_t axis = 0; axis < given.size(); ++axis) {
    const std::optional<std::int64_t>& extent = given[axis].extent();
    written += (axis == 0 ? "" : ", ") + (extent ? std::to_string(*extent) : "None");
    if (!fits) continue;
    shape.push_back(extent ? Dim(*extent) : x.shape()[axis]);
    fits = shape.back() == Dim(1) || shape.back() == x.shape()[rank - given.size() + axis];
  }
  if (fits) return shape;
  fail("field-value", fmt::format("noise_shape is ({}), expected 1, None or the extent for each axis of {}", written,
                                  keras_shape(x.shape())));
}

Tensor DropoutImpl::trained(const Tensor& x) const {
  return dropout(x, config.rate, noise_shape(x, config.noise_shape), random_);
}

template <std::size_t axes>
Tensor SpatialDropoutImpl<axes>::trained(const Tensor& x) const {
  const bool last = axes == 1 || config.data_format == "channels_last";
  Shape noise(axes + 2, Dim(1));
  noise.front() = x.shape().front();
  noise[last ? axes + 1 : 1] = x.shape()[last ? axes + 1 : 1];
  return dropout(x, config.rate, noise, random_);
}
template struct SpatialDropoutImpl<1>;
template struct SpatialDropoutImpl<2>;
template struct SpatialDropoutImpl<3>;

Tensor GaussianDropoutImpl::trained(const Tensor& x) const {
  if (config.rate == 1) fail("field-value", "rate is 1, expected less: what is left would vary without bounds");
  const Tensor factor = emit::map(
      "add", {emit::map("mul", {random_.normal(x.shape()), std::sqrt(config.rate / (1 - config.rate))}), 1.0});
  return emit::map("mul", {x, emit::cast(factor, x.dtype())});
}

Tensor AlphaDropoutImpl::trained(const Tensor& x) const {
  if (config.rate == 1) fail("field-value", "rate is 1, expected less: what is left would have no variance");
  constexpr double kLeast = -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946;
  const double scale = 1 / std::sqrt((1 - config.rate) * (1 + config.rate * kLeast * kLeast));
  const Tensor kept = emit::aligned(random_.chance(noise_shape(x, config.noise_shape), 1 - config.rate), x.shape());
  const Tensor y = emit::map("select", {kept, x, kLeast});
  return emit::map("add", {emit::map("mul", {y, scale}), -scale * kLeast * config.rate});
}

Tensor GaussianNoiseImpl::trained(const Tensor& x) const {
  const Tensor noise = emit::map("mul", {random_.normal(x.shape()), config.stddev});
  return emit::map("add", {x, emit::cast(noise, x.dtype())});
}

}  // namespace tusk::layers
