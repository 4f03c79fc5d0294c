// Layers on images: Resizing, CenterCrop, AutoContrast. Images are [batch, height, width, channels] or, channels first,
// [batch, channels, height, width].
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

#include "frontend/layers/core.hpp"
#include "frontend/layers/resize.hpp"
#include "frontend/model/layer.hpp"

namespace tusk::layers {

/// Cropped or padded to the aspect ratio of the result, if that is asked for, then resized.
struct ResizingImpl : LayerBase {
  struct Config {
    std::int64_t height = 0;
    std::int64_t width = 0;
    Interpolation interpolation = "bilinear";
    bool crop_to_aspect_ratio = false;
    bool pad_to_aspect_ratio = false;
    OneOf<"constant"> fill_mode = "constant";
    double fill_value = 0;
    bool antialias = false;
    DataFormat data_format = "channels_last";
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::height, &Config::width};
  static void fields(auto& f, Config& c) {
    f("height", c.height);
    f("width", c.width);
    f("interpolation", c.interpolation);
    f("crop_to_aspect_ratio", c.crop_to_aspect_ratio);
    f("pad_to_aspect_ratio", c.pad_to_aspect_ratio);
    f("fill_mode", c.fill_mode);
    f("fill_value", c.fill_value);
    f("antialias", c.antialias);
    f("data_format", c.data_format);
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;
};
using Resizing = LayerOf<ResizingImpl>;

/// The middle of an image; one that is too small is cropped to the aspect ratio and resized (bilinear).
struct CenterCropImpl : LayerBase {
  struct Config {
    std::int64_t height = 0;
    std::int64_t width = 0;
    DataFormat data_format = "channels_last";
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::height, &Config::width};
  static void fields(auto& f, Config& c) {
    f("height", c.height);
    f("width", c.width);
    f("data_format", c.data_format);
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;
};
using CenterCrop = LayerOf<CenterCropImpl>;

/// Each channel stretched to the value range.
struct AutoContrastImpl : LayerBase {
  struct Config {
    DesignatedOnly designated = DesignatedOnly();
    Numbers value_range = {0.0, 255.0};
    std::string name = {};
    std::string dtype = {};
  } config;
  static void fields(auto& f, Config& c) {
    f("value_range", c.value_range);
    f.ignored("data_format");
  }
  void build(const Shape& in) override { check_rank(in, 4); }
  Tensor call(Tensor x, const Call& call) override;
};
using AutoContrast = LayerOf<AutoContrastImpl>;

}  // namespace tusk::layers
