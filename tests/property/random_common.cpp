#include "tests/property/random_common.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <limits>

#include "ir/base/compare.hpp"
#include "ir/loop/interpret.hpp"
#include "passes/lower_program.hpp"

namespace tusk::random_tests {
namespace {

std::array<char, 128> current_case{};  // text for the handler, which may call nothing but write

void on_crash(int signal) {
  if (write(STDERR_FILENO, current_case.data(), std::strlen(current_case.data())) < 0) _exit(1);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

double special(DType type, Rng& rng) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const double huge = type == DType::f16 ? 60000 : type == DType::f64 ? 1e300 : 3e38;
  const double tiny = type == DType::f16 ? 1e-7 : type == DType::f64 ? 1e-310 : 1e-41;
  const double values[] = {std::nan(""), kInf, -kInf, -0.0, 0.0, huge, -huge, tiny, -tiny, 1e10, 88.7, -104, 0.5, 1};
  return rng.pick(std::vector<double>(std::begin(values), std::end(values)));
}

std::int64_t end_of_range(DType type, Rng& rng) {
  switch (type) {
    case DType::i8:
      return rng.pick(std::vector<std::int64_t>{-128, 127, -1});
    case DType::u8:
      return rng.pick(std::vector<std::int64_t>{0, 255, 128});
    case DType::u32:
      return rng.pick(std::vector<std::int64_t>{0, 0xffffffff, 0x80000000});
    case DType::i64:
      return rng.pick(std::vector<std::int64_t>{std::numeric_limits<std::int64_t>::min(),
                                                std::numeric_limits<std::int64_t>::max(), -1, 1LL << 40});
    case DType::boolean:
      return rng.below(2);
    default:
      return rng.pick(std::vector<std::int64_t>{std::numeric_limits<std::int32_t>::min(),
                                                std::numeric_limits<std::int32_t>::max(), -1, 1 << 20});
  }
}

}  // namespace

std::uint64_t Rng::next() {
  std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

double Rng::real(double low, double high) { return low + (high - low) * (static_cast<double>(next() >> 11) * 0x1p-53); }

std::uint64_t seed_of(std::uint64_t seed, std::string_view name) {
  std::uint64_t hash = 14695981039346656037U ^ seed;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  return Rng(hash).next();
}

Array random_array(DType type, std::vector<std::int64_t> shape, Rng& rng, bool tame) {
  Array out(type, std::move(shape));
  const bool is_signed = type != DType::u8 && type != DType::u32;
  for (std::int64_t i = 0; i < out.size(); ++i) {
    const bool odd = !tame && rng.chance(25);
    if (is_float(type)) {
      out.set(i, odd ? special(type, rng) : rng.real(-2, 2));
    } else if (type == DType::boolean) {
      out.set_int(i, rng.below(2));
    } else {
      out.set_int(i, odd ? end_of_range(type, rng) : rng.range(is_signed ? -3 : 0, 6));
    }
  }
  return out;
}

std::string difference(const Array& a, const Array& b) { return bit_difference(a, b); }

std::string difference(const std::vector<Array>& a, const std::vector<Array>& b) {
  if (a.size() != b.size()) return "the numbers of results differ";
  for (std::size_t k = 0; k < a.size(); ++k) {
    if (const std::string text = difference(a[k], b[k]); !text.empty()) return fmt::format("result {}, {}", k, text);
  }
  return "";
}

std::string str(const Array& array) {
  std::string out = fmt::format("{}[{}] [", name_of(array.dtype()), fmt::join(array.shape(), ","));
  for (std::int64_t i = 0; i < std::min<std::int64_t>(array.size(), 40); ++i)
    out += fmt::format("{}{}", i > 0 ? "," : "", array.at(i));
  return out + (array.size() > 40 ? ",...]" : "]");
}

Seeds seeds_of_run(std::uint64_t usual) {
  const auto number = [](const char* variable, std::uint64_t otherwise) {
    const char* text = std::getenv(variable);
    return text != nullptr && *text != 0 ? std::strtoull(text, nullptr, 10) : otherwise;
  };
  const bool full = number("TUSK_FULL", 0) != 0;
  return {number("TUSK_SEED", 1), number("TUSK_COUNT", full ? 10000 : usual)};
}

Seeds shard_of(const Seeds& all, std::uint64_t shard, std::uint64_t shards) {
  const std::uint64_t begin = all.count * shard / shards;
  return {all.first + begin, all.count * (shard + 1) / shards - begin};
}

void note_case(std::string_view kind, std::uint64_t seed) {
  static const bool installed = [] {
    for (const int signal : {SIGSEGV, SIGABRT, SIGFPE, SIGBUS}) std::signal(signal, on_crash);
    return true;
  }();
  if (!installed) return;
  const std::string text = fmt::format("\ncrash in {} {}; TUSK_SEED={} TUSK_COUNT=1 runs it alone{}\n", kind, seed,
                                       seed, kind == "graph" ? ", with TUSK_FORK=1 shrinks it" : "");
  std::copy_n(text.c_str(), std::min(text.size() + 1, current_case.size() - 1), current_case.begin());
}

}  // namespace tusk::random_tests
