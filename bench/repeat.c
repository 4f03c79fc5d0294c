/* CPU seconds per call of a kernel, over `count` calls: other programs on the machine do not count. */
#include <time.h>

typedef void kernel(void*, void*, void*, void*, void*, void*, void*, void*);

double repeat(kernel* run, void* const* a, long count) {
  struct timespec begin, end;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
  for (long i = 0; i < count; ++i) run(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]);
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
  return ((double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec)) / (double)count;
}
