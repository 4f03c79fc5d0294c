// What a user reads who defines a model wrongly: layer, what is expected, what is found. Each error of a layer's
// definition once, as a whole text.
#include <gtest/gtest.h>

#include <optional>
#include <tuple>
#include <vector>

#include "frontend/layers/layers.hpp"
#include "frontend/model/emit.hpp"
#include "frontend/model/model.hpp"
#include "frontend/model/to_module.hpp"
#include "frontend/ops/ops.hpp"
#include "tests/unit/wrong_definition.hpp"

namespace tusk {
namespace {

Tensor image() { return Input({8, 7, 6}); }
Tensor row(int size) { return Input({size}); }
Tensor series() { return Input({5, 3}); }

TEST(DefinitionErrors, DenseAndEinsum) {
  const auto einsum = [](const char* equation, const layers::OutputShape& shape, const Tensor& x,
                         const char* bias_axes = "") {
    layers::EinsumDense(equation, shape, {.bias_axes = bias_axes})(x);
  };
  expect({
      {[] { layers::Dense(0)(row(3)); }, "units is 0, expected at least 1 [field-value]", "dense"},
      {[] { layers::Dense(1 << 27)(row(3)); }, "units is 134217728, expected at most 67108864 [field-value]", "dense"},
      {[] { layers::Dense(2)(Input({})); }, "Dense needs rank 2 or more, found (None,) [layer-rank]", "dense"},
      {[] {
         layers::Dense(2)(Input({3, None}));
       },
       "axis -1 of the input (None, 3, None) must be known when the layer is built [layer-unknown-dim]", "dense"},
      {[] { layers::Dense(1 << 26)(row(1 << 26)); },
       "weight kernel would have shape (67108864, 67108864), expected at most 17179869184 elements [weight-size]",
       "dense"},
      {[] {
         layers::Dense(2)({row(3), row(3)});
       },
       "Dense takes 1 input, found 2 [layer-inputs]", "dense"},
      {[] { layers::Dense(3, {.activation = "glu"})(row(4)); },
       "glu halves axis -1 of (None, 3), whose extent is odd [glu-axis]", "dense"},
      {[&] { einsum("ab", 8, row(4)); }, "`ab`: expected an equation like `abc,cd->abd` [einsum-equation]",
       "einsum_dense"},
      {[&] { einsum("abc,cd->abd", 8, row(4)); },
       "`abc,cd->abd`: the input (None, 4) has another rank [einsum-equation]", "einsum_dense"},
      {[&] { einsum("a1,1d->ad", 8, row(4)); }, "`a1,1d->ad`: `1` is no letter [einsum-equation]", "einsum_dense"},
      {[&] { einsum("abb,bd->ad", 8, series()); },
       "`abb,bd->ad`: a letter stands twice in one operand [einsum-equation]", "einsum_dense"},
      {[&] {
         einsum("abc,cde->abde", layers::OutputShape({std::nullopt, 8}), series());
       },
       "`abc,cde->abde`: output_shape has too few extents [einsum-equation]", "einsum_dense"},
      {[&] {
         einsum("ab,bc->ac", {8, 9}, row(4));
       },
       "`ab,bc->ac`: output_shape has too many extents [einsum-equation]", "einsum_dense"},
      {[&] {
         einsum("abc,cd->abd", {9, 8}, series());
       },
       "`abc,cd->abd`: output_shape gives 9 for an axis that has 5 [einsum-equation]", "einsum_dense"},
      {[&] { einsum("ab,bc->ad", 8, row(4)); },
       "`ab,bc->ad`: a letter of the kernel is in neither the input nor the output [einsum-equation]", "einsum_dense"},
      {[&] {
         einsum("abc,cd->abd", {8}, Input({None, 3}));
       },
       "`abc,cd->abd`: output_shape has too few extents [einsum-equation]", "einsum_dense"},
      {[&] { einsum("ab,bc->ac", layers::OutputShape(8), Input({None})); },
       "`ab,bc->ac`: an extent of the kernel is unknown [einsum-equation]", "einsum_dense"},
      {[&] { einsum("ab,bc->ac", 8, row(4), "z"); },
       "`ab,bc->ac`: bias_axes names no axis of the output [einsum-equation]", "einsum_dense"},
      {[&] {
         einsum("abc,cd->abd", layers::OutputShape({std::nullopt, 8}), Input({None, 3}), "b");
       },
       "`abc,cd->abd`: an extent of the bias is unknown [einsum-equation]", "einsum_dense"},
      {[] { layers::Embedding(0, 2)(row(3)); }, "input_dim is 0, expected at least 1 [field-value]", "embedding"},
  });
}

TEST(DefinitionErrors, Convolutions) {
  expect({
      {[] { layers::Conv1D(3, 2)(image()); }, "Conv1D needs rank 3, found (None, 8, 7, 6) [layer-rank]", "conv1d"},
      {[] { layers::Conv2D(0, 3)(image()); }, "filters is 0, expected at least 1 [field-value]", "conv2d"},
      {[] { layers::Conv2D(3, 0)(image()); }, "kernel_size is 0, expected at least 1 [field-value]", "conv2d"},
      {[] { layers::Conv2D(3, 2, {.strides = 0})(image()); }, "strides is 0, expected at least 1 [field-value]",
       "conv2d"},
      {[] {
         layers::Conv2D(3, {3, 9})(image());
       },
       "kernel_size 9 with dilation_rate 1 does not fit into an axis of 7: the input is (None, 8, 7, 6) [layer-window]",
       "conv2d"},
      {[] { layers::Conv2D(3, 2, {.groups = 4})(image()); },
       "groups is 4, which must divide the 6 input channels and the 3 filters [field-value]", "conv2d"},
      {[] {
         layers::Conv2D(1, 3, {.strides = 2, .dilation_rate = {1, 2}})(image());
       },
       "strides is (2, 2) and dilation_rate (1, 2): Keras refuses both above 1 [field-value]", "conv2d"},
      {[] {
         layers::Conv2D(1, 3)(Input({8, 8, None}));
       },
       "axis -1 of the input (None, 8, 8, None) must be known when the layer is built [layer-unknown-dim]", "conv2d"},
      {[] { layers::Conv2DTranspose(1, 3, {.strides = 2, .output_padding = 2})(image()); },
       "output_padding is 2, expected less than strides, which is 2 [field-value]", "conv2d_transpose"},
      {[] { layers::DepthwiseConv2D(3)(series()); }, "DepthwiseConv2D needs rank 4, found (None, 5, 3) [layer-rank]",
       "depthwise_conv2d"},
      {[] { layers::SeparableConv1D(2, 9)(series()); },
       "kernel_size 9 with dilation_rate 1 does not fit into an axis of 5: the input is (None, 5, 3) [layer-window]",
       "separable_conv1d"},
      {[] { layers::MaxPooling2D(9)(image()); },
       "pool_size 9 does not fit into an axis of 8: the input is (None, 8, 7, 6) [layer-window]", "max_pooling2d"},
      {[] { layers::AveragePooling1D(0)(series()); }, "pool_size is 0, expected at least 1 [field-value]",
       "average_pooling1d"},
      {[] { layers::MaxPooling2D(2000, {.padding = "same"})(image()); },
       "pool_size has 4000000 elements, expected at most 1048576 [field-value]", "max_pooling2d"},
      {[] { layers::GlobalAveragePooling2D()(series()); },
       "GlobalAveragePooling2D needs rank 4, found (None, 5, 3) [layer-rank]", "global_average_pooling2d"},
      {[] { layers::AdaptiveMaxPooling1D(0)(series()); }, "output_size is 0, expected at least 1 [field-value]",
       "adaptive_max_pooling1d"},
      {[] {
         layers::AdaptiveMaxPooling1D(2)(Input({None, 3}));
       },
       "axis 1 of the input (None, None, 3) must be known when the layer is built [layer-unknown-dim]",
       "adaptive_max_pooling1d"},
  });
}

TEST(DefinitionErrors, Shapes) {
  expect({
      {[] { layers::Reshape({255})(image()); },
       "(None, 8, 7, 6) cannot be reshaped to (None, 255): 336 elements are not 255 [reshape-shape]", "reshape"},
      {[] {
         layers::Reshape({5, -1})(image());
       },
       "(None, 8, 7, 6) cannot be reshaped to (None, 5, -1): the extent of -1 is not whole [reshape-shape]", "reshape"},
      {[] {
         layers::Reshape({-1, -1})(image());
       },
       "(None, 8, 7, 6) cannot be reshaped to (None, -1, -1): two extents are -1 [reshape-shape]", "reshape"},
      {[] {
         layers::Reshape({0, 336})(image());
       },
       "(None, 8, 7, 6) cannot be reshaped to (None, 0, 336): an extent is not positive [reshape-shape]", "reshape"},
      {[] {
         layers::Permute({1, 2})(image());
       },
       "dims is (1, 2), expected each of 1 to 3 once: the input is (None, 8, 7, 6) [field-value]", "permute"},
      {[] { layers::RepeatVector(2)(image()); }, "RepeatVector needs rank 2, found (None, 8, 7, 6) [layer-rank]",
       "repeat_vector"},
      {[] { layers::RepeatVector(0)(row(3)); }, "n is 0, expected at least 1 [field-value]", "repeat_vector"},
      {[] {
         layers::Cropping2D({{4, 4}, {0, 0}})(image());
       },
       "cropping of 4 and 4 leaves nothing of an axis of 8: the input is (None, 8, 7, 6) [layer-window]", "cropping2d"},
      {[] { layers::ZeroPadding2D(-1)(image()); }, "padding is -1, expected at least 0 [field-value]",
       "zero_padding2d"},
      {[] { layers::UpSampling2D(0)(image()); }, "size is 0, expected at least 1 [field-value]", "up_sampling2d"},
      {[] {
         layers::UpSampling2D(2, {.interpolation = "bicubic"})(Input({None, 4, 3}));
       },
       "axis 1 of the input (None, None, 4, 3) must be known for interpolation = bicubic [layer-unknown-dim]",
       "up_sampling2d"},
      {[] {
         layers::Resizing(2, 3, {.antialias = true})(Input({4, None, 3}));
       },
       "axis 2 of the input (None, 4, None, 3) must be known for antialias = true [layer-unknown-dim]", "resizing"},
      {[] { layers::Resizing(0, 3)(image()); }, "height is 0, expected at least 1 [field-value]", "resizing"},
      {[] { layers::Resizing(2, 3)(row(3)); }, "Resizing needs rank 4, found (None, 3) [layer-rank]", "resizing"},
      {[] { layers::Resizing(2, 3, {.crop_to_aspect_ratio = true, .pad_to_aspect_ratio = true})(image()); },
       "crop_to_aspect_ratio and pad_to_aspect_ratio are both true [field-value]", "resizing"},
      {[] {
         layers::Resizing(4, 8, {.pad_to_aspect_ratio = true, .fill_value = 0.5})(Input({4, 4, 3}, {.dtype = "uint8"}));
       },
       "fill_value is 0.5, expected a whole number: the image is uint8 [field-value]", "resizing"},
      {[] { layers::CenterCrop(2, 0)(image()); }, "width is 0, expected at least 1 [field-value]", "center_crop"},
      {[] {
         layers::AutoContrast({.value_range = {0.0, 1.0, 2.0}})(image());
       },
       "value_range has 3 numbers, expected 2 [field-value]", "auto_contrast"},
  });
}

TEST(DefinitionErrors, Merges) {
  expect({
      {[] {
         layers::add({image(), Input({8, 8, 6})});
       },
       "shapes (None, 8, 7, 6) and (None, 8, 8, 6) do not broadcast: axis -2 is 7 and 8 [broadcast-shapes]", "add"},
      {[] { layers::subtract({row(3)}); }, "Subtract takes 2 inputs, found 1 [layer-inputs]", "subtract"},
      {[] {
         layers::add({Input({3}, {.dtype = "uint8"}), Input({3}, {.dtype = "int8"})});
       },
       "signed and unsigned integers of one size meet; cast one of them [tensor-dtypes]", "add"},
      {[] {
         layers::Concatenate({.axis = 7})({image(), image()});
       },
       "axis 7 is not in shape (None, 8, 7, 6) [tensor-axis]", "concatenate"},
      {[] {
         layers::Concatenate({.axis = 0})({row(3), row(3)});
       },
       "axis is 0, which is the batch of (None, 3) [field-value]", "concatenate"},
      {[] {
         layers::concatenate({image(), Input({8, 6, 6})});
       },
       "(None, 8, 7, 6) and (None, 8, 6, 6) differ beside axis 3 [concatenate-shapes]", "concatenate"},
      {[] {
         layers::dot({row(3), row(4)}, {1});
       },
       "axis 1 of (None, 3) and axis 1 of (None, 4) differ [dot-shapes]", "dot"},
      {[] {
         layers::dot({row(3), row(3)}, {0});
       },
       "axes has 0, which is the batch of (None, 3) [field-value]", "dot"},
      {[] {
         layers::dot({row(3), row(3)}, {1, 1, 1});
       },
       "axes has 3 numbers, expected one or two [field-value]", "dot"},
      {[] {
         layers::dot({Input({}), row(3)}, {1});
       },
       "Dot needs ranks of 2 to 5, found (None,) [layer-rank]", "dot"},
  });
}

TEST(DefinitionErrors, ActivationsAndNoise) {
  expect({
      {[] { layers::ReLU(-1.0)(row(3)); }, "max_value is -1, expected 0 or more [field-value]", "re_lu"},
      {[] { layers::ReLU(std::nullopt, {.negative_slope = -1.0})(row(3)); },
       "negative_slope is -1, expected 0 or more [field-value]", "re_lu"},
      {[] { layers::PReLU({.shared_axes = {4}})(image()); },
       "shared_axes has 4, which is no axis of (None, 8, 7, 6) behind the batch [field-value]", "p_re_lu"},
      {[] { layers::Softmax({.axis = 4})(image()); }, "axis 4 is not in shape (None, 8, 7, 6) [tensor-axis]",
       "softmax"},
      {[] { layers::Activation("glu")(row(5)); }, "glu halves axis -1 of (None, 5), whose extent is odd [glu-axis]",
       "activation"},
      {[] { layers::Dense(2, {.activation = Activation(layers::PReLU())})(row(5)); },
       "the activation is layer `p_re_lu`, which has weights [layer-config]", "dense",
       "put it behind as a layer of its own"},
      {[] { layers::Dropout(1.5)(row(3)); }, "rate is 1.5, expected 0 to 1 [field-value]", "dropout"},
      {[] { layers::GaussianNoise(-1.0)(row(3)); }, "stddev is -1, expected 0 to 1 [field-value]", "gaussian_noise"},
  });
}

TEST(DefinitionErrors, Normalizations) {
  expect({
      {[] { layers::BatchNormalization({.axis = 0})(row(3)); },
       "axis is 0, which is no axis of (None, 3) behind the batch [field-value]", "batch_normalization"},
      {[] {
         layers::LayerNormalization({.axis = {-1, 3}})(image());
       },
       "axis is (-1, 3), expected different axes [field-value]", "layer_normalization"},
      {[] { layers::GroupNormalization(4)(image()); },
       "groups is 4, which must divide the 6 input channels [field-value]", "group_normalization"},
      {[] { layers::RMSNormalization({.axis = 1})(image()); }, "axis is 1, expected the last one [field-value]",
       "rms_normalization"},
      {[] { layers::Normalization({.mean = layers::Numbers{0.5}})(row(3)); },
       "mean and variance are given together, or neither [field-value]", "normalization"},
      {[] {
         layers::Normalization({.mean = layers::Numbers{0.5, 1.0}, .variance = layers::Numbers{1.0, 1.0}})(row(3));
       },
       "mean has 2 numbers, the axes of (None, 3) have another number of elements [field-value]", "normalization"},
  });
}

TEST(DefinitionErrors, Attention) {
  expect({
      {[] {
         layers::Attention()({row(3), row(3)});
       },
       "Attention needs tensors of one rank of 3 or more, found (None, 3) and (None, 3) [layer-rank]", "attention"},
      {[] {
         layers::MultiHeadAttention(0, 3)({series(), series()});
       },
       "num_heads is 0, expected at least 1 [field-value]", "multi_head_attention"},
      {[] { layers::MultiHeadAttention(2, 3)(series()); },
       "MultiHeadAttention takes at least 2 inputs, found 1 [layer-inputs]", "multi_head_attention"},
      {[] {
         layers::MultiHeadAttention(2, 3)({row(3), row(3)});
       },
       "MultiHeadAttention needs tensors of one rank of 3 or more, found (None, 3) and (None, 3) [layer-rank]",
       "multi_head_attention"},
      {[] {
         layers::MultiHeadAttention(2, 3, {.attention_axes = {2}})({series(), series()});
       },
       "attention_axes has 2, which is no axis of time of (None, 5, 3) [field-value]", "multi_head_attention"},
      {[] {
         layers::MultiHeadAttention(2, 3, {.attention_axes = {1, 1}})({image(), image()});
       },
       "attention_axes names an axis twice [field-value]", "multi_head_attention"},
      {[] {
         layers::GroupQueryAttention(3, 4, {.num_key_value_heads = 3})({series(), series()});
       },
       "num_query_heads is 4, expected a multiple of num_key_value_heads, which is 3 [field-value]",
       "grouped_query_attention"},
  });
}

TEST(DefinitionErrors, Categories) {
  const auto ids = [] { return Input({3}, {.dtype = "int32"}); };
  expect({
      {[] { layers::Discretization()(row(3)); },
       "bin_boundaries is not given: call adapt in Keras and save the model again [field-value]", "discretization"},
      {[] {
         layers::Discretization({.bin_boundaries = {2.0, 1.0}})(row(3));
       },
       "bin_boundaries is not sorted [field-value]", "discretization"},
      {[&] { layers::CategoryEncoding(4, {.output_mode = "int"})(ids()); },
       "output_mode is int, expected one_hot, multi_hot or count [field-value]", "category_encoding"},
      {[&] {
         layers::CategoryEncoding(4)({ids(), row(3)});
       },
       "weights are given, but the mode is not count [layer-inputs]", "category_encoding"},
      {[&] { layers::IntegerLookup()(ids()); },
       "vocabulary is not given in the configuration; give it to the layer in Keras as a list [field-value]",
       "integer_lookup"},
      {[&] {
         layers::IntegerLookup({.num_oov_indices = 0, .vocabulary = {1, 2}})(ids());
       },
       "num_oov_indices is 0, so that other integers than those of the vocabulary are an error, which a compiled "
       "function cannot raise; expected 1 or more [field-value]",
       "integer_lookup"},
      {[&] {
         layers::IntegerLookup({.vocabulary = {1, 1}})(ids());
       },
       "vocabulary has a number twice [field-value]", "integer_lookup"},
      {[] {
         layers::IntegerLookup({.vocabulary = {1, 2}})(row(3));
       },
       "IntegerLookup needs integers, found floats [layer-dtype]", "integer_lookup"},
      {[] { layers::Masking()(Input({})); }, "Masking needs rank 2 or more, found (None,) [layer-rank]", "masking"},
      {[] {
         layers::Rescaling(layers::Numbers(std::vector<double>{1, 2}))(row(3));
       },
       "scale has 2 numbers, the last axis of (None, 3) differs [field-value]", "rescaling"},
  });
}

TEST(DefinitionErrors, Spectrograms) {
  const auto wave = [] { return Input({256, 1}); };
  expect({
      {[&] { layers::STFTSpectrogram({.frame_length = 1 << 17})(wave()); },
       "frame_length is 131072, expected at most 65536 [field-value]", "stft_spectrogram"},
      {[&] { layers::STFTSpectrogram({.frame_length = 32, .frame_step = 33})(wave()); },
       "frame_step is 33, expected 1 to frame_length [field-value]", "stft_spectrogram"},
      {[&] { layers::STFTSpectrogram({.frame_length = 32, .fft_length = 16})(wave()); },
       "fft_length is 16, expected frame_length to 65536 [field-value]", "stft_spectrogram"},
      {[&] { layers::STFTSpectrogram({.frame_length = 32, .window = "kaiser"})(wave()); },
       "window is kaiser, expected none or one of boxcar, hann, hamming, blackman, nuttall, blackmanharris, flattop "
       "[field-value]",
       "stft_spectrogram"},
      {[&] { layers::STFTSpectrogram({.frame_length = 32, .scaling = "loud"})(wave()); },
       "scaling is loud, expected density or spectrum [field-value]", "stft_spectrogram"},
      {[] { layers::MelSpectrogram({.fft_length = 1 << 17})(row(256)); },
       "fft_length is 131072, expected at most 65536 [field-value]", "mel_spectrogram"},
      {[] { layers::MelSpectrogram({.fft_length = 64, .sequence_length = 65})(row(256)); },
       "sequence_length is more than fft_length [field-value]", "mel_spectrogram"},
      {[] { layers::MelSpectrogram({.fft_length = 64, .min_freq = 9, .max_freq = 8})(row(256)); },
       "min_freq is 9, expected 0 to max_freq, which is 8 [field-value]", "mel_spectrogram"},
  });
}

// A model's own call is never in training; a layer may call one inside so.
struct InTrainingImpl : LayerBase {
  struct Config {
    Layer layer;
    std::string name = {};
  } config;
  static constexpr std::tuple positional{&Config::layer};
  static void fields(auto& f, Config& c) { f("layer", c.layer); }
  void build(const Shape& in) override { add_child(config.layer, {in}); }
  Tensor call(Tensor x, const Call&) override { return config.layer(x, {.training = true}); }
};
using InTraining = LayerOf<InTrainingImpl>;

TEST(DefinitionErrors, WrappersAndCalls) {
  expect({
      {[] { layers::TimeDistributed(layers::Flatten{})(Input({})); },
       "TimeDistributed needs rank 2 or more, found (None,) [layer-rank]", "time_distributed"},
      {[] { layers::TimeDistributed(Layer{})(series()); }, "layer is not given [field-value]", "time_distributed"},
      {[] { layers::SpectralNormalization(layers::Flatten{})(series()); },
       "layer `flatten` has no kernel [layer-wrapped]", "spectral_normalization"},
      {[] {
         InTraining(layers::Dropout(0.5, {.noise_shape = {None, 2}}))(row(3));
       },
       "noise_shape is (None, 2), expected 1, None or the extent for each axis of (None, 3) [field-value]", "dropout"},
      {[] { InTraining(layers::GaussianDropout(1.0))(row(3)); },
       "rate is 1, expected less: what is left would vary without bounds [field-value]", "gaussian_dropout"},
      {[] { InTraining(layers::AlphaDropout(1.0))(row(3)); },
       "rate is 1, expected less: what is left would have no variance [field-value]", "alpha_dropout"},
      {[] { InTraining(layers::Dropout(0.5))(Input({3}, {.dtype = "int32"})); },
       "Dropout takes floats when it is trained, found int32 [layer-dtype]", "dropout"},
      {[] { InTraining(layers::MixUp())(image()); },
       "MixUp is called with training = true, which this release cannot compute [layer-training]", "mix_up"},
      {[] { layers::RandomRotation(1.5)(image()); },
       "factor is (1.5), expected a number or two, from -1 to 1 [field-value]", "random_rotation"},
      {[] {
         layers::RandomTranslation(0.2, {-1.5, 0.3})(image());
       },
       "width_factor is (-1.5, 0.3), expected a number or two, from -1 to 1 [field-value]", "random_translation"},
      {[] {
         layers::RandomHue({0.1, 0.2, 0.3})(image());
       },
       "factor is (0.1, 0.2, 0.3), expected a number or two, from 0 to 1 [field-value]", "random_hue"},
      {[] { layers::RandomZoom(-1.0)(image()); },
       "height_factor has -1, expected more: nothing would be left [field-value]", "random_zoom"},
      {[] { layers::RandomBrightness(0.2, {.value_range = {1}})(image()); },
       "value_range has 1 numbers, expected 2 [field-value]", "random_brightness"},
      {[] {
         InTraining(layers::RandomBrightness(0.2, {.value_range = {0, 0.5}}))(Input({4, 4, 3}, {.dtype = "uint8"}));
       },
       "value_range is (0, 0.5), expected whole numbers: the image is uint8 [field-value]", "random_brightness"},
      {[] {
         InTraining(layers::RandomContrast(0.2))(Input({4, 4, 3}, {.dtype = "uint8"}));
       },
       "RandomContrast takes floats when it is trained, found uint8 [layer-dtype]", "random_contrast"},
      {[] {
         layers::RandomPosterization({1.5, 3})(image());
       },
       "factor is (1.5, 3), expected whole numbers of bits [field-value]", "random_posterization"},
      {[] { layers::RandomGrayscale(1.5)(image()); }, "factor is 1.5, expected 0 to 1 [field-value]",
       "random_grayscale"},
      {[] {
         layers::RandomErasing(1.0, {.fill_value = layers::Numbers({1, 2})})(image());
       },
       "fill_value has 2 numbers, expected one or three [field-value]", "random_erasing"},
      {[] { layers::RandomGaussianBlur(1.0, {.kernel_size = 4})(image()); },
       "kernel_size has 4, expected odd numbers from 1 to 4095 [field-value]", "random_gaussian_blur"},
      {[] {
         InTraining(layers::RandomCrop(2, 2))(Input({None, 4, 3}));
       },
       "axis 1 of the input (None, None, 4, 3) must be known for RandomCrop in training [layer-unknown-dim]",
       "random_crop"},
      {[] { layers::RandomFlip()(row(3)); }, "RandomFlip needs rank 4, found (None, 3) [layer-rank]", "random_flip"},
      {[] { ops::add(image(), row(5)); },
       "shapes (None, 8, 7, 6) and (None, 5) do not broadcast: axis -1 is 6 and 5 [broadcast-shapes]", "add"},
  });
}

TEST(DefinitionErrors, InputsAndModels) {
  expect({
      {[] { Input({0}); }, "axis 1 of the shape is 0, expected at least 1 [field-value]", "input_layer"},
      {[] { Input({"a-b"}); }, "`a-b` is no name for an extent: expected letters, digits and single _ [symbol-name]",
       "input_layer"},
      {[] {
         Input({1 << 20, 1 << 20});
       },
       "a tensor of shape (None, 1048576, 1048576) is too large [tensor-size]", "input_layer"},
      {[] { InputLayer(InputLayerImpl::Config{})->make(); },
       "the shape of an input needs at least the batch [input-batch]", "input_layer"},
      {[] { Model({}, {}); }, "a model needs inputs and outputs [model-empty]", ""},
      {[] { Model({Tensor()}, {Tensor()}); }, "a Tensor is used that no call has made [tensor-empty]", ""},
      {[] {
         const Tensor x = row(5);
         const layers::Dense dense(3);
         dense(x);
         Model(x, Tensor(dense.weights().front()));
       },
       "inputs and outputs of a model are results of layer calls [model-tensor]", ""},
      {[] { layers::Dense(1)(Tensor()); }, "a Tensor is used that no call has made [tensor-empty]", "dense"},
      {[] {
         const Tensor x = row(5);
         const Model inner({x}, {layers::Softmax()(x)}, {.name = "inner"});
         inner(row(4));
       },
       "the model is called on (None, 4), its input is (None, 5) [model-argument]", "inner"},
  });
}

struct NothingImpl : LayerBase {
  struct Config {
    std::string name = {};
  } config;
  static void fields(auto&, Config&) {}
};

// A tensor of a model where those of a call belong.
struct MixedImpl : LayerBase {
  struct Config {
    std::string name = {};
  } config;
  static void fields(auto&, Config&) {}
  Tensor outside = row(3);
  Tensor call(Tensor x, const Call&) override { return emit::map("add", {x, outside}); }
};

TEST(DefinitionErrors, TensorsAndLayersThatAreUsedWrongly) {
  const auto scored = [] {
    return layers::MultiHeadAttention(2, 3)({series(), series()}, {.return_attention_scores = true});
  };
  const auto model = [] {
    const Tensor x = Input({None, 3}, {.name = "x"});
    return Model(x, layers::Dense(2)(x), {.name = "m"});
  };
  expect({
      {[] { LayerOf<NothingImpl>()(row(3)); }, "Nothing overrides neither call nor call_all [layer-no-call]",
       "nothing"},
      {[] { LayerOf<MixedImpl>()(row(3)); },
       "a result of layer `input_layer`, which belongs to a model, is used inside of the call of another layer "
       "[trace-mixed]",
       "mixed", "pass it to that layer as an input"},
      {[] { emit::map("neg", {row(3)}); },
       "this function works on tensors inside of the call of a layer only [trace-none]", ""},
      {[&] { layers::Dense(2)(scored()); },
       "the call of layer `multi_head_attention` has 2 results; take them apart with unpack<2>() [tensor-several]",
       "dense"},
      {[&] { scored().unpack<3>(); }, "unpack<3>() of a call with 2 results [tensor-several]", ""},
      {[] { (void)Input({None}).dim(1); },
       "axis 1 of shape (None, None) is unknown until the compiled function is called [tensor-dim]", ""},
      {[] { (void)row(3).dim(2); }, "axis 2 is not in shape (None, 3) [tensor-axis]", ""},
      {[] { (void)layers::Dense(2).output(); },
       "layer `dense` has never been called, so it has no input and output [layer-not-called]", ""},
      {[] { (void)layers::Dense(2).input(); },
       "layer `dense` has never been called, so it has no input and output [layer-not-called]", ""},
      {[] {
         layers::Dense(2).set_weights({Array(DType::f32, {3, 2})});
       },
       "1 arrays are given for 0 weights [weight-count]", "dense", "the layer has no weights before its first call"},
      {[&] { (void)model().get_layer("y"); }, "no layer is named `y` [model-layer]", "", "the layers are x, dense"},
      {[&] { (void)model().get_layer(7); }, "there is no layer 7: the model has 2 layers [model-layer]", ""},
      {[&] {
         value_or_throw(to_module(model(), {.dims = {{"tim", 1, 2}}}));
       },
       "the model has no dimension `tim`; did you mean `time`? [dim-unknown]", "", "its dimensions are batch, time"},
      {[&] {
         value_or_throw(to_module(model(), {.dims = {{"batch", 1, 2}, {"batch", 1, 3}}}));
       },
       "batch is given two ranges [dim-twice]", ""},
      {[&] {
         value_or_throw(to_module(model(), {.dims = {{"batch", 3, 4, 2}}}));
       },
       "3..4:2 is no range for batch [dim-range]", "", "expected 1 <= low <= high < 2^31, both multiples of the step"},
  });
}

}  // namespace
}  // namespace tusk
