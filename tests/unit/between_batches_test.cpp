// What callbacks may do with the model between two batches of fit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "frontend/layers/layers.hpp"
#include "frontend/model/model.hpp"
#include "frontend/training/fit.hpp"
#include "frontend/training/losses.hpp"
#include "frontend/training/optimizers.hpp"
#include "ir/base/compare.hpp"
#include "tests/unit/error_of.hpp"

namespace tusk {
namespace {

using testing::HasSubstr;

Array counting(DType type, std::vector<std::int64_t> shape) {
  Array array(type, std::move(shape));
  for (std::int64_t i = 0; i < array.size(); ++i) array.set(i, static_cast<double>(i * 5 % 7) / 4);
  return array;
}

Model compiled_model() {
  clear_session();
  const Tensor x = Input({3}, {.name = "x"});
  Model model(x, layers::Dense(1, {.kernel_initializer = "ones"})(x), {.name = "m"});
  model.compile({.optimizer = optimizers::SGD({.learning_rate = 0.01}), .loss = losses::MeanSquaredError()});
  return model;
}

using Step = std::function<void(const Model&)>;

std::vector<Array> trained(const Data& y, const Data& weights, const Step& between) {
  const Model model = compiled_model();
  const callbacks::LambdaCallback callback({.on_train_batch_end = [&](std::int64_t, Logs&) { between(model); }});
  model.fit(counting(DType::f32, {20, 3}), y,
            {.batch_size = 8, .epochs = 2, .verbose = 0, .callbacks = {callback}, .sample_weight = weights});
  return model.get_weights();
}

void expect_same(const std::vector<Array>& a, const std::vector<Array>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t k = 0; k < a.size(); ++k) EXPECT_EQ(bit_difference(a[k], b[k]), "");
}

TEST(BetweenBatches, EvaluationDoesNotDisturbTraining) {
  const Array x = counting(DType::f32, {20, 3});
  const Array floats = counting(DType::f32, {20, 1});
  const Array integers(DType::u8, {20, 1});
  const Step nothing = [](const Model&) {};
  const Step evaluates = [&](const Model& model) { model.evaluate(x, floats, {.verbose = 0}); };
  const Step of_integers = [&](const Model& model) { model.evaluate(x, integers, {.verbose = 0}); };
  const Step predicts = [&](const Model& model) { model.predict(x, {.batch_size = 20, .verbose = 0}); };
  for (const Step& step : {evaluates, of_integers, predicts}) {
    expect_same(trained(floats, {}, nothing), trained(floats, {}, step));
    expect_same(trained(floats, counting(DType::f32, {20}), nothing),
                trained(floats, counting(DType::f32, {20}), step));
  }
}

TEST(BetweenBatches, CompileIsRefused) {
  const Step compiles = [](const Model& model) { model.compile({.loss = losses::MeanSquaredError()}); };
  EXPECT_THAT(error_of([&] {
                trained(counting(DType::f32, {20, 1}), {}, compiles);
              }),
              HasSubstr("m: compile() was called while fit() ran [fit-compile]"));
}

TEST(BetweenBatches, ABatchMayBeLargerThanTheData) {
  const Array x = counting(DType::f32, {20, 3});
  const Array y = counting(DType::f32, {20, 1});
  const auto weights = [&](std::int64_t batch) {
    const Model model = compiled_model();
    model.fit(x, y, {.batch_size = batch, .epochs = 2, .verbose = 0, .shuffle = false});
    model.evaluate(x, y, {.batch_size = batch, .verbose = 0});
    model.predict(x, {.batch_size = batch, .verbose = 0});
    return model.get_weights();
  };
  for (const std::int64_t batch : {std::int64_t{1'000'000'000}, std::int64_t{1} << 31, std::int64_t{1} << 62})
    expect_same(weights(20), weights(batch));
}

}  // namespace
}  // namespace tusk
