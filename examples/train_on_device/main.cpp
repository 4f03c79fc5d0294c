// Trains a small classifier of digits where there is no heap, no exceptions and no operating system: all memory is
// static, and what does not fit is told by the linker. Each number is printed with its bits, which are those of every
// other machine.
#include <cstdint>
#include <cstring>

#include "board.hpp"
#include "digits_data.hpp"
#include "small_digits.hpp"

namespace {

constexpr int kBatch = 20, kPixels = 64;
constexpr int kTrained = 160, kDigitsInAll = 200;  // the last 40 are for the test
constexpr int kEpochs = 12;

small_digits::State state;  // weights, learning rate, metrics
small_digits::Arena arena;  // all that a step works in
unsigned char flash[sizeof state.bytes];

void check(small_digits::Status status, const char* what) {
  if (status == small_digits::Status::ok) return;
  print(what);
  print(" failed\n");
  end(1);
}

// ---- numbers as text

void print_whole(std::uint32_t number) {
  char text[11];
  char* at = text + sizeof text;
  *--at = '\0';
  do {
    *--at = static_cast<char>('0' + number % 10);
  } while ((number /= 10) != 0);
  print(at);
}

// 0.1234 (3dfcb924)
void print_float(float number) {
  const auto parts = static_cast<std::uint32_t>(number * 10000);
  print_whole(parts / 10000);
  char text[17] = ".0000 (00000000)";
  for (std::uint32_t i = 4, rest = parts % 10000; i > 0; --i, rest /= 10) text[i] = static_cast<char>('0' + rest % 10);
  std::uint32_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  for (int i = 14; i > 6; --i, bits /= 16) text[i] = "0123456789abcdef"[bits % 16];
  print(text);
}

// ---- training

// The batch of digits that begins at `first`, as the model takes it.
struct Batch {
  explicit Batch(int first) {
    for (int n = 0; n < kBatch; ++n) {
      labels[n] = kDigits[first + n].label;
      for (int i = 0; i < kPixels; ++i)
        images[n * kPixels + i] = static_cast<float>(kDigits[first + n].pixels[i] - 'A');
    }
  }
  float images[kBatch * kPixels];
  std::int32_t labels[kBatch];
};

// What the steps since the last call have counted.
void print_metrics() {
  float loss, accuracy;
  check(small_digits::metrics(arena, state, {&loss, &accuracy}), "metrics");
  check(small_digits::reset_metrics(arena, state), "reset_metrics");
  print("loss ");
  print_float(loss);
  print(", accuracy ");
  print_float(accuracy);
  print("\n");
}

void train_epoch() {
  for (int first = 0; first < kTrained; first += kBatch) {
    const Batch batch(first);
    float loss;
    check(small_digits::train_step(arena, state, kBatch, {batch.images, batch.labels, &loss}), "train_step");
  }
}

}  // namespace

int main() {
  check(small_digits::self_test(arena, state), "self_test");
  print("self test passed\nbytes: state ");
  print_whole(sizeof state);
  print(", arena ");
  print_whole(sizeof arena);
  print("\n");

  small_digits::init(state);
  for (int epoch = 1; epoch <= kEpochs; ++epoch) {
    if (epoch == 9) check(small_digits::set_learning_rate(state, 0.02F), "set_learning_rate");
    train_epoch();
    print("epoch ");
    print_whole(static_cast<std::uint32_t>(epoch));
    print(": ");
    print_metrics();
  }

  // The bytes are all that a training is: stored, and loaded again, it goes on as if nothing had been.
  std::memcpy(flash, state.bytes, sizeof flash);
  train_epoch();
  print("one more: ");
  print_metrics();
  std::memcpy(state.bytes, flash, sizeof flash);
  train_epoch();
  print("restored, one more: ");
  print_metrics();

  for (int first = kTrained; first < kDigitsInAll; first += kBatch) {
    const Batch batch(first);
    float loss;
    check(small_digits::evaluate(arena, state, kBatch, {batch.images, batch.labels, &loss}), "evaluate");
  }
  print("digits that it never saw: ");
  print_metrics();
  return 0;
}
