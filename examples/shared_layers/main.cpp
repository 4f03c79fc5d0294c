// One layer called on two inputs: both are read with the same weights.
#include "frontend/tusk.hpp"

#include <fmt/format.h>

using namespace tusk;

int main() try {
  // 1000 unique words mapped to 128-dimensional vectors.
  auto shared_embedding = layers::Embedding(1000, 128);
  auto text_input_a = Input({None}, {.dtype = "int32"});
  auto text_input_b = Input({None}, {.dtype = "int32"});
  auto encoded_input_a = shared_embedding(text_input_a);
  auto encoded_input_b = shared_embedding(text_input_b);

  Model model({text_input_a, text_input_b}, {encoded_input_a, encoded_input_b});
  model.summary();
  auto word = Array::splat(DType::i32, {1, 1}, 7);
  auto words = Array::splat(DType::i32, {1, 3}, 7);
  auto encoded = model.predict({word, words}, {.verbose = 0});
  fmt::print("the word 7 begins with {:.6f} on one side, {:.6f} on the other\n", encoded[0].at(0), encoded[1].at(0));
} catch (const Error& error) {
  fmt::print(stderr, "{}", error.what());
  return 1;
}
