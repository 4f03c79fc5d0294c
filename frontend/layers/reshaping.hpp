// Flatten, Reshape, Permute, RepeatVector; ZeroPadding, Cropping and UpSampling in one, two and three dimensions.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "frontend/layers/resize.hpp"
#include "frontend/model/layer.hpp"

namespace tusk::layers {

struct FlattenImpl : LayerBase {
  struct Config {
    DataFormat data_format = "channels_last";
    std::string name = {};
    std::string dtype = {};
  } config;
  static void fields(auto& f, Config& c) { f("data_format", c.data_format); }
  Tensor call(Tensor x, const Call& call) override;
};
using Flatten = LayerOf<FlattenImpl>;

/// One extent of the target may be -1.
struct ReshapeImpl : LayerBase {
  struct Config {
    std::vector<std::int64_t> target_shape = {};
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::target_shape};
  static void fields(auto& f, Config& c) { f("target_shape", c.target_shape); }
  Tensor call(Tensor x, const Call& call) override;
};
using Reshape = LayerOf<ReshapeImpl>;

/// dims: axes of x behind the batch, counted from 1, in their new order.
struct PermuteImpl : LayerBase {
  struct Config {
    std::vector<std::int64_t> dims = {};
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::dims};
  static void fields(auto& f, Config& c) { f("dims", c.dims); }
  Tensor call(Tensor x, const Call& call) override;
};
using Permute = LayerOf<PermuteImpl>;

/// [batch, features] -> [batch, n, features]
struct RepeatVectorImpl : LayerBase {
  struct Config {
    std::int64_t n = 0;
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::n};
  static void fields(auto& f, Config& c) { f("n", c.n); }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;
};
using RepeatVector = LayerOf<RepeatVectorImpl>;

/// Cells at both ends of each axis: one number for all; a number for each axis; or a pair for each. With one axis, two
/// numbers are the pair.
template <std::size_t axes>
class Sides {
 public:
  using Pair = std::array<std::int64_t, 2>;
  Sides(std::int64_t all) { sides_.fill({all, all}); }  // NOLINT: Keras takes either
  Sides(std::initializer_list<std::int64_t> list) : Sides(list.begin(), list.size()) {}
  Sides(std::initializer_list<Pair> list) {
    if (list.size() != axes)
      throw Error(error("field-axes", fmt::format("{} pairs are given for {} axes", list.size(), axes)));
    std::copy(list.begin(), list.end(), sides_.begin());
  }
  Sides(const std::int64_t* values, std::size_t count) {
    if (axes == 1 && count == 2) {
      sides_[0] = {values[0], values[1]};
      return;
    }
    const PerAxis<axes> each(values, count);
    for (std::size_t i = 0; i < axes; ++i) sides_[i] = {each[i], each[i]};
  }
  explicit Sides(const std::array<Pair, axes>& sides) : sides_(sides) {}
  const Pair& operator[](std::size_t axis) const { return sides_[axis]; }

 private:
  std::array<Pair, axes> sides_;
};

template <std::size_t axes>
struct ZeroPaddingImpl : LayerBase {
  static constexpr std::string_view kNames[3] = {"ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D"};
  static constexpr std::string_view class_name = kNames[axes - 1];
  struct Config {
    Sides<axes> padding = 1;
    DataFormat data_format = "channels_last";
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::padding};
  static constexpr bool all_optional = true;
  static void fields(auto& f, Config& c) {
    f("padding", c.padding);
    f("data_format", c.data_format);
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;
};
using ZeroPadding1D = LayerOf<ZeroPaddingImpl<1>>;
using ZeroPadding2D = LayerOf<ZeroPaddingImpl<2>>;
using ZeroPadding3D = LayerOf<ZeroPaddingImpl<3>>;

template <std::size_t axes>
struct CroppingImpl : LayerBase {
  static constexpr std::string_view kNames[3] = {"Cropping1D", "Cropping2D", "Cropping3D"};
  static constexpr std::string_view class_name = kNames[axes - 1];
  struct Config {
    Sides<axes> cropping = axes == 2 ? 0 : 1;  // Keras' defaults
    DataFormat data_format = "channels_last";
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::cropping};
  static constexpr bool all_optional = true;
  static void fields(auto& f, Config& c) {
    f("cropping", c.cropping);
    if (axes > 1) f("data_format", c.data_format);
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;
};
using Cropping1D = LayerOf<CroppingImpl<1>>;
using Cropping2D = LayerOf<CroppingImpl<2>>;
using Cropping3D = LayerOf<CroppingImpl<3>>;

/// Every element `size` times along each axis; in two dimensions, also by interpolation.
template <std::size_t axes>
struct UpSamplingImpl : LayerBase {
  static constexpr std::string_view kNames[3] = {"UpSampling1D", "UpSampling2D", "UpSampling3D"};
  static constexpr std::string_view class_name = kNames[axes - 1];
  struct Config {
    PerAxis<axes> size = 2;
    DataFormat data_format = "channels_last";
    Interpolation interpolation = "nearest";
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::size};
  static constexpr bool all_optional = true;
  static void fields(auto& f, Config& c) {
    f("size", c.size);
    if (axes > 1) f("data_format", c.data_format);
    if (axes == 2) f("interpolation", c.interpolation);
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;
};
using UpSampling1D = LayerOf<UpSamplingImpl<1>>;
using UpSampling2D = LayerOf<UpSamplingImpl<2>>;
using UpSampling3D = LayerOf<UpSamplingImpl<3>>;

}  // namespace tusk::layers
