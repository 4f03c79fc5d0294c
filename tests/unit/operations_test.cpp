// Operations (keras.ops) and masks as C++ programs write them; what files give is compared with Keras' recordings.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "frontend/layers/layers.hpp"
#include "frontend/model/model.hpp"
#include "frontend/model/plot_model.hpp"
#include "frontend/model/to_module.hpp"
#include "frontend/ops/ops.hpp"
#include "ir/graph/bind.hpp"
#include "ir/graph/interpret.hpp"
#include "ir/graph/verify.hpp"
#include "tests/unit/error_of.hpp"

namespace tusk {
namespace {

using ints = std::vector<std::int64_t>;
using ops::Slice;
using testing::ElementsAre;
using testing::HasSubstr;

class Operations : public testing::Test {
 protected:
  void SetUp() override { clear_session(); }
};

Array counted(std::vector<std::int64_t> shape, double first = 0) {
  Array array(DType::f32, std::move(shape));
  for (std::int64_t i = 0; i < array.size(); ++i) array.set(i, first + static_cast<double>(i));
  return array;
}

std::vector<double> values(const Array& array) {
  std::vector<double> out;
  for (std::int64_t i = 0; i < array.size(); ++i) out.push_back(array.at(i));
  return out;
}

/// The results of a model, by the interpreter.
std::vector<Array> run_all(const Model& model, const std::vector<Array>& inputs) {
  graph::Module module = value_or_throw(to_module(model));
  value_or_throw(graph::verify(module));
  std::vector<std::vector<std::int64_t>> shapes;
  for (const Array& input : inputs) shapes.push_back(input.shape());
  const auto symbols = value_or_throw(graph::bind_symbols(module, module.functions[0], shapes));
  return value_or_throw(graph::interpret(module, module.functions[0], inputs, symbols));
}

std::vector<double> run(const Model& model, const std::vector<Array>& inputs) {
  return values(run_all(model, inputs).front());
}

TEST_F(Operations, IndicesAreThoseOfPython) {
  const Tensor x = Input({3, 4}, {.name = "x"});
  const Array data = counted({1, 3, 4});
  const auto at = [&](const Tensor& y) { return run(Model(x, y), {data}); };
  EXPECT_THAT(at(x[{all, 1}]), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(at(x[{all, -1, Slice{1, -1, {}}}]), ElementsAre(9, 10));
  EXPECT_THAT(at(x[{all, Slice{{}, {}, -2}, 0}]), ElementsAre(8, 0));
  EXPECT_EQ(keras_shape(x[{all, None, 2}].shape()), "(None, 1, 4)");
  EXPECT_THAT(error_of([&] {
                return x[{all, 3}];
              }),
              HasSubstr("key is [a slice, 3], expected an index of (None, 3, 4)"));
  EXPECT_THAT(error_of([&] { return x[{all, 0, 0, 0}]; }), HasSubstr("expected an index of (None, 3, 4)"));
}

TEST_F(Operations, SlicesOfOpenAxesAreClamped) {
  const Tensor x = Input({"time"}, {.name = "x"});
  const Model model(x, {x[{all, Slice{{}, 3, {}}}], x[{all, Slice{-2, {}, {}}}]});
  const std::vector<Array> short_one = run_all(model, {counted({1, 2})});
  EXPECT_THAT(values(short_one[0]), ElementsAre(0, 1));
  EXPECT_THAT(values(short_one[1]), ElementsAre(0, 1));
  const std::vector<Array> long_one = run_all(model, {counted({1, 5})});
  EXPECT_THAT(values(long_one[0]), ElementsAre(0, 1, 2));
  EXPECT_THAT(values(long_one[1]), ElementsAre(3, 4));
}

TEST_F(Operations, QuantilesByEveryMethod) {
  const Tensor x = Input({5}, {.name = "x"});
  const auto by = [&](const char* method) {
    const Tensor y = ops::call("Quantile", {{"x", x}, {"q", 0.3}, {"axis", -1}, {"method", method}});
    return run(Model(x, y), {counted({1, 5}, 10)}).front();  // of 10, 11, ..., 14, at 1.2
  };
  EXPECT_EQ(by("lower"), 11);
  EXPECT_EQ(by("higher"), 12);
  EXPECT_EQ(by("midpoint"), 11.5);
  EXPECT_EQ(by("nearest"), 11);
  EXPECT_FLOAT_EQ(static_cast<float>(by("linear")), 11.2F);
}

TEST_F(Operations, MembersOfASetAndOfTheFirst) {
  const Tensor x = Input({4}, {.dtype = "int32", .name = "x"});
  Array ids(DType::i32, {2, 4});
  for (std::int64_t i = 0; i < 8; ++i) ids.set_int(i, i);
  Array set(DType::i32, {2});
  set.set_int(0, 3);
  set.set_int(1, 5);
  EXPECT_THAT(run(Model(x, ops::isin(x, set)), {ids}), ElementsAre(0, 0, 0, 1, 0, 1, 0, 0));
  const Tensor none = ops::call("IsIn", {{"x1", x}, {"x2", set}, {"invert", true}});
  EXPECT_THAT(run(Model(x, none), {ids}), ElementsAre(1, 1, 1, 0, 1, 0, 1, 1));

  // Predictions of a row rise; one row has an infinity, one target is no class.
  const Tensor scores = Input({3}, {.name = "scores"});
  const Tensor target = Input({}, {.dtype = "int32", .name = "target"});
  const Tensor among = ops::call("InTopK", {{"targets", target}, {"predictions", scores}, {"k", 2}});
  Array rows = counted({5, 3});
  rows.set(11, std::numeric_limits<double>::infinity());
  Array targets(DType::i32, {5});
  const int classes[] = {0, 1, 2, 1, 3};
  for (int i = 0; i < 5; ++i) targets.set_int(i, classes[i]);
  EXPECT_THAT(run(Model({target, scores}, among), {targets, rows}), ElementsAre(0, 1, 1, 0, 0));
}

TEST_F(Operations, Histograms) {
  const Tensor x = Input({5}, {.name = "x"});
  const Tensor row = x[{0}];
  const Model model(x, ops::call_all("Histogram", {{"x", row}, {"bins", 4}}));
  const std::vector<Array> y = run_all(model, {counted({1, 5}, 10)});  // 10 and 14 lie on the outer edges
  EXPECT_THAT(values(y[0]), ElementsAre(1, 1, 1, 2));
  EXPECT_THAT(values(y[1]), ElementsAre(10, 11, 12, 13, 14));
  const ops::Argument::List range{9.0, 12.0};
  const Model ranged(x, ops::call_all("Histogram", {{"x", row}, {"bins", 2}, {"range", range}}));
  const std::vector<Array> z = run_all(ranged, {counted({1, 5}, 10)});
  EXPECT_THAT(values(z[0]), ElementsAre(1, 2));
  EXPECT_THAT(values(z[1]), ElementsAre(9, 10.5, 12));
}

TEST_F(Operations, PartsOfOpenAxes) {
  const Tensor x = Input({"time"}, {.name = "x"});
  const Model model(x, {ops::call("Diag", {{"x", x[{0}]}, {"k", 1}}), ops::slice(x, ints{0, 1}, {1, -1}),
                        ops::slice_update(x, ints{0, 1}, x[{all, Slice{{}, 2, {}}}]),
                        ops::call("ExtractSequences", {{"x", x}, {"sequence_length", 2}, {"sequence_stride", 1}})});
  const std::vector<Array> y = run_all(model, {counted({1, 3}, 1)});
  EXPECT_THAT(values(y[0]), ElementsAre(0, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0, 0, 0, 0));
  EXPECT_THAT(values(y[1]), ElementsAre(2, 3));
  EXPECT_THAT(values(y[2]), ElementsAre(1, 1, 2));
  EXPECT_THAT(values(y[3]), ElementsAre(1, 2, 2, 3));
}

TEST_F(Operations, NumbersTakeTheTypeOfTensors) {
  const Tensor ids = Input({3}, {.dtype = "int32", .name = "ids"});
  EXPECT_EQ((ids * 2).dtype(), DType::i32);
  EXPECT_EQ((ids * 2.0).dtype(), DType::f32);
  EXPECT_EQ((ids / 2).dtype(), DType::f32);
  EXPECT_EQ(ops::greater(ids, 1).dtype(), DType::boolean);
  EXPECT_EQ(ops::where(ops::greater(ids, 1), 1, 0).dtype(), DType::i32);
  EXPECT_EQ((ops::greater(ids, 1) * 3).dtype(), DType::i32);
  EXPECT_EQ(ops::mean(ids).dtype(), DType::f32);
  EXPECT_THAT(error_of([&] { return ops::greater(ids, 1) + ops::less(ids, 3); }), HasSubstr("cast them first"));
}

TEST_F(Operations, ResultsAreThoseOfKeras) {
  const Tensor x = Input({2, 3}, {.name = "x"});
  const Array data = counted({1, 2, 3});
  const auto of = [&](const Tensor& y) { return run(Model(x, y), {data}); };
  EXPECT_THAT(of(ops::cumsum(x, 2)), ElementsAre(0, 1, 3, 3, 7, 12));
  EXPECT_THAT(of(ops::top_k(x, 2)[1]), ElementsAre(2, 1, 2, 1));
  EXPECT_THAT(of(ops::einsum("bij->bj", {x})), ElementsAre(3, 5, 7));
  EXPECT_THAT(of(ops::repeat(x, 2, 1)), ElementsAre(0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5));
  EXPECT_THAT(of(ops::pad(x, {{0, 0}, {0, 0}, {1, 2}}, "reflect")), ElementsAre(1, 0, 1, 2, 1, 0, 4, 3, 4, 5, 4, 3));
  EXPECT_THAT(of(ops::take(x, counted({2}, 1).converted(DType::i32), 2)), ElementsAre(1, 2, 4, 5));
  EXPECT_THAT(of(ops::matmul(x, counted({3}))), ElementsAre(5, 14));
  EXPECT_THAT(of(ops::argmax(x)), ElementsAre(5));
  EXPECT_THAT(of(ops::roll(x, 1, -1)), ElementsAre(2, 0, 1, 5, 3, 4));
}

TEST_F(Operations, WrongArgumentsAreNamed) {
  const Tensor x = Input({2, 3}, {.name = "x"});
  EXPECT_THAT(error_of([&] { return ops::reshape(x, {-1, 4}); }), HasSubstr("newshape is [-1, 4]"));
  EXPECT_THAT(error_of([&] { return ops::cast(x, "flot32"); }), HasSubstr("dtype is 'flot32', expected a dtype"));
  EXPECT_THAT(error_of([&] { return ops::matmul(x, Input({2, 2})); }), HasSubstr("[ops-shapes]"));
  EXPECT_THAT(error_of([&] { return ops::top_k(x, 4); }), HasSubstr("k is 4, expected 1 to the extent"));
  EXPECT_THAT(error_of([&] { return ops::pad(x, {{0, 0}, {1}}); }), HasSubstr("[ops-argument]"));
  EXPECT_THAT(error_of([&] { return ops::einsum("bij,bjk", {x, x}); }), HasSubstr("an axis is 3 and 2"));
  EXPECT_THAT(error_of([&] { return ops::squeeze(x, 1); }), HasSubstr("at layer `squeeze`"));
}

TEST_F(Operations, ExtentsThatMustBeEqualBecomeOne) {
  const Tensor a = Input({None, 2}, {.name = "a"});
  const Tensor b = Input({None, 2}, {.name = "b"});
  const graph::Module module = value_or_throw(to_module(Model({a, b}, a + b)));
  EXPECT_EQ(module.symbols.size(), 2U) << "batch and one time";
  EXPECT_TRUE(module.functions[0].conditions.empty());
  const Tensor fixed = Input({2}, {.name = "x"});
  const graph::Module three = value_or_throw(to_module(Model(fixed, ops::broadcast_to(fixed, {3, 2}))));
  EXPECT_TRUE(three.symbols.empty() || three.functions[0].params.size() == 1);
  EXPECT_EQ(shape_str(three.functions[0].values[static_cast<std::size_t>(three.functions[0].params[0])].type.shape),
            "[3,2]");
}

// --- masks

TEST_F(Operations, MasksGoFromLayerToLayer) {
  const Tensor ids = Input({4}, {.dtype = "int32", .name = "ids"});
  layers::Embedding table(5, 1, {.mask_zero = true});
  const Tensor x = table(ids);
  table.set_weights({counted({5, 1}, 1)});
  Array data(DType::i32, {1, 4});
  for (const std::int64_t i : {0, 1}) data.set_int(i, 2 + i);  // 2 3 0 0, embedded 3 4 1 1
  const auto mean = [&](const Tensor& of) {
    return run(Model(ids, layers::GlobalAveragePooling1D()(of)), {data}).at(0);
  };
  EXPECT_EQ(mean(x), 3.5);
  EXPECT_EQ(mean(layers::Dropout(0.5)(layers::Activation("relu")(x))), 3.5) << "passed on";
  EXPECT_EQ(mean(layers::Reshape({4, 1})(x)), 2.25) << "stopped";
  EXPECT_EQ(mean(x * 1), 2.25) << "stopped by operations";
  EXPECT_EQ(mean(layers::add({x, x})), 7) << "joined";
  EXPECT_EQ(mean(layers::add({x, layers::Reshape({4, 1})(x)})), 4.5) << "one has none";
  const Tensor own = Input({4}, {.dtype = "bool", .name = "own"});
  Array first(DType::boolean, {1, 4});
  first.set_int(0, 1);
  const Model told({ids, own}, layers::GlobalAveragePooling1D()(x, {.mask = own}));
  EXPECT_EQ(run(told, {data, first}).at(0), 3) << "what a call is told counts";
}

TEST_F(Operations, MasksReachTheLayersOfModels) {
  const Tensor inner_in = Input({4, 1}, {.name = "inner_in"});
  const Model inner(inner_in, layers::GlobalAveragePooling1D()(inner_in), {.name = "inner"});
  const Tensor ids = Input({4}, {.dtype = "int32", .name = "ids"});
  layers::Embedding table(5, 1, {.mask_zero = true});
  const Model model(ids, inner(table(ids)));
  table.set_weights({counted({5, 1}, 1)});
  Array data(DType::i32, {1, 4});
  data.set_int(0, 4);
  EXPECT_EQ(run(model, {data}).at(0), 5);
}

// Keras takes the masks off the tensors that MultiHeadAttention has read, in the order in which calls run.
TEST_F(Operations, MultiHeadAttentionTakesMasksOffItsInputs) {
  const Tensor ids = Input({4}, {.dtype = "int32", .name = "ids"});
  layers::Embedding table(5, 1, {.mask_zero = true});
  const Tensor x = table(ids);
  const Tensor attended = layers::MultiHeadAttention(1, 1)({x, x});
  const Tensor sum = layers::add({x, attended});
  const Model model(ids, layers::GlobalAveragePooling1D()(sum));
  Array data(DType::i32, {1, 4});
  data.set_int(0, 4);
  const std::vector<double> masked = run(Model(ids, layers::GlobalAveragePooling1D()(attended)), {data});
  const std::vector<double> all_of_them = run(Model(ids, ops::mean(sum, {.axis = {1}})), {data});
  EXPECT_EQ(run(model, {data}), all_of_them);
  EXPECT_NE(masked, all_of_them);
}

TEST_F(Operations, AttentionIsChecked) {
  const Tensor x = Input({4, 6}, {.name = "x"});
  EXPECT_THAT(error_of([&] { layers::MultiHeadAttention(0, 3)({x, x}); }), HasSubstr("num_heads is 0"));
  EXPECT_THAT(error_of([&] { layers::MultiHeadAttention(2, 3)(x); }), HasSubstr("takes at least 2 inputs, found 1"));
  EXPECT_THAT(error_of([&] {
                layers::GroupQueryAttention(3, 4, {.num_key_value_heads = 3})({x, x});
              }),
              HasSubstr("expected a multiple of num_key_value_heads"));
  const Tensor mask = Input({2, 2, 4, 4, 4}, {.dtype = "bool", .name = "mask"});
  EXPECT_THAT(error_of([&] {
                layers::MultiHeadAttention(2, 3)({x, x}, {.attention_mask = mask});
              }),
              HasSubstr("[layer-mask]"));
  const auto [y, scores] = layers::MultiHeadAttention(2, 3)({x, x}, {.return_attention_scores = true}).unpack<2>();
  EXPECT_EQ(keras_shape(y.shape()), "(None, 4, 6)");
  EXPECT_EQ(keras_shape(scores.shape()), "(None, 2, 4, 4)");
}

TEST_F(Operations, LayersAroundLayersAreChecked) {
  const Tensor x = Input({4, 6}, {.name = "x"});
  EXPECT_EQ(keras_shape(layers::TimeDistributed(layers::Dense(3))(x).shape()), "(None, 4, 3)");
  EXPECT_THAT(error_of([&] { layers::SpectralNormalization(layers::Flatten())(x); }), HasSubstr("[layer-wrapped]"));
  EXPECT_THAT(error_of([&] { layers::IntegerLookup({.vocabulary = {1, 2}})(x); }), HasSubstr("[layer-dtype]"));
  EXPECT_THAT(error_of([&] { layers::Discretization({.bin_boundaries = {2.0, 1.0}})(x); }), HasSubstr("not sorted"));
}

TEST_F(Operations, SummariesAreThoseOfKeras) {
  const Tensor x = Input({4}, {.name = "x"});
  layers::Dense hidden(3, {.name = "hidden"});
  hidden.base().set_trainable(false);
  const Model model(x, layers::Dense(2, {.name = "out"})(hidden(x)), {.name = "m"});
  const std::string text = summary(model);
  EXPECT_THAT(text, HasSubstr("│ hidden (Dense)                  │ (None, 3)              │            15 │"));
  EXPECT_THAT(text, HasSubstr(" Trainable params: 8 (32.00 B)\n Non-trainable params: 15 (60.00 B)\n"));
  EXPECT_THAT(summary(model, {.show_trainable = true}), HasSubstr("│   N   │"));
  EXPECT_THAT(utils::model_to_dot(model, {.show_shapes = true}), HasSubstr("Output shape: <b>(None, 3)</b>"));
}

}  // namespace
}  // namespace tusk
