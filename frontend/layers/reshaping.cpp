#include "frontend/layers/reshaping.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "frontend/layers/windows.hpp"
#include "frontend/model/emit.hpp"

namespace tusk::layers {

Tensor FlattenImpl::call(Tensor input, const Call&) {
  Tensor x = input;
  if (config.data_format == "channels_first" && x.rank() > 2) {  // elements in the order of channels_last
    emit::Ints perm{0};
    for (std::int64_t axis = 2; axis < x.rank(); ++axis) perm.push_back(axis);
    perm.push_back(1);
    x = emit::transpose(x, std::move(perm));
  }
  const Shape& shape = x.shape();
  return emit::reshape(x, {shape.front(), product(Shape(shape.begin() + 1, shape.end()))});
}

Tensor ReshapeImpl::call(Tensor x, const Call&) {
  return emit::reshape(x, emit::reshaped(x.shape(), config.target_shape));
}

Tensor PermuteImpl::call(Tensor x, const Call&) {
  emit::Ints perm{0};
  perm.insert(perm.end(), config.dims.begin(), config.dims.end());
  emit::Ints sorted = perm;
  std::ranges::sort(sorted);
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (sorted.size() == x.shape().size() && sorted[i] == static_cast<std::int64_t>(i)) continue;
    fail("field-value", fmt::format("dims is ({}), expected each of 1 to {} once: the input is {}",
                                    fmt::join(config.dims, ", "), x.rank() - 1, keras_shape(x.shape())));
  }
  return emit::transpose(x, std::move(perm));
}

void RepeatVectorImpl::build(const Shape& in) {
  check_field("n", config.n);
  check_rank(in, 2);
}

Tensor RepeatVectorImpl::call(Tensor x, const Call&) {
  return emit::broadcast(x, {x.shape()[0], Dim(config.n), x.shape()[1]}, {0, 2});
}

template <std::size_t axes>
void ZeroPaddingImpl<axes>::build(const Shape& in) {
  check_rank(in, axes + 2);
  for (std::size_t i = 0; i < axes; ++i) {
    for (const std::int64_t cells : config.padding[i]) check_field("padding", cells, 0);
  }
}

template <std::size_t axes>
Tensor ZeroPaddingImpl<axes>::call(Tensor x, const Call&) {
  Shape low(axes + 2, Dim(0));
  Shape high(axes + 2, Dim(0));
  for (std::size_t i = 0; i < axes; ++i) {
    low[first_spatial(config.data_format) + i] = Dim(config.padding[i][0]);
    high[first_spatial(config.data_format) + i] = Dim(config.padding[i][1]);
  }
  return emit::pad(x, std::move(low), std::move(high), 0);
}

template struct ZeroPaddingImpl<1>;
template struct ZeroPaddingImpl<2>;
template struct ZeroPaddingImpl<3>;

template <std::size_t axes>
void CroppingImpl<axes>::build(const Shape& in) {
  check_rank(in, axes + 2);
  for (std::size_t i = 0; i < axes; ++i) {
    for (const std::int64_t cells : config.cropping[i]) check_field("cropping", cells, 0);
  }
}

template <std::size_t axes>
Tensor CroppingImpl<axes>::call(Tensor x, const Call&) {
  Shape start(axes + 2, Dim(0));
  Shape limit = x.shape();
  for (std::size_t i = 0; i < axes; ++i) {
    const std::size_t axis = first_spatial(config.data_format) + i;
    const auto& [before, after] = config.cropping[i];
    if (limit[axis].is_constant() && limit[axis].constant() <= before + after) {
      fail("layer-window", fmt::format("cropping of {} and {} leaves nothing of an axis of {}: the input is {}", before,
                                       after, limit[axis].str(), keras_shape(x.shape())));
    }
    start[axis] = Dim(before);
    limit[axis] = limit[axis] - Dim(after);
  }
  return emit::op("slice", {x}, {{{"start", start}, {"limit", limit}, {"step", emit::Ints(axes + 2, 1)}}});
}

template struct CroppingImpl<1>;
template struct CroppingImpl<2>;
template struct CroppingImpl<3>;

template <std::size_t axes>
void UpSamplingImpl<axes>::build(const Shape& in) {
  check_rank(in, axes + 2);
  for (const std::int64_t size : config.size) check_field("size", size);
}

template <std::size_t axes>
Tensor UpSamplingImpl<axes>::call(Tensor x, const Call&) {
  const std::size_t first = first_spatial(config.data_format);
  if (config.interpolation == "nearest") {
    for (std::size_t i = 0; i < axes; ++i) x = emit::repeated(x, static_cast<std::int64_t>(first + i), config.size[i]);
    return x;
  }
  std::vector<Resized> to;
  for (std::size_t i = 0; i < axes; ++i) {
    if (config.size[i] == 1) continue;
    const auto axis = static_cast<std::int64_t>(first + i);
    if (const std::string closed = needs_sizes(config.interpolation, false, x.dtype()); !closed.empty())
      (void)known_dim(x.shape(), axis, "for " + closed);
    to.push_back({axis, x.shape()[first + i] * Dim(config.size[i])});
  }
  return resized(x, to, config.interpolation, false);
}

template struct UpSamplingImpl<1>;
template struct UpSamplingImpl<2>;
template struct UpSamplingImpl<3>;

}  // namespace tusk::layers
