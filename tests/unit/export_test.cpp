// Configurations that are written: models read back from them are the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "frontend/export/config.hpp"
#include "frontend/import/load_model.hpp"
#include "frontend/layers/layers.hpp"
#include "frontend/model/to_module.hpp"
#include "frontend/ops/ops.hpp"
#include "ir/graph/print.hpp"
#include "tests/unit/error_of.hpp"

namespace tusk {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Export : public testing::Test {
 protected:
  void SetUp() override { clear_session(); }
};

std::string graph_text(const Model& model) {
  const Expected<graph::Module> module = to_module(model);
  return module ? graph::print(*module) : module.problem().str();
}

// The same text means the same layers, names, calls and types; weights have the values that initializers give.
TEST_F(Export, EveryGoldenReadsBack) {
  int count = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(fs::path(TUSK_SOURCE_DIR) / "tests/parity/goldens")) {
    if (entry.path().extension() != ".keras") continue;
    const Expected<LoadedModel> loaded = read_model(entry.path());
    ASSERT_TRUE(loaded) << entry.path();
    const std::string written = to_json(loaded->model);
    const Model copy = model_from_json(written);
    EXPECT_EQ(to_json(copy), written) << entry.path();
    EXPECT_EQ(copy.weights().size(), loaded->model.weights().size()) << entry.path();
    for (std::size_t i = 0; i < copy.weights().size(); ++i)
      copy.weights()[i].assign(loaded->model.weights()[i].value());
    EXPECT_EQ(graph_text(copy), graph_text(loaded->model)) << entry.path();
    EXPECT_EQ(copy.input_names(), loaded->model.input_names());
    EXPECT_EQ(copy.output_names(), loaded->model.output_names());
    ++count;
  }
  EXPECT_GE(count, 100);
}

TEST_F(Export, InfiniteNumbersComeBack) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const layers::ReLU relu({.max_value = kInfinity});
  EXPECT_THAT(get_config(layer_from_config("ReLU", get_config(relu))), HasSubstr(R"("max_value":Infinity)"));
  const layers::Discretization bins({.bin_boundaries = {-kInfinity, 0, 1, kInfinity}});
  EXPECT_THAT(get_config(layer_from_config("Discretization", get_config(bins))),
              HasSubstr(R"("bin_boundaries":[-Infinity,0.0,1.0,Infinity])"));
  EXPECT_THAT(error_of([] { layer_from_config("ReLU", R"({"name": "r", "max_value": NaN})"); }),
              HasSubstr("max_value is nan, expected a number"));
}

TEST_F(Export, RefusesWhatIsNoConfiguration) {
  for (const char* text :
       {"{}", "[]", "3", R"({"class_name": "Functional"})", R"({"class_name": "Dense", "config": 3})"}) {
    EXPECT_THAT(error_of([&] { model_from_json(text); }),
                HasSubstr("the text holds no model: expected an object with class_name and config [config]"))
        << text;
  }
  EXPECT_THAT(error_of([] { model_from_json(R"({"class_name": "Sequential", "config": {}})"); }),
              HasSubstr("the configuration of the Sequential model has no list of layers [model-config]"));
  EXPECT_THAT(error_of([] { get_config(layers::Dense(2, {.name = "\xff"})); }), HasSubstr("is not UTF-8"));
}

TEST_F(Export, ConfigurationsOfLayers) {
  const layers::Dense dense(4, {.activation = "relu", .name = "d", .dtype = "mixed_float16"});
  const std::string config = get_config(dense);
  EXPECT_THAT(config, HasSubstr(R"({"name":"d","dtype":{"module":"keras","class_name":"DTypePolicy")"));
  EXPECT_THAT(config, HasSubstr(R"("units":4,"activation":"relu","use_bias":true)"));
  const Layer copy = layer_from_config("Dense", config);
  EXPECT_EQ(nlohmann::json::parse(get_config(copy)), nlohmann::json::parse(config));
  EXPECT_EQ(copy.base().dtype_policy().compute, DType::f16);
}

TEST_F(Export, ClonesHaveLayersOfTheirOwn) {
  const Tensor x = Input({4});
  const layers::Dense shared(4);
  const Tensor y = shared(ops::add(shared(x), 1.0));
  const Model model(x, {y, ops::split(y, 2, -1).front()}, {.name = "m"});
  const Model copy = clone_model(model);
  EXPECT_EQ(copy.name(), "m");
  EXPECT_EQ(graph_text(copy), graph_text(model));
  EXPECT_NE(copy.layers()[1].shared(), model.layers()[1].shared());
  EXPECT_EQ(copy.layers()[1].base().nodes().size(), 2U);
}

TEST_F(Export, LayersInSeveralModelsStayShared) {
  const layers::Dense dense(4);
  const Tensor a = Input({4});
  const Model inner(a, dense(a), {.name = "inner"});
  const Tensor b = Input({4});
  const Model outer(b, dense(inner(b)), {.name = "outer"});
  const Model copy = clone_model(outer);
  EXPECT_EQ(copy.weights().size(), 2U);
  EXPECT_EQ(graph_text(copy), graph_text(outer));
}

// Keras' own classes cannot be called by the names of these parameters.
TEST_F(Export, SegmentsGoByPosition) {
  const Tensor x = Input({5}, {.batch_size = 4, .name = "x"});
  const Tensor ids = Input({}, {.batch_size = 4, .dtype = "int32", .name = "ids"});
  const auto config = nlohmann::json::parse(to_json(Model({x, ids}, ops::segment_sum(x, ids, 3))));
  const nlohmann::json& call = config["config"]["layers"].back()["inbound_nodes"][0];
  ASSERT_EQ(call["args"].size(), 2U);
  EXPECT_EQ(call["args"][1]["config"]["keras_history"][0], "ids");
  EXPECT_TRUE(call["kwargs"].empty());
}

struct NamelessImpl : LayerBase {
  struct Config {
    std::string name = {};
  } config;
  static void fields(auto&, Config&) {}
  Tensor call(Tensor x, const Call&) override { return x; }
};

TEST_F(Export, WhatHasNoNameIsRefused) {
  EXPECT_THAT(error_of([&] { (void)get_config(LayerOf<NamelessImpl>()); }),
              HasSubstr("has no name in files [config-class]"));
  const layers::Activation twice([](const Tensor& x) { return ops::add(x, x); });
  EXPECT_THAT(error_of([&] { (void)get_config(twice); }),
              HasSubstr("activation is a function of C++, which has no name in a file [config-function]"));
  EXPECT_THAT(error_of([&] { (void)model_from_json("{"); }), HasSubstr("the configuration"));
  EXPECT_THAT(error_of([&] { (void)layer_from_config("Dense", "[]"); }), HasSubstr("is no layer"));
  EXPECT_THAT(error_of([&] { (void)layer_from_config("Dens", "{}"); }), HasSubstr("Dens"));
}

}  // namespace
}  // namespace tusk
