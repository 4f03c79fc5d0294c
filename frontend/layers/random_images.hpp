// What the random layers on images share: they change an image in training, each sample by numbers of its own, and give
// it back at inference. Those that training cannot run yet stand at the end. Images are [batch, height, width,
// channels] or, channels first, [batch, channels, height, width].
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "frontend/layers/core.hpp"
#include "frontend/model/layer.hpp"

namespace tusk::layers {

/// Numbers are drawn from it evenly. One of a single number draws nothing.
struct Range {
  double low = 0, high = 0;
};

/// What a factor may be. A number f stands for -|f| to |f|, from `least` on; of two, Keras looks in most layers only
/// whether the range touches the bounds, in others at each number.
struct Bounds {
  double least = -1, most = 1;
  bool each = false;
};

struct RandomImage : LayerBase {
  void build(const Shape& in) override { check_rank(in, 4); }
  Tensor call(Tensor x, const Call& how) override;

 protected:
  /// In training: of images in the compute dtype, but where integers stay integers.
  virtual Tensor changed(const Tensor& images) const = 0;
  /// Whether integers stay integers at inference.
  virtual bool keeps_integers() const { return false; }
  /// And in training, too.
  virtual bool trains_integers() const { return false; }

  Range range_of(std::string_view field, const Numbers& given, Bounds bounds) const;
  /// Two numbers in order: the least and the greatest value of an image.
  Range value_range_of(const Numbers& given) const;
  void draw_from(std::optional<std::int64_t> seed) { random_ = add_seed_generator(seed); }

 public:
  /// f32, one for each sample.
  Tensor drawn(const Tensor& images, Range range) const;
  /// One for each sample, as an image of one place in the dtype of the images.
  static Tensor beside(const Tensor& numbers, const Tensor& images);
  /// bool: which samples are changed, each with a probability of the range.
  Tensor chosen(const Tensor& images, Range probability) const;

 protected:
  SeedGenerator random_;
};

/// One that training refuses.
template <FixedText keras_name>
struct RefusedRandomImageImpl : LayerBase {
  static constexpr std::string_view class_name = keras_name.view();
  struct Config {
    std::string name = {};
    std::string dtype = {};
  } config;
  static void fields(auto& f, Config&) { f.ignore_rest(); }
  Tensor call(Tensor x, const Call& call) override;
};

#define TUSK_REFUSED_RANDOM_IMAGES(X) \
  X(RandomElasticTransform)           \
  X(RandomPerspective)                \
  X(AugMix)                           \
  X(CutMix)                           \
  X(MixUp)                            \
  X(RandAugment)
#define TUSK_USING(Name) using Name = LayerOf<RefusedRandomImageImpl<#Name>>;
TUSK_REFUSED_RANDOM_IMAGES(TUSK_USING)
#undef TUSK_USING

}  // namespace tusk::layers
