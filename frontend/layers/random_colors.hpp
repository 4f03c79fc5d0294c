// Random layers that change the values of an image, each place by itself or with those beside it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "frontend/layers/random_images.hpp"

namespace tusk::layers {

struct ColorDef;

/// What one of the layers below is told.
struct Adjustment {
  Range factor, values;
  DataFormat data_format = "channels_last";
};

/// A layer with a factor and a value range, which a table in the source names.
struct RandomColor : RandomImage {
 protected:
  void prepare(const Numbers& factor, const Numbers& value_range, DataFormat format, std::optional<std::int64_t> seed);
  Tensor changed(const Tensor& images) const override;
  bool keeps_integers() const override;
  bool trains_integers() const override;

 private:
  Adjustment adjustment_;
};

template <FixedText keras_name>
struct RandomColorImpl : RandomColor {
  static constexpr std::string_view class_name = keras_name.view();
  struct Config {
    DesignatedOnly designated = DesignatedOnly();
    Numbers factor = keras_name.view() == "RandomInvert" ? 1.0 : 0.0;
    Numbers value_range = {0.0, 255.0};
    std::optional<std::int64_t> seed = {};
    DataFormat data_format = "channels_last";
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::factor};
  static void fields(auto& f, Config& c) {
    f("factor", c.factor);
    f("value_range", c.value_range);
    f("seed", c.seed);
    f("data_format", c.data_format);
    f.ignored("bounding_box_format");
    f.ignored("rng_type");  // Keras 2
  }
  void build(const Shape& in) override {
    RandomImage::build(in);
    prepare(config.factor, config.value_range, config.data_format, config.seed);
  }
};

/// Each channel's distance from its mean over the image, times a number from 1 - factor[0] to 1 + factor[1].
using RandomContrast = LayerOf<RandomColorImpl<"RandomContrast">>;
/// Adds a share of the value range.
using RandomBrightness = LayerOf<RandomColorImpl<"RandomBrightness">>;
/// The saturation of RGB, times f / (1 - f).
using RandomSaturation = LayerOf<RandomColorImpl<"RandomSaturation">>;
/// Turns the hue of RGB by half the factor, one way or the other.
using RandomHue = LayerOf<RandomColorImpl<"RandomHue">>;
/// Keeps so many of the eight upper bits; the greatest of a range is not drawn.
using RandomPosterization = LayerOf<RandomColorImpl<"RandomPosterization">>;
/// 0.5 is the image, 0 a blurred one, 1 as far away from that.
using RandomSharpness = LayerOf<RandomColorImpl<"RandomSharpness">>;
/// The greatest value minus the image, with the probability of the factor.
using RandomInvert = LayerOf<RandomColorImpl<"RandomInvert">>;
/// 1 is the greyscale of the image, 0 the image.
using RandomColorDegeneration = LayerOf<RandomColorImpl<"RandomColorDegeneration">>;

/// The greyscale of an image with the probability `factor`.
struct RandomGrayscaleImpl : RandomImage {
  struct Config {
    double factor = 0.5;
    std::optional<std::int64_t> seed = {};
    DataFormat data_format = "channels_last";
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::factor};
  static constexpr bool all_optional = true;
  static void fields(auto& f, Config& c) {
    f("factor", c.factor);
    f("seed", c.seed);
    f("data_format", c.data_format);
    f.ignored("bounding_box_format");
  }
  void build(const Shape& in) override;

 protected:
  Tensor changed(const Tensor& images) const override;
  bool keeps_integers() const override { return true; }
  bool trains_integers() const override { return true; }
};
using RandomGrayscale = LayerOf<RandomGrayscaleImpl>;

/// RandomBrightness, RandomContrast, RandomSaturation and RandomHue, those that are given, in this order.
struct RandomColorJitterImpl : RandomImage {
  struct Config {
    DesignatedOnly designated = DesignatedOnly();
    Numbers value_range = {0.0, 255.0};
    std::optional<Numbers> brightness_factor = {};
    std::optional<Numbers> contrast_factor = {};
    std::optional<Numbers> saturation_factor = {};
    std::optional<Numbers> hue_factor = {};
    std::optional<std::int64_t> seed = {};
    DataFormat data_format = "channels_last";
    std::string name = {};
    std::string dtype = {};
  } config;
  static void fields(auto& f, Config& c) {
    f("value_range", c.value_range);
    f("brightness_factor", c.brightness_factor);
    f("contrast_factor", c.contrast_factor);
    f("saturation_factor", c.saturation_factor);
    f("hue_factor", c.hue_factor);
    f("seed", c.seed);
    f("data_format", c.data_format);
    f.ignored("bounding_box_format");
  }
  void build(const Shape& in) override;

 protected:
  Tensor changed(const Tensor& images) const override;
  bool keeps_integers() const override { return true; }

 private:
  std::vector<std::pair<const ColorDef*, Adjustment>> parts_;
};
using RandomColorJitter = LayerOf<RandomColorJitterImpl>;

/// Adds a share of 255 to values of 0 to 255 and turns those around (255 - x) that reach a threshold.
struct SolarizationImpl : RandomImage {
  struct Config {
    DesignatedOnly designated = DesignatedOnly();
    Numbers addition_factor = 0.0;
    Numbers threshold_factor = 0.0;
    Numbers value_range = {0.0, 255.0};
    std::optional<std::int64_t> seed = {};
    DataFormat data_format = "channels_last";
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::addition_factor, &Config::threshold_factor};
  static constexpr bool all_optional = true;
  static void fields(auto& f, Config& c) {
    f("addition_factor", c.addition_factor);
    f("threshold_factor", c.threshold_factor);
    f("value_range", c.value_range);
    f("seed", c.seed);
    f("data_format", c.data_format);
    f.ignored("bounding_box_format");
  }
  void build(const Shape& in) override;

 protected:
  Tensor changed(const Tensor& images) const override;

 private:
  Range addition_, threshold_, values_;
};
using Solarization = LayerOf<SolarizationImpl>;

/// A box of each image, sides of the root of `scale`, is filled with a value, one for each of three channels, or with
/// normal numbers times the greatest value.
struct RandomErasingImpl : RandomImage {
  struct Config {
    DesignatedOnly designated = DesignatedOnly();
    Numbers factor = 1.0;
    Numbers scale = {0.02, 0.33};
    std::optional<Numbers> fill_value = {};
    Numbers value_range = {0.0, 255.0};
    std::optional<std::int64_t> seed = {};
    DataFormat data_format = "channels_last";
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::factor};
  static constexpr bool all_optional = true;
  static void fields(auto& f, Config& c) {
    f("factor", c.factor);
    f("scale", c.scale);
    f("fill_value", c.fill_value);
    f("value_range", c.value_range);
    f("seed", c.seed);
    f("data_format", c.data_format);
    f.ignored("bounding_box_format");
  }
  void build(const Shape& in) override;

 protected:
  Tensor changed(const Tensor& images) const override;

 private:
  Range factor_, scale_, values_;
};
using RandomErasing = LayerOf<RandomErasingImpl>;

/// Blurred by a bell of `kernel_size` with the probability `factor`; the widths in both directions are drawn from
/// `sigma` once for the whole batch.
struct RandomGaussianBlurImpl : RandomImage {
  struct Config {
    DesignatedOnly designated = DesignatedOnly();
    Numbers factor = 1.0;
    PerAxis<2> kernel_size = 3;
    Numbers sigma = 1.0;
    Numbers value_range = {0.0, 255.0};
    std::optional<std::int64_t> seed = {};
    DataFormat data_format = "channels_last";
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::factor};
  static constexpr bool all_optional = true;
  static void fields(auto& f, Config& c) {
    f("factor", c.factor);
    f("kernel_size", c.kernel_size);
    f("sigma", c.sigma);
    f("value_range", c.value_range);
    f("seed", c.seed);
    f("data_format", c.data_format);
    f.ignored("bounding_box_format");
  }
  void build(const Shape& in) override;

 protected:
  Tensor changed(const Tensor& images) const override;

 private:
  Range factor_, sigma_;
};
using RandomGaussianBlur = LayerOf<RandomGaussianBlurImpl>;

}  // namespace tusk::layers
