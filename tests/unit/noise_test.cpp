// Layers that draw random numbers in training: what is drawn, that gradients see the same, that states go on.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "frontend/layers/layers.hpp"
#include "frontend/model/emit.hpp"
#include "frontend/training/losses.hpp"
#include "frontend/training/optimizers.hpp"
#include "frontend/training/train_step.hpp"
#include "ir/graph/bind.hpp"
#include "ir/graph/callable.hpp"
#include "ir/graph/interpret.hpp"
#include "tests/unit/moments.hpp"

namespace tusk {
namespace {

// step(x, g) -> (y, dx): a layer as a training step calls it, and the gradient of sum(y g) by x.
graph::Module step_of(const Layer& layer, const Shape& shape) {
  layer.base().ensure_built({shape});
  Trace trace("step", Trace::Weights::states);
  const Tensor x = trace.parameter("x", {DType::f32, shape});
  const Tensor g = trace.parameter("g", {DType::f32, shape});
  const Tensor y = trace.run(layer.base(), {x}, {.training = true}).front();
  emit::Ints axes;
  for (std::int64_t i = 0; i < x.rank(); ++i) axes.push_back(i);
  const Tensor dx = trace.gradients(emit::reduce("sum", emit::map("mul", {y, g}), axes), {x}).front();
  trace.function.results = {trace.operand(y), trace.operand(dx)};
  trace.function.result_names = {"y", "dx"};
  trace.module.functions.push_back(std::move(trace.function));
  return std::move(trace.module);
}

// Runs it once; states keep their new values.
std::vector<Array> run(graph::Module& module, const std::vector<Array>& inputs,
                       const graph::SymbolValues& symbols = {}) {
  const graph::Function& function = module.functions.front();
  auto results = graph::interpret(module, function, inputs, symbols);
  EXPECT_TRUE(results) << results.problem().str();
  for (std::size_t i = 0; i < function.updates.size(); ++i) {
    graph::Global& global = module.globals[static_cast<std::size_t>(function.updates[i].global)];
    global.value = (*results)[function.results.size() + i].converted(global.type.dtype);
  }
  return *std::move(results);
}

Array filled(std::vector<std::int64_t> shape, const std::function<double(std::int64_t)>& value) {
  Array out(DType::f32, std::move(shape));
  for (std::int64_t i = 0; i < out.size(); ++i) out.set(i, value(i));
  return out;
}
Array all_ones(std::vector<std::int64_t> shape) {
  return filled(std::move(shape), [](std::int64_t) { return 1.0; });
}

constexpr std::int64_t kMany = 1000000;

// Within five standard deviations of the mean and of the variance of so many numbers with this kurtosis.
void expect_moments(const Array& y, double mean, double variance, double kurtosis) {
  const Moments found = moments_of(y);
  const auto count = static_cast<double>(y.size());
  EXPECT_NEAR(found.mean, mean, 5 * std::sqrt(variance / count));
  EXPECT_NEAR(found.deviation * found.deviation, variance, 5 * variance * std::sqrt((kurtosis - 1) / count));
}

TEST(Noise, DropoutKeepsItsShare) {
  for (const double rate : {0.1, 0.5, 0.93}) {
    graph::Module module = step_of(layers::Dropout(rate), {Dim(kMany)});
    const Array y = run(module, {all_ones({kMany}), all_ones({kMany})})[0];
    std::int64_t kept = 0;
    for (std::int64_t i = 0; i < kMany; ++i) {
      ASSERT_TRUE(y.at(i) == 0 || std::abs(y.at(i) * (1 - rate) - 1) < 1e-6) << y.at(i);
      kept += y.at(i) != 0 ? 1 : 0;
    }
    EXPECT_NEAR(static_cast<double>(kept), kMany * (1 - rate), 5 * std::sqrt(kMany * rate * (1 - rate))) << rate;
  }
}

TEST(Noise, GradientsSeeTheSameNumbers) {
  const std::vector<std::int64_t> shape = {7, 3, 5};
  const Array x = filled(shape, [](std::int64_t i) { return 0.25 + 0.01 * static_cast<double>(i); });
  const Array g = filled(shape, [](std::int64_t i) { return 1 - 0.02 * static_cast<double>(i); });
  const Layer all[] = {layers::Dropout(0.25), layers::SpatialDropout1D(0.25), layers::StochasticDepth(0.25),
                       layers::GaussianDropout(0.25)};
  for (const Layer& layer : all) {
    graph::Module module = step_of(layer, {Dim(7), Dim(3), Dim(5)});
    const std::vector<Array> results = run(module, {x, g});
    for (std::int64_t i = 0; i < x.size(); ++i) {
      const double factor = results[0].at(i) / x.at(i);  // what it was multiplied with
      if (layer.class_name() != "GaussianDropout") {
        ASSERT_EQ(results[1].at(i), results[0].at(i) == 0 ? 0 : g.at(i) * (1 / 0.75)) << layer.class_name();
      }
      ASSERT_NEAR(results[1].at(i), g.at(i) * factor, 1e-12) << layer.class_name() << i;
    }
  }
  graph::Module module = step_of(layers::Dropout(1.0), {Dim(7), Dim(3), Dim(5)});
  for (const Array& result : run(module, {x, g})) {
    for (std::int64_t i = 0; i < result.size(); ++i) EXPECT_EQ(result.at(i), 0);
  }
}

TEST(Noise, NormalNumbers) {
  graph::Module noise = step_of(layers::GaussianNoise(0.5), {Dim(kMany)});
  const Array y = run(noise, {all_ones({kMany}), all_ones({kMany})})[0];
  expect_moments(y, 1, 0.25, 3);
  std::int64_t beyond = 0;  // of two standard deviations
  double third = 0;
  for (std::int64_t i = 0; i < kMany; ++i) {
    const double z = (y.at(i) - 1) / 0.5;
    beyond += std::abs(z) > 2 ? 1 : 0;
    third += z * z * z / kMany;
    ASSERT_LT(std::abs(z), 6.8);
  }
  const double share = std::erfc(std::sqrt(2.0));
  EXPECT_NEAR(static_cast<double>(beyond), kMany * share, 5 * std::sqrt(kMany * share));
  EXPECT_NEAR(third, 0, 5 * std::sqrt(15.0 / kMany));

  graph::Module times = step_of(layers::GaussianDropout(0.2), {Dim(kMany)});
  expect_moments(run(times, {all_ones({kMany}), all_ones({kMany})})[0], 1, 0.25, 3);
}

// Of numbers with mean 0 and variance 1 it keeps both.
TEST(Noise, AlphaDropoutKeepsMoments) {
  graph::Module noise = step_of(layers::GaussianNoise(1.0, {.seed = 1}), {Dim(kMany)});
  const Array x = run(noise, {filled({kMany}, [](std::int64_t) { return 0.0; }), all_ones({kMany})})[0];
  graph::Module module = step_of(layers::AlphaDropout(0.3, {.seed = 2}), {Dim(kMany)});
  expect_moments(run(module, {x, all_ones({kMany})})[0], 0, 1, 3);
}

TEST(Noise, SharedAlongAxes) {
  struct Case {
    Layer layer;
    std::vector<std::int64_t> shape;
    std::vector<std::int64_t> shared;  // axes along which all elements have one fate
  };
  const Case cases[] = {
      {layers::Dropout(0.5, {.noise_shape = {None, 1, None}}), {8, 9, 4}, {1}},
      {layers::Dropout(0.5, {.noise_shape = {9, 4}}), {8, 9, 4}, {0}},
      {layers::AlphaDropout(0.5, {.noise_shape = {None, 9, 1}}), {8, 9, 4}, {2}},
      {layers::SpatialDropout1D(0.5), {8, 9, 4}, {1}},
      {layers::SpatialDropout2D(0.5), {8, 3, 5, 4}, {1, 2}},
      {layers::SpatialDropout2D(0.5, {.data_format = "channels_first"}), {8, 4, 3, 5}, {2, 3}},
      {layers::SpatialDropout3D(0.5), {4, 2, 3, 5, 4}, {1, 2, 3}},
      {layers::StochasticDepth(0.5), {32, 3, 5}, {1, 2}},
  };
  for (const Case& each : cases) {
    Shape shape(each.shape.begin(), each.shape.end());
    graph::Module module = step_of(each.layer, shape);
    const Array y = run(module, {all_ones(each.shape), all_ones(each.shape)})[0];
    std::vector<std::int64_t> strides(each.shape.size(), 1);
    for (std::size_t i = each.shape.size() - 1; i-- > 0;) strides[i] = strides[i + 1] * each.shape[i + 1];
    std::int64_t changes = 0;
    for (std::int64_t i = 0; i < y.size(); ++i) {
      std::int64_t first = i;  // of those with the same fate
      for (const std::int64_t axis : each.shared) {
        const auto a = static_cast<std::size_t>(axis);
        first -= i / strides[a] % each.shape[a] * strides[a];
      }
      ASSERT_EQ(y.at(i), y.at(first)) << each.layer.class_name() << i;
      changes += y.at(i) != y.at(0) ? 1 : 0;
    }
    EXPECT_GT(changes, 0) << each.layer.class_name();
  }
}

TEST(Noise, StepsDifferAndSeedsRepeat) {
  const Array x = all_ones({64});
  graph::Module a = step_of(layers::Dropout(0.5, {.seed = 9, .name = "a"}), {Dim(64)});
  graph::Module b = step_of(layers::Dropout(0.5, {.seed = 9, .name = "b"}), {Dim(64)});
  graph::Module c = step_of(layers::Dropout(0.5, {.name = "a"}), {Dim(64)});
  const auto equal = [](const Array& left, const Array& right) {
    for (std::int64_t i = 0; i < left.size(); ++i) {
      if (left.at(i) != right.at(i)) return false;
    }
    return true;
  };
  const Array first = run(a, {x, x})[0];
  const Array second = run(a, {x, x})[0];
  EXPECT_FALSE(equal(first, second));
  EXPECT_TRUE(equal(run(b, {x, x})[0], first));
  EXPECT_TRUE(equal(run(b, {x, x})[0], second));
  EXPECT_FALSE(equal(run(c, {x, x})[0], first));
  const Array& state = a.globals[static_cast<std::size_t>(a.global_named("a/seed_generator_state"))].value;
  EXPECT_EQ(state.int_at(0), 9);
  EXPECT_EQ(state.int_at(1), 2);
  EXPECT_EQ(state.dtype(), DType::u32);
}

// What a sample gets depends on its place in the batch, not on how many are behind it.
TEST(Noise, NumbersDoNotDependOnTheBatch) {
  const auto result = [](std::int64_t batch) {
    graph::Module module = step_of(layers::GaussianNoise(1.0, {.seed = 4}), {Dim::symbol("batch"), Dim(5)});
    return run(module, {all_ones({batch, 5}), all_ones({batch, 5})}, {{"batch", batch}})[0];
  };
  const Array seven = result(7);
  const Array three = result(3);
  for (std::int64_t i = 0; i < three.size(); ++i) EXPECT_EQ(seven.at(i), three.at(i));
}

// Compiled, with layers that draw inside of attention too; one layer called twice draws twice.
TEST(Noise, CompiledSteps) {
  const Tensor x = Input({6, 4});
  const layers::GaussianNoise noise(0.3, {.seed = 5, .name = "noise"});
  Tensor y = noise(noise(x));
  y = layers::MultiHeadAttention(2, 3, {.dropout = 0.4, .name = "heads"})({y, y});
  y = layers::Attention({.dropout = 0.4, .name = "attention"})({y, y});
  y = layers::AlphaDropout(0.2, {.name = "alpha"})(layers::Dropout(0.3, {.name = "drop"})(y));
  const Model model(x, layers::Dense(2)(layers::Flatten()(y)));
  auto module = to_training_module(model, {.optimizer = optimizers::SGD({.learning_rate = 0.1}),
                                           .losses = {losses::MeanSquaredError()},
                                           .targets = {{.shape = {Dim(2)}}}});
  ASSERT_TRUE(module) << module.problem().str();
  const std::vector<Array> inputs = {filled({3, 6, 4}, [](std::int64_t i) { return std::sin(static_cast<double>(i)); }),
                                     all_ones({3, 2})};
  graph::Module interpreted = *module;
  auto compiled = graph::make_callable(*module);
  ASSERT_TRUE(compiled) << compiled.problem().str();
  double last = 0;
  for (int step = 0; step < 3; ++step) {
    const double truth = run(interpreted, inputs, {{"batch", 3}})[0].at(0);
    const auto found = (**compiled)("train_step", inputs);
    ASSERT_TRUE(found) << found.problem().str();
    EXPECT_NEAR((*found)[0].at(0), truth, 1e-5 * std::abs(truth)) << step;
    EXPECT_NE(truth, last);
    last = truth;
  }
  for (const auto& [path, draws] : {std::pair("noise", 6), std::pair("heads", 3), std::pair("attention", 3),
                                    std::pair("alpha", 3), std::pair("drop", 3)}) {
    const auto state = (**compiled).state(std::string(path) + "/seed_generator_state");
    ASSERT_TRUE(state) << state.problem().str();
    EXPECT_EQ(state->int_at(1), draws) << path;
  }
}

}  // namespace
}  // namespace tusk
