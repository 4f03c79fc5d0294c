// Random layers that move the places of an image: RandomFlip, RandomRotation, RandomZoom, RandomTranslation,
// RandomCrop.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "frontend/layers/random_images.hpp"
#include "frontend/layers/warp.hpp"

namespace tusk::layers {

/// Every other image, left to right, top to bottom, or both at once.
struct RandomFlipImpl : RandomImage {
  struct Config {
    OneOf<"horizontal", "vertical", "horizontal_and_vertical"> mode = "horizontal_and_vertical";
    std::optional<std::int64_t> seed = {};
    DataFormat data_format = "channels_last";
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::mode};
  static constexpr bool all_optional = true;
  static void fields(auto& f, Config& c) {
    f("mode", c.mode);
    f("seed", c.seed);
    f("data_format", c.data_format);
    f.ignored("bounding_box_format");
    f.ignored("rng_type");  // Keras 2
  }
  void build(const Shape& in) override;

 protected:
  Tensor changed(const Tensor& images) const override;
};
using RandomFlip = LayerOf<RandomFlipImpl>;

/// Around the middle, by a share of a whole turn; above 0 it is counter-clockwise.
struct RandomRotationImpl : RandomImage {
  struct Config {
    DesignatedOnly designated = DesignatedOnly();
    Numbers factor = 0.0;
    FillMode fill_mode = "reflect";
    WarpInterpolation interpolation = "bilinear";
    std::optional<std::int64_t> seed = {};
    double fill_value = 0;
    DataFormat data_format = "channels_last";
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::factor};
  static void fields(auto& f, Config& c) {
    f("factor", c.factor);
    f("fill_mode", c.fill_mode);
    f("interpolation", c.interpolation);
    f("seed", c.seed);
    f("fill_value", c.fill_value);
    f("data_format", c.data_format);
    f.ignored("bounding_box_format");
    f.ignored("rng_type");  // Keras 2
  }
  void build(const Shape& in) override;

 protected:
  Tensor changed(const Tensor& images) const override;

 private:
  Range turns_;
};
using RandomRotation = LayerOf<RandomRotationImpl>;

/// By 1 + a number: above 0 away, below it closer. One number for both axes if `width_factor` is not given.
struct RandomZoomImpl : RandomImage {
  struct Config {
    DesignatedOnly designated = DesignatedOnly();
    Numbers height_factor = 0.0;
    std::optional<Numbers> width_factor = {};
    FillMode fill_mode = "reflect";
    WarpInterpolation interpolation = "bilinear";
    std::optional<std::int64_t> seed = {};
    double fill_value = 0;
    DataFormat data_format = "channels_last";
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::height_factor};
  static void fields(auto& f, Config& c) {
    f("height_factor", c.height_factor);
    f("width_factor", c.width_factor);
    f("fill_mode", c.fill_mode);
    f("interpolation", c.interpolation);
    f("seed", c.seed);
    f("fill_value", c.fill_value);
    f("data_format", c.data_format);
    f.ignored("bounding_box_format");
    f.ignored("rng_type");  // Keras 2
  }
  void build(const Shape& in) override;

 protected:
  Tensor changed(const Tensor& images) const override;

 private:
  Range height_;
  std::optional<Range> width_;
};
using RandomZoom = LayerOf<RandomZoomImpl>;

/// By shares of height and width: down and to the right above 0.
struct RandomTranslationImpl : RandomImage {
  struct Config {
    DesignatedOnly designated = DesignatedOnly();
    Numbers height_factor = 0.0;
    Numbers width_factor = 0.0;
    FillMode fill_mode = "reflect";
    WarpInterpolation interpolation = "bilinear";
    std::optional<std::int64_t> seed = {};
    double fill_value = 0;
    DataFormat data_format = "channels_last";
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::height_factor, &Config::width_factor};
  static void fields(auto& f, Config& c) {
    f("height_factor", c.height_factor);
    f("width_factor", c.width_factor);
    f("fill_mode", c.fill_mode);
    f("interpolation", c.interpolation);
    f("seed", c.seed);
    f("fill_value", c.fill_value);
    f("data_format", c.data_format);
    f.ignored("bounding_box_format");
    f.ignored("rng_type");  // Keras 2
  }
  void build(const Shape& in) override;

 protected:
  Tensor changed(const Tensor& images) const override;

 private:
  Range height_, width_;
};
using RandomTranslation = LayerOf<RandomTranslationImpl>;

/// Each row by its number times a factor, and each column, both one way or both the other.
struct RandomShearImpl : RandomImage {
  struct Config {
    DesignatedOnly designated = DesignatedOnly();
    Numbers x_factor = 0.0;
    Numbers y_factor = 0.0;
    WarpInterpolation interpolation = "bilinear";
    FillMode fill_mode = "reflect";
    double fill_value = 0;
    DataFormat data_format = "channels_last";
    std::optional<std::int64_t> seed = {};
    std::string name = {};
    std::string dtype = {};
  } config;
  static void fields(auto& f, Config& c) {
    f("x_factor", c.x_factor);
    f("y_factor", c.y_factor);
    f("interpolation", c.interpolation);
    f("fill_mode", c.fill_mode);
    f("fill_value", c.fill_value);
    f("data_format", c.data_format);
    f("seed", c.seed);
    f.ignored("bounding_box_format");
  }
  void build(const Shape& in) override;

 protected:
  Tensor changed(const Tensor& images) const override;

 private:
  Range x_, y_;
};
using RandomShear = LayerOf<RandomShearImpl>;

/// In training one place for the whole batch, where the image is larger than the crop in both axes; else the part that
/// Keras takes, resized. At inference images of any dtype stay as they are (Keras 2: as much of them as has the ratio
/// of the crop, resized).
struct RandomCropImpl : RandomImage {
  struct Config {
    std::int64_t height = 0;
    std::int64_t width = 0;
    std::optional<std::int64_t> seed = {};
    DataFormat data_format = "channels_last";
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::height, &Config::width};
  static void fields(auto& f, Config& c) {
    f("height", c.height);
    f("width", c.width);
    f("seed", c.seed);
    f("data_format", c.data_format);
    f.ignored("bounding_box_format");
    f.ignored("rng_type");  // Keras 2
  }
  void build(const Shape& in) override;
  bool autocasts() const override { return false; }
  Tensor call(Tensor x, const Call& how) override;
  /// Of the crop.
  std::vector<Shape> written_shapes(const std::vector<Shape>& inputs, std::vector<Shape> results) const override;

 protected:
  Tensor changed(const Tensor& images) const override;
  bool keeps_integers() const override { return true; }
};
using RandomCrop = LayerOf<RandomCropImpl>;

}  // namespace tusk::layers
