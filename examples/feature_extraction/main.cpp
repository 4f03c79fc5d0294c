// The values inside of a model as the outputs of another: what each layer makes of a picture.
#include "frontend/tusk.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

using namespace tusk;

int main() try {
  auto img = Input({32, 32, 3}, {.name = "img"});
  auto x = layers::Conv2D(8, 3, {.padding = "same", .activation = "relu", .name = "block1_conv"})(img);
  x = layers::MaxPooling2D(2, {.name = "block1_pool"})(x);
  x = layers::Conv2D(16, 3, {.padding = "same", .activation = "relu", .name = "block2_conv"})(x);
  x = layers::MaxPooling2D(2, {.name = "block2_pool"})(x);
  x = layers::Flatten({.name = "flatten"})(x);
  Model vgg(img, layers::Dense(10, {.name = "predictions"})(x), {.name = "small_vgg"});

  std::vector<Tensor> features_list;
  for (auto& layer : vgg.layers()) features_list.push_back(layer.output());
  Model feat_extraction_model(vgg.inputs(), features_list);

  auto picture = Array::splat(DType::f32, {1, 32, 32, 3}, 0.5);
  auto extracted_features = feat_extraction_model.predict(picture, {.verbose = 0});
  for (std::size_t i = 0; i < extracted_features.size(); ++i)
    fmt::print("{}: {}\n", vgg.layers()[i].name(), extracted_features[i].shape());
} catch (const Error& error) {
  fmt::print(stderr, "{}", error.what());
  return 1;
}
