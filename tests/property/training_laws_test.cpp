// The laws on what training is made of: steps of small models with every optimizer and every loss, and the gradients of
// the recorded models by inputs and weights. States become parameters and updates results, so that a step is a graph
// like any other.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <ranges>

#include "frontend/import/load_model.hpp"
#include "frontend/model/to_module.hpp"
#include "frontend/training/loss_list.hpp"
#include "ir/graph/bind.hpp"
#include "ir/graph/interpret.hpp"
#include "ir/graph/print.hpp"
#include "ir/graph/rewrite.hpp"
#include "passes/differentiate.hpp"
#include "tests/property/function_laws.hpp"
#include "tests/property/random_laws.hpp"
#include "tests/property/training_steps.hpp"
#include "tools/recording.hpp"

namespace tusk::random_tests {
namespace {

using graph::Operand;

// The function alone, its states as parameters and their new values as results; `states`, if given, gets their values.
graph::Module as_pure(graph::Module module, std::string_view name, std::vector<Array>* states = nullptr) {
  graph::Function function = *module.function(name);
  module.functions.clear();
  std::map<int, Operand> parameters;
  const auto parameter = [&](int global) {
    const auto [it, is_new] = parameters.try_emplace(global);
    if (is_new) {
      const graph::Global& state = module.globals[static_cast<std::size_t>(global)];
      it->second = Operand::value(function.add_value(fmt::format("state{}", parameters.size()), state.type));
      function.params.push_back(it->second.id);
      if (states != nullptr) states->push_back(state.value);
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

GraphCase case_of(graph::Module module, std::string_view function, std::uint64_t seed,
                  std::vector<Array>* states = nullptr) {
  GraphCase out{seed, as_pure(std::move(module), function, states), {}, true};
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

// Law 6 at the given inputs, where something must come of it.
void expect_slopes(const GraphCase& graph, const std::vector<Array>& inputs) {
  graph::Module module = graph.module;
  const graph::Function function = module.functions[0];
  const auto gradient = differentiate(module, function);
  ASSERT_TRUE(gradient) << gradient.problem().str();
  std::vector<std::vector<std::int64_t>> shapes;
  for (const Array& input : inputs) shapes.push_back(input.shape());
  const auto symbols = graph::bind_symbols(module, function, shapes);
  ASSERT_TRUE(symbols) << symbols.problem().str();
  Slopes slopes;
  const auto broken = broken_differences(module, function, *gradient, inputs, *symbols, graph.seed, slopes);
  if (broken) ADD_FAILURE() << broken->law << "\n" << broken->what.substr(0, 3000);
  EXPECT_GT(slopes.compared, 0U);
  EXPECT_LE(slopes.unsure, slopes.compared);
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

// Laws 5, 7 and 10. Steps sum over the batch; what predicts does not, and has to be among those that are split.
TEST(TrainingLaws, PassesBatchesAndArenas) {
  std::uint64_t seed = 1;
  std::size_t split = 0;
  for (const TrainingStep& step : training_steps()) {
    for (const graph::Function& function : step.module.functions) {
      const GraphCase graph = case_of(step.module, function.name, seed++);
      const std::vector<Array> inputs = inputs_of(graph);
      std::string left_out;
      for (const std::optional<Failure>& broken :
           {broken_passes(graph.module, inputs, graph.symbols),
            broken_batch(graph.module, inputs, graph.symbols, left_out), broken_arena(graph.module)}) {
        if (!broken) continue;
        ADD_FAILURE() << step.title << ", " << function.name << ": " << broken->law << "\n"
                      << broken->what.substr(0, 4000);
      }
      split += left_out.empty() ? 1 : 0;
    }
  }
  EXPECT_GE(split, 1U);
}

// The loss of `y_true` and `y_pred` as a function of both.
graph::Module module_of_loss(std::string_view name, const graph::Type& truth, const graph::Type& prediction) {
  Trace trace("loss", Trace::Weights::copied);
  trace.module.symbols.push_back(default_symbol("batch"));
  const Tensor y_true = trace.parameter("y_true", truth);
  const Tensor y_pred = trace.parameter("y_pred", prediction);
  trace.function.results = {trace.operand(loss_named(name)(y_true, y_pred))};
  trace.function.result_names = {"loss"};
  trace.module.functions.push_back(std::move(trace.function));
  return std::move(trace.module);
}

// Truths and predictions that every loss takes: shares of one, and labels of their classes.
std::vector<Array> shares_for(const GraphCase& loss) {
  std::vector<Array> inputs = inputs_of(loss);
  Rng rng(seed_of(loss.seed, "shares"));
  for (Array& input : inputs) {
    for (std::int64_t i = 0; i < input.size(); ++i) {
      if (is_float(input.dtype())) {
        input.set(i, rng.real(0.05, 0.95));
      } else {
        input.set_int(i, i % 3);
      }
    }
  }
  return inputs;
}

// Law 6 for the losses, by what is predicted.
TEST(TrainingLaws, GradientsOfLossesAreDifferences) {
  std::uint64_t seed = 100;
  for (const std::string_view name : loss_classes()) {
    SCOPED_TRACE(name);
    const bool is_sparse =
        name == "SparseCategoricalCrossentropy" || name == "Circle" || name == "CategoricalGeneralizedCrossEntropy";
    const bool is_ctc = name == "CTC";
    const Dim batch = Dim::symbol("batch");
    graph::Type truth{DType::f32, {batch, Dim(3)}};
    if (is_sparse) truth = {DType::i32, {batch}};
    if (is_ctc) truth = {DType::i32, {batch, Dim(2)}};
    const graph::Type prediction{DType::f32, is_ctc ? Shape{batch, Dim(5), Dim(4)} : Shape{batch, Dim(3)}};
    const GraphCase loss = case_of(module_of_loss(name, truth, prediction), "loss", 4 * ++seed + 1);
    if (const auto broken = broken_gradient(loss, true)) ADD_FAILURE() << broken->law << "\n" << broken->what;
    expect_slopes(loss, shares_for(loss));
    // Predictions that are no numbers are not hidden.
    std::vector<Array> inputs = inputs_of(loss);
    for (std::int64_t i = 0; i < inputs[1].size(); ++i) inputs[1].set(i, NAN);
    const auto none = graph::interpret(loss.module, "loss", inputs, loss.symbols);
    ASSERT_TRUE(none) << none.problem().str();
    EXPECT_TRUE(std::isnan(none->front().at(0))) << "is " << none->front().at(0);
  }
}

// The recorded inputs of the model's first call.
std::vector<Array> recorded_inputs(std::filesystem::path file, const Model& model) {
  const auto calls = recorded_calls(file.replace_extension(".npz").string(), model.input_names(), model.output_names());
  if (!calls) throw Error(calls.problem());
  if (calls->empty()) throw Error(error("test", "no call is recorded"));
  return calls->front().inputs;
}

// Results of the recorded models, by number, that have no slope at their recorded inputs.
struct NoSlope {
  std::string_view model;
  std::vector<std::size_t> results;
  std::string_view why;
};
const std::vector<NoSlope>& no_slopes() {
  constexpr std::string_view kHidden = "an infinity inside of a finite result: the gradient is NaN, as in Keras";
  static const std::vector<NoSlope> list = {
      {"operations_of_statistics", {16, 24}, kHidden},
      {"operations_of_updates", {7, 8, 10}, "the largest of what is scattered has no gradient"},
      {"operations_on_bits", {17}, kHidden},
      {"operations_on_elements", {8}, "logaddexp of equal numbers: a knee of its maximum"},
      {"policy_float64_numbers", {5}, kHidden},
      {"policy_mixed_bfloat16_numbers", {5}, kHidden},
      {"policy_mixed_float16_numbers", {5}, kHidden},
  };
  return list;
}
void leave_out(graph::Function& function, const std::vector<std::size_t>& results) {
  for (const std::size_t k : results | std::views::reverse) {
    function.results.erase(function.results.begin() + static_cast<std::ptrdiff_t>(k));
    function.result_names.erase(function.result_names.begin() + static_cast<std::ptrdiff_t>(k));
  }
}

// Models without any slope there.
constexpr std::string_view kNoSlopes[] = {
    "activations_at_knees",  // all of its inputs are knees
    "integer_images",        // all of its results are whole numbers
};

// Law 6 for the layers: every recorded model, by inputs and weights.
TEST(TrainingLaws, GradientsOfLayersAreDifferences) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(TUSK_SOURCE_DIR "/tests/parity/goldens")) {
    if (entry.path().extension() == ".keras") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  std::uint64_t cases = 0;
  for (const std::filesystem::path& file : files) {
    SCOPED_TRACE(file.filename());
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
    ASSERT_TRUE(module) << module.problem().str();
    std::vector<Array> inputs = recorded_inputs(file, model);
    GraphCase graph = case_of(*module, "predict", 4 * ++cases + 1, &inputs);
    const auto broken = broken_gradient(graph, true);
    if (broken) ADD_FAILURE() << broken->law << "\n" << broken->what.substr(0, 3000);
    if (std::ranges::find(kNoSlopes, file.stem().string()) != std::end(kNoSlopes)) continue;
    for (const NoSlope& none : no_slopes()) {
      if (none.model == file.stem().string()) leave_out(graph.module.functions[0], none.results);
    }
    expect_slopes(graph, inputs);
  }
  EXPECT_GE(cases, 140);
}

}  // namespace
}  // namespace tusk::random_tests
