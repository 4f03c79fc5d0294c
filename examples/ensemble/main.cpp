// Models in a model: the average of three.
#include "frontend/tusk.hpp"

#include <fmt/format.h>

using namespace tusk;

Model get_model() {
  auto inputs = Input({128});
  auto outputs = layers::Dense(1)(inputs);
  return Model(inputs, outputs);
}

int main() try {
  auto model1 = get_model();
  auto model2 = get_model();
  auto model3 = get_model();

  auto inputs = Input({128});
  auto y1 = model1(inputs);
  auto y2 = model2(inputs);
  auto y3 = model3(inputs);
  auto outputs = layers::average({y1, y2, y3});
  Model ensemble_model(inputs, outputs);
  ensemble_model.summary({.expand_nested = true});

  auto x = Array::splat(DType::f32, {1, 128}, 1);
  double sum = 0;
  for (auto& model : {model1, model2, model3}) sum += model.predict(x, {.verbose = 0})[0].at(0);
  fmt::print("ensemble {:.6f}, mean of three {:.6f}\n", ensemble_model.predict(x, {.verbose = 0})[0].at(0), sum / 3);
} catch (const Error& error) {
  fmt::print(stderr, "{}", error.what());
  return 1;
}
