// Bytes that one core reads per cycle, from each cache and from memory: gcc -O2 -mavx512f bandwidth.c && ./a.out [GHZ]
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Four sums, so that no load waits for another.
static __m512i sum_of(const char* data, size_t bytes, int times) {
  __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
  for (int k = 0; k < times; ++k) {
    for (size_t i = 0; i < bytes; i += 256) {
      a = _mm512_xor_si512(a, _mm512_load_si512(data + i));
      b = _mm512_xor_si512(b, _mm512_load_si512(data + i + 64));
      c = _mm512_xor_si512(c, _mm512_load_si512(data + i + 128));
      d = _mm512_xor_si512(d, _mm512_load_si512(data + i + 192));
    }
    __asm__ volatile("" ::: "memory");
  }
  return _mm512_xor_si512(_mm512_xor_si512(a, b), _mm512_xor_si512(c, d));
}

int main(int argc, char** argv) {
  const double ghz = argc > 1 ? atof(argv[1]) : 3.7;
  const size_t most = (size_t)256 << 20;
  char* data = aligned_alloc(64, most);
  memset(data, 1, most);
  const size_t sizes[] = {16 << 10, 512 << 10, 8 << 20, most};
  const char* names[] = {"l1", "l2", "l3", "dram"};
  volatile __m512i sink;
  for (int s = 0; s < 4; ++s) {
    const int times = (int)(((size_t)1 << 30) / sizes[s] / (s == 0 ? 1 : 4)) + 1;
    double best = 1e9;
    for (int round = 0; round < 15; ++round) {
      const double start = now();
      sink = sum_of(data, sizes[s], times);
      const double taken = now() - start;
      if (taken < best) best = taken;
    }
    (void)sink;
    printf("%-4s %6.1f bytes/cycle at %.1f GHz\n", names[s], (double)sizes[s] * times / best / 1e9 / ghz, ghz);
  }
  free(data);
  return 0;
}
