// tusk_thread_pool.hpp: threads for functions that Tusk emits. C++17, standard library only.
//
//     tusk::ThreadPool pool(4);
//     mnist::predict(arena, mnist::weights(), batch, io, &pool);
//
// Models may take turns with a pool, at the same time, too: a loop that finds it in use runs on its caller's thread
// alone. The heap is used when a pool is made, not by calls. The file is part of the emitted code and belongs to its
// user.
#ifndef TUSK_THREAD_POOL_V1
#define TUSK_THREAD_POOL_V1

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "tusk_threads.hpp"

#if defined(__x86_64__) || defined(__i386__) || defined(_M_X64) || defined(_M_IX86)
#include <immintrin.h>
#endif

namespace tusk {

class ThreadPool : public Threads {
 public:
  // `threads`: with the one that calls; by default as many as the machine can run at once. Where the system does not
  // give as many, the pool has those that it got, which `count` says.
  explicit ThreadPool(int threads = static_cast<int>(std::thread::hardware_concurrency()))
      : Threads{threads < 1 ? 1 : threads, &ThreadPool::share}, tickets_(static_cast<std::size_t>(count)) {
#if defined(__cpp_exceptions)
    try {
      start();
    } catch (const std::system_error&) {
      count = static_cast<int>(workers_.size()) + 1;
    }
#else
    start();
#endif
  }
  ~ThreadPool() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stop_.store(true);
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

 private:
  using Part = void (*)(const void* context, std::int64_t i);
  static constexpr int kSpins = 4000;  // some 50 us: longer than what lies between two loops of most models
  static constexpr std::uint64_t kLeft = 0xffffffffU;
  // Of those parts that are a thread's own, how many are left is the low half, the number of the loop the high one.
  struct alignas(64) Ticket {  // on a line of its own: who waits for one does not slow down who writes another
    std::atomic<std::uint64_t> value{0};
  };

  void start() {
    for (int i = 1; i < count; ++i) workers_.emplace_back([this, i] { work(static_cast<std::size_t>(i)); });
  }

  static void pause() {
#if defined(__x86_64__) || defined(__i386__) || defined(_M_X64) || defined(_M_IX86)
    _mm_pause();
#elif defined(__aarch64__) && defined(__GNUC__)
    __asm__ volatile("yield");
#endif
  }

  static void share(const Threads* threads, std::int64_t parts, Part part, const void* context) {
    // A pool is an argument that is read; what it needs to run is its own.
    auto& pool = const_cast<ThreadPool&>(static_cast<const ThreadPool&>(*threads));
    if (parts > 0x7fffffff || pool.in_use_.exchange(true, std::memory_order_acquire)) {
      for (std::int64_t i = 0; i < parts; ++i) part(context, i);
      return;
    }
    pool.lead(parts, part, context);
    pool.in_use_.store(false, std::memory_order_release);
  }

  // Each thread has its own parts, the same ones in each loop of as many: what it has written is near to it. Who is
  // done with them takes those of others. Who takes a part from a ticket may read what the loop is: that stays until
  // the part is done.
  void lead(std::int64_t parts, Part part, const void* context) {
    part_ = part;
    context_ = context;
    parts_ = parts;
    done_.store(0, std::memory_order_relaxed);
    ++loop_;
    for (std::size_t i = 0; i < threads(); ++i) {
      const auto own = static_cast<std::uint64_t>(first_part(i + 1) - first_part(i));
      if (own != 0) tickets_[i].value.store(loop_ << 32 | own);
    }
    if (parked_.load() > 0) {
      { const std::lock_guard<std::mutex> lock(mutex_); }
      wake_.notify_all();
    }
    take_parts(0);
    for (int spins = 0; done_.load(std::memory_order_acquire) != parts; ++spins) {
      if (spins < kSpins) {
        pause();
      } else {
        std::this_thread::yield();
      }
    }
  }

  std::size_t threads() const { return static_cast<std::size_t>(count); }
  std::int64_t first_part(std::size_t thread) const { return parts_ * static_cast<std::int64_t>(thread) / count; }

  // The thread's own, then those of the next ones.
  void take_parts(std::size_t thread) {
    for (std::size_t i = 0; i < threads(); ++i) {
      const std::size_t of = thread + i < threads() ? thread + i : thread + i - threads();
      while (take_part(of)) {
      }
    }
  }

  bool take_part(std::size_t of) {
    std::atomic<std::uint64_t>& value = tickets_[of].value;
    std::uint64_t ticket = value.load(std::memory_order_acquire);
    do {
      if ((ticket & kLeft) == 0) return false;
    } while (!value.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel, std::memory_order_acquire));
    part_(context_, first_part(of) + static_cast<std::int64_t>(ticket & kLeft) - 1);
    done_.fetch_add(1, std::memory_order_release);
    return true;
  }

  bool has_parts(std::size_t thread) const { return (tickets_[thread].value.load() & kLeft) != 0; }

  void work(std::size_t thread) {
    while (true) {
      for (int spins = 0; spins < kSpins && !has_parts(thread) && !stop_.load(std::memory_order_relaxed); ++spins)
        pause();
      if (!has_parts(thread)) {
        std::unique_lock<std::mutex> lock(mutex_);
        parked_.fetch_add(1);
        wake_.wait(lock, [&] { return has_parts(thread) || stop_.load(); });
        parked_.fetch_sub(1);
        if (stop_.load()) return;
      }
      take_parts(thread);
    }
  }

  std::vector<Ticket> tickets_;
  std::uint64_t loop_ = 0;
  alignas(64) std::atomic<std::int64_t> done_{0};
  alignas(64) std::atomic<int> parked_{0};
  Part part_ = nullptr;
  const void* context_ = nullptr;
  std::int64_t parts_ = 0;
  std::atomic<bool> in_use_{false};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::thread> workers_;
};

}  // namespace tusk

#endif  // TUSK_THREAD_POOL_V1
