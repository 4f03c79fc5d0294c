// The guide's MNIST model as a user meets it: `compile`, then `fit` of two epochs of 750 steps. bench_fit FOLDER, where
// MNIST lies, prints the seconds until the first step has ended, and until `fit` has. TUSK_CACHE names the cache.
#include <fmt/format.h>

#include <chrono>

#include "frontend/tusk.hpp"

using namespace tusk;

int main(int count, char** arguments) try {
  const Tensor inputs = Input({784});
  Tensor x = layers::Dense(64, {.activation = "relu"})(inputs);
  x = layers::Dense(64, {.activation = "relu"})(x);
  Model model(inputs, layers::Dense(10)(x), {.name = "mnist_model"});
  const auto [train, test] = datasets::mnist::load_data({.folder = count > 1 ? arguments[1] : ""});
  const Array images = cast(reshape(train.x, {60000, 784}), DType::f32) / 255;
  model.compile({.optimizer = optimizers::RMSprop(),
                 .loss = losses::SparseCategoricalCrossentropy({.from_logits = true}),
                 .metrics = {"accuracy"}});
  const auto begin = std::chrono::steady_clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); };
  double first = 0;
  const callbacks::LambdaCallback clock({.on_train_batch_end = [&](std::int64_t, Logs&) {
    if (first == 0) first = seconds();
  }});
  model.fit(images, train.y,
            {.batch_size = 64, .epochs = 2, .verbose = 0, .callbacks = {clock}, .validation_split = 0.2});
  fmt::print("{:.3f} {:.3f}\n", first, seconds());
} catch (const Error& error) {
  fmt::print(stderr, "{}", error.what());
  return 1;
}
