// The pool of threads that emitted code shares loops among.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "runtime/tusk_thread_pool.hpp"

namespace tusk {
namespace {

// How often each of `turns` is taken.
std::vector<int> taken(const Threads& pool, std::int64_t turns, std::int64_t least) {
  std::vector<std::atomic<int>> counts(static_cast<std::size_t>(turns));
  parallel(&pool, turns, least, [&](std::int64_t begin, std::int64_t end) {
    EXPECT_GE(end - begin, std::min(turns, least));
    for (std::int64_t k = begin; k < end; ++k) ++counts[static_cast<std::size_t>(k)];
  });
  return {counts.begin(), counts.end()};
}

TEST(ThreadPool, TakesEachTurnOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    const ThreadPool pool(threads);
    for (const std::int64_t turns : {1, 2, 3, 7, 64, 1000}) {
      for (const std::int64_t least : {1, 2, 5}) {
        for (int round = 0; round < 20; ++round)
          EXPECT_EQ(taken(pool, turns, least), std::vector<int>(static_cast<std::size_t>(turns), 1)) << threads;
      }
    }
  }
}

TEST(ThreadPool, TakesEachTurnOnceForSeveralCallers) {
  const ThreadPool pool(3);
  std::vector<std::thread> callers;
  for (int k = 0; k < 4; ++k) {
    callers.emplace_back([&] {
      for (int round = 0; round < 200; ++round) EXPECT_EQ(taken(pool, 40, 1), std::vector<int>(40, 1));
    });
  }
  for (std::thread& caller : callers) caller.join();
}

TEST(ThreadPool, LeavesLoopsInsideOfLoopsToOneThread) {
  const ThreadPool pool(2);
  std::atomic<int> count = 0;
  parallel(&pool, 8, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin; k < end; ++k)
      parallel(&pool, 4, 1, [&](std::int64_t a, std::int64_t b) { count += static_cast<int>(b - a); });
  });
  EXPECT_EQ(count, 32);
}

// As many parts for each thread, so that none waits for one more.
TEST(ThreadPool, MakesAsManyPartsForEachThread) {
  static std::int64_t parts;
  const Threads threads{2, [](const Threads*, std::int64_t count, auto part, const void* context) {
                          parts = count;
                          for (std::int64_t k = 0; k < count; ++k) part(context, k);
                        }};
  const auto parts_of = [&](std::int64_t turns, std::int64_t least) {
    parts = 1;
    taken(threads, turns, least);
    return parts;
  };
  EXPECT_EQ(parts_of(11, 2), 4);
  EXPECT_EQ(parts_of(3, 1), 2);
  EXPECT_EQ(parts_of(1000, 1), 8);
  EXPECT_EQ(parts_of(3, 2), 1);
}

}  // namespace
}  // namespace tusk
