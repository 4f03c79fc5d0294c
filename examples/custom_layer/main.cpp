// A layer of one's own, in a model that is written down as JSON and made again from it.
#include "frontend/tusk.hpp"

#include <fmt/format.h>

using namespace tusk;

struct CustomDenseImpl : LayerBase {
  struct Config {
    std::int64_t units = 32;
    std::string name = {};
  } config;
  static constexpr std::tuple positional{&Config::units};
  static void fields(auto& f, Config& c) { f("units", c.units); }  // get_config, and the way back

  void build(const Shape& input_shape) override {
    w = add_weight("w", {input_shape.back(), config.units}, {.initializer = "random_normal"});
    b = add_weight("b", {config.units}, {.initializer = "random_normal"});
  }
  Tensor call(Tensor inputs, const Call&) override { return ops::matmul(inputs, w) + b; }

  Variable w, b;
};
using CustomDense = LayerOf<CustomDenseImpl>;

int main() try {
  register_layer<CustomDense>();  // from here on, texts and files may name it

  auto inputs = Input({4});
  auto outputs = CustomDense(10)(inputs);
  Model model(inputs, outputs);
  fmt::print("{}\n", get_config(model.get_layer("custom_dense")));

  auto new_model = model_from_json(to_json(model));
  new_model.set_weights(model.get_weights());
  new_model.summary();

  auto x = Array::splat(DType::f32, {1, 4}, 1);
  fmt::print("{:.6f}, and the new one {:.6f}\n", model.predict(x, {.verbose = 0})[0].at(0),
             new_model.predict(x, {.verbose = 0})[0].at(0));
} catch (const Error& error) {
  fmt::print(stderr, "{}", error.what());
  return 1;
}
