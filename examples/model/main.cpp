// A model defined in C++: its table, numbers for two images, and the folder of C++ that computes it without Tusk.
#include <fmt/format.h>

#include "driver/compile.hpp"
#include "driver/package_folder.hpp"
#include "frontend/layers/layers.hpp"
#include "frontend/model/model.hpp"
#include "frontend/model/summary.hpp"
#include "frontend/model/to_module.hpp"

using namespace tusk;

int main(int count, char** arguments) try {
  if (count != 2) {
    fmt::print(stderr, "usage: {} FOLDER\n", arguments[0]);
    return 1;
  }
  Tensor inputs = Input({28, 28, 1});
  Tensor x = layers::Conv2D(32, {3, 3}, {.activation = "relu"})(inputs);
  x = layers::Flatten()(layers::MaxPooling2D()(x));
  Model model(inputs, layers::Dense(10, {.activation = "softmax"})(x), {.name = "mnist"});
  fmt::print("{}", summary(model));

  Array images(DType::f32, {2, 28, 28, 1});  // zeros; images.as_writable<float>() is a span of its numbers
  Array digits = model.predict({images}).front();
  fmt::print("{}\n", digits.at(0));

  Expected<graph::Module> module = to_module(model);
  if (!module) throw Error(module.problem());
  auto files = compile(*module, {.name = "mnist", .source = "main.cpp"});
  if (!files) throw Error(files.problem());
  auto others = write_package(arguments[1], *files);
  if (!others) throw Error(others.problem());
} catch (const Error& error) {
  fmt::print(stderr, "{}", error.what());
  return 1;
}
