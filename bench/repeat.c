/* Seconds per call of a kernel, over `count` calls. */
#include <time.h>

typedef void kernel(void*, void*, void*, void*, void*, void*, void*, void*);

static double seconds(clockid_t clock, kernel* run, void* const* a, long count) {
  struct timespec begin, end;
  clock_gettime(clock, &begin);
  for (long i = 0; i < count; ++i) run(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]);
  clock_gettime(clock, &end);
  return ((double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec)) / (double)count;
}

/* CPU time: other programs on the machine do not count. */
double repeat(kernel* run, void* const* a, long count) { return seconds(CLOCK_PROCESS_CPUTIME_ID, run, a, count); }

/* By the clock on the wall: threads that work at the same time count once. */
double repeat_elapsed(kernel* run, void* const* a, long count) { return seconds(CLOCK_MONOTONIC, run, a, count); }
