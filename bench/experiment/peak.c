/* GFLOP/s of fp32 FMA on one core, 256 bits: twelve independent chains. */
#include <immintrin.h>
#include <stdio.h>
#include <time.h>

int main(void) {
  double best = 0;
  volatile float sink = 1;
  for (int run = 0; run < 400; ++run) {
    __m256 sums[12];
    const __m256 x = _mm256_set1_ps(sink * 0.999f), y = _mm256_set1_ps(0.001f);
    for (int i = 0; i < 12; ++i) sums[i] = _mm256_set1_ps((float)i);
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int k = 0; k < 20000; ++k) {
#pragma GCC unroll 12
      for (int i = 0; i < 12; ++i) sums[i] = _mm256_fmadd_ps(sums[i], x, y);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    for (int i = 0; i < 12; ++i) sink = 1 + 0 * sums[i][0];
    const double seconds = (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
    const double rate = 20000. * 12 * 16 / seconds / 1e9;
    if (rate > best) best = rate;
  }
  printf("%.1f\n", best);
  return 0;
}
