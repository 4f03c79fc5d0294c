// Models that share layers, and models called like layers: an encoder, a decoder, and the autoencoder made of both.
#include "frontend/tusk.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

using namespace tusk;

int main() try {
  auto encoder_input = Input({28, 28, 1}, {.name = "img"});
  auto x = layers::Conv2D(16, 3, {.activation = "relu"})(encoder_input);
  x = layers::Conv2D(32, 3, {.activation = "relu"})(x);
  x = layers::MaxPooling2D(3)(x);
  x = layers::Conv2D(32, 3, {.activation = "relu"})(x);
  x = layers::Conv2D(16, 3, {.activation = "relu"})(x);
  auto encoder_output = layers::GlobalMaxPooling2D()(x);
  Model encoder(encoder_input, encoder_output, {.name = "encoder"});
  encoder.summary();

  auto decoder_input = Input({16}, {.name = "encoded_img"});
  x = layers::Reshape({4, 4, 1})(decoder_input);
  x = layers::Conv2DTranspose(16, 3, {.activation = "relu"})(x);
  x = layers::Conv2DTranspose(32, 3, {.activation = "relu"})(x);
  x = layers::UpSampling2D(3)(x);
  x = layers::Conv2DTranspose(16, 3, {.activation = "relu"})(x);
  auto decoder_output = layers::Conv2DTranspose(1, 3, {.activation = "relu"})(x);
  Model decoder(decoder_input, decoder_output, {.name = "decoder"});
  decoder.summary();

  auto autoencoder_input = Input({28, 28, 1}, {.name = "img"});
  auto encoded_img = encoder(autoencoder_input);
  auto decoded_img = decoder(encoded_img);
  Model autoencoder(autoencoder_input, decoded_img, {.name = "autoencoder"});
  autoencoder.summary();

  // Its weights are those of the encoder and the decoder: what it learns, they have learned.
  auto images = Array::splat(DType::f32, {8, 28, 28, 1}, 0.5);
  autoencoder.compile({.optimizer = "adam", .loss = "mse"});
  auto history = autoencoder.fit(images, images, {.epochs = 20, .verbose = 0});
  fmt::print("loss {:.4f}, after 20 epochs {:.4f}\n", history["loss"].front(), history["loss"].back());
  auto by_parts = decoder.predict(encoder.predict(images, {.verbose = 0}), {.verbose = 0});
  auto at_once = autoencoder.predict(images, {.verbose = 0});
  fmt::print("the parts give the same: {}, {}\n", by_parts[0].at(0) == at_once[0].at(0), at_once[0].shape());
} catch (const Error& error) {
  fmt::print(stderr, "{}", error.what());
  return 1;
}
