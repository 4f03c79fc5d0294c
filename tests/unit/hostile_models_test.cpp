// Configurations whose reader would take hours, or many times their size.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "error_of.hpp"
#include "frontend/import/model_config.hpp"

namespace tusk {
namespace {

using nlohmann::json;
using testing::HasSubstr;

json layer(const char* class_name, const std::string& name, json config = json::object()) {
  config["name"] = name;
  return {{"class_name", class_name}, {"config", std::move(config)}};
}

json sequential(json layers) {
  return {{"class_name", "Sequential"}, {"config", {{"name", "s"}, {"layers", std::move(layers)}}}};
}

std::string refusal(const json& model) {
  return error_of([&] { model_from_config(model, 3); });
}

json input(int rank) {
  json shape = {nullptr};
  for (int i = 1; i < rank; ++i) shape.push_back(2);
  return layer("InputLayer", "x", {{"batch_shape", shape}});
}

/// A Dense inside of `count` layers.
json wrapped(int count) {
  json inner = layer("Dense", "d", {{"units", 1}});
  for (int i = 0; i < count; ++i) inner = layer("TimeDistributed", "t" + std::to_string(i), {{"layer", inner}});
  return sequential({input(2 + count), inner});
}

TEST(HostileModel, LongNames) {
  const std::string name(5000, 'n');
  EXPECT_THAT(refusal(sequential({input(2), layer("Dense", name, {{"units", 1}})})), HasSubstr("[model-config]"));
  // Only names of about the same length are compared letter by letter.
  const std::string million(1'000'000, 'Q');
  EXPECT_THAT(refusal(sequential(json::array({layer(million.c_str(), "a")}))), HasSubstr("which is unknown"));
  EXPECT_THAT(refusal(sequential(json::array({layer("Dence", "a")}))), HasSubstr("did you mean `Dense`"));
}

TEST(HostileModel, LayersAroundLayers) {
  EXPECT_EQ(refusal(wrapped(8)), "no error");
  EXPECT_THAT(refusal(wrapped(9)), HasSubstr("more than 8 layers stand one around the other"));
}

TEST(HostileModel, ManyLayersAndCalls) {
  json layers = {input(2)};
  for (int i = 0; i < 12'000; ++i) layers.push_back(layer("ReLU", std::to_string(i)));
  EXPECT_THAT(refusal(sequential(layers)), HasSubstr("the model has more than 12000 layers and calls"));
  json calls = json::array();
  for (int i = 0; i < 12'000; ++i) calls.push_back(json::array({json::array({"x", 0, 0, json::object()})}));
  json relu = layer("ReLU", "r");
  relu.update({{"name", "r"}, {"inbound_nodes", calls}});
  const json functional = {{"class_name", "Functional"},
                           {"config",
                            {{"name", "f"},
                             {"layers", {input(2), relu}},
                             {"input_layers", {{"x", 0, 0}}},
                             {"output_layers", {{"r", 0, 0}}}}}};
  EXPECT_THAT(refusal(functional), HasSubstr("the model has more than 12000 layers and calls"));
}

TEST(HostileModel, NumbersInsideOfManyLists) {
  json deep = 2;
  for (int i = 0; i < 150; ++i) deep = json::array({deep});
  json scale = json::array();
  for (int i = 0; i < 3000; ++i) scale.push_back(deep);
  const json model = sequential(
      {layer("InputLayer", "x", {{"batch_shape", {nullptr, 3000}}}), layer("Rescaling", "r", {{"scale", scale}})});
  EXPECT_EQ(refusal(model), "no error");
}

TEST(HostileModel, ManyLayersOfOneName) {
  json layers = json::array();
  for (int i = 0; i < 20000; ++i) layers.push_back(layer("Dense", "a", {{"units", 1}}));
  EXPECT_THAT(refusal(sequential(layers)), HasSubstr("two layers are named"));
  for (json& one : layers) one["shared_object_id"] = 7;
  layers.back()["shared_object_id"] = 8;
  EXPECT_THAT(refusal(sequential(layers)), HasSubstr("[model-shared]"));
}

TEST(HostileModel, TablesOfLayers) {
  const auto with_shape = [](json shape, const char* class_name, json config) {
    return refusal(sequential({layer("InputLayer", "x", {{"batch_shape", shape}}), layer(class_name, "l", config)}));
  };
  const char* large = "numbers is too large";
  const json image = {nullptr, 8, 8, 3};
  EXPECT_THAT(with_shape(image, "Resizing", {{"height", 60'000'000}, {"width", 1}}), HasSubstr(large));
  EXPECT_THAT(with_shape({nullptr, 60'000'000, 3}, "AdaptiveAveragePooling1D", {{"output_size", 50'000'000}}),
              HasSubstr(large));
  EXPECT_THAT(with_shape({nullptr, 670'000}, "MelSpectrogram", {{"fft_length", 60'000}}), HasSubstr(large));
}

TEST(HostileModel, ManyAxes) {
  EXPECT_THAT(refusal(sequential({input(40), layer("Dense", "d", {{"units", 1}})})), HasSubstr("at most 32 axes"));
}

TEST(HostileModel, LongListsOfArgumentsAndOutputs) {
  const json x = {{"class_name", "__keras_tensor__"},
                  {"config", {{"shape", {nullptr, 2}}, {"dtype", "float32"}, {"keras_history", {"x", 0, 0}}}}};
  json add = layer("Add", "add");
  add["module"] = "keras.src.ops.numpy";
  add["name"] = "add";
  add["inbound_nodes"] = {{{"args", {x, json(std::vector<int>(300'000))}}, {"kwargs", json::object()}}};
  json in = input(2);
  in["name"] = "x";
  in["inbound_nodes"] = json::array();
  json model = {
      {"class_name", "Functional"},
      {"config",
       {{"name", "f"}, {"layers", {in, add}}, {"input_layers", {{"x", 0, 0}}}, {"output_layers", {{"add", 0, 0}}}}}};
  EXPECT_THAT(refusal(model), HasSubstr("lists of more than 262144 elements"));
  model["config"]["layers"][1] = layer("Flatten", "add");
  model["config"]["layers"][1]["inbound_nodes"] = {{{"args", {x}}, {"kwargs", json::object()}}};
  EXPECT_EQ(refusal(model), "no error");
  model["config"]["output_layers"] = std::vector<json>(1025, {"add", 0, 0});
  EXPECT_THAT(refusal(model), HasSubstr("more than 1024 inputs or outputs"));
}

}  // namespace
}  // namespace tusk
