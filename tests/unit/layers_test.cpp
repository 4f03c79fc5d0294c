// Layers as a user meets them: shapes, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "frontend/layers/layers.hpp"
#include "frontend/model/model.hpp"
#include "frontend/ops/ops.hpp"
#include "tests/unit/error_of.hpp"

namespace tusk {
namespace {

using testing::HasSubstr;

class Layers : public testing::Test {
 protected:
  void SetUp() override { clear_session(); }
};

std::string shape_of(const Tensor& x) { return keras_shape(x.shape()); }

// GCC 12 reads braces with a name as braces without one, where a number may stand.
TEST_F(Layers, FieldsThatAreNamedAloneAreThose) {
  const layers::ReLU leaky({.negative_slope = 0.25});
  EXPECT_FALSE(leaky->config.max_value);
  EXPECT_EQ(leaky->config.negative_slope, 0.25);
  const layers::ReLU bounded(6, {.negative_slope = 0.5});
  EXPECT_EQ(bounded->config.max_value, 6.0);
  EXPECT_EQ(bounded->config.negative_slope, 0.5);
  const layers::ELU named({.name = "elu_of_mine"});
  EXPECT_EQ(named->config.alpha, 1.0);
  const layers::MaxPooling2D pool({2, 3}, {.strides = 1});
  EXPECT_EQ(pool->config.pool_size[1], 3);
  EXPECT_EQ((*pool->config.strides)[1], 1);
}

TEST_F(Layers, ShapesAreThoseOfKeras) {
  const Tensor image = Input({8, 7, 6});
  const Tensor volume = Input({4, 5, 6, 2});
  const Tensor series = Input({None, 3});
  EXPECT_EQ(shape_of(layers::Permute({3, 1, 2})(image)), "(None, 6, 8, 7)");
  EXPECT_EQ(shape_of(layers::RepeatVector(4)(Input({3}))), "(None, 4, 3)");
  EXPECT_EQ(shape_of(layers::Cropping2D({{1, 2}, {0, 3}})(image)), "(None, 5, 4, 6)");
  EXPECT_EQ(shape_of(layers::Cropping1D({0, 2})(Input({9, 3}))), "(None, 7, 3)");
  EXPECT_EQ(shape_of(layers::ZeroPadding3D({1, 0, 2})(volume)), "(None, 6, 5, 10, 2)");
  EXPECT_EQ(shape_of(layers::UpSampling1D(3)(Input({4, 3}))), "(None, 12, 3)");
  EXPECT_EQ(shape_of(layers::UpSampling2D({2, 3}, {.interpolation = "bilinear"})(image)), "(None, 16, 21, 6)");
  EXPECT_EQ(shape_of(layers::Conv3DTranspose(4, 3, {.strides = 2, .padding = "same"})(volume)), "(None, 8, 10, 12, 4)");
  EXPECT_EQ(shape_of(layers::SeparableConv1D(5, 3)(Input({9, 3}))), "(None, 7, 5)");
  EXPECT_EQ(shape_of(layers::DepthwiseConv1D(3, {.depth_multiplier = 2})(Input({9, 3}))), "(None, 7, 6)");
  EXPECT_EQ(shape_of(layers::AdaptiveAveragePooling2D({3, 2})(image)), "(None, 3, 2, 6)");
  EXPECT_EQ(shape_of(layers::GlobalMaxPooling3D({.keepdims = true})(volume)), "(None, 1, 1, 1, 2)");
  EXPECT_EQ(shape_of(layers::GlobalAveragePooling1D()(series)), "(None, 3)");
  EXPECT_EQ(shape_of(layers::dot({Input({4, 3}), Input({5, 3})}, {2})), "(None, 4, 5)");
  EXPECT_EQ(shape_of(layers::dot({Input({3}), Input({3})}, {1})), "(None, 1)");
  EXPECT_EQ(shape_of(layers::EinsumDense("abc,cde->abde", layers::OutputShape({std::nullopt, 2, 5}),
                                         {.bias_axes = "de"})(Input({7, 3}))),
            "(None, 7, 2, 5)");
  EXPECT_EQ(shape_of(layers::EinsumDense("...x,xy->...y", 4)(image)), "(None, 8, 7, 4)");
  EXPECT_EQ(shape_of(layers::Embedding(100, 5)(Input({None}, {.dtype = "int32"}))), "(None, None, 5)");
  EXPECT_EQ(shape_of(layers::GroupNormalization(3)(image)), "(None, 8, 7, 6)");
  EXPECT_EQ(shape_of(layers::maximum({Input({4, 3}), Input({3})})), "(None, 4, 3)");
}

TEST_F(Layers, RefuseWhatKerasRefuses) {
  const Tensor image = Input({8, 7, 6});
  EXPECT_THAT(error_of([&] {
                layers::Permute({1, 2})(image);
              }),
              HasSubstr("dims is (1, 2), expected each of 1 to 3 once"));
  EXPECT_THAT(error_of([&] { layers::RepeatVector(2)(image); }),
              HasSubstr("RepeatVector needs rank 2, found (None, 8, 7, 6)"));
  EXPECT_THAT(error_of([&] {
                layers::Cropping2D({{4, 4}, {0, 0}})(image);
              }),
              HasSubstr("cropping of 4 and 4 leaves nothing of an axis of 8"));
  EXPECT_THAT(error_of([&] { layers::PReLU({.shared_axes = {4}})(image); }),
              HasSubstr("shared_axes has 4, which is no axis of (None, 8, 7, 6) behind the batch"));
  EXPECT_THAT(error_of([&] { layers::ReLU(-1.0)(image); }), HasSubstr("max_value is -1, expected 0 or more"));
  EXPECT_THAT(error_of([&] { layers::GaussianNoise(-1.0)(image); }), HasSubstr("stddev is -1, expected 0 to 1"));
  EXPECT_THAT(error_of([&] {
                layers::dot({Input({3}), Input({4})}, {1});
              }),
              HasSubstr("axis 1 of (None, 3) and axis 1 of (None, 4) differ [dot-shapes]"));
  EXPECT_THAT(error_of([&] { layers::dot({Input({3}), Input({3})}, {0}); }), HasSubstr("which is the batch"));
  EXPECT_THAT(error_of([&] { layers::EinsumDense("abc,cd->abd", 8)(Input({4})); }),
              HasSubstr("`abc,cd->abd`: the input (None, 4) has another rank [einsum-equation]"));
  EXPECT_THAT(error_of([&] {
                layers::EinsumDense("abc,cd->abd", 4)(Input({4, 4}));
              }),
              HasSubstr("output_shape has too few extents"));
  EXPECT_THAT(error_of([&] { layers::EinsumDense("ab,bc->ad", 8)(Input({4})); }),
              HasSubstr("a letter of the kernel is in neither the input nor the output"));
  EXPECT_THAT(error_of([&] { layers::EinsumDense("ab", 8)(Input({4})); }), HasSubstr("expected an equation"));
  EXPECT_THAT(error_of([&] { layers::LayerNormalization({.axis = 0})(image); }),
              HasSubstr("axis is 0, which is no axis of (None, 8, 7, 6) behind the batch"));
  EXPECT_THAT(error_of([&] {
                layers::LayerNormalization({.axis = {-1, 3}})(image);
              }),
              HasSubstr("axis is (-1, 3), expected different axes"));
  EXPECT_THAT(error_of([&] { layers::GroupNormalization(4)(image); }),
              HasSubstr("groups is 4, which must divide the 6 input channels"));
  EXPECT_THAT(error_of([&] { layers::subtract({Input({3})}); }), HasSubstr("input"));
  EXPECT_THAT(error_of([&] {
                layers::UpSampling2D(2, {.interpolation = "bicubic"})(Input({None, 4, 3}));
              }),
              HasSubstr("must be known"));
}

// A model is a layer: called on another tensor, shared, with several results.
TEST_F(Layers, ModelsAreLayers) {
  const Tensor x = Input({4});
  const Tensor h = layers::Dense(3)(x);
  const Model inner({x}, {h, layers::Dense(2)(h)}, {.name = "inner"});
  const Tensor a = Input({4});
  const Tensor b = Input({4});
  const auto [a0, a1] = inner(a).unpack<2>();
  const auto [b0, b1] = inner(b).unpack<2>();
  const Model outer({a, b}, {layers::add({a1, b1}), layers::concatenate({a0, b0})}, {.name = "outer"});
  EXPECT_EQ(outer.weights().size(), 4U);
  EXPECT_EQ(shape_of(outer.outputs()[1]), "(None, 6)");
}

TEST_F(Layers, ModelsCheckWhatTheyAreCalledOn) {
  const Tensor x = Input({5});
  const Model inner({x}, {layers::Softmax()(x)}, {.name = "inner"});
  EXPECT_EQ(shape_of(inner(Input({5, 1}))), "(None, 5)");
  EXPECT_THAT(error_of([&] { inner(Input({4})); }),
              HasSubstr("the model is called on (None, 4), its input is (None, 5) [model-argument]"));
  const Tensor whole = Input({3}, {.dtype = "int32"});
  const Model counts({whole}, {layers::Identity()(whole)});
  EXPECT_EQ(counts(Input({3})).dtype(), DType::i32);
}

TEST_F(Layers, IntegersMeet) {
  const Tensor small = Input({3}, {.dtype = "uint8"});
  const Tensor large = Input({3}, {.dtype = "int32"});
  EXPECT_EQ(layers::add({small, large}).dtype(), DType::i32);
  EXPECT_EQ(layers::average({small, large}).dtype(), DType::f64);
  EXPECT_EQ(layers::average({small, small}).dtype(), DType::f32);
  EXPECT_EQ(layers::average({large, Input({3})}).dtype(), DType::f32);
  EXPECT_EQ(layers::concatenate({large, Input({2}, {.dtype = "int64"})}).dtype(), DType::i64);
  EXPECT_THAT(error_of([&] { layers::add({small, Input({3}, {.dtype = "int8"})}); }), HasSubstr("[tensor-dtypes]"));
}

TEST_F(Layers, IntegersStay) {
  const Tensor counts = Input({3}, {.dtype = "int32"});
  const Tensor image = Input({4, 4, 3}, {.dtype = "uint8"});
  EXPECT_EQ(layers::ReLU()(counts).dtype(), DType::i32);
  EXPECT_EQ(layers::Activation("relu6")(image).dtype(), DType::u8);
  EXPECT_EQ(layers::ReLU(std::nullopt, {.negative_slope = 0.5})(counts).dtype(), DType::f32);
  EXPECT_EQ(layers::Resizing(3, 5)(image).dtype(), DType::u8);
  EXPECT_EQ(layers::UpSampling2D(2, {.interpolation = "bilinear"})(image).dtype(), DType::u8);
  EXPECT_EQ(layers::RandomCrop(2, 2)(image).dtype(), DType::u8);
  EXPECT_EQ(layers::RandomFlip()(image).dtype(), DType::f32);
  // Floats that do not depend on the policy.
  EXPECT_EQ(layers::Activation("tanh", {.dtype = "float16"})(counts).dtype(), DType::f32);
  EXPECT_EQ(layers::CenterCrop(6, 6, {.dtype = "float16"})(image).dtype(), DType::f32);
  EXPECT_EQ(layers::CenterCrop(2, 2, {.dtype = "float16"})(image).dtype(), DType::f16);
  EXPECT_THAT(error_of([&] { layers::Resizing(4, 8, {.pad_to_aspect_ratio = true, .fill_value = 0.5})(image); }),
              HasSubstr("fill_value is 0.5, expected a whole number: the image is uint8 [field-value]"));
}

TEST_F(Layers, DtypePolicies) {
  const Tensor x = Input({4});
  const layers::Dense half(3, {.dtype = "mixed_float16"});
  const Tensor y = half(x);
  EXPECT_EQ(y.dtype(), DType::f16);
  EXPECT_EQ(half.weights()[0].type().dtype, DType::f32);
  EXPECT_EQ(layers::Dense(3)(y).dtype(), DType::f32);  // floats are cast to what a layer computes in
  EXPECT_EQ(layers::Dense(3, {.dtype = "bfloat16"})(x).dtype(), DType::bf16);
  EXPECT_EQ(ops::add(y, layers::Dense(3)(x)).dtype(), DType::f32);
  EXPECT_EQ(ops::add(y, 1.5).dtype(), DType::f16);
  set_dtype_policy("float64");
  const layers::Dense wide(3);
  EXPECT_EQ(wide(x).dtype(), DType::f64);
  EXPECT_EQ(wide.weights()[0].type().dtype, DType::f64);
  EXPECT_EQ(Input({4}).dtype(), DType::f32);  // an Input has its own
  set_dtype_policy("float32");
  EXPECT_THAT(error_of([&] { layers::Dense(3, {.dtype = "mixed_float32"}); }),
              HasSubstr("there is no dtype policy `mixed_float32` here; did you mean `mixed_float16`?"));
}

// Each height calls the model inside of it twice.
TEST_F(Layers, ModelsInModelsAreBounded) {
  Tensor x = Input({2});
  Model model({x}, {layers::ReLU()(x)});
  EXPECT_THAT(error_of([&] {
                for (int height = 0; height < 40; ++height) {
                  const Tensor y = Input({2});
                  model = Model({y}, {model(model(y))});
                }
              }),
              HasSubstr("[model-size]"));
}

}  // namespace
}  // namespace tusk
