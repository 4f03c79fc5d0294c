// The functions of a module for training: that they fit together, in the bits of the loops.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "frontend/layers/layers.hpp"
#include "frontend/training/confusion_metrics.hpp"
#include "frontend/training/losses.hpp"
#include "frontend/training/metrics.hpp"
#include "frontend/training/optimizers.hpp"
#include "frontend/training/train_step.hpp"
#include "ir/graph/bind.hpp"
#include "ir/graph/callable.hpp"
#include "ir/graph/verify.hpp"
#include "passes/pipeline.hpp"
#include "passes/run_loops.hpp"

namespace tusk {
namespace {

using testing::ElementsAre;

// Two outputs, a frozen layer, moving statistics.
Model two_headed() {
  const Tensor x = Input({3}, {.name = "x"});
  layers::Dense frozen(4, {.activation = "relu", .name = "frozen"});
  Tensor h = frozen(x);
  frozen.base().set_trainable(false);
  h = layers::BatchNormalization({.name = "norm"})(layers::Dense(5, {.name = "hidden"})(h));
  const Tensor a = layers::Dense(2, {.name = "a"})(h);
  const Tensor b = layers::Dense(1, {.activation = "sigmoid", .name = "b"})(h);
  return {x, {a, b}};
}

TrainingPlan plan_of(std::vector<std::string> functions) {
  TrainingPlan plan;
  plan.optimizer = optimizers::Adam({.learning_rate = 0.01, .name = "adam"});
  plan.losses = {losses::MeanSquaredError(), losses::BinaryCrossentropy()};
  plan.loss_weights = {1, 0.25};
  plan.metrics = {{metrics::MeanAbsoluteError({.name = "mae"}), metrics::MeanAbsoluteError({.name = "mae"})},
                  {metrics::BinaryAccuracy({.name = "accuracy"})}};
  plan.weighted_metrics = {{metrics::MeanAbsoluteError({.name = "mae"})}, {}};
  plan.targets = {{DType::f32, {Dim(2)}}, {DType::f32, {Dim(1)}}};
  plan.sample_weights = {{DType::f32, {}}};
  plan.functions = std::move(functions);
  return plan;
}

Array ramp(std::vector<std::int64_t> shape, double factor) {
  Array out(DType::f32, std::move(shape));
  for (std::int64_t i = 0; i < out.size(); ++i) out.set(i, factor * static_cast<double>((i * 7) % 11 - 5));
  return out;
}

std::vector<Array> batch_of(std::int64_t size) {
  Array labels(DType::f32, {size, 1});
  for (std::int64_t i = 0; i < size; i += 2) labels.set(i, 1);
  return {ramp({size, 3}, 0.2), ramp({size, 2}, 0.3), labels, Array::splat(DType::f32, {size}, 0.5)};
}

class Loops {
 public:
  explicit Loops(const TrainingPlan& plan, const Model& model = two_headed()) {
    auto module = to_training_module(model, plan);
    if (!module) throw Error(module.problem());
    const Status verified = graph::verify(*module);
    if (!verified) throw Error(verified.problem());
    module_ = *std::move(module);
    const Expected<Ir> ir = run_pipeline(module_, {});
    if (!ir) throw Error(ir.problem());
    lowered_ = std::get<Lowered>(*ir);
  }

  const graph::Module& module() const { return module_; }
  const States& states() const { return states_; }

  std::vector<Array> operator()(const std::string& name, const std::vector<Array>& inputs = {}) {
    std::vector<std::vector<std::int64_t>> shapes;
    for (const Array& input : inputs) shapes.push_back(input.shape());
    const auto symbols = graph::bind_symbols(module_, *module_.function(name), shapes);
    if (!symbols) throw Error(symbols.problem());
    auto results = run_loops(lowered_.program, lowered_.loops, name, inputs, *symbols, kPoison, &states_);
    if (!results) throw Error(results.problem());
    return *std::move(results);
  }

 private:
  graph::Module module_;
  Lowered lowered_;
  States states_;
};

std::vector<std::byte> bytes_of(const Array& array) { return {array.bytes().begin(), array.bytes().end()}; }

std::map<std::string, std::vector<std::byte>> bytes_of(const States& states) {
  std::map<std::string, std::vector<std::byte>> out;
  for (const auto& [path, value] : states) out[path] = bytes_of(value);
  return out;
}

TEST(TrainingFunctions, GradientsAndApplyGiveTheBitsOfAStep) {
  Loops whole(plan_of({"train_step"}));
  Loops parts(plan_of({"gradients", "apply"}));
  for (const std::int64_t size : {5, 8, 1}) {
    const std::vector<Array> batch = batch_of(size);
    const Array loss = whole("train_step", batch).front();
    const std::vector<Array> given = parts("gradients", batch);
    EXPECT_EQ(bytes_of(given[0]), bytes_of(loss));
    EXPECT_EQ(given[1].shape(), std::vector<std::int64_t>{4 * 5 + 5 + 2 * 5 + 5 * 2 + 2 + 5 + 1});
    parts("apply", {given[1]});
    EXPECT_EQ(bytes_of(parts.states()), bytes_of(whole.states()));
  }
}

TEST(TrainingFunctions, CountWhatTheyAreGiven) {
  Loops loops(plan_of({"predict", "train_step", "evaluate", "metrics", "reset_metrics"}));
  EXPECT_THAT(loops.module().function("metrics")->result_names,
              ElementsAre("loss", "a_loss", "b_loss", "a_mae", "a_mae_1", "b_accuracy", "a_weighted_mae"));
  const auto counted = [&] {
    std::vector<double> out;
    for (const Array& value : loops("metrics")) out.push_back(value.at(0));
    return out;
  };
  const double first = loops("evaluate", batch_of(8)).front().at(0);
  EXPECT_DOUBLE_EQ(counted()[0], first);
  EXPECT_FLOAT_EQ(static_cast<float>(counted()[1] + 0.25 * counted()[2]), static_cast<float>(first));
  const double second = loops("evaluate", batch_of(2)).front().at(0);
  EXPECT_NEAR(counted()[0], (8 * first + 2 * second) / 10, 1e-6);

  // What is predicted, against the targets.
  loops("reset_metrics");
  EXPECT_THAT(counted(), testing::Each(0.0));
  const std::vector<Array> batch = batch_of(4);
  const std::vector<Array> outputs = loops("predict", {batch[0]});
  loops("evaluate", batch);
  double off = 0;
  int right = 0;
  for (std::int64_t i = 0; i < 8; ++i) off += std::abs(outputs[0].at(i) - batch[1].at(i)) / 8;
  for (std::int64_t i = 0; i < 4; ++i) right += (outputs[1].at(i) > 0.5) == (batch[2].at(i) == 1) ? 1 : 0;
  EXPECT_NEAR(counted()[3], off, 1e-6);
  EXPECT_EQ(counted()[3], counted()[4]);
  EXPECT_EQ(counted()[5], right / 4.0);
  EXPECT_NEAR(counted()[6], off, 1e-6);

  // Training changes the weights, and counts too.
  loops("reset_metrics");
  const double trained = loops("train_step", batch).front().at(0);
  EXPECT_DOUBLE_EQ(counted()[0], trained);
  EXPECT_NE(bytes_of(loops("predict", {batch[0]})[0]), bytes_of(outputs[0]));
}

TEST(TrainingFunctions, GradientsByInputsAreDifferences) {
  Loops loops(plan_of({"evaluate", "input_gradients"}));
  std::vector<Array> batch = batch_of(3);
  const std::vector<Array> given = loops("input_gradients", batch);
  EXPECT_EQ(bytes_of(given[0]), bytes_of(loops("evaluate", batch).front()));
  for (std::int64_t i = 0; i < 9; ++i) {
    const double x = batch[0].at(i);
    batch[0].set(i, x + 1e-2);
    const double above = loops("evaluate", batch).front().at(0);
    batch[0].set(i, x - 1e-2);
    EXPECT_NEAR(given[1].at(i), (above - loops("evaluate", batch).front().at(0)) / 2e-2, 2e-4) << i;
    batch[0].set(i, x);
  }
}

TEST(TrainingFunctions, InitializeDrawsWeights) {
  Loops loops(plan_of({"predict", "train_step", "initialize"}));
  const std::vector<Array> batch = batch_of(4);
  const auto predicted = [&] { return bytes_of(loops("predict", {batch[0]})[0]); };
  const auto seed = [](std::int64_t word) {
    Array out(DType::u32, {2});
    out.set_int(0, word);
    return out;
  };
  loops("initialize", {seed(1)});
  const auto first = predicted();
  loops("train_step", batch);
  EXPECT_NE(predicted(), first);
  loops("initialize", {seed(2)});
  EXPECT_NE(predicted(), first);
  loops("initialize", {seed(1)});
  EXPECT_EQ(predicted(), first);
}

TEST(TrainingFunctions, CompiledOnesGiveTheBitsOfTheLoops) {
  const TrainingPlan plan = plan_of(
      {"predict", "train_step", "gradients", "apply", "evaluate", "input_gradients", "metrics", "reset_metrics"});
  Loops loops(plan);
  const auto compiled = graph::make_callable(loops.module());
  ASSERT_TRUE(compiled) << compiled.problem().str();
  const auto expect_equal = [&](const std::string& name, const std::vector<Array>& inputs) {
    const std::vector<Array> wanted = loops(name, inputs);
    const auto results = (**compiled)(name, inputs);
    ASSERT_TRUE(results) << name << results.problem().str();
    for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_EQ(bytes_of((*results)[i]), bytes_of(wanted[i])) << name;
  };
  const std::vector<Array> batch = batch_of(6);
  for (const char* name : {"train_step", "evaluate", "gradients", "train_step", "input_gradients"})
    expect_equal(name, batch);
  expect_equal("apply", {ramp({53}, 0.01)});
  expect_equal("predict", {batch[0]});
  for (const auto& [path, value] : loops.states()) {
    const auto state = (*compiled)->state(path);
    ASSERT_TRUE(state) << state.problem().str();
    EXPECT_EQ(bytes_of(*state), bytes_of(value)) << path;
  }
  expect_equal("reset_metrics", {});
  expect_equal("evaluate", batch);
  expect_equal("metrics", {});
}

std::string refusal(const TrainingPlan& plan) {
  const auto module = to_training_module(two_headed(), plan);
  return module ? "" : module.problem().str();
}

// The extent that a model leaves open is that of its labels too; layers may be called as functions are.
TEST(TrainingFunctions, OfOpenTimeAndCommonNames) {
  const Tensor x = Input({None, 3}, {.name = "x"});
  const Tensor h = layers::Conv1D(4, 3, {.padding = "same", .name = "metrics"})(x);
  const Model model(x, layers::Dense(2, {.name = "train_step"})(h));
  TrainingPlan plan;
  plan.optimizer = optimizers::SGD({.clipnorm = 0, .name = "sgd"});
  plan.losses = {losses::MeanSquaredError()};
  const Shape& y = model.outputs()[0].shape();
  plan.targets = {{DType::f32, {y.begin() + 1, y.end()}}};
  plan.functions = {"predict", "train_step", "metrics"};
  Loops loops(plan, model);
  for (const std::int64_t time : {4, 7}) {
    const Array given = ramp({2, time, 3}, 0.1);
    const Array before = loops("predict", {given})[0];
    loops("train_step", {given, ramp({2, time, 2}, 0.2)});
    EXPECT_NE(bytes_of(loops("predict", {given})[0]), bytes_of(before));
  }
}

TEST(TrainingFunctions, RefusePlansThatDoNotFit) {
  EXPECT_THAT(refusal(plan_of({"tran_step"})), testing::HasSubstr("there is no function `tran_step`"));
  EXPECT_THAT(refusal(plan_of({})), testing::HasSubstr("the plan has no function"));
  EXPECT_THAT(refusal(plan_of({"metrics"})), testing::HasSubstr("no function counts for the metrics"));
  EXPECT_THAT(refusal(plan_of({"train_step", "apply"})), testing::HasSubstr("apply takes what gradients gives"));
  EXPECT_THAT(refusal(plan_of({"evaluate", "evaluate"})), testing::HasSubstr("the function evaluate is named twice"));
  TrainingPlan plan = plan_of({"evaluate"});
  plan.metrics.pop_back();
  EXPECT_THAT(refusal(plan), testing::HasSubstr("1 lists of metrics for 2 outputs"));
}

}  // namespace
}  // namespace tusk
