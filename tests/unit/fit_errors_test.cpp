// What a user reads whose call of compile, fit or evaluate is wrong. Each error once, as a whole text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "frontend/layers/layers.hpp"
#include "frontend/training/fit.hpp"
#include "frontend/training/losses.hpp"
#include "frontend/training/optimizers.hpp"
#include "tests/unit/wrong_definition.hpp"

namespace tusk {
namespace {

Array ones(std::vector<std::int64_t> shape) { return Array::splat(DType::f32, std::move(shape), 1); }

Model one_output(const CompileOptions& options = {.loss = "mse"}) {
  const Tensor x = Input({3}, {.name = "x"});
  const Model model(x, layers::Dense(2, {.name = "a"})(x), {.name = "m"});
  model.compile(options);
  return model;
}

Model fitted_outputs() {
  const Tensor x = Input({3}, {.name = "x"});
  const Model model(x, {layers::Dense(1, {.name = "a"})(x), layers::Dense(2, {.name = "b"})(x)}, {.name = "m"});
  model.compile({.loss = "mse"});
  return model;
}

TEST(FitErrors, BeforeCompile) {
  const auto plain = [] {
    const Tensor x = Input({3});
    return Model(x, layers::Dense(2)(x), {.name = "m"});
  };
  expect({
      {[&] {
         plain().fit(ones({4, 3}), ones({4, 2}));
       },
       "m: compile() comes before fit() [fit-compile]", ""},
      {[&] {
         plain().evaluate(ones({4, 3}), ones({4, 2}));
       },
       "m: compile() comes before evaluate() [fit-compile]", ""},
      {[&] {
         plain().train_on_batch(ones({4, 3}), ones({4, 2}));
       },
       "m: compile() comes before train_on_batch() [fit-compile]", ""},
      {[&] { plain().compile({.optimizer = "adamm", .loss = "mse"}); },
       "there is no optimizer \"adamm\" [training-name]", "",
       "expected one of Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Ftrl, Lamb, Lion, LossScaleOptimizer, "
       "MultiOptimizer, Muon, Nadam, RMSprop, SGD, ScheduleFreeAdamW"},
      {[&] {
         one_output({}).fit(ones({4, 3}), ones({4, 2}));
       },
       "there is no loss to compute: compile wants a `loss` [compile-loss]", ""},
  });
}

TEST(FitErrors, Arrays) {
  const Array x = ones({4, 3});
  const Array y = ones({4, 2});
  expect({
      {[&] {
         one_output().fit({{"z", x}}, y);
       },
       "m: there is no array for the input \"x\" [model-arrays]", "", "the dict has z, the model wants x"},
      {[&] {
         one_output().fit({x, x}, y);
       },
       "m: expected 1 arrays, found 2 [model-arrays]", ""},
      {[&] {
         one_output().fit(ones({4, 5}), y);
       },
       "m: input `x` has shape (None, 3), found (4, 5) [model-arrays]", ""},
      {[&] { one_output().fit(x, None); }, "m: there is no y: the loss wants labels [fit-data]", ""},
      {[&] {
         one_output().fit(x, ones({5, 2}));
       },
       "m: the arrays have different numbers of samples [fit-data]", "",
       "x of the input \"x\" has 4, y of the output \"a\" has 5"},
      {[&] { one_output().fit(x, y, {.sample_weight = ones({3})}); },
       "m: the arrays have different numbers of samples [fit-data]", "",
       "x of the input \"x\" has 4, sample_weight has 3"},
      {[&] {
         one_output().fit(ones({0, 3}), ones({0, 2}));
       },
       "m: there are no samples [fit-data]", ""},
      {[&] {
         fitted_outputs().fit(x, {{"a", ones({4, 1})}, {"c", y}});
       },
       "m: y has an array for an output \"c\", which there is not [fit-data]", "", "the outputs are a, b"},
      {[&] {
         fitted_outputs().fit(x, {{"a", ones({4, 1})}});
       },
       "m: y has no array for the output \"b\" [fit-data]", "", "the dict has a"},
      {[&] { fitted_outputs().fit(x, {y}); }, "m: y has 1 arrays for the 2 outputs a, b [fit-data]", ""},
      {[&] {
         fitted_outputs().fit(x, {y, y}, {.class_weight = {{0, 2.0}}});
       },
       "m: class_weight is for models with one output [fit-data]", ""},
      {[&] {
         one_output().fit(x, y, {.class_weight = {{0, 2.0}}, .sample_weight = ones({4})});
       },
       "m: class_weight and sample_weight are given, only one of them can be [fit-data]", ""},
      {[&] {
         one_output().fit(x, ones({4, 5, 2}), {.class_weight = {{0, 2.0}}});
       },
       "m: class_weight is for one class for each row, y has shape (4, 5, 2) [fit-data]", ""},
      {[&] { one_output().fit(x, Array::splat(DType::f32, {}, 1)); },
       "m: y of the output \"a\" is a scalar; axis 0 is that of samples [fit-data]", ""},
  });
  const std::string wrong_shape = error_of([&] { one_output().fit(x, ones({4, 3})); });
  EXPECT_THAT(wrong_shape,
              testing::HasSubstr("y of the output \"a\" is float32 (None, 3), the output (None, 2), its loss "
                                 "MeanSquaredError"));
}

TEST(FitErrors, Options) {
  const Array x = ones({4, 3});
  const Array y = ones({4, 2});
  const auto fit = [&](const FitOptions& options) { return [=] { one_output().fit(x, y, options); }; };
  expect({
      {fit({.validation_split = 1.5}), "m: validation_split is 1.5, expected a number in [0, 1) [fit-option]", ""},
      {fit({.validation_split = -0.5}), "m: validation_split is -0.5, expected a number in [0, 1) [fit-option]", ""},
      {fit({.validation_split = 0.9}), "m: validation_split = 0.9 of 4 samples leaves none to train with [fit-option]",
       ""},
      {fit({.batch_size = 0}), "m: batch_size is 0, expected at least 1 [fit-option]", ""},
      {fit({.validation_freq = 0}), "m: validation_freq is 0, expected at least 1 [fit-option]", ""},
      {fit({.callbacks = {callbacks::ReduceLROnPlateau({.factor = 0.5})}, .steps_per_epoch = 0}),
       "m: steps_per_epoch is 0, expected at least 1 [fit-option]", ""},
      {[] { (void)callbacks::ReduceLROnPlateau({.factor = 1}); },
       "ReduceLROnPlateau: factor is 1, expected less than 1 [callback-option]", ""},
      {[] { (void)callbacks::LearningRateScheduler(); },
       "LearningRateScheduler: there is no schedule [callback-option]", ""},
      {[] {
         const Optimizer sgd = optimizers::SGD(
             {.learning_rate = schedules::ExponentialDecay({.initial_learning_rate = 0.5, .decay_rate = 0.5}),
              .name = "s"});
         EXPECT_EQ(sgd.learning_rate(), 0.5);
         sgd.set_learning_rate(1);
       },
       "s has a schedule: its learning rate cannot be set [optimizer-rate]", ""},
  });
}

TEST(FitErrors, Labels) {
  const auto model = [](std::optional<std::int64_t> ignored) {
    return one_output({.loss = losses::SparseCategoricalCrossentropy({.from_logits = true, .ignore_class = ignored})});
  };
  const auto labels = [](double wrong) {
    Array y(DType::i32, {4});
    y.set(2, wrong);
    return y;
  };
  const Array x = ones({4, 3});
  expect({
      {[&] { model({}).fit(x, labels(5)); },
       "y of the output \"a\": the label 5 in row 2 is none of the 2 classes [fit-labels]", "", "labels are 0 .. 1"},
      {[&] { model(7).evaluate(x, labels(-1)); },
       "y of the output \"a\": the label -1 in row 2 is none of the 2 classes [fit-labels]", "", "labels are 0 .. 1"},
  });
}

}  // namespace
}  // namespace tusk
