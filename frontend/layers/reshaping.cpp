#include "frontend/layers/reshaping.hpp"

#include <fmt/format.h>

#include "frontend/layers/windows.hpp"
#include "frontend/model/trace.hpp"

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

void ZeroPadding2DImpl::build(const Shape& in) {
  if (in.size() != 4) fail("layer-rank", fmt::format("ZeroPadding2D needs rank 4, found {}", keras_shape(in)));
  for (std::size_t i = 0; i < 2; ++i) {
    for (const std::int64_t cells : config.padding[i]) check_field("padding", cells, 0);
  }
}

Tensor ZeroPadding2DImpl::call(Tensor x, const Call&) {
  Shape low(4, Dim(0));
  Shape high(4, Dim(0));
  for (std::size_t i = 0; i < 2; ++i) {
    low[first_spatial(config.data_format) + i] = Dim(config.padding[i][0]);
    high[first_spatial(config.data_format) + i] = Dim(config.padding[i][1]);
  }
  return emit::op("pad", {x},
                  {{{"low", low}, {"high", high}, {"inner", emit::Ints(4, 0)}, {"value", kernel::literal_of(0.0)}}});
}

}  // namespace tusk::layers
