#include "driver/shared_threads.hpp"

#include <charconv>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "runtime/tusk_thread_pool.hpp"

#ifdef __linux__
#include <sched.h>
#endif

namespace tusk {
namespace {

// What is no number from 1 to 1024 is not heeded.
int wanted_threads() {
  const char* given = std::getenv("TUSK_THREADS");
  const std::string_view text = given == nullptr ? "" : given;
  int count = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), count);
  const bool is_number = fault == std::errc{} && end == text.data() + text.size();
  if (is_number && count >= 1 && count <= 1024) return count;
#ifdef __linux__
  // Those that this process may use, which may be fewer than the machine has.
  cpu_set_t mine;
  if (sched_getaffinity(0, sizeof mine, &mine) == 0) return CPU_COUNT(&mine);
#endif
  return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

const Threads* shared_threads() {
  // It stays: a process that was forked off ends, too, and has none of the threads that would be joined.
  static const auto* const pool = new ThreadPool(wanted_threads());
  return pool->count > 1 ? pool : nullptr;
}

}  // namespace tusk
