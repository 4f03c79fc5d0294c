// Uses the model as an application would: a blank image in, ten probabilities out, and refusals as values.
#include <cmath>
#include <cstdio>

#include "digits.hpp"

static digits::Arena arena;

int main() {
  const float image[64] = {};
  float digit[10] = {};
  const digits::Predict io{image, digit};
  if (digits::predict(arena, digits::weights(), 1, io) != digits::Status::ok) return std::puts("predict refused"), 1;
  float sum = 0;
  for (const float probability : digit) sum += probability;
  if (!(std::fabs(sum - 1) < 1e-5f)) return std::printf("probabilities sum to %g\n", static_cast<double>(sum)), 1;

  static_assert(digits::max_batch == 4, "DIMS batch=1..4");
  if (digits::predict(arena, digits::weights(), 5, io) != digits::Status::bad_batch) return std::puts("batch 5"), 1;
  if (digits::predict(arena, digits::weights(), 1, {image, nullptr}) != digits::Status::null_pointer) {
    return std::puts("null pointer"), 1;
  }
  std::puts("ok");
  return 0;
}
