/* GFLOP/s of fp32 FMA on one core: twelve independent chains, the better of vectors of 256 and of 512 bits. */
#include <stdio.h>
#include <time.h>

enum { chains = 12, steps = 20000, runs = 400 };

#define MEASURE(name, bytes)                                                                                     \
  static double name(void) {                                                                                     \
    typedef float lanes __attribute__((vector_size(bytes)));                                                     \
    double best = 0;                                                                                             \
    volatile float sink = 1;                                                                                     \
    for (int run = 0; run < runs; ++run) {                                                                       \
      lanes sums[chains];                                                                                        \
      const lanes x = (lanes){0} + sink * 0.999f, y = (lanes){0} + 0.001f;                                       \
      for (int i = 0; i < chains; ++i) sums[i] = (lanes){0} + (float)i;                                          \
      struct timespec begin, end;                                                                                \
      clock_gettime(CLOCK_MONOTONIC, &begin);                                                                    \
      for (int k = 0; k < steps; ++k) {                                                                          \
        _Pragma("GCC unroll 12") for (int i = 0; i < chains; ++i) sums[i] = sums[i] * x + y;                     \
      }                                                                                                          \
      clock_gettime(CLOCK_MONOTONIC, &end);                                                                      \
      for (int i = 0; i < chains; ++i) sink = 1 + 0 * sums[i][0];                                                \
      const double seconds = (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec); \
      const double rate = (double)steps * chains * (bytes / 4) * 2 / seconds / 1e9;                              \
      if (rate > best) best = rate;                                                                              \
    }                                                                                                            \
    return best;                                                                                                 \
  }

MEASURE(with_256_bits, 32)
MEASURE(with_512_bits, 64)

int main(void) {
  const double narrow = with_256_bits(), wide = with_512_bits();
  printf("%.1f\n", narrow > wide ? narrow : wide);
  return 0;
}
