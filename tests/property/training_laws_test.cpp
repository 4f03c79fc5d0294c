// The laws on what training is made of: steps of small models with every optimizer and every loss, and the gradients of
// the recorded models by inputs and weights. States become parameters and updates results, so that a step is a graph
// like any other.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "frontend/import/load_model.hpp"
#include "frontend/model/to_module.hpp"
#include "frontend/training/loss_list.hpp"
#include "ir/graph/interpret.hpp"
#include "ir/graph/print.hpp"
#include "ir/graph/rewrite.hpp"
#include "tests/property/random_laws.hpp"
#include "tests/property/training_steps.hpp"

namespace tusk::random_tests {
namespace {

using graph::Operand;

// The function alone, its states as parameters and their new values as results.
graph::Module as_pure(graph::Module module, std::string_view name) {
  graph::Function function = *module.function(name);
  module.functions.clear();
  std::map<int, Operand> parameters;
  const auto parameter = [&](int global) {
    const auto [it, is_new] = parameters.try_emplace(global);
    if (is_new) {
      const graph::Global& state = module.globals[static_cast<std::size_t>(global)];
      it->second = Operand::value(function.add_value(fmt::format("state{}", parameters.size()), state.type));
      function.params.push_back(it->second.id);
    }
    return it->second;
  };
  const auto replace = [&](Operand& o) {
    const bool is_state = o.kind == Operand::Kind::global && module.globals[static_cast<std::size_t>(o.id)].is_state;
    if (is_state) o = parameter(o.id);
  };
  for (graph::Op& op : function.ops) graph::for_each_operand(op, replace);
  for (Operand& result : function.results) replace(result);
  for (graph::Update& update : function.updates) {
    replace(update.value);
    function.result_names.push_back(fmt::format("new{}", function.results.size()));
    function.results.push_back(update.value);
  }
  function.updates.clear();
  module.functions.push_back(std::move(function));
  return module;
}

GraphCase case_of(graph::Module module, std::string_view function, std::uint64_t seed) {
  GraphCase out{seed, as_pure(std::move(module), function), {}, true};
  for (const graph::Symbol& symbol : out.module.symbols)
    out.symbols[symbol.name] = std::max<std::int64_t>(3, symbol.low);
  return out;
}

// Laws 1, 2, 4, 8, 9 and 3, op by op.
void expect_laws(const GraphCase& graph, const std::string& what) {
  try {
    std::vector<Array> results;
    std::optional<Failure> broken = broken_text(graph);
    if (!broken) broken = broken_engines(graph, results);
    if (!broken) broken = broken_op(graph, results);
    if (broken) ADD_FAILURE() << what << ": " << broken->law << "\n" << broken->what.substr(0, 4000);
  } catch (const Error& problem) {
    ADD_FAILURE() << what << "\n" << problem.what();
  }
}

TEST(TrainingLaws, HoldForSteps) {
  std::uint64_t seed = 1;
  std::size_t functions = 0;
  for (const TrainingStep& step : training_steps()) {
    for (const graph::Function& function : step.module.functions) {
      expect_laws(case_of(step.module, function.name, seed++), step.title + ", " + function.name);
      ++functions;
    }
  }
  EXPECT_GE(functions, 58U);
}

// Law 6 for the losses, by what is predicted.
TEST(TrainingLaws, GradientsOfLossesAreDifferences) {
  std::uint64_t seed = 100;
  for (const std::string_view name : loss_classes()) {
    const bool is_sparse =
        name == "SparseCategoricalCrossentropy" || name == "Circle" || name == "CategoricalGeneralizedCrossEntropy";
    const bool is_ctc = name == "CTC";
    const Dim batch = Dim::symbol("batch");
    Trace trace("loss", Trace::Weights::copied);
    trace.module.symbols.push_back(default_symbol("batch"));
    graph::Type truth{DType::f32, {batch, Dim(3)}};
    if (is_sparse) truth = {DType::i32, {batch}};
    if (is_ctc) truth = {DType::i32, {batch, Dim(2)}};
    const Tensor y_true = trace.parameter("y_true", truth);
    const Tensor y_pred =
        trace.parameter("y_pred", {DType::f32, is_ctc ? Shape{batch, Dim(5), Dim(4)} : Shape{batch, Dim(3)}});
    trace.function.results = {trace.operand(loss_named(name)(y_true, y_pred))};
    trace.function.result_names = {"loss"};
    trace.module.functions.push_back(std::move(trace.function));
    const GraphCase loss = case_of(std::move(trace.module), "loss", 4 * ++seed + 1);
    if (const auto broken = broken_gradient(loss, true))
      ADD_FAILURE() << name << ": " << broken->law << "\n" << broken->what;
    // Predictions that are no numbers are not hidden.
    std::vector<Array> inputs = inputs_of(loss);
    for (std::int64_t i = 0; i < inputs[1].size(); ++i) inputs[1].set(i, NAN);
    const auto none = graph::interpret(loss.module, "loss", inputs, loss.symbols);
    ASSERT_TRUE(none) << name << none.problem().str();
    EXPECT_TRUE(std::isnan(none->front().at(0))) << name << " is " << none->front().at(0);
  }
}

// Law 6 for the layers: every recorded model, by inputs and weights.
TEST(TrainingLaws, GradientsOfLayersAreDifferences) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(TUSK_SOURCE_DIR "/tests/parity/goldens")) {
    if (entry.path().extension() == ".keras") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  std::uint64_t cases = 0;
  for (const std::filesystem::path& file : files) {
    const auto loaded = read_model(file);
    ASSERT_TRUE(loaded) << loaded.problem().str();
    const Model& model = loaded->model;
    const auto module = catch_errors([&] {
      return traced_module(model, {}, Trace::Weights::states, [&](Trace& trace, const std::vector<Tensor>& inputs) {
        for (const Tensor& result : model.functional().call_all(inputs, {}))
          trace.function.results.push_back(trace.operand(result));
        trace.function.result_names = model.output_names();
      });
    });
    ASSERT_TRUE(module) << file << module.problem().str();
    const GraphCase graph = case_of(*module, "predict", 4 * ++cases + 1);
    const auto broken = broken_gradient(graph, true);
    if (broken) ADD_FAILURE() << file << ": " << broken->law << "\n" << broken->what.substr(0, 3000);
  }
  EXPECT_GE(cases, 140);
}

}  // namespace
}  // namespace tusk::random_tests
