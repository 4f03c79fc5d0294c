// SpectralNormalization in training, where tests/parity has no recording: kernels of one singular value, of zeros, and
// where its states lie.
#include <gtest/gtest.h>

#include <cmath>

#include "frontend/layers/layers.hpp"
#include "frontend/training/losses.hpp"
#include "frontend/training/optimizers.hpp"
#include "frontend/training/train_step.hpp"
#include "ir/graph/interpret.hpp"

namespace tusk {
namespace {

Array value_of(const graph::Module& module, const char* path) {
  const int global = module.global_named(path);
  EXPECT_GE(global, 0) << path;
  return module.globals[static_cast<std::size_t>(global)].value;
}

layers::SpectralNormalization around(const Layer& layer, std::int64_t power_iterations = 1) {
  layers::SpectralNormalization::Config config;
  config.power_iterations = power_iterations;
  config.name = "normal";
  return {layer, config};
}

// A step at a rate of 0: what it assigns is what the layer computed with.
graph::Module stepped(const layers::SpectralNormalization& layer, const Tensor& x, const std::vector<Array>& inputs) {
  const Model model(x, layers::Flatten()(layer(x)));
  graph::Module module = value_or_throw(
      to_training_module(model, {.optimizer = optimizers::SGD({.learning_rate = 0}),
                                 .losses = {losses::MeanSquaredError()},
                                 .targets = {{.shape = {inputs[1].shape().begin() + 1, inputs[1].shape().end()}}}}));
  const graph::Function& function = module.functions.front();
  const auto results = value_or_throw(graph::interpret(module, function, inputs, {{"batch", inputs[0].shape()[0]}}));
  for (std::size_t i = 0; i < function.updates.size(); ++i) {
    graph::Global& global = module.globals[static_cast<std::size_t>(function.updates[i].global)];
    global.value = results[function.results.size() + i].converted(global.type.dtype);
  }
  EXPECT_TRUE(std::isfinite(results[0].at(0)));
  return module;
}

TEST(SpectralNormalization, OfOneSingularValueIsExact) {
  const layers::SpectralNormalization layer = around(layers::Dense(2, {.name = "dense"}));
  const Tensor x = Input({3});
  (void)layer(x);
  Array kernel(DType::f32, {3, 2});
  for (std::int64_t i = 0; i < 6; ++i) kernel.set(i, static_cast<double>(i / 2 + 1) * (i % 2 == 0 ? 3 : -4));
  layer.weights()[0].assign(kernel);
  Array target(DType::f32, {1, 2});
  const graph::Module module = stepped(layer, x, {Array::splat(DType::f32, {1, 3}, 1), target});
  const double length = std::sqrt(14.0) * 5;
  for (std::int64_t i = 0; i < 6; ++i)
    EXPECT_NEAR(value_of(module, "normal/dense/kernel").at(i), kernel.at(i) / length, 1e-7) << i;
  const Array u = value_of(module, "normal/vector_u");
  EXPECT_NEAR(std::abs(u.at(0)), 0.6, 1e-7);
  EXPECT_NEAR(std::abs(u.at(1)), 0.8, 1e-7);
}

TEST(SpectralNormalization, LeavesAKernelOfZeros) {
  const layers::SpectralNormalization layer =
      around(layers::Dense(2, {.kernel_initializer = "zeros", .name = "dense"}), 2);
  const Tensor x = Input({3});
  (void)layer(x);
  const Array u = layer.weights()[1].value();
  Array target(DType::f32, {1, 2});
  const graph::Module module = stepped(layer, x, {Array::splat(DType::f32, {1, 3}, 1), target});
  for (std::int64_t i = 0; i < 6; ++i) EXPECT_EQ(value_of(module, "normal/dense/kernel").at(i), 0);
  for (std::int64_t i = 0; i < 2; ++i) EXPECT_EQ(value_of(module, "normal/vector_u").at(i), u.at(i));
}

TEST(SpectralNormalization, OfAnEmbedding) {
  const layers::SpectralNormalization layer = around(layers::Embedding(4, 2, {.name = "table"}), 300);
  const Tensor x = Input({3}, {.dtype = "int32"});
  (void)layer(x);
  Array target(DType::f32, {1, 6});
  const graph::Module module = stepped(layer, x, {Array::splat(DType::i32, {1, 3}, 1), target});
  // The largest eigenvalue of the 2 x 2 matrix of products is 1.
  const Array table = value_of(module, "normal/table/embeddings");
  double a = 0, b = 0, c = 0;
  for (std::int64_t row = 0; row < 4; ++row) {
    a += table.at(2 * row) * table.at(2 * row);
    b += table.at(2 * row) * table.at(2 * row + 1);
    c += table.at(2 * row + 1) * table.at(2 * row + 1);
  }
  EXPECT_NEAR((a + c + std::sqrt((a - c) * (a - c) + 4 * b * b)) / 2, 1, 1e-4);
}

}  // namespace
}  // namespace tusk
