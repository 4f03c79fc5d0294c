// The front end: names, shapes and errors while a model is defined, its module, and what the importer refuses.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "frontend/import/load_model.hpp"
#include "frontend/import/model_config.hpp"
#include "frontend/import/saved_model.hpp"
#include "frontend/layers/layers.hpp"
#include "frontend/model/model.hpp"
#include "frontend/model/to_module.hpp"
#include "frontend/ops/ops.hpp"
#include "ir/graph/bind.hpp"
#include "ir/graph/interpret.hpp"
#include "ir/graph/parse.hpp"
#include "ir/graph/print.hpp"
#include "ir/graph/verify.hpp"
#include "tests/unit/error_of.hpp"
#include "tests/unit/model_json.hpp"

namespace tusk {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class Frontend : public testing::Test {
 protected:
  void SetUp() override { clear_session(); }
};

std::vector<std::string> names_of(const std::vector<Layer>& layers) {
  std::vector<std::string> names;
  for (const Layer& layer : layers) names.push_back(layer.name());
  return names;
}

graph::Module module_of(const Model& model, const ModuleOptions& options = {}) {
  graph::Module module = value_or_throw(to_module(model, options));
  value_or_throw(graph::verify(module));
  return module;
}

Array floats(std::vector<std::int64_t> shape, const std::vector<double>& values) {
  Array array(DType::f32, std::move(shape));
  for (std::size_t i = 0; i < values.size(); ++i) array.set(static_cast<std::int64_t>(i), values[i]);
  return array;
}

/// The first result of a model, by the interpreter.
std::vector<double> run(const Model& model, const std::vector<Array>& inputs, const ModuleOptions& options = {}) {
  const graph::Module module = module_of(model, options);
  std::vector<std::vector<std::int64_t>> shapes;
  for (const Array& input : inputs) shapes.push_back(input.shape());
  const auto symbols = value_or_throw(graph::bind_symbols(module, module.functions[0], shapes));
  const Array result = value_or_throw(graph::interpret(module, module.functions[0], inputs, symbols)).front();
  std::vector<double> values;
  for (std::int64_t i = 0; i < result.size(); ++i) values.push_back(result.at(i));
  return values;
}

struct LinearImpl : LayerBase {
  struct Config {
    int units = 32;
  } config;
  static void fields(auto& f, Config& c) { f("units", c.units); }
  Variable w, b;
  void build(const Shape& in) override {
    w = add_weight("w", {in.back(), config.units}, {.initializer = "random_normal"});
    b = add_weight("b", {config.units}, {.initializer = "ones"});
  }
  Tensor call(Tensor x, const Call&) override { return ops::matmul(x, w) + b; }
};
using Linear = LayerOf<LinearImpl>;

/// A custom layer with a layer inside.
struct TwiceImpl : LayerBase {
  struct Config {
    std::string name = {};
  } config;
  static void fields(auto&, Config&) {}
  layers::Dense dense = layers::Dense(4, {.name = "inner"});
  Tensor call(Tensor x, const Call&) override { return dense(dense(x)); }
};
using Twice = LayerOf<TwiceImpl>;

// --- defining

// The places of samples of a long axis leave 32 bits on the way: an open axis gives what a known one does.
TEST_F(Frontend, OpenAxesAreResizedHoweverLong) {
  constexpr std::int64_t kLong = 60'000;
  const auto resized = [](const Tensor& x) {
    return Model(x, layers::Resizing(1, 40'000, {.interpolation = "nearest"})(x));
  };
  Array row(DType::f32, {1, 1, kLong, 1});
  for (std::int64_t i = 0; i < kLong; ++i) row.set(i, static_cast<double>(i));
  EXPECT_EQ(run(resized(Input({1, "n", 1})), {row}, {.dims = {{"n", 1, kLong}}}),
            run(resized(Input({1, kLong, 1})), {row}));
}

TEST_F(Frontend, AutomaticNamesCountForEachClass) {
  const Tensor x = Input({4});
  const layers::Dense a(3), b(3);
  const layers::Conv2DTranspose c(1, 2);
  EXPECT_EQ(a.name(), "dense");
  EXPECT_EQ(b.name(), "dense_1");
  EXPECT_EQ(c.name(), "conv2d_transpose");
  EXPECT_EQ(layers::MaxPooling2D().name(), "max_pooling2d");
  EXPECT_EQ(layers::GlobalAveragePooling2D({.keepdims = true}).name(), "global_average_pooling2d");
  EXPECT_EQ(layers::Dense(3, {.name = "dense_2"}).name(), "dense_2");
  EXPECT_EQ(layers::Dense(3).name(), "dense_2") << "names that are given do not count";
  EXPECT_EQ(Linear({.units = 3}).name(), "linear");
  const Tensor sum = a(x) + b(x);
  EXPECT_THAT(Model(x, sum, {.name = "m"}).output_names(), ElementsAre("add"));
  EXPECT_EQ(layers::Add().name(), "add_1") << "operations and layers share counters";
}

TEST_F(Frontend, ShapesFollowFromCalls) {
  const Tensor image = Input({28, 28, 1}, {.name = "image"});
  Tensor x = layers::Conv2D(8, 3, {.strides = 2, .padding = "same", .activation = "relu"})(image);
  EXPECT_EQ(keras_shape(x.shape()), "(None, 14, 14, 8)");
  x = layers::MaxPooling2D({2, 2})(x);
  x = layers::DepthwiseConv2D({3, 2}, {.depth_multiplier = 2})(x);
  EXPECT_EQ(keras_shape(x.shape()), "(None, 5, 6, 16)");
  x = layers::ZeroPadding2D({{1, 0}, {2, 3}})(x);
  EXPECT_EQ(keras_shape(x.shape()), "(None, 6, 11, 16)");
  x = layers::Conv2DTranspose(4, 3, {.strides = 2, .padding = "same"})(x);
  EXPECT_EQ(keras_shape(x.shape()), "(None, 12, 22, 4)");
  x = layers::Reshape({12, -1})(x);
  EXPECT_EQ(keras_shape(x.shape()), "(None, 12, 88)");
  EXPECT_EQ(keras_shape(layers::Flatten()(x).shape()), "(None, 1056)");
  EXPECT_EQ(x.dim(-1), 88);
}

TEST_F(Frontend, UnknownExtentsBecomeSymbols) {
  const Tensor a = Input({None, None, 3}, {.name = "a"});
  const Tensor b = Input({"time", 2}, {.name = "b"});
  const Tensor c = Input({None, 2}, {.name = "c"});
  const Tensor conv = layers::Conv2D(1, 3, {.strides = 2, .padding = "same"})(a);
  EXPECT_EQ(keras_shape(conv.shape()), "(None, None, None, 1)");
  const Tensor y = layers::Conv1D(2, 3, {.padding = "causal"})(b);
  EXPECT_EQ(keras_shape(y.shape()), "(None, time, 2)");
  const Model model({a, b, c}, {conv, y, layers::Dense(1)(c)});
  const graph::Module module = module_of(model, {.dims = {{"height", 32, 1024, 32}}});
  std::vector<std::string> symbols;
  for (const graph::Symbol& s : module.symbols)
    symbols.push_back(fmt::format("{} {}..{}:{}", s.name, s.low, s.high, s.step));
  EXPECT_THAT(symbols,
              ElementsAre("batch 1..64:1", "height 32..1024:32", "width 1..256:1", "time 1..256:1", "time_1 1..256:1"));
  EXPECT_THAT(error_of([&] { module_of(model, {.dims = {{"hight", 1, 2}}}); }), HasSubstr("did you mean `height`"));
  EXPECT_THAT(error_of([&] {
                module_of(model, {.dims = {{"width", 5, 2}}});
              }),
              HasSubstr("5..2:1 is no range for width"));
}

TEST_F(Frontend, FixedBatchNarrowsTheSymbol) {
  const Tensor x = Input({3}, {.batch_size = 16});
  const graph::Module module = module_of(Model(x, layers::Dense(2)(x)));
  EXPECT_EQ(module.symbols[0].low, 16);
  EXPECT_EQ(module.symbols[0].high, 16);
}

TEST_F(Frontend, ErrorsNameTheLayer) {
  const Tensor x = Input({8, 8, 4});
  EXPECT_THAT(error_of([&] { layers::Dense(0)(x); }), AllOf(HasSubstr("units is 0"), HasSubstr("at layer `dense`")));
  EXPECT_THAT(error_of([&] { layers::Conv2D(3, 9)(x); }),
              AllOf(HasSubstr("kernel_size 9"), HasSubstr("axis of 8"), HasSubstr("at layer `conv2d`")));
  EXPECT_THAT(error_of([&] { layers::Conv2D(3, 2, {.groups = 3})(x); }), HasSubstr("groups is 3"));
  EXPECT_THAT(error_of([&] { layers::Conv1D(3, 2)(x); }), HasSubstr("needs rank 3, found (None, 8, 8, 4)"));
  EXPECT_THAT(error_of([&] { layers::Reshape({5, -1})(x); }), HasSubstr("cannot be reshaped"));
  EXPECT_THAT(error_of([&] { layers::Reshape({255})(x); }), HasSubstr("256 elements are not 255"));
  EXPECT_THAT(error_of([&] { layers::Concatenate({.axis = 7})({x, x}); }), HasSubstr("axis 7"));
  EXPECT_THAT(error_of([&] { layers::concatenate({x, Input({8, 7, 4})}); }), HasSubstr("differ beside axis 3"));
  EXPECT_THAT(error_of([&] { layers::add({x, Input({8, 8, 3})}); }), HasSubstr("do not broadcast"));
  EXPECT_THAT(error_of([&] { layers::Dense(3)({x, x}); }), HasSubstr("takes 1 input, found 2"));
  EXPECT_THAT(error_of([&] { layers::Dense(3)(Input({None})); }), HasSubstr("must be known"));
  EXPECT_THAT(error_of([&] { Input({"a-b"}); }), HasSubstr("[symbol-name]"));
  EXPECT_EQ(error_of([&] { layers::Dropout(0.5)(x, {.training = true}); }), "no error");
  EXPECT_THAT(error_of([&] { layers::Conv2D(1, 3, {.strides = 2, .dilation_rate = 2})(x); }),
              HasSubstr("Keras refuses both above 1"));
  EXPECT_THAT(error_of([&] { layers::Conv2DTranspose(1, 3, {.strides = 2, .output_padding = 2})(x); }),
              HasSubstr("output_padding is 2, expected less than strides"));
  EXPECT_THAT(error_of([&] { Activation::named("rleu"); }), HasSubstr("did you mean `relu`"));
  EXPECT_THAT(error_of([&] { layers::Dense(3).output(); }), HasSubstr("has never been called"));
  const Tensor image = Input({3});
  const Model model(image, layers::Dense(2)(image));
  EXPECT_EQ(model.layers().front().output().result()->node, image.result()->node);  // of the InputLayer
  EXPECT_EQ(model.layers().front().input().result()->node, image.result()->node);
}

TEST_F(Frontend, ModelsAreChecked) {
  const Tensor a = Input({4}, {.name = "a"});
  const Tensor b = Input({4}, {.name = "b"});
  const Tensor y = layers::add({a, b});
  EXPECT_THAT(error_of([&] { Model(a, y); }), HasSubstr("input `b` is needed"));
  const layers::Dense one(4, {.name = "d"}), two(4, {.name = "d"});
  EXPECT_THAT(error_of([&] { Model(a, two(one(a))); }), HasSubstr("two layers of the model are named `d`"));
  const Model model({a, b}, one(y));
  EXPECT_THAT(error_of([&] { model.get_layer("e"); }), AllOf(HasSubstr("`e`"), HasSubstr("a, b, add, d")));
  EXPECT_EQ(model.get_layer(-1).name(), "d");
  EXPECT_EQ(model.count_params(), 20);
}

// Orders as Keras has them.
TEST_F(Frontend, LayersStandInKerasOrder) {
  const auto dense = [](std::string name) { return layers::Dense(4, {.name = std::move(name)}); };
  const Tensor i = Input({4}, {.name = "i"});
  const Tensor u = Input({4}, {.name = "u"});
  const Tensor p = dense("p")(i);
  const Tensor q2 = dense("q2")(dense("q")(i));
  EXPECT_THAT(names_of(Model(i, layers::Add({.name = "s"})({q2, p})).layers()), ElementsAre("i", "q", "q2", "p", "s"));
  EXPECT_THAT(names_of(Model(i, layers::Add({.name = "s"})({p, q2})).layers()), ElementsAre("i", "q", "p", "q2", "s"));
  EXPECT_THAT(names_of(Model({i, u}, layers::Add({.name = "s"})({p, q2})).layers()),
              ElementsAre("i", "q", "p", "q2", "u", "s"));
}

// --- modules

TEST_F(Frontend, ModuleReadsAsTheModel) {
  const Tensor image = Input({4}, {.name = "image"});
  Tensor x = layers::Dense(3, {.activation = "relu"})(image);
  x = layers::Dropout(0.5)(x);
  const Model model(image, layers::Dense(2, {.use_bias = false, .name = "logits"})(x), {.name = "mlp"});
  model.get_layer("dense").set_weights({Array(DType::f32, {4, 3}), floats({3}, {1, 2, 3})});
  model.get_layer("logits").set_weights({floats({3, 2}, {1, 2, 3, 4, 5, 6})});
  EXPECT_EQ(run(model, {floats({1, 4}, {0, 0, 0, 0})}), (std::vector<double>{22, 28}));
  const std::string text = graph::print(module_of(model));
  for (const char* line : {
           "module mlp numerics 1 / fma",
           "symbol batch in 1..64",
           "const @dense/kernel : f32[4,3]",
           "const @logits/kernel : f32[3,2]",
           "func predict(%image: f32[batch,4]) -> (%logits: f32[batch,2]) {",
           "%dense_bias = broadcast @dense/bias {shape=[batch,3], dims=[1]}",
           "%dense_contract = contract %image, @dense/kernel, %dense_bias { a[n,k] b[k,o] -> y[n,o] }",
           "%dense = map.relu %dense_contract : f32[batch,3] loc(\"dense\")",
           "%logits = contract %dense, @logits/kernel { a[n,k] b[k,o] -> y[n,o] } : f32[batch,2] loc(\"logits\")",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST_F(Frontend, SharedLayersHoldOneWeight) {
  const Tensor a = Input({3}, {.name = "a"});
  const Tensor b = Input({3}, {.name = "b"});
  const layers::Dense dense(3);
  const Model model({a, b}, {dense(a), dense(dense(b))});
  const graph::Module module = module_of(model);
  EXPECT_EQ(module.globals.size(), 2U);
  EXPECT_THAT(module.functions[0].result_names, ElementsAre("dense", "dense_1"));
}

TEST_F(Frontend, CustomLayersAreLayers) {
  const Tensor x = Input({2}, {.name = "x"});
  const Linear linear({.units = 2});
  const Tensor y = linear(x);
  linear.set_weights({floats({2, 2}, {1, 2, 3, 4}), floats({2}, {10, 20})});
  EXPECT_EQ(run(Model(x, y), {floats({1, 2}, {1, 1})}), (std::vector<double>{14, 26}));
  EXPECT_THAT(error_of([&] {
                linear.set_weights({floats({2, 2}, {1, 2, 3, 4})});
              }),
              HasSubstr("1 arrays are given for 2"));
  EXPECT_THAT(error_of([&] {
                linear.set_weights({floats({1, 2}, {1, 2}), floats({2}, {1, 2})});
              }),
              HasSubstr("w has shape (1, 2), expected (2, 2)"));
  const Tensor wide = Input({4}, {.name = "wide"});
  const graph::Module module = module_of(Model(wide, Twice()(wide)));
  EXPECT_GE(module.global_named("twice/inner/kernel"), 0);
  EXPECT_EQ(module.globals.size(), 2U);
  EXPECT_EQ(module.functions[0].ops[0].layer, "twice/inner");
}

TEST_F(Frontend, ModelsAreLayers) {
  const Tensor x = Input({2}, {.name = "x"});
  const Model inner(x, layers::Dense(2, {.activation = [](const Tensor& t) { return t * t + 1; }})(x),
                    {.name = "inner"});
  const Tensor z = Input({2}, {.name = "z"});
  const Model outer(z, inner(inner(z)), {.name = "outer"});
  inner.get_layer("dense").set_weights({floats({2, 2}, {1, 0, 0, 1}), floats({2}, {0, 0})});
  EXPECT_EQ(run(outer, {floats({1, 2}, {1, 2})}), (std::vector<double>{5, 26}));
  EXPECT_GE(module_of(outer).global_named("inner/dense/kernel"), 0);
  EXPECT_EQ(outer.count_params(), 6);
  const Model two(x, {layers::Dense(1)(x), layers::Dense(1)(x)});
  EXPECT_THAT(error_of([&] { layers::Dense(1)(two(z)); }), HasSubstr("unpack<2>()"));
  const auto [left, right] = two(z).unpack<2>();
  EXPECT_EQ(module_of(Model(z, left + right)).globals.size(), 4U);
}

TEST_F(Frontend, OperatorsCompute) {
  const Tensor x = Input({3}, {.name = "x"});
  const Tensor y = (2 - x) / 4 + x * 3 - ops::max(x, {.axis = {-1}, .keepdims = true}) +
                   ops::mean(x, {.axis = {1}, .keepdims = true});
  const std::vector<double> found = run(Model(x, y), {floats({1, 3}, {1, 2, 6})});
  const std::vector<double> expected{0.25 + 3 - 6 + 3, 0 + 6 - 6 + 3, -1 + 18 - 6 + 3};
  EXPECT_EQ(found, expected);
}

TEST_F(Frontend, InitialValuesAreTheSameEachTime) {
  const Array a = initial_value("glorot_uniform", {30, 20}, 7);
  EXPECT_EQ(a.at(5), initial_value("glorot_uniform", {30, 20}, 7).at(5));
  double largest = 0;
  for (std::int64_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a.at(i)));
  EXPECT_LE(largest, std::sqrt(6.0 / 50));
  EXPECT_GE(largest, 0.9 * std::sqrt(6.0 / 50));
}

// --- configurations

/// A model of one Dense with changed keys.
std::string dense_error(const json& changes, int keras = 3) {
  json config = {{"name", "d"}, {"units", 3}};
  config.update(changes);
  return error_of([&] {
    model_from_config(functional({layer("Dense", config, {{tensor("x")}})}, {"d", 0, 0}), keras);
  });
}

TEST_F(Frontend, WrongValuesAreRefused) {
  EXPECT_EQ(dense_error(json::object()), "no error");
  EXPECT_THAT(dense_error({{"units", "three"}}),
              AllOf(HasSubstr("units is \"three\", expected an integer"), HasSubstr("at layer `d`")));
  EXPECT_THAT(dense_error({{"units", 3.5}}), HasSubstr("units is 3.5"));
  EXPECT_THAT(dense_error({{"units", -3}}), HasSubstr("units is -3"));
  EXPECT_THAT(dense_error({{"units", 4611686018427387904}}), HasSubstr("units is 4611686018427387904"));
  EXPECT_THAT(dense_error({{"unitz", 3}}), HasSubstr("unitz = 3 is an unknown argument; did you mean `units`?"));
  EXPECT_THAT(dense_error({{"use_bias", "no"}}), HasSubstr("use_bias is \"no\", expected true or false"));
  EXPECT_THAT(dense_error({{"activation", "relo"}}), HasSubstr("no activation is named `relo`; did you mean `relu`?"));
  EXPECT_THAT(dense_error({{"activation", {{"class_name", "LeakyReLU"}, {"config", json::object()}}}}),
              HasSubstr("\"LeakyReLU\""));
  EXPECT_THAT(dense_error({{"lora_rank", 4}}), HasSubstr("lora_rank is 4, which is not supported"));
  EXPECT_THAT(dense_error({{"dtype", "mixed_float61"}}), HasSubstr("no dtype policy `mixed_float61`"));
  EXPECT_EQ(dense_error({{"dtype", {{"class_name", "DTypePolicy"}, {"config", {{"name", "bfloat16"}}}}}}), "no error");
  EXPECT_EQ(dense_error({{"dtype", {{"class_name", "Policy"}, {"config", {{"name", "float32"}}}}}}), "no error");
  EXPECT_EQ(dense_error({{"kernel_regularizer", {{"class_name", "L2"}}}, {"trainable", false}, {"lora_rank", nullptr}}),
            "no error");
}

TEST_F(Frontend, BrokenGraphsAreRefused) {
  const auto dense = [](const char* name, const json& from) {
    return layer("Dense", {{"name", name}, {"units", 4}}, {{from}});
  };
  const auto error_in = [](json layers, json output) {
    return error_of([&] { model_from_config(functional(std::move(layers), std::move(output)), 3); });
  };
  EXPECT_THAT(error_in({dense("d", tensor("gone"))}, {"d", 0, 0}),
              HasSubstr("refers to layer \"gone\", which is not in the file"));
  EXPECT_THAT(error_in({dense("d", tensor("x", 1))}, {"d", 0, 0}),
              HasSubstr("refers to node 1 of layer \"x\", which has 1"));
  EXPECT_THAT(error_in({dense("d", tensor("x"))}, {{"d", 7, 9}}),
              HasSubstr("refers to node 7 of layer \"d\", which has 1"));
  EXPECT_THAT(error_in({dense("d", tensor("x"))}, {{"d", 0, 9}}), HasSubstr("reads result 9 of layer \"d\""));
  EXPECT_THAT(error_in({dense("d", tensor("e")), dense("e", tensor("d"))}, {"e", 0, 0}),
              HasSubstr("the graph has a cycle: each of \"d\", \"e\", \"d\" reads the next one"));
  EXPECT_THAT(error_in({dense("d", tensor("x")), dense("d", tensor("d"))}, {"d", 0, 0}),
              HasSubstr("two layers are named \"d\""));
  EXPECT_THAT(error_in({dense("d", 2.0)}, {"d", 0, 0}), HasSubstr("called with 2.0, which is no tensor"));
  json masked = dense("d", tensor("x"));
  masked["inbound_nodes"][0]["kwargs"] = {{"mask", 3}};
  EXPECT_THAT(error_in({masked}, {"d", 0, 0}), HasSubstr("mask = 3"));
  masked["inbound_nodes"][0]["kwargs"] = {{"mask", tensor("gone")}};
  EXPECT_THAT(error_in({masked}, {"d", 0, 0}), HasSubstr("refers to layer \"gone\", which is not in the file"));
  masked["inbound_nodes"][0]["kwargs"] = {{"mask", nullptr}, {"training", false}};
  EXPECT_EQ(error_in({masked}, {"d", 0, 0}), "no error");
}

TEST_F(Frontend, OneErrorListsAllUnsupportedLayers) {
  json op = layer("Vectorize", {{"name", "multiply"}}, {{tensor("x")}});
  op["module"] = "keras.src.ops.numpy";
  json custom = layer("QDense", {{"name", "q"}}, {{tensor("x")}});
  custom["registered_name"] = "qkeras>QDense";
  const json model = functional(
      {layer("LSTM", {{"name", "l1"}}, {{tensor("x")}}), layer("LSTM", {{"name", "l2"}}, {{tensor("x")}}),
       layer("Densest", {{"name", "d"}}, {{tensor("x")}}), layer("Lambda", {{"name", "scale"}}, {{tensor("x")}}),
       layer("Sequential", {{"name", "inner"}}, {{tensor("x")}}), op, custom},
      {"d", 0, 0});
  const std::string text = error_of([&] { model_from_config(model, 3); });
  for (const char* part :
       {"7 layers are not supported", "2 x LSTM: \"l1\", \"l2\"",
        "Densest, which is unknown; did you mean `Dense`?: \"d\"", "Python bytecode, which is never decoded",
        "Sequential without layers: \"inner\"", "operation Vectorize (keras.src.ops.numpy): \"multiply\"",
        "custom layer qkeras>QDense", "`tusk layers` lists those that are supported"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

TEST_F(Frontend, RegisteredLayersAreFound) {
  register_layer<Linear>("frontend_test");
  json linear = layer("Linear", {{"name", "mine"}, {"units", 5}}, {{tensor("x")}});
  linear["registered_name"] = "frontend_test>Linear";
  const ConfiguredModel read = model_from_config(functional({linear}, {"mine", 0, 0}), 3);
  EXPECT_EQ(keras_shape(read.model.outputs()[0].shape()), "(None, 5)");
}

// A chain as Keras 2 writes it: nodes are lists of [layer, node, result, arguments].
TEST_F(Frontend, Keras2ConfigurationsAreRead) {
  const auto layer2 = [](const char* class_name, json config, json nodes) -> json {
    const std::string name = config["name"];
    return {{"class_name", class_name}, {"config", config}, {"name", name}, {"inbound_nodes", nodes}};
  };
  const json config = {
      {"class_name", "Model"},
      {"config",
       {{"name", "model_1"},
        {"layers",
         {layer2("InputLayer",
                 {{"name", "in"}, {"batch_input_shape", {nullptr, 6, 6, 2}}, {"dtype", "float32"}, {"sparse", false}},
                 json::array()),
          layer2("BatchNormalization", {{"name", "bn"}, {"axis", {3}}, {"momentum", 0.99}, {"epsilon", 0.001}},
                 {{{"in", 0, 0, json::object()}}}),
          layer2("DepthwiseConv2D",
                 {{"name", "dw"}, {"kernel_size", {3, 3}}, {"groups", 1}, {"activation", "hard_sigmoid"}},
                 {{{"bn", 0, 0, {{"training", false}}}}}),
          layer2("Add", {{"name", "sum"}}, {{{"dw", 0, 0, json::object()}, {"dw", 0, 0, json::object()}}})}},
        {"input_layers", {{"in", 0, 0}}},
        {"output_layers", {{"sum", 0, 0}}}}}};
  const ConfiguredModel read = model_from_config(config, 2);
  EXPECT_EQ(keras_shape(read.model.outputs()[0].shape()), "(None, 4, 4, 2)");
  EXPECT_THAT(names_of(read.model.layers()), ElementsAre("in", "bn", "dw", "sum"));
  EXPECT_THAT(graph::print(module_of(read.model)), HasSubstr("map.mul %dw_contract, 0.2"));  // Keras 3: (x + 3) / 6
  EXPECT_THAT(error_of([&] {
                model_from_config({{"class_name", "Sequential"}, {"config", json::array()}}, 2);
              }),
              HasSubstr("the model has no layers"));
  const json dense = {{"class_name", "Dense"},
                      {"config", {{"name", "d"}, {"units", 3}, {"batch_input_shape", {nullptr, 4}}}}};
  const ConfiguredModel bare = model_from_config({{"class_name", "Sequential"}, {"config", json::array({dense})}}, 2);
  EXPECT_EQ(keras_shape(bare.model.outputs()[0].shape()), "(None, 3)");
  EXPECT_THAT(error_of([&] {
                model_from_config({{"class_name", "MLP"}, {"config", json::object()}}, 3);
              }),
              HasSubstr("class \"MLP\", whose code is not in the file"));
}

TEST_F(Frontend, SequentialNeedsAShape) {
  json config = {
      {"class_name", "Sequential"},
      {"config", {{"name", "s"}, {"layers", {layer("Dense", {{"name", "d"}, {"units", 2}}, json::array())}}}}};
  EXPECT_THAT(error_of([&] { model_from_config(config, 3); }), HasSubstr("does not say the shape"));
  config["config"]["build_input_shape"] = {nullptr, 4};
  EXPECT_THAT(model_from_config(config, 3).model.input_names(), ElementsAre("input_layer"));
  config["config"].erase("build_input_shape");
  config["config"]["layers"][0]["config"]["batch_input_shape"] = {nullptr, 4};
  EXPECT_THAT(model_from_config(config, 2).model.input_names(), ElementsAre("d_input"));
}

// The order in which Keras wrote the layers down is the order that Model computes.
TEST_F(Frontend, OrderOfLayersIsThatOfTheFiles) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TUSK_SOURCE_DIR "/tests/parity/goldens")) {
    if (entry.path().extension() != ".keras") continue;
    const SavedModel saved = value_or_throw(read_saved_model(entry.path()));
    if (saved.config["class_name"] != "Functional") continue;
    std::vector<std::string> written;
    for (const json& one : saved.config["config"]["layers"]) written.push_back(one["name"]);
    const Expected<Model> model = load_model_checked(entry.path());
    ASSERT_TRUE(model) << model.problem().str();
    EXPECT_EQ(names_of(model->functional().operations), written) << entry.path();
    ++files;
  }
  EXPECT_GT(files, 50);
}

// Also with layers that are named `std::vector` and `x"; #endif`.
TEST_F(Frontend, ModulesOfFilesReadBackAsText) {
  for (const auto& entry : std::filesystem::directory_iterator(TUSK_SOURCE_DIR "/tests/parity/goldens")) {
    if (entry.path().extension() != ".keras") continue;
    const graph::Module module = module_of(load_model(entry.path()));
    const std::string text = graph::print(module);
    const std::vector<std::byte> weights = graph::weights_of(module);
    const Expected<graph::Module> back = graph::parse(text, {.weights = weights});
    ASSERT_TRUE(back) << entry.path() << back.problem().str();
    EXPECT_EQ(graph::print(*back), text) << entry.path();
  }
}

}  // namespace
}  // namespace tusk
