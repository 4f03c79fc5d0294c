// What a user reads whose file does not say a model: each error of a configuration once, as a whole text.
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "frontend/import/model_config.hpp"
#include "tests/unit/model_json.hpp"
#include "tests/unit/wrong_definition.hpp"

namespace tusk {
namespace {

void read(const json& model, int keras = 3) { (void)model_from_config(model, keras); }

json dense(const json& from) { return layer("Dense", {{"name", "d"}, {"units", 4}}, {{from}}); }
json with(json config) {
  config.update({{"name", "d"}});
  return functional({layer("Dense", std::move(config), {{tensor("x")}})}, {"d", 0, 0});
}
json called(const json& node, const char* class_name = "Dense") {
  json d = layer(class_name, {{"name", "d"}, {"units", 4}}, json::array());
  if (std::string(class_name) != "Dense") {
    d["module"] = "keras.src.ops.numpy";
    d["config"] = {{"name", "d"}};
  }
  d["inbound_nodes"] = node;
  return functional({d}, {"d", 0, 0});
}
json operation(json args, json kwargs = json::object()) {
  return called({{{"args", std::move(args)}, {"kwargs", std::move(kwargs)}}}, "Add");
}

TEST(FileErrors, Fields) {
  const json both = layer(
      "InputLayer", {{"batch_shape", {nullptr, 4}}, {"batch_input_shape", {nullptr, 4}}, {"name", "y"}}, json::array());
  expect({
      {[] {
         read(with({{"units", 4}, {"activation", 3}}));
       },
       "activation is 3, expected the name of an activation [layer-config]", "d",
       "its class is Dense\n  put the activation into a layer of its own"},
      {[&] {
         read(functional({both}, {"y", 0, 0}));
       },
       "it has both batch_input_shape and batch_shape [layer-config]", "y", "its class is InputLayer"},
      {[] {
         read(with({{"units", true}}));
       },
       "units is true, expected an integer [layer-config]", "d", "its class is Dense"},
      {[] { read(with(json::object())); }, "units is 0, expected at least 1 [field-value]", "d"},
  });
}

TEST(FileErrors, Calls) {
  expect({
      {[] {
         read(functional({dense(3)}, {"d", 0, 0}));
       },
       "it is called with 3, which is no tensor of the model [call-argument]", "d"},
      {[] {
         read(functional({dense(tensor("x", -1))}, {"d", 0, 0}));
       },
       "node 0 refers to node -1 of layer \"x\", which has 1 [graph-reference]", "d"},
      {[] {
         read(functional({dense(tensor("x", 0, -1))}, {"d", 0, 0}));
       },
       "node 0 refers to result -1 of layer \"x\" [graph-reference]", "d"},
      {[] {
         read(functional({dense(tensor("x", 0, 2))}, {"d", 0, 0}));
       },
       "something reads result 2 of layer \"x\", which has 1 [graph-reference]", "x"},
      {[] {
         read(functional({dense({{"class_name", "__keras_tensor__"}})}, {"d", 0, 0}));
       },
       "it is called with {\"class_name\":\"__keras_tensor__\"}, which is no tensor of the model [call-argument]", "d"},
      {[] { read(called({3})); }, "3 is no call of a layer [call-argument]", "d"},
      {[] { read(called({{3}})); }, "3 is no tensor of the model [call-argument]", "d"},
      {[] {
         read(called({{json::array({"x", 0.5, 0})}}), 2);
       },
       "0.5 is no index of a node [graph-reference]", "d"},
      {[] {
         read(called({{json::array({"x", 1LL << 40, 0})}}), 2);
       },
       "there is no node 1099511627776 [graph-reference]", "d"},
      {[] {
         read(called({{{"args", {tensor("x")}}, {"kwargs", {{"initial_state", 3}}}}}));
       },
       "it is called with initial_state = 3, which is not supported in this release [call-argument]", "d"},
  });
}

TEST(FileErrors, Operations) {
  expect({
      {[] { read(called(json::array(), "Add")); }, "the operation has 0 calls, expected one [call-argument]", "d"},
      {[] { read(called({3}, "Add")); }, "3 is no call [call-argument]", "d"},
      {[] {
         read(called({{{"args", 3}}}, "Add"));
       },
       "{\"args\":3} is no call [call-argument]", "d"},
      {[] {
         read(operation({tensor("x"), 1, 2}));
       },
       "Add has no parameter for 2 [call-argument]", "d"},
      {[] {
         read(operation({tensor("x"), 1}, {{"where", 3}}));
       },
       "Add has no parameter where, given is 3 [call-argument]", "d"},
      {[] {
         read(operation({tensor("x"), {{"class_name", "Thing"}}}));
       },
       "it is called with {\"class_name\":\"Thing\"}, which is no argument [call-argument]", "d"},
  });
}

TEST(FileErrors, Models) {
  const auto without = [](const char* key) {
    json model = functional({dense(tensor("x"))}, {"d", 0, 0});
    model["config"].erase(key);
    return model;
  };
  json nameless = dense(tensor("x"));
  nameless.erase("name");
  nameless["config"].erase("name");
  json input = layer("InputLayer", {{"batch_shape", {nullptr, 4}}, {"name", "y"}}, {{tensor("x")}});
  json late = {
      {"class_name", "Sequential"},
      {"config", {{"name", "s"}, {"layers", {dense(tensor("x")), input}}, {"build_input_shape", {nullptr, 4}}}}};
  expect({
      {[&] { read(without("input_layers")); }, "the model has no input_layers [model-config]", ""},
      {[&] {
         read(functional({nameless}, {"d", 0, 0}));
       },
       "a layer of class Dense has no name [model-config]", ""},
      {[&] {
         read(functional({dense(tensor("x"))}, {"d", 0, 5}));
       },
       "something reads result 5 of layer \"d\", which has 1 [graph-reference]", "d"},
      {[&] {
         read(functional({dense(tensor("x"))}, {"e", 0, 0}));
       },
       "an output of the model refers to layer \"e\", which is not in the file [graph-reference]", ""},
      {[&] { read(functional({dense(tensor("x"))}, 3)); }, "output_layers of the model holds 3 [graph-reference]", ""},
      {[&] {
         read(functional({input, dense(tensor("x"))}, {"d", 0, 0}));
       },
       "an InputLayer reads another layer [graph-reference]", "y"},
      {[&] { read(late); }, "an InputLayer stands behind other layers [model-config]", "y"},
      {[&] {
         read(functional({3}, {"d", 0, 0}));
       },
       "3 is no layer [model-config]", ""},
  });
}

}  // namespace
}  // namespace tusk
