// What model.compile takes, in the forms that Keras has, and what a plan it becomes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "frontend/layers/layers.hpp"
#include "frontend/ops/ops.hpp"
#include "frontend/training/compile_options.hpp"
#include "frontend/training/fit.hpp"
#include "frontend/training/losses.hpp"
#include "frontend/training/metric_list.hpp"
#include "frontend/training/metrics.hpp"
#include "frontend/training/optimizers.hpp"
#include "frontend/training/reduction_metrics.hpp"
#include "tests/unit/error_of.hpp"
#include "tests/unit/wrong_definition.hpp"

namespace tusk {
namespace {

using testing::ElementsAre;

const std::vector<std::string> kTwo = {"priority", "department"};

Model two_outputs() {
  const Tensor x = Input({3});
  return {x, {layers::Dense(1, {.name = "priority"})(x), layers::Dense(4, {.name = "department"})(x)}};
}

// The classes of the losses of the plan.
std::vector<std::string_view> classes(const TrainingPlan& plan) {
  std::vector<std::string_view> out;
  for (const Loss& loss : plan.losses) out.push_back(loss ? loss.class_name() : "None");
  return out;
}

// class/name of the metrics of each output.
std::vector<std::string> classes(const std::vector<std::vector<Metric>>& metrics) {
  std::vector<std::string> out;
  for (const auto& list : metrics) {
    std::string text;
    for (const Metric& metric : list) text += fmt::format("{}={} ", metric.name(), metric.class_name());
    out.push_back(text);
  }
  return out;
}

TrainingPlan plan(const CompileOptions& options, const Shape& priority = {Dim(1)}, const Shape& department = {Dim(4)}) {
  return plan_of(options, optimizer_of(options), two_outputs(),
                 {Target{DType::f32, priority}, Target{DType::f32, department}}, {});
}

TEST(CompileOptions, TakesLossesAsKerasDoes) {
  EXPECT_THAT(classes(plan({.loss = "mse"})), ElementsAre("MeanSquaredError", "MeanSquaredError"));
  EXPECT_THAT(classes(plan({.loss = losses::Huber({.delta = 2})})), ElementsAre("Huber", "Huber"));
  EXPECT_THAT(classes(plan({.loss = {"mse", None}})), ElementsAre("MeanSquaredError", "None"));
  EXPECT_THAT(classes(plan({.loss = {losses::Huber(), "mae"}})), ElementsAre("Huber", "MeanAbsoluteError"));
  const TrainingPlan dict = plan({.loss = {{"department", losses::CategoricalCrossentropy({.from_logits = true})},
                                           {"priority", losses::BinaryCrossentropy({.from_logits = true})}},
                                  .loss_weights = {{"priority", 1.0}, {"department", 0.2}}});
  EXPECT_THAT(classes(dict), ElementsAre("BinaryCrossentropy", "CategoricalCrossentropy"));
  EXPECT_THAT(dict.loss_weights, ElementsAre(1, 0.2));
  EXPECT_THAT(plan({.loss = {"mse", "mse"}, .loss_weights = {1, 0.5}}).loss_weights, ElementsAre(1, 0.5));
  EXPECT_THAT(classes(plan({.loss = {{"priority", "mse"}, {"department", "mae"}}})),
              ElementsAre("MeanSquaredError", "MeanAbsoluteError"));
}

TEST(CompileOptions, TakesMetricsAsKerasDoes) {
  const auto metrics = [](const MetricsGiven& given) {
    return classes(plan({.loss = "mse", .metrics = given}).metrics);
  };
  EXPECT_THAT(metrics({"mse", metrics::MeanAbsoluteError({.name = "apart"})}),
              ElementsAre("mse=MeanSquaredError ", "apart=MeanAbsoluteError "));
  EXPECT_THAT(metrics({{"mse", "MAE"}, {"mae"}}),
              ElementsAre("mse=MeanSquaredError MAE=MeanAbsoluteError ", "mae=MeanAbsoluteError "));
  EXPECT_THAT(metrics({None, {"mae"}}), ElementsAre("", "mae=MeanAbsoluteError "));
  EXPECT_THAT(metrics({{"department", {"mae", "kl_divergence"}}}),
              ElementsAre("", "mae=MeanAbsoluteError kl_divergence=KLDivergence "));
  EXPECT_THAT(metrics({{"department", "mae"}, {"priority", "mse"}}),
              ElementsAre("mse=MeanSquaredError ", "mae=MeanAbsoluteError "));
  EXPECT_THAT(classes(plan({.loss = "mse", .weighted_metrics = {{"mae"}, {"mse"}}}).weighted_metrics),
              ElementsAre("mae=MeanAbsoluteError ", "mse=MeanSquaredError "));
}

TEST(CompileOptions, ResolvesNamesByShapes) {
  const auto resolved = [](const Shape& priority, const Shape& department) {
    const TrainingPlan p = plan({.loss = "crossentropy", .metrics = {{"acc"}, {"accuracy"}}}, priority, department);
    std::vector<std::string> out = classes(p.metrics);
    for (const std::string_view loss : classes(p)) out.emplace_back(loss);
    return out;
  };
  EXPECT_THAT(resolved({Dim(1)}, {Dim(4)}), ElementsAre("acc=BinaryAccuracy ", "accuracy=CategoricalAccuracy ",
                                                        "BinaryCrossentropy", "CategoricalCrossentropy"));
  for (const Shape& labels : {Shape{}, Shape{Dim(1)}}) {
    EXPECT_THAT(resolved({}, labels), ElementsAre("acc=BinaryAccuracy ", "accuracy=SparseCategoricalAccuracy ",
                                                  "BinaryCrossentropy", "SparseCategoricalCrossentropy"));
  }
}

// Three samples, of weights 1, 2 and 0.5; what is expected Keras 3.15.1 computed.
TEST(CompileOptions, TakesFunctions) {
  const auto array = [](std::vector<std::int64_t> shape, const std::vector<float>& values) {
    Array out(DType::f32, std::move(shape));
    std::ranges::copy(values, out.as_writable<float>().begin());
    return out;
  };
  const Tensor in = Input({2});
  const layers::Dense dense(2, {.name = "d"});
  const Model model(in, dense(in));
  dense.set_weights({array({2, 2}, {1, 0.5, -0.25, 2}), array({2}, {0.1, -0.2})});
  const Array x = array({3, 2}, {1, 2, 3, -1, 0.5, 0.25});
  const Array y = array({3, 2}, {0, 1, 1, -2, 2, 0.5});
  const Array weights = array({3}, {1, 2, 0.5});
  const auto largest = [] {
    return metrics::MeanMetricWrapper(
        {.fn = [](const Tensor& t, const Tensor& p) { return ops::max(ops::abs(p - t), {.axis = {-1}}); },
         .name = "largest"});
  };
  model.compile({.optimizer = optimizers::SGD(0.1),
                 .loss = [](const Tensor& t,
                            const Tensor& p) { return ops::sum(ops::power(ops::abs(p - t), 1.5), {.axis = {-1}}); },
                 .metrics = {largest(), [](const Tensor& t, const Tensor& p) { return ops::sum(t - p); }},
                 .weighted_metrics = {largest()}});
  const auto near = [](const auto& found, const std::map<std::string, double>& wanted) {
    for (const auto& [name, value] : wanted) EXPECT_NEAR(found[name], value, 2e-6 * std::abs(value)) << name;
  };
  near(model.evaluate(x, y, {.verbose = 0}), {{"loss", 4.441351413726807}, {"weighted_largest", 2.370833396911621}});
  near(model.evaluate(x, y, {.verbose = 0, .sample_weight = weights}), {{"loss", 5.8396148681640625},
                                                                        {"largest", 2.370833396911621},
                                                                        {"lambda", -6.137500286102295},
                                                                        {"weighted_largest", 2.494642734527588}});
  const History history = model.fit(x, y, {.epochs = 2, .verbose = 0, .shuffle = false, .sample_weight = weights});
  EXPECT_NEAR(history["loss"][1], 2.1944127082824707, 5e-6);
  EXPECT_NEAR(history["lambda"][1], -0.9024358987808228, 5e-6);
  const std::vector<double> trained{0.2733813524246216, 0.10845760256052017, -0.1120816171169281, 1.7377521991729736};
  for (std::int64_t i = 0; i < 4; ++i)
    EXPECT_NEAR(dense.get_weights()[0].at(i), trained[static_cast<std::size_t>(i)], 5e-6);

  model.compile({.optimizer = "sgd", .loss = losses::LossFunctionWrapper({.fn = ValueFunction()})});
  EXPECT_THAT(error_of([&] { model.fit(x, y, {.verbose = 0}); }),
              testing::HasSubstr("a loss is an empty function, expected one of y_true and y_pred [compile-loss]"));
}

TEST(CompileOptions, ScalesTheLossOfAMixedModel) {
  clear_session();
  set_dtype_policy("mixed_float16");
  const Tensor x = Input({3});
  const Model mixed(x, layers::Dense(2, {.dtype = "float32"})(x));
  set_dtype_policy("float32");
  const Model plain(x, layers::Dense(2, {.dtype = "mixed_float16"})(x));
  const auto optimizer = [](const Model& model, const CompileOptions& options) {
    model.compile(options);
    return model.optimizer();
  };
  const Optimizer automatic = optimizer(mixed, {.optimizer = "adam", .loss = "mse"});
  EXPECT_EQ(automatic.class_name(), "LossScaleOptimizer");
  EXPECT_EQ(automatic.name(), "loss_scale_optimizer");
  EXPECT_EQ(given_optimizer({.optimizer = "adam"}, automatic).class_name(), "Adam");
  EXPECT_EQ(optimizer(mixed, {.optimizer = "adam", .loss = "mse", .auto_scale_loss = false}).class_name(), "Adam");
  EXPECT_EQ(optimizer(plain, {.optimizer = "adam", .loss = "mse"}).class_name(), "Adam") << "the model's policy counts";
  const optimizers::LossScaleOptimizer own({.inner_optimizer = optimizers::SGD(), .name = "own"});
  EXPECT_EQ(optimizer(mixed, {.optimizer = own, .loss = "mse"}).name(), "own");
  EXPECT_EQ(given_optimizer({.optimizer = own}, own).name(), "own");
}

TEST(CompileOptions, FindsEveryMetricByItsNames) {
  for (const auto& [name, class_name] : std::vector<std::pair<std::string, std::string>>{
           {"mse", "MeanSquaredError"},
           {"MSLE", "MeanSquaredLogarithmicError"},
           {"sparse_top_k_categorical_accuracy", "SparseTopKCategoricalAccuracy"},
           {"log_cosh_error", "LogCoshError"},
           {"Precision", "Precision"}}) {
    EXPECT_EQ(metric_named(name).class_name(), class_name);
    EXPECT_EQ(metric_named(name).name(), name);
  }
}

TEST(CompileErrors, NamesAndCounts) {
  expect({
      {[] { plan({.loss = "msee"}); }, "there is no loss \"msee\"; did you mean `mse`? [training-name]", "",
       "the losses are BinaryCrossentropy, BinaryFocalCrossentropy, CategoricalCrossentropy, "
       "CategoricalFocalCrossentropy, CategoricalGeneralizedCrossEntropy, CategoricalHinge, Circle, CosineSimilarity, "
       "CTC, Dice, Hinge, Huber, KLDivergence, LogCosh, MeanAbsoluteError, MeanAbsolutePercentageError, "
       "MeanSquaredError, MeanSquaredLogarithmicError, Poisson, SparseCategoricalCrossentropy, SquaredHinge, Tversky"},
      {[] { plan({}); }, "there is no loss to compute: compile wants a `loss` [compile-loss]", ""},
      {[] { plan({.optimizer = None, .loss = "mse"}); }, "the optimizer is None [compile-optimizer]", "",
       "as in .optimizer = \"adam\""},
      {[] {
         (void)losses_by_output({.loss = {"mse", "mae"}}, {"a"});
       },
       "2 losses are given for the one output \"a\"; a sum of losses is a loss of one's own [compile-loss]", ""},
      {[] { plan({.loss = {"mse"}}); },
       "1 losses are given for the 2 outputs priority, department; None leaves one out [compile-loss]", ""},
      {[] {
         plan({.loss = {{"priority", "mse"}, {"departmen", "mse"}}});
       },
       "loss names an output \"departmen\", the model has none of this name [compile-output]", "",
       "its outputs are priority, department"},
      {[] {
         plan({.loss = {{"priority", "mse"}}});
       },
       "loss has nothing for the output \"department\" [compile-output]", "",
       "it wants an entry for each of priority, department; None leaves one out"},
      {[] {
         plan({.loss = {{"priority", "mse"}, {"priority", "mae"}}});
       },
       "loss names the output \"priority\" twice [compile-output]", ""},
      {[] {
         plan({.loss = "mse", .loss_weights = {1, 2}});
       },
       "loss_weights match the losses in number: found 1 loss and 2 weights [compile-loss]", ""},
      {[] {
         plan({.loss = "mse", .metrics = {{"priorty", {"mae"}}}});
       },
       "metrics names an output \"priorty\", the model has none of this name [compile-output]", "",
       "its outputs are priority, department"},
      {[] { plan({.loss = "mse", .weighted_metrics = {"mae"}}); },
       "weighted_metrics has 1 entries for the 2 outputs priority, department [compile-metrics]", "",
       "it is a list with an entry for each output, or a dict by their names"},
  });
  EXPECT_THAT(error_of([] {
                plan({.loss = "mse", .metrics = {"msee", "mae"}});
              }),
              testing::HasSubstr("there is no metric \"msee\"; did you mean `mse`? [training-name]"));
}

}  // namespace
}  // namespace tusk
