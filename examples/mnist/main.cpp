// The first chapter of Keras' guide to the functional API: a model of handwritten digits is built, trained, evaluated,
// saved, loaded and trained on. https://keras.io/guides/functional_api/
//
//     mnist FOLDER    where the four files of MNIST, or mnist.npz, lie
#include <fmt/format.h>

#include "frontend/tusk.hpp"

using namespace tusk;

int main(int count, char** arguments) try {
  auto inputs = Input({784});
  auto dense = layers::Dense(64, {.activation = "relu"});
  auto x = dense(inputs);
  x = layers::Dense(64, {.activation = "relu"})(x);
  auto outputs = layers::Dense(10)(x);
  Model model(inputs, outputs, {.name = "mnist_model"});
  model.summary();
  utils::plot_model(model, "my_first_model.dot");  // .png, .svg and .pdf, too, where Graphviz is installed
  utils::plot_model(model, "my_first_model_with_shape_info.dot", {.show_shapes = true});

  auto [train, test] = datasets::mnist::load_data({.folder = count > 1 ? arguments[1] : ""});
  auto x_train = cast(reshape(train.x, {60000, 784}), DType::f32) / 255;
  auto x_test = cast(reshape(test.x, {10000, 784}), DType::f32) / 255;

  model.compile({.optimizer = optimizers::RMSprop(),
                 .loss = losses::SparseCategoricalCrossentropy({.from_logits = true}),
                 .metrics = {"accuracy"}});
  auto history = model.fit(x_train, train.y, {.batch_size = 64, .epochs = 2, .validation_split = 0.2});
  auto test_scores = model.evaluate(x_test, test.y, {.verbose = 2});
  fmt::print("Test loss: {}\nTest accuracy: {}\n", test_scores[0], test_scores[1]);
  std::fflush(stdout);

  model.save("my_model.keras");
  model = load_model("my_model.keras");  // compiled, and with what the optimizer had: training goes on
  model.fit(x_train, train.y, {.batch_size = 64, .validation_split = 0.2});
} catch (const Error& error) {
  fmt::print(stderr, "{}", error.what());
  return 1;
}
