// Flatten, Reshape, ZeroPadding2D.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <tuple>
#include <vector>

#include "frontend/model/layer.hpp"

namespace tusk::layers {

struct FlattenImpl : LayerBase {
  struct Config {
    DataFormat data_format = "channels_last";
    std::string name = {};
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
  } config;
  static constexpr std::tuple positional{&Config::target_shape};
  static void fields(auto& f, Config& c) { f("target_shape", c.target_shape); }
  Tensor call(Tensor x, const Call& call) override;
};
using Reshape = LayerOf<ReshapeImpl>;

/// 1, {1, 2} (height, width) or {{1, 2}, {3, 4}} (top and bottom, left and right).
class Padding2D {
 public:
  Padding2D(std::int64_t all) : Padding2D({all, all}) {}  // NOLINT: Keras takes either
  Padding2D(std::initializer_list<std::int64_t> list) {
    const PerAxis<2> each(list);
    sides_ = {{{each[0], each[0]}, {each[1], each[1]}}};
  }
  Padding2D(std::initializer_list<std::array<std::int64_t, 2>> list) {
    if (list.size() != 2) throw Error(error("field-axes", "padding needs two pairs of numbers"));
    sides_ = {*list.begin(), *(list.begin() + 1)};
  }
  const std::array<std::int64_t, 2>& operator[](std::size_t axis) const { return sides_[axis]; }

 private:
  std::array<std::array<std::int64_t, 2>, 2> sides_;
};

struct ZeroPadding2DImpl : LayerBase {
  struct Config {
    Padding2D padding = 1;
    DataFormat data_format = "channels_last";
    std::string name = {};
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
using ZeroPadding2D = LayerOf<ZeroPadding2DImpl>;

}  // namespace tusk::layers
