// What the random tests share: a generator of numbers that is equal on every machine, arrays, the seeds of a run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ir/base/array.hpp"
#include "passes/run_loops.hpp"

namespace tusk::random_tests {

/// splitmix64: short, and the same numbers with every standard library.
class Rng {
 public:
  explicit Rng(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  /// 0 .. count-1
  std::int64_t below(std::int64_t count) {
    return static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(count < 1 ? 1 : count));
  }
  std::int64_t range(std::int64_t low, std::int64_t high) { return low + below(high - low + 1); }
  bool chance(int percent) { return below(100) < percent; }
  double real(double low, double high);
  template <class List>
  auto pick(const List& list) {
    return *(list.begin() + below(static_cast<std::int64_t>(list.size())));
  }
  template <class List>
  void shuffle(List& list) {
    for (std::size_t i = list.size(); i > 1; --i)
      std::swap(list[i - 1], list[static_cast<std::size_t>(below(static_cast<std::int64_t>(i)))]);
  }

 private:
  std::uint64_t state_;
};

/// A hash of a seed and a name: each input has numbers of its own, whatever other inputs there are.
std::uint64_t seed_of(std::uint64_t seed, std::string_view name);

/// Tame: small numbers. Else NaN, infinities, -0, denormals and huge numbers among them, and the ends of integers.
Array random_array(DType type, std::vector<std::int64_t> shape, Rng& rng, bool tame);

/// "" where all bits are equal, every NaN equal to every other (N7); else what differs.
std::string difference(const Array& a, const Array& b);
std::string difference(const std::vector<Array>& a, const std::vector<Array>& b);
/// "f32[2,3] [1,2,...]"
std::string str(const Array& array);

/// What memory is filled with before a run: all bytes of a NaN, and none of one.
inline constexpr std::byte kNan{0xff};
inline constexpr std::byte kOther{0x7b};

/// The seeds of a run: TUSK_SEED is the first, TUSK_COUNT their number; TUSK_FULL=1 takes 10,000 in place of `usual`.
struct Seeds {
  std::uint64_t first = 1;
  std::uint64_t count = 0;
};
Seeds seeds_of_run(std::uint64_t usual);
/// The part of a run that one shard takes.
Seeds shard_of(const Seeds& all, std::uint64_t shard, std::uint64_t shards);

/// Says in a crash which case it was.
void note_case(std::string_view kind, std::uint64_t seed);

/// What broke, of which law.
struct Failure {
  std::string law;
  std::string what;
};

}  // namespace tusk::random_tests
