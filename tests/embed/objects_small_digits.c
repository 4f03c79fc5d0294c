/* Trains the object of examples/train_on_device by its C interface, and prints the bits of losses and variables. */
#include <stdio.h>
#include <string.h>

#include "small_digits.h"

enum { kBatch = 20, kVariables = 64 };

static unsigned char arena_memory[SMALL_DIGITS_ARENA_BYTES + 64], state_memory[SMALL_DIGITS_STATE_BYTES + 64];
static float image[kBatch * 64];
static int32_t label[kBatch];
static uint32_t variable[SMALL_DIGITS_STATE_BYTES / 4];

static void print_bits(const char* what, float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  printf("%s %08lx\n", what, (unsigned long)bits);
}

int main(void) {
  unsigned char* arena = small_digits_align(arena_memory);
  unsigned char* state = small_digits_align(state_memory);
  small_digits_train_step_io io;
  small_digits_metrics_io metrics;
  float loss, accuracy;
  int i, k;
  io.image = image;
  io.y_digit = label;
  io.loss = &loss;
  metrics.loss = &loss;
  metrics.accuracy = &accuracy;
  for (i = 0; i < kBatch; ++i) {
    label[i] = i % 10;
    for (k = 0; k < 64; ++k) image[i * 64 + k] = (float)((k * (label[i] + 3) + i) % 17);
  }
  printf("before init: %d\n", small_digits_train_step(arena, state, kBatch, &io));
  if (small_digits_init(state) != small_digits_ok || small_digits_state_bytes() != SMALL_DIGITS_STATE_BYTES) return 1;
  for (i = 0; i < 6; ++i) {
    if (i == 4 && small_digits_set_learning_rate(state, 0.02F) != small_digits_ok) return 1;
    if (small_digits_train_step(arena, state, kBatch, &io) != small_digits_ok) return 1;
    print_bits("loss", loss);
  }
  if (small_digits_metrics(arena, state, &metrics) != small_digits_ok) return 1;
  print_bits("mean", loss);
  print_bits("accuracy", accuracy);
  for (i = 0; i < kVariables; ++i) {
    memset(variable, 0, sizeof variable);
    if (small_digits_read(state, i, variable) != small_digits_ok) break;
    printf("variable %d: %08lx, written back: %d\n", i, (unsigned long)variable[0],
           small_digits_write(state, i, variable));
  }
  printf("of variable %d: %d, of -1: %d\n", i, small_digits_read(state, i, variable),
         small_digits_write(state, -1, variable));
  printf("crooked state: %d, no state: %d\n", small_digits_init(state + 8), small_digits_init(NULL));
  return 0;
}
