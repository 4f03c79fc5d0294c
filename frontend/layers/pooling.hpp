// Pooling in one, two and three dimensions: in windows, over everything (Global), into so many parts (Adaptive).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "frontend/model/layer.hpp"

namespace tusk::layers {

enum class Pool : std::uint8_t { max, average };

/// An average with padding "same" divides by the elements that are no padding.
template <Pool pool, std::size_t axes>
struct PoolingImpl : LayerBase {
  static constexpr std::string_view kNames[2][3] = {{"MaxPooling1D", "MaxPooling2D", "MaxPooling3D"},
                                                    {"AveragePooling1D", "AveragePooling2D", "AveragePooling3D"}};
  static constexpr std::string_view class_name = kNames[pool == Pool::average][axes - 1];
  struct Config {
    PerAxis<axes> pool_size = 2;
    std::optional<PerAxis<axes>> strides = {};  // of themselves: pool_size
    OneOf<"valid", "same"> padding = "valid";
    DataFormat data_format = "channels_last";
    std::string name = {};
    std::string dtype = {};
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
using MaxPooling1D = LayerOf<PoolingImpl<Pool::max, 1>>;
using MaxPooling2D = LayerOf<PoolingImpl<Pool::max, 2>>;
using MaxPooling3D = LayerOf<PoolingImpl<Pool::max, 3>>;
using AveragePooling1D = LayerOf<PoolingImpl<Pool::average, 1>>;
using AveragePooling2D = LayerOf<PoolingImpl<Pool::average, 2>>;
using AveragePooling3D = LayerOf<PoolingImpl<Pool::average, 3>>;

template <Pool pool, std::size_t axes>
struct GlobalPoolingImpl : LayerBase {
  static constexpr std::string_view kNames[2][3] = {
      {"GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D"},
      {"GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D"}};
  static constexpr std::string_view class_name = kNames[pool == Pool::average][axes - 1];
  struct Config {
    DataFormat data_format = "channels_last";
    bool keepdims = false;
    std::string name = {};
    std::string dtype = {};
  } config;
  static void fields(auto& f, Config& c) {
    f("data_format", c.data_format);
    f("keepdims", c.keepdims);
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;
};
using GlobalMaxPooling1D = LayerOf<GlobalPoolingImpl<Pool::max, 1>>;
using GlobalMaxPooling2D = LayerOf<GlobalPoolingImpl<Pool::max, 2>>;
using GlobalMaxPooling3D = LayerOf<GlobalPoolingImpl<Pool::max, 3>>;
using GlobalAveragePooling1D = LayerOf<GlobalPoolingImpl<Pool::average, 1>>;
using GlobalAveragePooling2D = LayerOf<GlobalPoolingImpl<Pool::average, 2>>;
using GlobalAveragePooling3D = LayerOf<GlobalPoolingImpl<Pool::average, 3>>;

/// `output_size` windows along an axis of n elements: window i is floor(i*n/size) .. ceil((i+1)*n/size) - 1.
template <Pool pool, std::size_t axes>
struct AdaptivePoolingImpl : LayerBase {
  static constexpr std::string_view kNames[2][3] = {
      {"AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D"},
      {"AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D"}};
  static constexpr std::string_view class_name = kNames[pool == Pool::average][axes - 1];
  struct Config {
    PerAxis<axes> output_size = 1;
    DataFormat data_format = "channels_last";
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::output_size};
  static void fields(auto& f, Config& c) {
    f("output_size", c.output_size);
    f("data_format", c.data_format);
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;
};
using AdaptiveMaxPooling1D = LayerOf<AdaptivePoolingImpl<Pool::max, 1>>;
using AdaptiveMaxPooling2D = LayerOf<AdaptivePoolingImpl<Pool::max, 2>>;
using AdaptiveMaxPooling3D = LayerOf<AdaptivePoolingImpl<Pool::max, 3>>;
using AdaptiveAveragePooling1D = LayerOf<AdaptivePoolingImpl<Pool::average, 1>>;
using AdaptiveAveragePooling2D = LayerOf<AdaptivePoolingImpl<Pool::average, 2>>;
using AdaptiveAveragePooling3D = LayerOf<AdaptivePoolingImpl<Pool::average, 3>>;

}  // namespace tusk::layers
