#include "driver/shared_threads.hpp"

#include <charconv>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "runtime/tusk_thread_pool.hpp"

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
  return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

const Threads* shared_threads() {
  static ThreadPool pool(wanted_threads());
  return pool.count > 1 ? &pool : nullptr;
}

}  // namespace tusk
