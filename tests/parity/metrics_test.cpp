// Metrics over two batches against what Keras computed, result and variables: by the graph interpreter in double, and
// by the loops.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

#include "frontend/files/json.hpp"
#include "frontend/files/npy.hpp"
#include "frontend/model/trace.hpp"
#include "frontend/training/metric_list.hpp"
#include "ir/graph/bind.hpp"
#include "ir/graph/callable.hpp"
#include "ir/graph/interpret.hpp"
#include "ir/graph/verify.hpp"
#include "passes/pipeline.hpp"
#include "passes/run_loops.hpp"
#include "tests/parity/recorded.hpp"

namespace tusk {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Arrays = std::map<std::string, Array>;

// Of any batch.
graph::Type batch_type_of(const Array& array) {
  graph::Type type{array.dtype(), {Dim::symbol("batch")}};
  for (std::size_t i = 1; i < array.shape().size(); ++i) type.shape.push_back(Dim(array.shape()[i]));
  return type;
}

// update(y_true[, y_pred][, sample_weight]) and result(), over the metric's variables.
graph::Module module_of(const Metric& metric, const std::vector<Array>& inputs, bool weighted) {
  Trace trace("update", Trace::Weights::states);
  std::vector<Tensor> x;
  for (const Array& input : inputs) x.push_back(trace.parameter(fmt::format("x{}", x.size()), batch_type_of(input)));
  const Tensor weight = weighted ? x.back() : Tensor();
  if (weighted) x.pop_back();
  metric.base().update(x[0], x.size() > 1 ? x[1] : Tensor(), weight);
  trace.next_function("result");
  trace.function.results = {trace.operand(metric.base().result())};
  trace.function.result_names = {"result"};
  trace.next_function({});
  return std::move(trace.module);
}

// Functions over states: by the graph interpreter in double, or by the loops.
class Running {
 public:
  Running(graph::Module module, bool by_loops) : module_(std::move(module)) {
    const Status verified = graph::verify(module_);
    if (!verified) throw Error(verified.problem());
    if (!by_loops) return;
    const Expected<Ir> ir = run_pipeline(module_, {});
    if (!ir) throw Error(ir.problem());
    lowered_ = std::get<Lowered>(*ir);
  }

  std::vector<Array> call(const char* name, const std::vector<Array>& inputs) {
    const graph::Function& function = *module_.function(name);
    std::vector<std::vector<std::int64_t>> shapes;
    for (const Array& input : inputs) shapes.push_back(input.shape());
    const auto symbols = graph::bind_symbols(module_, function, shapes);
    if (!symbols) throw Error(symbols.problem());
    const auto results = lowered_
                             ? run_loops(lowered_->program, lowered_->loops, name, inputs, *symbols, kPoison, &states_)
                             : graph::interpret(module_, function, inputs, *symbols);
    if (!results) throw Error(results.problem());
    for (std::size_t i = 0; !lowered_ && i < function.updates.size(); ++i) {
      graph::Global& state = module_.globals[static_cast<std::size_t>(function.updates[i].global)];
      state.value = (*results)[function.results.size() + i].converted(state.type.dtype);
    }
    return *results;
  }

  const Array& state(const std::string& path) const {
    if (const auto it = states_.find(path); it != states_.end()) return it->second;
    return module_.globals[static_cast<std::size_t>(module_.global_named(path))].value;
  }

 private:
  graph::Module module_;
  std::optional<Lowered> lowered_;
  States states_;
};

// The largest difference, of what is allowed.
double difference(const Array& got, const Array& wanted, const std::string& what) {
  EXPECT_EQ(got.shape(), wanted.shape()) << what;
  if (got.shape() != wanted.shape()) return INFINITY;
  double largest = 0;
  for (std::int64_t i = 0; i < wanted.size(); ++i) largest = std::max(largest, std::abs(wanted.at(i)));
  const double allowed = std::max(1e-7, 2e-6 * largest);
  double worst = 0;
  for (std::int64_t i = 0; i < wanted.size(); ++i) {
    EXPECT_NEAR(got.at(i), wanted.at(i), allowed) << what;
    worst = std::max(worst, std::abs(got.at(i) - wanted.at(i)) / allowed);
  }
  return worst;
}

Array rows(const Array& array, std::int64_t from, std::int64_t to) {
  std::vector<std::int64_t> shape = array.shape();
  const std::int64_t width = array.size() / shape[0];
  shape[0] = to - from;
  Array part(array.dtype(), shape);
  for (std::int64_t i = 0; i < part.size(); ++i) part.set(i, array.at(from * width + i));
  return part;
}

// By the loops, each batch is given in two parts of unlike size.
double check(const json& entry, const Arrays& arrays, bool weighted, bool by_loops) {
  const Metric metric = metric_from_config(entry["config"]);
  const auto inputs_of = [&](int batch) {
    std::vector<Array> inputs;
    for (const char* name : {"y_true", "y_pred", "sample_weight"}) {
      const auto found = arrays.find(fmt::format("update/{}/{}", batch, name));
      if (found != arrays.end() && (weighted || name != std::string("sample_weight"))) inputs.push_back(found->second);
    }
    return inputs;
  };
  Running running(module_of(metric, inputs_of(1), weighted), by_loops);
  const std::string prefix = weighted ? "sw/" : "";
  double worst = 0;
  for (const int batch : {1, 2}) {
    const std::vector<Array> inputs = inputs_of(batch);
    const std::int64_t samples = inputs[0].shape()[0];
    for (const std::int64_t from : by_loops ? std::vector<std::int64_t>{0, 2} : std::vector<std::int64_t>{0}) {
      std::vector<Array> part;
      for (const Array& input : inputs) part.push_back(rows(input, from, by_loops && from == 0 ? 2 : samples));
      running.call("update", part);
    }
    const Array& wanted = arrays.at(fmt::format("{}result/{}", prefix, batch));
    worst = std::max(worst, difference(running.call("result", {}).front(), wanted, "result"));
    const std::vector<Variable>& variables = metric.base().variables();
    EXPECT_EQ(variables.size(), entry["state"].size());
    for (std::size_t i = 0; i < variables.size(); ++i) {
      const std::string& path = variables[i].name();
      EXPECT_EQ(path, entry["state"][i].get<std::string>());
      const Array& state = arrays.at(fmt::format("{}state/{}/{}", prefix, batch, i));
      EXPECT_EQ(variables[i].type().dtype, state.dtype()) << path;
      worst = std::max(worst, difference(running.state(path), state, path));
    }
  }
  return worst;
}

TEST(Metrics, AgreeWithKeras) {
  const fs::path folder = shared() / "goldens";
  if (!fs::exists(folder / "manifest.json")) GTEST_SKIP() << "left out: the recorded metrics of " << folder;
  std::ifstream file(folder / "manifest.json");
  const json manifest = json::parse(file);
  int cases = 0;
  std::pair<double, std::string> worst;
  for (const json& entry : manifest["goldens"]) {
    if (entry.value("kind", "") != "metric") continue;
    const auto name = entry["name"].get<std::string>();
    SCOPED_TRACE(name);
    const auto arrays = read_npz(folder / (name + ".npz"));
    ASSERT_TRUE(arrays) << arrays.problem().str();
    for (const bool by_loops : {false, true}) {
      for (const bool weighted : {false, true}) {
        if (weighted && !arrays->contains("sw/result/1")) continue;
        try {
          worst = std::max(worst, {check(entry, *arrays, weighted, by_loops), name});
        } catch (const Error& problem) {
          ADD_FAILURE() << name << "\n" << problem.what();
        }
      }
    }
    ++cases;
  }
  EXPECT_GE(cases, 68);
  fmt::print("{} metrics, worst error {:.2f} of what is allowed: {}\n", cases, worst.first, worst.second);
}

}  // namespace
}  // namespace tusk
