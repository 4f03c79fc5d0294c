/* Calls the object of examples/digits by its C interface, and prints the bits of what it gives, and what it refuses. */
#include <stdio.h>
#include <string.h>

#include "digits.h"

static unsigned char memory[DIGITS_ARENA_BYTES + 64];
static float image[2 * 64], digit[2 * 10];

int main(void) {
  unsigned char* arena = digits_align(memory);
  const digits_weights own = digits_embedded_weights();
  digits_weights other = own;
  digits_predict_io io;
  int i;
  io.image = image;
  io.digit = digit;
  for (i = 0; i < 2 * 64; ++i) image[i] = (float)(i * i % 17) / 16;
  if (digits_arena_bytes() != DIGITS_ARENA_BYTES || digits_predict(arena, NULL, 2, &io) != digits_ok) return 1;
  for (i = 0; i < 2 * 10; ++i) {
    uint32_t bits;
    memcpy(&bits, &digit[i], sizeof bits);
    printf("%08lx\n", (unsigned long)bits);
    digit[i] = 0;
  }
  printf("own weights: %d, ", digits_predict(arena, &own, 2, &io));
  printf("%s\n", digit[0] > 0 ? "computed" : "not computed");
  other.size -= 64;
  printf("less of them: %d\n", digits_predict(arena, &other, 2, &io));
  printf("batch of 0: %d, of 2^32 + 1: %d\n", digits_predict(arena, NULL, 0, &io),
         digits_predict(arena, NULL, 0x100000001, &io));
  printf("no arena: %d, a crooked one: %d\n", digits_predict(NULL, NULL, 2, &io),
         digits_predict(arena + 8, NULL, 2, &io));
  io.digit = NULL;
  printf("no output: %d\n", digits_predict(arena, NULL, 2, &io));
  return 0;
}
