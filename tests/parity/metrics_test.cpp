// Metrics over two batches against what Keras computed, result and variables: by the graph interpreter in double.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "frontend/files/json.hpp"
#include "frontend/files/npy.hpp"
#include "frontend/model/trace.hpp"
#include "frontend/training/metric_list.hpp"
#include "ir/graph/interpret.hpp"
#include "ir/graph/verify.hpp"

namespace tusk {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Arrays = std::map<std::string, Array>;

fs::path shared() {
  const char* given = std::getenv("TUSK_SHARED");
  return given != nullptr ? given : TUSK_SHARED_DEFAULT;
}

graph::Type type_of(const Array& array) {
  graph::Type type{array.dtype(), {}};
  for (const std::int64_t extent : array.shape()) type.shape.push_back(Dim(extent));
  return type;
}

// update(y_true, y_pred[, sample_weight]) and result(), over the metric's variables.
graph::Module module_of(const Metric& metric, const std::vector<Array>& inputs) {
  Trace trace("update", Trace::Weights::states);
  std::vector<Tensor> x;
  for (const Array& input : inputs) x.push_back(trace.parameter(fmt::format("x{}", x.size()), type_of(input)));
  metric.base().update(x[0], x[1], x.size() > 2 ? x[2] : Tensor());
  trace.next_function("result");
  trace.function.results = {trace.operand(metric.base().result())};
  trace.function.result_names = {"result"};
  trace.next_function({});
  return std::move(trace.module);
}

std::vector<Array> run(graph::Module& module, const char* name, const std::vector<Array>& inputs) {
  const graph::Function& function = *module.function(name);
  const auto results = graph::interpret(module, function, inputs, {});
  if (!results) throw Error(results.problem());
  for (std::size_t i = 0; i < function.updates.size(); ++i) {
    module.globals[static_cast<std::size_t>(function.updates[i].global)].value =
        (*results)[function.results.size() + i].converted(DType::f32);
  }
  return *results;
}

void expect_near(const Array& got, const Array& wanted, const std::string& what) {
  ASSERT_EQ(got.size(), wanted.size()) << what;
  double largest = 0;
  for (std::int64_t i = 0; i < wanted.size(); ++i) largest = std::max(largest, std::abs(wanted.at(i)));
  for (std::int64_t i = 0; i < wanted.size(); ++i)
    EXPECT_NEAR(got.at(i), wanted.at(i), std::max(1e-7, 2e-6 * largest)) << what;
}

void check(const json& entry, const Arrays& arrays, bool weighted) {
  const Metric metric = metric_from_config(entry["config"]);
  const auto inputs_of = [&](int batch) {
    const std::string prefix = fmt::format("update/{}/", batch);
    std::vector<Array> inputs{arrays.at(prefix + "y_true"), arrays.at(prefix + "y_pred")};
    if (weighted) inputs.push_back(arrays.at(prefix + "sample_weight"));
    return inputs;
  };
  graph::Module module = module_of(metric, inputs_of(1));
  const Status verified = graph::verify(module);
  ASSERT_TRUE(verified) << verified.problem().str();
  const std::string prefix = weighted ? "sw/" : "";
  for (const int batch : {1, 2}) {
    run(module, "update", inputs_of(batch));
    expect_near(run(module, "result", {}).front(), arrays.at(fmt::format("{}result/{}", prefix, batch)), "result");
    const std::vector<Variable>& variables = metric.base().variables();
    for (std::size_t i = 0; i < variables.size(); ++i) {
      const int global = module.global_named(variables[i].name());
      expect_near(module.globals[static_cast<std::size_t>(global)].value,
                  arrays.at(fmt::format("{}state/{}/{}", prefix, batch, i)), variables[i].name());
    }
  }
}

TEST(Metrics, AgreeWithKeras) {
  const fs::path folder = shared() / "goldens";
  if (!fs::exists(folder / "manifest.json")) GTEST_SKIP() << "left out: the recorded metrics of " << folder;
  std::ifstream file(folder / "manifest.json");
  const json manifest = json::parse(file);
  const std::vector<std::string_view> known = metric_classes();
  int cases = 0;
  std::vector<std::string> missing;
  for (const json& entry : manifest["goldens"]) {
    if (entry.value("kind", "") != "metric") continue;
    const auto name = entry["name"].get<std::string>();
    if (std::ranges::find(known, entry["config"]["class_name"].get<std::string>()) == known.end()) {
      missing.push_back(name);
      continue;
    }
    SCOPED_TRACE(name);
    const auto arrays = read_npz(folder / (name + ".npz"));
    ASSERT_TRUE(arrays) << arrays.problem().str();
    try {
      check(entry, *arrays, false);
      if (arrays->contains("sw/result/1")) check(entry, *arrays, true);
    } catch (const Error& problem) {
      ADD_FAILURE() << name << "\n" << problem.what();
    }
    ++cases;
  }
  EXPECT_GE(cases, 39);
  fmt::print("{} metrics; not there yet: {}\n", cases, fmt::join(missing, " "));
}

}  // namespace
}  // namespace tusk
