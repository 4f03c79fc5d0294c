// Gradients of whole models by every input and weight against what Keras computed: by the graph interpreter in double.
// The loops have the bits of the interpreters (the laws), so they need not run here.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>

#include "frontend/files/json.hpp"
#include "frontend/files/npy.hpp"
#include "frontend/import/load_model.hpp"
#include "frontend/model/to_module.hpp"
#include "frontend/ops/ops.hpp"
#include "ir/graph/bind.hpp"
#include "ir/graph/interpret.hpp"
#include "tests/parity/recorded.hpp"

namespace tusk {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Arrays = std::map<std::string, Array>;

struct Gradients {
  graph::Module module;
  std::vector<std::string> keys;  // of the results, in the recording
};

// gradients(inputs, cotangents) -> d/dx and d/dw of the sum of outputs times cotangents.
Gradients gradients_of(const Model& model, const Arrays& arrays, const std::vector<std::string>& weights) {
  Gradients out;
  out.module =
      traced_module(model, {.function = "gradients"}, Trace::Weights::states, [&](Trace& trace, const auto& in) {
        out.keys.clear();
        Tensor total;
        const std::vector<Tensor> results = model.functional().call_all(in, {});
        for (std::size_t i = 0; i < results.size(); ++i) {
          if (!arrays.contains(fmt::format("cot/{}", i))) continue;
          const Tensor cotangent = trace.parameter(fmt::format("cot{}", i), results[i].type());
          const Tensor part = ops::sum(results[i].with_mask({}) * cotangent);
          total = total ? total + part : part;
        }
        std::vector<Tensor> wanted;
        for (std::size_t i = 0; i < in.size(); ++i) {
          if (!is_float(in[i].dtype())) continue;
          out.keys.push_back("grad_in/" + model.input_names()[i]);
          wanted.push_back(in[i]);
        }
        const std::vector<Variable> trainable = model.base().trainable_weights();
        if (trainable.size() != weights.size())
          throw Error(error("test", fmt::format("{} weights, recorded are {}", trainable.size(), weights.size())));
        for (std::size_t i = 0; i < trainable.size(); ++i) {
          out.keys.push_back("grad/" + weights[i]);
          wanted.emplace_back(trainable[i]);
        }
        for (const Tensor& gradient : trace.gradients(total, wanted)) {
          trace.function.results.push_back(trace.operand(gradient));
          trace.function.result_names.push_back(fmt::format("g{}", trace.function.results.size()));
        }
      });
  return out;
}

// How far the worst gradient is from the recorded one, of what is allowed.
double worst_of(const Model& model, const json& entry, const Arrays& arrays, double allowed, std::string& where,
                int& compared) {
  std::vector<std::string> weights;  // Keras' order, which is that of the model
  for (const json& variable : entry["variables"]) {
    if (variable["trainable"]) weights.push_back(variable["path"]);
  }
  const Gradients gradients = gradients_of(model, arrays, weights);
  const graph::Function& function = gradients.module.functions.front();
  std::vector<Array> inputs;
  std::vector<std::vector<std::int64_t>> shapes;
  for (const std::string& name : model.input_names()) inputs.push_back(arrays.at("in/" + name));
  for (std::size_t i = 0; i < model.output_names().size(); ++i) {
    if (const auto cotangent = arrays.find(fmt::format("cot/{}", i)); cotangent != arrays.end())
      inputs.push_back(cotangent->second);
  }
  for (const Array& input : inputs) shapes.push_back(input.shape());
  const auto symbols = graph::bind_symbols(gradients.module, function, shapes);
  if (!symbols) throw Error(symbols.problem());
  const auto results = graph::interpret(gradients.module, function, inputs, *symbols);
  if (!results) throw Error(results.problem());
  double worst = 0;
  for (std::size_t k = 0; k < gradients.keys.size(); ++k) {
    const std::string& key = gradients.keys[k];
    const std::size_t slash = key.find('/');
    const auto exact = arrays.find(key.substr(0, slash) + "64" + key.substr(slash));
    const auto recorded = exact != arrays.end() ? exact : arrays.find(key);
    if (recorded == arrays.end()) throw Error(error("test", "the recording has no " + key));
    ++compared;
    const Array& got = (*results)[k];
    double largest = 0;
    for (std::int64_t i = 0; i < got.size(); ++i) largest = std::max(largest, std::abs(recorded->second.at(i)));
    for (std::int64_t i = 0; i < got.size(); ++i) {
      const double apart = std::abs(got.at(i) - recorded->second.at(i)) / std::max(allowed, 1e-5 * largest);
      if (got.at(i) == recorded->second.at(i) || apart <= worst) continue;
      worst = std::isnan(apart) ? INFINITY : apart;
      where = fmt::format("{}[{}] is {}, recorded {}", key, i, got.at(i), recorded->second.at(i));
    }
  }
  return worst;
}

TEST(Gradients, AgreeWithKeras) {
  const fs::path folder = shared() / "goldens";
  if (!fs::exists(folder / "manifest.json")) GTEST_SKIP() << "left out: the recorded gradients of " << folder;
  std::ifstream file(folder / "manifest.json");
  const json manifest = json::parse(file);
  int cases = 0;
  int compared = 0;
  double worst = 0;
  std::vector<std::string> refused;
  for (const json& entry : manifest["goldens"]) {
    const auto name = entry["name"].get<std::string>();
    const std::string category = entry.value("category", "");
    if (entry.contains("kind") || (category != "layers" && category != "guide" && category != "ops")) continue;
    const auto arrays = read_npz(folder / (name + ".npz"));
    ASSERT_TRUE(arrays) << arrays.problem().str();
    if (!arrays->contains("cot/0")) continue;
    const auto loaded = read_model(folder / (name + ".keras"));
    if (!loaded) {
      refused.push_back(name);
      continue;
    }
    try {
      std::string where;
      const double allowed =
          entry.contains("atol") && entry["atol"].contains("grad") ? entry["atol"]["grad"].get<double>() : 0;
      const double apart = worst_of(loaded->model, entry, *arrays, allowed, where, compared);
      EXPECT_LE(apart, 1) << name << ": " << where;
      worst = std::max(worst, apart);
      ++cases;
    } catch (const Error& problem) {
      ADD_FAILURE() << name << "\n" << problem.what();
    }
  }
  EXPECT_GE(cases, 300);
  fmt::print("refused: {}\n", fmt::join(refused, " "));
  fmt::print("{} models, {} gradients, worst {:.2f} of what is allowed\n", cases, compared, worst);
}

}  // namespace
}  // namespace tusk
