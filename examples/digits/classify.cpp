// Classifies the digits of test_digits.bin with the emitted model: accuracy, then time for each image.
//
//     classify test_digits.bin
//
// The file holds 200 images of 64 bytes (rows of 8x8 pixels, 0 to 16), then 200 labels of one byte.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <vector>

#include "digits.hpp"

namespace {

constexpr std::int64_t kDigits = 200, kPixels = 64, kClasses = 10;

digits::Arena arena;  // all the memory that the model works in

/// Probabilities of the classes for all images, `batch` images in each call; false if a call refused.
bool predict_all(const std::vector<float>& images, std::int64_t batch, std::vector<float>& probabilities) {
  for (std::int64_t i = 0; i < kDigits; i += batch) {
    const std::int64_t count = std::min(batch, kDigits - i);
    const digits::Predict io{images.data() + i * kPixels, probabilities.data() + i * kClasses};
    if (digits::predict(arena, digits::weights(), count, io) != digits::Status::ok) return false;
  }
  return true;
}

/// Microseconds for one image, the best of some rounds over all of them.
double time_per_image(const std::vector<float>& images, std::int64_t batch, std::vector<float>& probabilities) {
  using Clock = std::chrono::steady_clock;
  double best = 1e9;
  for (int round = 0; round < 50; ++round) {
    const Clock::time_point start = Clock::now();
    predict_all(images, batch, probabilities);
    const std::chrono::duration<double, std::micro> took = Clock::now() - start;
    best = std::min(best, took.count() / kDigits);
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<char> bytes(kDigits * (kPixels + 1));
  if (argc != 2 || !std::ifstream(argv[1], std::ios::binary).read(bytes.data(), kDigits * (kPixels + 1))) {
    std::fprintf(stderr, "usage: classify test_digits.bin\n");
    return 1;
  }
  const std::vector<float> images(bytes.begin(), bytes.begin() + kDigits * kPixels);
  std::vector<float> probabilities(kDigits * kClasses);

  if (digits::self_test(arena) != digits::Status::ok || !predict_all(images, digits::max_batch, probabilities)) {
    std::fprintf(stderr, "the model refused\n");
    return 1;
  }
  int right = 0;
  for (std::int64_t i = 0; i < kDigits; ++i) {
    const float* row = probabilities.data() + i * kClasses;
    right += std::max_element(row, row + kClasses) - row == bytes[static_cast<std::size_t>(kDigits * kPixels + i)];
  }
  std::printf("accuracy %.4f (%d of %d)\n", right / static_cast<double>(kDigits), right, static_cast<int>(kDigits));
  for (const std::int64_t batch : {std::int64_t{1}, std::int64_t{digits::max_batch}}) {
    std::printf("batch %2d: %.2f us for each image, one thread\n", static_cast<int>(batch),
                time_per_image(images, batch, probabilities));
  }
  return right >= 190 ? 0 : 1;
}
