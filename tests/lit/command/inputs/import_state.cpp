// Trains a few steps as a device would and stores the bytes of its State.
#include <cstdio>
#include <cstdlib>

#include "net.hpp"

int main(int, char** argv) {
  static net::State state;
  net::init(state);
  static const float x[2][5] = {{0.5f, -1, 2, 0.25f, 1}, {1, 0, -0.5f, 3, -2}};
  static const float y[2][4] = {{1, 0, -1, 2}, {0.5f, 2, 0, -3}};
  static net::Arena arena;
  for (int step = std::atoi(argv[2]); step > 0; --step) {
    float loss;
    if (net::train_step(arena, state, 2, {&x[0][0], &y[0][0], &loss}) != net::Status::ok) return 1;
  }
  if (net::reset_metrics(arena, state) != net::Status::ok) return 2;
  std::FILE* file = std::fopen(argv[1], "wb");
  if (file == nullptr || std::fwrite(state.bytes, 1, sizeof state.bytes, file) != sizeof state.bytes) return 3;
  return std::fclose(file);
}
