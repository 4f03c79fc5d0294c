// Optimizers on two numbers, step by step. What is expected was computed by Keras (NumPy backend), for gradients of
// 0.1 s and -0.2 in step s, from 1 and 2 on.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "frontend/model/trace.hpp"
#include "frontend/training/optimizers.hpp"
#include "ir/graph/interpret.hpp"

namespace tusk {
namespace {

struct Steps {
  const char* name;
  Optimizer optimizer;
  std::vector<std::vector<double>> weights;  // after each step
};

// The function step(gradient), with the weight and all variables as states.
graph::Module module_of(const Optimizer& optimizer, const Variable& weight) {
  Trace trace("step", Trace::Weights::states);
  const Tensor gradient = trace.parameter("gradient", weight.type());
  optimizer.base().build({{weight, "d/bias"}});
  optimizer.base().apply({gradient});
  trace.module.functions.push_back(std::move(trace.function));
  return std::move(trace.module);
}

void check(const Steps& given) {
  SCOPED_TRACE(given.name);
  Variable weight("w", {DType::f32, {Dim(2)}}, "zeros", true, false, 0);
  Array start(DType::f32, {2});
  start.set(0, 1);
  start.set(1, 2);
  weight.assign(start);
  graph::Module module = module_of(given.optimizer, weight);
  for (std::size_t s = 0; s < given.weights.size(); ++s) {
    Array gradient(DType::f32, {2});
    gradient.set(0, 0.1 * static_cast<double>(s + 1));
    gradient.set(1, -0.2);
    const graph::Function& function = module.functions.front();
    const auto states = graph::interpret(module, function, {gradient}, {});
    ASSERT_TRUE(states) << states.problem().str();
    for (std::size_t i = 0; i < function.updates.size(); ++i) {
      graph::Global& global = module.globals[static_cast<std::size_t>(function.updates[i].global)];
      global.value = (*states)[i].converted(global.type.dtype);
    }
    const Array& now = module.globals[static_cast<std::size_t>(module.global_named("w"))].value;
    for (std::int64_t i = 0; i < 2; ++i)
      EXPECT_NEAR(now.at(i), given.weights[s][static_cast<std::size_t>(i)], 2e-6) << "step " << s + 1;
  }
}

TEST(Optimizers, NadamsProductIsCalledAsInKeras) {
  clear_session();
  const Variable weight("w", {DType::f32, {Dim(2)}}, "zeros", true, false, 0);
  for (const char* path : {"nadam/variable", "nadam_1/variable_1"}) {
    const optimizers::Nadam nadam;
    module_of(nadam, weight);
    EXPECT_EQ(nadam.variables().back().name(), path);
  }
}

TEST(Optimizers, TakeTheRateByPosition) {
  const optimizers::SGD with_rate(0.5, {.momentum = 0.9});
  EXPECT_EQ(with_rate.base().learning_rate(), 0.5);
  EXPECT_EQ(optimizers::RMSprop(1).base().learning_rate(), 1);
  EXPECT_EQ(optimizers::Adam().base().learning_rate(), 0.001F);
}

TEST(Optimizers, StepByStep) {
  using namespace optimizers;
  const Steps cases[] = {
      {"SGD", SGD({.learning_rate = .1}), {{0.99, 2.02}, {0.97, 2.04}, {0.94, 2.06}}},
      {"momentum", SGD({.learning_rate = .1, .momentum = .9}), {{0.99, 2.02}, {0.961, 2.058}, {0.9049, 2.1122}}},
      {"nesterov",
       SGD({.learning_rate = .1, .momentum = .9, .nesterov = true}),
       {{0.981, 2.038}, {0.9349, 2.0922}, {0.85441, 2.16098}}},
      {"RMSprop",
       RMSprop({.learning_rate = .1}),
       {{0.6837881, 2.3162239}, {0.3980767, 2.5456381}, {0.1390137, 2.7377319}}},
      {"centered",
       RMSprop({.learning_rate = .1, .momentum = .9, .centered = true}),
       {{0.6666852, 2.3333287}, {0.0527846, 2.8882289}, {-0.7958587, 3.6126215}}},
      {"Adam", Adam({.learning_rate = .1}), {{0.9000038, 2.0999978}, {0.8034879, 2.1999958}, {0.7076889, 2.2999945}}},
      {"amsgrad",
       Adam({.learning_rate = .1, .amsgrad = true}),
       {{0.9000038, 2.0999978}, {0.8034879, 2.1999958}, {0.7076889, 2.2999945}}},
      {"AdamW",
       AdamW({.learning_rate = .1, .weight_decay = .1}),
       {{0.8900038, 2.0799978}, {0.7845879, 2.1591959}, {0.680943, 2.2376027}}},
      {"Adagrad",
       Adagrad({.learning_rate = .1}),
       {{0.9698489, 2.0534523}, {0.9182091, 2.1005926}, {0.8569719, 2.1432328}}},
      {"Adadelta",
       Adadelta({.learning_rate = 1.0}),
       {{0.9985859, 2.0014141}, {0.9967882, 2.0028462}, {0.994624, 2.0042906}}},
      {"Adamax",
       Adamax({.learning_rate = .1}),
       {{0.9000001, 2.0999999}, {0.8236844, 2.1999998}, {0.7546808, 2.2999997}}},
      {"Nadam", Nadam({.learning_rate = .1}), {{0.8937213, 2.1062787}, {0.7991077, 2.1836374}, {0.7067677, 2.254771}}},
      {"Ftrl", Ftrl({.learning_rate = .1}), {{0.0163863, 0.3631438}, {-0.0352535, 0.4102843}, {-0.0964907, 0.4529244}}},
      {"Ftrl, regularized",
       Ftrl({.learning_rate = .1, .l1_regularization_strength = .1, .l2_regularization_strength = .1}),
       {{0, 0.3193478}, {-0.0112087, 0.3643661}, {-0.070044, 0.4052624}}},
      {"Lion", Lion({.learning_rate = .1}), {{0.9, 2.1}, {0.8, 2.2}, {0.7, 2.3}}},
      {"Adafactor",
       Adafactor({.learning_rate = .1}),
       {{0.8418861, 2.158114}, {0.6632038, 2.3055415}, {0.4730777, 2.4518483}}},
      {"Lamb", Lamb({.learning_rate = .1}), {{0.8418862, 2.158114}, {0.6810114, 2.3247921}, {0.5134287, 2.4997218}}},
      {"ScheduleFreeAdamW",
       ScheduleFreeAdamW({.learning_rate = .1}),
       {{0.9, 2.1}, {0.8304405, 2.1549995}, {0.7559363, 2.2099996}}},
      {"clipnorm",
       Adam({.learning_rate = .1, .clipnorm = .1}),
       {{0.9000077, 2.0999959}, {0.8013091, 2.1987092}, {0.7021692, 2.2952797}}},
      {"clipvalue", SGD({.learning_rate = .1, .clipvalue = .15}), {{0.99, 2.015}, {0.975, 2.03}, {0.96, 2.045}}},
      {"global_clipnorm",
       SGD({.learning_rate = .1, .global_clipnorm = .1}),
       {{0.9955279, 2.0089443}, {0.9884568, 2.0160153}, {0.9801363, 2.0215623}}},
      {"accumulation",
       SGD({.learning_rate = .1, .gradient_accumulation_steps = 2}),
       {{1, 2}, {0.985, 2.02}, {0.985, 2.02}}},
      {"of a pattern",
       MultiOptimizer({.optimizer_map = {SGD(), {{"d/b.*", Adam({.learning_rate = .1})}}}}),
       {{0.9000038, 2.0999978}, {0.8034879, 2.1999958}, {0.7076889, 2.2999945}}},
      {"the default, as the pattern is not the whole path",
       MultiOptimizer({.optimizer_map = {Adam({.learning_rate = .1}), {{"d/b", SGD()}}}}),
       {{0.9000038, 2.0999978}, {0.8034879, 2.1999958}, {0.7076889, 2.2999945}}},
  };
  for (const Steps& each : cases) check(each);
}

TEST(Optimizers, AMapHasOneForEachWeight) {
  clear_session();
  const optimizers::SGD sgd;
  const optimizers::Adam adam;
  const optimizers::Lion lion;
  const auto name_of = [](const optimizers::OptimizerMap& map, const char* path) { return map[path].name(); };
  const optimizers::OptimizerMap map(sgd, {{"b/.*", lion}, {"a/.*", adam}, {"a/bias", sgd}, {"c|d(/kernel)?", lion}});
  EXPECT_EQ(name_of(map, "a/kernel"), "adam");
  EXPECT_EQ(name_of(map, "a/bias"), "sgd") << "the path itself goes before expressions";
  EXPECT_EQ(name_of(map, "b/a/kernel"), "lion");
  EXPECT_EQ(name_of(map, "d/kernel"), "lion");
  EXPECT_EQ(name_of(map, "d/bias"), "sgd");
  std::vector<std::string> names;
  for (const Optimizer& each : map.optimizers()) names.push_back(each.name());
  EXPECT_EQ(names, (std::vector<std::string>{"lion", "adam", "sgd"})) << "each once";
}

// Of both, in the order of Keras' files: iteration and learning rate of its own, then each with those of its weights.
TEST(Optimizers, SeveralKeepTheirVariables) {
  clear_session();
  const Variable kernel("kernel", {DType::f32, {Dim(2), Dim(3)}}, "zeros", true, false, 0);
  const Variable bias("bias", {DType::f32, {Dim(3)}}, "zeros", true, false, 0);
  const optimizers::MultiOptimizer several(
      {.optimizer_map = {optimizers::SGD({.momentum = 0.9}), {{".*bias", optimizers::Lion()}}}, .name = "several"});
  several.base().build({{kernel, "inner/d/kernel", "d/kernel"}, {bias, "inner/d/bias", "d/bias"}});
  std::vector<std::string> names;
  for (const Variable& variable : several.variables()) names.push_back(variable.name());
  EXPECT_EQ(names, (std::vector<std::string>{"several/iteration", "several/learning_rate", "lion/iteration",
                                             "lion/learning_rate", "lion/inner_d_bias_momentum", "sgd/iteration",
                                             "sgd/learning_rate", "sgd/inner_d_kernel_momentum"}));
}

}  // namespace
}  // namespace tusk
