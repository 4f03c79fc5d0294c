// What a user reads whose training is described wrongly. Each error once, as a whole text.
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "frontend/import/compile_config.hpp"
#include "frontend/import/keras2_compile.hpp"
#include "frontend/layers/layers.hpp"
#include "frontend/model/model.hpp"
#include "frontend/model/to_module.hpp"
#include "frontend/model/trace.hpp"
#include "frontend/training/loss_list.hpp"
#include "frontend/training/losses.hpp"
#include "frontend/training/optimizer_list.hpp"
#include "frontend/training/optimizer_state.hpp"
#include "frontend/training/optimizers.hpp"
#include "frontend/training/train_step.hpp"
#include "tests/unit/wrong_definition.hpp"

namespace tusk {
namespace {

using nlohmann::json;

// A loss of parameters of these shapes.
void loss_of(const Loss& loss, const Shape& y_true, const Shape& y_pred, const Shape& weight = {}) {
  Trace trace("loss", Trace::Weights::copied);
  const Tensor t = trace.parameter("t", {DType::f32, y_true});
  const Tensor p = trace.parameter("p", {DType::f32, y_pred});
  (void)loss(t, p, weight.empty() ? Tensor() : trace.parameter("w", {DType::f32, weight}));
}

TEST(TrainingErrors, Names) {
  expect({
      {[] { (void)loss_named("mean_sqared_error"); },
       "there is no loss \"mean_sqared_error\"; did you mean `mean_squared_error`? [training-name]", "",
       "the losses are BinaryCrossentropy, BinaryFocalCrossentropy, CategoricalCrossentropy, "
       "CategoricalFocalCrossentropy, CategoricalGeneralizedCrossEntropy, CategoricalHinge, Circle, CosineSimilarity, "
       "CTC, Dice, Hinge, Huber, KLDivergence, LogCosh, MeanAbsoluteError, MeanAbsolutePercentageError, "
       "MeanSquaredError, MeanSquaredLogarithmicError, Poisson, SparseCategoricalCrossentropy, SquaredHinge, Tversky"},
      {[] { (void)optimizer_named("adamm"); }, "there is no optimizer \"adamm\" [training-name]", "",
       "expected one of Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Ftrl, Lamb, Lion, LossScaleOptimizer, "
       "MultiOptimizer, Muon, Nadam, RMSprop, SGD, ScheduleFreeAdamW"},
      {[] { (void)loss_from_config(json(3)); }, "expected a configuration of a loss, found 3 [training-config]", ""},
      {[] { (void)optimizer_from_config(json(3)); },
       "expected a configuration of an optimizer, found 3 [training-config]", ""},
      {[] {
         (void)schedule_from_config({{"class_name", "Cosine"}});
       },
       "there is no schedule \"Cosine\" [training-name]", "",
       "expected one of CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, "
       "PolynomialDecay"},
  });
}

TEST(TrainingErrors, Losses) {
  const Dim batch = Dim::symbol("batch");
  expect({
      {[&] {
         loss_of(losses::SparseCategoricalCrossentropy(), {batch, Dim(3)}, {batch, Dim(3)});
       },
       "labels of shape (None, 3) for predictions of shape (None, 3) [loss-labels]", "",
       "expected one integer for each position; one-hot labels need the categorical loss"},
      {[&] {
         loss_of(losses::CTC(), {batch}, {batch, Dim(3)});
       },
       "CTC takes labels [batch, length] and logits [batch, time, classes], found (None,) and (None, 3) [loss-labels]",
       ""},
      {[&] {
         loss_of(losses::CategoricalCrossentropy({.label_smoothing = 0.1}), {batch, Dim::symbol("time")},
                 {batch, Dim::symbol("time")});
       },
       "label_smoothing needs to know the number of classes, y_pred has shape (None, time) [loss-classes]", ""},
      {[&] {
         loss_of(losses::MeanSquaredError(), {Dim(4), Dim(3)}, {Dim(4), Dim(3)}, {Dim(5)});
       },
       "sample_weight has shape (5,), the losses have (4,) [sample-weight]", "",
       "expected a weight for each of them, or extents of 1"},
      {[&] {
         loss_of(losses::MeanSquaredError(), {batch, Dim(2)}, {batch, Dim(2)}, {batch, Dim(2)});
       },
       "sample_weight has shape (None, 2), the losses have (None,) [sample-weight]", "",
       "expected a weight for each of them, or extents of 1"},
      {[&] {
         loss_of(losses::MeanSquaredError(), {batch, Dim(5), Dim(2)}, {batch, Dim(5), Dim(2)}, {batch});
       },
       "sample_weight has shape (None,), the losses have (None, 5) [sample-weight]", "",
       "expected a weight for each of them, or extents of 1"},
  });
}

TEST(TrainingErrors, Optimizers) {
  expect({
      {[] { (void)optimizers::SGD({.clipnorm = 1, .clipvalue = 1, .name = "s"}); },
       "s: only one of clipnorm, clipvalue and global_clipnorm can be set [optimizer-clip]", ""},
      {[] { (void)optimizers::SGD({.gradient_accumulation_steps = 1, .name = "s"}); },
       "s: gradient_accumulation_steps is 1, expected at least 2 [optimizer-option]", ""},
      {[] { (void)optimizers::SGD({.use_ema = true, .ema_momentum = 2, .name = "s"}); },
       "s: ema_momentum is 2, expected a number in [0, 1] [optimizer-option]", ""},
      {[] { (void)optimizers::SGD({.learning_rate = std::numeric_limits<double>::quiet_NaN(), .name = "s"}); },
       "s: learning_rate is nan, expected a number [optimizer-option]", ""},
      {[] {
         (void)optimizer_from_config({{"class_name", "SGD"}, {"config", "x"}});
       },
       "expected an object as the config, found \"x\" [training-config]", ""},
      {[] { (void)optimizer_named("LossScaleOptimizer"); },
       "loss_scale_optimizer: inner_optimizer is missing [optimizer-option]", ""},
      {[] { (void)optimizer_named("MultiOptimizer"); }, "multi_optimizer: optimizer_map is missing [optimizer-option]",
       ""},
      {[] {
         (void)optimizer_from_config(
             {{"class_name", "Adam"}, {"config", json::object()}, {"registered_name", "my>Adam"}});
       },
       "\"my>Adam\" is a class of the program that saved it, not Keras' own [training-name]", ""},
      {[] {
         (void)loss_from_config({{"class_name", "Huber"}, {"config", json::object()}, {"registered_name", "Huber"}});
       },
       "\"Huber\" is a class of the program that saved it, not Keras' own [training-name]", ""},
  });
}

TEST(TrainingErrors, OptimizerMaps) {
  using optimizers::Adam;
  using optimizers::OptimizerMap;
  using optimizers::SGD;
  clear_session();
  const auto from = [](const json& map) {
    return optimizer_from_config({{"class_name", "MultiOptimizer"}, {"config", {{"optimizer_map", map}}}});
  };
  expect({
      {[] { (void)OptimizerMap({}, {}); }, "there is no default optimizer [optimizer-map]", ""},
      {[] {
         (void)OptimizerMap(SGD(), {{"a", {}}});
       },
       "the key \"a\" has no optimizer [optimizer-map]", ""},
      {[] {
         (void)OptimizerMap(SGD(), {{"a", Adam()}, {"a", SGD()}});
       },
       "the key \"a\" stands there twice [optimizer-map]", ""},
      {[] {
         (void)OptimizerMap(SGD(), {{"(a", Adam()}});
       },
       "the key \"(a\" is no regular expression [optimizer-map]", ""},
      {[] {
         (void)OptimizerMap(SGD(), {{"a\\Z", Adam()}});
       },
       "the key \"a\\\\Z\" has \\Z, which is not supported [optimizer-map]", ""},
      {[] {
         (void)OptimizerMap(SGD(), {{std::string(300, '('), Adam()}});
       },
       "a key of 300 bytes; expected at most 256 [optimizer-map]", ""},
      {[] {
         (void)OptimizerMap(SGD(), {{"a", optimizers::LossScaleOptimizer({.inner_optimizer = Adam()})}});
       },
       "loss_scale_optimizer is a LossScaleOptimizer, which cannot be one of several optimizers [optimizer-map]", ""},
      {[] {
         (void)OptimizerMap(SGD(), {{"a.*", Adam()}, {".*b", Adam()}})["a/b"];
       },
       "several keys are met by the weight a/b [optimizer-map]", ""},
      {[] { (void)optimizers::MultiOptimizer({.optimizer_map = {SGD()}, .name = "m"}).learning_rate(); },
       "m has no learning rate: its optimizers have their own [optimizer-rate]", ""},
      {[] { optimizers::MultiOptimizer({.optimizer_map = {SGD()}, .name = "m"}).set_learning_rate(1); },
       "m has no learning rate: its optimizers have their own [optimizer-rate]", ""},
      {[&] {
         from({{"class_name", "SGD"}});
       },
       "expected an OptimizerMap, found {\"class_name\":\"SGD\"} [training-config]", ""},
      {[&] {
         from({{"class_name", "OptimizerMap"}, {"config", {{"default_optimizer", "sgd"}, {"optimizer_map", {1}}}}});
       },
       "an optimizer_map is an object, found [1] [training-config]", ""},
      {[&] {
         from({{"class_name", "OptimizerMap"}, {"config", json::object()}});
       },
       "there is no default optimizer [optimizer-map]", ""},
  });
}

TEST(TrainingErrors, CompileOfKeras2) {
  const auto of = [](const char* text) {
    json config = json::parse(text);
    modernize_compile(config, {"a", "b"}, true);
    (void)compile_options_from(config);
  };
  expect({
      {[&] {
         of(R"({"optimizer_config": {"class_name": "Adam", "config": {"decay": 0.1, "learning_rate":
                {"class_name": "ExponentialDecay", "config": {"initial_learning_rate": 0.1}}}}})");
       },
       "Adam has a schedule and a decay, of which Keras 3 has one [training-config]", ""},
      {[&] { of(R"({"optimizer_config": {"class_name": "Adagrad", "config": {"lr": 0.1}}})"); },
       "Adagrad of Keras 2 follows a rule of its own: it adds epsilon to a root, which Keras 3 adds to what the root "
       "is "
       "taken of [training-config]",
       "", "compile the model anew"},
      {[&] { of(R"({"optimizer_config": {"class_name": "Custom>Mine", "config": {}}})"); },
       "there is no optimizer \"Mine\" [training-name]", "",
       "expected one of Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Ftrl, Lamb, Lion, LossScaleOptimizer, "
       "MultiOptimizer, Muon, Nadam, RMSprop, SGD, ScheduleFreeAdamW"},
  });
  // Of no form that Keras writes: what is wrong is said, or it means nothing.
  for (const char* text :
       {"3", "[]", R"({"optimizer_config": 3})", R"({"optimizer": {"class_name": 3}})",
        R"({"optimizer": {"class_name": "SGD", "config": [1]}, "loss": [[]], "metrics": [[[{}]]]})",
        R"({"optimizer": "sgd", "loss": {"class_name": "Huber", "config": 1}, "metrics": [1, null]})",
        R"({"optimizer": "sgd", "metrics": [{"class_name": "MeanMetricWrapper", "config": {"fn": 1}}]})",
        R"({"optimizer": "sgd", "metrics": [["a"], {"class_name": 1, "config": {"name": "a_b"}}]})"}) {
    try {
      of(text);
    } catch (const Error& problem) {
      EXPECT_TRUE(problem.problem().code.starts_with("training-")) << text << problem.problem().str();
    }
  }
}

// Calls its layer as a training step would.
struct TrainedImpl : LayerBase {
  struct Config {
    Layer layer = {};
    std::string name = {};
  } config;
  static void fields(auto&, Config&) {}
  void build(const Shape& in) override { add_child(config.layer, {in}); }
  Tensor call(Tensor x, const Call&) override { return config.layer(x, {.training = true}); }
};
using Trained = LayerOf<TrainedImpl>;

TEST(TrainingErrors, Steps) {
  expect({
      {[] {
         const Tensor x = Input({3});
         set_optimizer_state(optimizers::SGD({.name = "s"}), Model(x, layers::Dense(2)(x), {.name = "m"}), {Array()});
       },
       "s of the model m has 2 variables, 1 are given [optimizer-state]", ""},
      {[] {
         const Tensor x = Input({3});
         set_optimizer_state(optimizers::SGD({.name = "s"}), Model(x, layers::Dense(2)(x)), {Array(), Array()});
       },
       "s/iteration has shape (), (0) is given [optimizer-state]", ""},
      {[] {
         const Tensor x = Input({3});
         const auto module = to_module(Model(x, Trained({.layer = layers::BatchNormalization()})(x)));
         if (!module) throw Error(module.problem());
       },
       "moving_mean changes when the layer is called with training = true, which only a training step can keep "
       "[layer-training]",
       "trained/batch_normalization"},
      {[] {
         const Tensor x = Input({3});
         const auto module = to_module(Model(x, Trained({.layer = layers::Dropout(0.5)})(x)));
         if (!module) throw Error(module.problem());
       },
       "seed_generator_state changes when the layer is called with training = true, which only a training step can "
       "keep [layer-training]",
       "trained/dropout"},
      {[] {
         const Tensor x = Input({3});
         const auto module =
             to_training_module(Model(x, layers::Dense(2)(x)), {.optimizer = optimizers::SGD(), .losses = {}});
         if (!module) throw Error(module.problem());
       },
       "0 losses for 1 outputs; an empty loss leaves an output out [training-plan]", ""},
      {[] {
         const Tensor x = Input({3});
         const Model model(x, layers::Flatten()(x));
         const auto module = to_training_module(model, {.optimizer = optimizers::SGD(),
                                                        .losses = {losses::MeanSquaredError()},
                                                        .targets = {{DType::f32, {Dim(3)}}}});
         if (!module) throw Error(module.problem());
       },
       "the model has no weights that training could change [training-weights]", ""},
      {[] {
         Trace trace("f", Trace::Weights::states);
         const Variable variable("v", {DType::f32, {Dim(3)}}, "zeros", true, false, 0);
         trace.assign(variable, trace.parameter("x", {DType::f32, {Dim(4)}}));
       },
       "v has shape (3,), what is assigned (4,) [assign-shape]", ""},
  });
}

}  // namespace
}  // namespace tusk
