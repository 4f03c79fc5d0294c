// Losses and their gradients against what Keras computed: by the graph interpreter in double, and by the loops.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "frontend/files/json.hpp"
#include "frontend/files/npy.hpp"
#include "frontend/model/trace.hpp"
#include "frontend/training/loss_list.hpp"
#include "ir/base/compare.hpp"
#include "ir/graph/bind.hpp"
#include "ir/graph/gradients.hpp"
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

// loss(y_true, y_pred[, sample_weight]) -> the loss and, of a scalar, its gradient by y_pred.
graph::Module module_of(const Loss& loss, Reduction reduction, const std::vector<Array>& inputs) {
  Trace trace("loss", Trace::Weights::copied);
  std::vector<Tensor> x;
  for (const Array& input : inputs) x.push_back(trace.parameter(fmt::format("x{}", x.size()), type_of(input)));
  const Tensor value = loss.reduced(x[0], x[1], x.size() > 2 ? x[2] : Tensor(), reduction);
  trace.function.results = {trace.operand(value)};
  trace.function.result_names = {"loss"};
  if (value.rank() == 0) {
    const auto gradients =
        graph::append_gradients(trace.module, trace.function, trace.operand(value), {trace.operand(x[1])});
    if (!gradients) throw Error(gradients.problem());
    trace.function.results.push_back(gradients->front());
    trace.function.result_names.emplace_back("gradient");
  }
  trace.module.functions.push_back(std::move(trace.function));
  return std::move(trace.module);
}

Expected<std::vector<Array>> by_loops(const graph::Module& module, const std::vector<Array>& inputs,
                                      const graph::SymbolValues& symbols) {
  TRY(const Ir ir, run_pipeline(module, {}));
  const auto& lowered = std::get<Lowered>(ir);
  return run_loops(lowered.program, lowered.loops, "loss", inputs, symbols);
}

struct Kind {
  const char* key;
  Reduction reduction;
};

struct Golden {
  json entry;
  fs::path arrays;
};

class Losses : public testing::Test {
 protected:
  // Compares with an array of the recording. What that allows is for the loss as its reduction gives it; sums are
  // larger.
  void check(const std::string& name, const Array& got, const Array& wanted, double allowed, double relative) {
    double largest = 0;
    for (std::int64_t i = 0; i < wanted.size(); ++i) largest = std::max(largest, std::abs(wanted.at(i)));
    const double atol = std::max(allowed, relative * largest);
    ASSERT_EQ(got.shape(), wanted.shape()) << name;
    for (std::int64_t i = 0; i < wanted.size(); ++i) {
      const double apart = std::abs(got.at(i) - wanted.at(i));
      ASSERT_LE(apart, atol) << name << " element " << i << " is " << got.at(i) << ", recorded " << wanted.at(i);
      worst = std::max(worst, apart / atol);
    }
    ++compared;
  }

  void check_golden(const Golden& golden) {
    const Loss loss = loss_from_config(golden.entry["config"]);
    const auto arrays = read_npz(golden.arrays);
    ASSERT_TRUE(arrays) << arrays.problem().str();
    const Kind kinds[] = {{"loss", loss.base().reduction()},
                          {"loss_sum", "sum"},
                          {"values", "none"},
                          {"loss_sw", loss.base().reduction()},
                          {"values_sw", "none"},
                          {"loss_mean_with_sample_weight", "mean_with_sample_weight"}};
    for (const auto& [key, reduction] : kinds) {
      if (!arrays->contains(key)) continue;
      SCOPED_TRACE(key);
      std::vector<Array> inputs{arrays->at("y_true"), arrays->at("y_pred")};
      const std::string text = key;
      if (text.ends_with("_sw") || text.ends_with("weight")) inputs.push_back(arrays->at("sample_weight"));
      const graph::Module module = module_of(loss, reduction, inputs);
      const Status verified = graph::verify(module);
      ASSERT_TRUE(verified) << verified.problem().str();
      for (const bool loops : {false, true}) {
        const auto results = loops ? by_loops(module, inputs, {}) : graph::interpret(module, "loss", inputs, {});
        ASSERT_TRUE(results) << results.problem().str();
        const std::string how = loops ? ", by loops" : ", in double";
        check(text + how, results->front(), arrays->at(text), golden.entry["atol"]["out"], 2e-6);
        if (results->size() > 1 && arrays->contains("grad_" + text))
          check("gradient of " + text + how, results->back(), arrays->at("grad_" + text), golden.entry["atol"]["grad"],
                1e-5);
      }
    }
  }

  double worst = 0;
  int compared = 0;
};

TEST_F(Losses, AgreeWithKeras) {
  const fs::path folder = shared() / "goldens";
  if (!fs::exists(folder / "manifest.json")) GTEST_SKIP() << "left out: the recorded losses of " << folder;
  std::ifstream file(folder / "manifest.json");
  int cases = 0;
  const json manifest = json::parse(file);
  for (const json& entry : manifest["goldens"]) {
    if (entry.value("kind", "") != "loss") continue;
    const auto name = entry["name"].get<std::string>();
    SCOPED_TRACE(name);
    try {
      check_golden({entry, folder / (name + ".npz")});
    } catch (const Error& problem) {
      ADD_FAILURE() << name << "\n" << problem.what();
    }
    ++cases;
  }
  EXPECT_GE(cases, 40);
  RecordProperty("cases", cases);
  fmt::print("{} losses, {} arrays, worst {:.2f} of what is allowed\n", cases, compared, worst);
}

}  // namespace
}  // namespace tusk
