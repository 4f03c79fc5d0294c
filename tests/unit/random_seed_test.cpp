// utils::set_random_seed: another seed is another training, the same seed the same one.
#include "frontend/model/random_seed.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "frontend/layers/core.hpp"
#include "frontend/training/fit.hpp"

namespace tusk {
namespace {

class RandomSeed : public testing::Test {
 protected:
  void TearDown() override { utils::set_random_seed(0); }
};

std::vector<float> kernel_of(const Model& model) {
  const Array kernel = model.get_weights().front();
  return {kernel.as<float>().begin(), kernel.as<float>().end()};
}

Model model_with_seed(std::uint64_t seed) {
  utils::set_random_seed(seed);
  const Tensor x = Input({3}, {.name = "x"});
  return Model(x, layers::Dense(2, {.name = "a"})(x), {.name = "m"});
}

TEST_F(RandomSeed, DecidesInitialWeights) {
  const std::vector<float> first = kernel_of(model_with_seed(1));
  EXPECT_THAT(kernel_of(model_with_seed(2)), testing::Each(testing::Not(testing::AnyOfArray(first))));
  EXPECT_EQ(kernel_of(model_with_seed(1)), first);
}

// From equal weights, by batches of one row: what comes out depends on the order of the rows.
TEST_F(RandomSeed, DecidesTheOrderOfSamples) {
  Array x(DType::f32, {4, 3});
  for (std::int64_t i = 0; i < x.size(); ++i) x.set(i, static_cast<double>(i % 5));
  Array y(DType::f32, {4, 2});
  for (std::int64_t i = 0; i < y.size(); ++i) y.set(i, static_cast<double>(i % 3));
  const std::vector<Array> weights = model_with_seed(0).get_weights();
  const auto trained = [&](std::uint64_t seed) {
    const Model model = model_with_seed(seed);
    model.set_weights(weights);
    model.compile({.loss = "mse"});
    model.fit(x, y, {.batch_size = 1, .verbose = 0});
    return kernel_of(model);
  };
  const std::vector<float> first = trained(1);
  EXPECT_NE(trained(2), first);
  EXPECT_EQ(trained(1), first);
}

}  // namespace
}  // namespace tusk
