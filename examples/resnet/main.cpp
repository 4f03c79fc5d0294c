// A graph that is no chain: a small residual network, trained on 1,000 pictures of CIFAR-10.
//
//     resnet FILE    a file of the binary version of CIFAR-10: data_batch_1.bin
#include "frontend/tusk.hpp"

#include <fmt/format.h>

using namespace tusk;

int main(int count, char** arguments) try {
  auto inputs = Input({32, 32, 3}, {.name = "img"});
  auto x = layers::Conv2D(32, 3, {.activation = "relu"})(inputs);
  x = layers::Conv2D(64, 3, {.activation = "relu"})(x);
  auto block_1_output = layers::MaxPooling2D(3)(x);

  x = layers::Conv2D(64, 3, {.padding = "same", .activation = "relu"})(block_1_output);
  x = layers::Conv2D(64, 3, {.padding = "same", .activation = "relu"})(x);
  auto block_2_output = layers::add({x, block_1_output});

  x = layers::Conv2D(64, 3, {.padding = "same", .activation = "relu"})(block_2_output);
  x = layers::Conv2D(64, 3, {.padding = "same", .activation = "relu"})(x);
  auto block_3_output = layers::add({x, block_2_output});

  x = layers::Conv2D(64, 3, {.activation = "relu"})(block_3_output);
  x = layers::GlobalAveragePooling2D()(x);
  x = layers::Dense(256, {.activation = "relu"})(x);
  x = layers::Dropout(0.5)(x);
  auto outputs = layers::Dense(10)(x);
  Model model(inputs, outputs, {.name = "toy_resnet"});
  model.summary();
  utils::plot_model(model, "mini_resnet.dot", {.show_shapes = true});

  auto train = datasets::cifar10::load_batch(count > 1 ? arguments[1] : "data_batch_1.bin");
  auto x_train = cast(train.x, DType::f32) / 255;
  auto y_train = to_categorical(train.y, 10);

  model.compile({.optimizer = optimizers::RMSprop(1e-3),
                 .loss = losses::CategoricalCrossentropy({.from_logits = true}),
                 .metrics = {"acc"}});
  // The first 1,000 pictures only, once: the guide, too, only shows that it trains.
  model.fit(slice(x_train, 0, 1000), slice(y_train, 0, 1000),
            {.batch_size = 64, .epochs = 1, .verbose = 2, .validation_split = 0.2});
} catch (const Error& error) {
  fmt::print(stderr, "{}", error.what());
  return 1;
}
