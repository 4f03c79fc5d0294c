/* The conversions of tests/lit/mlir/wide.tusk against those of the machine's C, over numbers that round in every way.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void wide(const int64_t* x, const float* f, float* y, int64_t* z) __asm__("kernel.wide");

static int faults;

static int64_t converted(float f) { /* which C leaves open beyond the range */
  return f != f ? 0 : f >= 9223372036854775808.0F ? INT64_MAX : f < -9223372036854775808.0F ? INT64_MIN : (int64_t)f;
}

static void check(int64_t x, float f) {
  const float wanted = (float)x;
  float y;
  int64_t z;
  wide(&x, &f, &y, &z);
  if (memcmp(&y, &wanted, sizeof y) == 0 && z == converted(f)) return;
  if (++faults < 9) printf("FAULT %08lx%08lx\n", (unsigned long)((uint64_t)x >> 32), (unsigned long)(uint32_t)x);
}

int main(void) {
  uint64_t random = 1;
  int bits, k, near;
  check(0, 0.0F);
  check(INT64_MIN, -9223372036854775808.0F);
  check(INT64_MAX, 9223372036854775808.0F);
  for (bits = 1; bits < 64; ++bits) {
    for (k = 0; k < 300; ++k) {
      uint64_t number, half;
      uint32_t word;
      float f;
      random = random * 6364136223846793005U + 1442695040888963407U;
      number = random >> (64 - bits);
      half = bits > 25 ? (uint64_t)1 << (bits - 25) : 1; /* of the last place of a float */
      word = (uint32_t)(random >> 32);
      memcpy(&f, &word, sizeof f);
      check((int64_t)number, f);
      check(-(int64_t)number, (float)(int64_t)number * 1.5F);
      for (near = -1; near <= 1; ++near) check((int64_t)((number & ~(2 * half - 1)) + half + (uint64_t)near), -f);
    }
  }
  printf("%d faults\n", faults);
  return faults != 0;
}
