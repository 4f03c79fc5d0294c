// tusk_threads.hpp: loops that threads share, for code that Tusk emits. C++17; starts no thread itself.
//
// Which thread takes which turns changes no bit: turns write different elements, and no sum goes across them. The file
// is part of the emitted code and belongs to its user.
#ifndef TUSK_THREADS_V1
#define TUSK_THREADS_V1

#include <cstdint>

namespace tusk {

// Threads that a caller lends to a function while it runs: a tusk::ThreadPool (tusk_thread_pool.hpp), or those of the
// program, which then fills in these two. For C the same is `tusk_threads`.
struct Threads {
  int count;  // with the one that calls
  // Calls part(context, i) once for each i below `parts`, on any thread and in any order; returns when all are done.
  void (*run)(const Threads* threads, std::int64_t parts, void (*part)(const void* context, std::int64_t i),
              const void* context);
};

template <class Body>
struct SharedLoop {
  Body body;
  std::int64_t turns, parts;

  // Inlined into this, the body has in registers what it has captured; of a copy, which its own stores cannot change.
  // And it sees that turns are not negative, so their quotients and remainders are not.
#if defined(__GNUC__)
  __attribute__((flatten))
#endif
  static void
  part(const void* context, std::int64_t i) {
    const SharedLoop loop = *static_cast<const SharedLoop*>(context);
    const std::int64_t begin = loop.turns * i / loop.parts;
#if defined(__GNUC__)
    if (begin < 0) __builtin_unreachable();
#endif
    loop.body(begin, loop.turns * (i + 1) / loop.parts);
  }
};

// Calls body(begin, end) for ranges that together are the turns 0, 1, ... of a loop, each of `least` turns or more. A
// thread that is held up leaves parts to the others, so there are several for each.
template <class Body>
inline void parallel(const Threads* threads, std::int64_t turns, std::int64_t least, const Body& body) {
  constexpr std::int64_t parts_per_thread = 4;
  std::int64_t parts = 1;
  if (threads != nullptr && threads->count > 1 && turns >= 2 * least) {
    parts = turns / least;
    if (parts > parts_per_thread * threads->count) parts = parts_per_thread * threads->count;
    if (parts > threads->count) parts -= parts % threads->count;  // as many for each
  }
  const SharedLoop<Body> loop = {body, turns, parts};
  if (parts == 1) {
    SharedLoop<Body>::part(&loop, 0);
  } else {
    threads->run(threads, parts, &SharedLoop<Body>::part, &loop);
  }
}

}  // namespace tusk

#endif  // TUSK_THREADS_V1
