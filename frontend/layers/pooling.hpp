// MaxPooling2D, AveragePooling2D, GlobalMaxPooling2D, GlobalAveragePooling2D.
#pragma once

#include <optional>
#include <string>
#include <tuple>

#include "frontend/model/layer.hpp"

namespace tusk::layers {

template <bool average>
struct Pooling2DImpl : LayerBase {
  static constexpr std::string_view class_name = average ? "AveragePooling2D" : "MaxPooling2D";
  struct Config {
    PerAxis<2> pool_size = 2;
    std::optional<PerAxis<2>> strides = {};  // of themselves: pool_size
    OneOf<"valid", "same"> padding = "valid";
    DataFormat data_format = "channels_last";
    std::string name = {};
  } config;
  static constexpr std::tuple positional{&Config::pool_size};
  static constexpr bool all_optional = true;
  static void fields(auto& f, Config& c) {
    f("pool_size", c.pool_size);
    f("strides", c.strides);
    f("padding", c.padding);
    f("data_format", c.data_format);
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;
};
using MaxPooling2D = LayerOf<Pooling2DImpl<false>>;
using AveragePooling2D = LayerOf<Pooling2DImpl<true>>;

template <bool average>
struct GlobalPooling2DImpl : LayerBase {
  static constexpr std::string_view class_name = average ? "GlobalAveragePooling2D" : "GlobalMaxPooling2D";
  struct Config {
    DataFormat data_format = "channels_last";
    bool keepdims = false;
    std::string name = {};
  } config;
  static void fields(auto& f, Config& c) {
    f("data_format", c.data_format);
    f("keepdims", c.keepdims);
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;
};
using GlobalMaxPooling2D = LayerOf<GlobalPooling2DImpl<false>>;
using GlobalAveragePooling2D = LayerOf<GlobalPooling2DImpl<true>>;

}  // namespace tusk::layers
