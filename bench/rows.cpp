// The error of scalar rows in compiled code: every f32 input of the unary ones, samples of the others, each compared
// with the row's reference in double. Prints the table of docs/performance.md.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bench/rows_fast.hpp"
#include "driver/compile.hpp"
#include "driver/compiled.hpp"
#include "ir/graph/parse.hpp"
#include "ir/row/row.hpp"

namespace tusk::bench {
namespace {

constexpr std::size_t kBlock = kMostInputs;  // inputs of one call of the compiled function
constexpr std::size_t kChunk = 64;           // results that are looked at together
constexpr double kLeastNormal = 0x1p-126;
constexpr std::uint64_t kHalf = std::uint64_t{1} << 31;     // floats of one sign
constexpr std::uint64_t kSamples = std::uint64_t{1} << 26;  // of a row of several operands

// GCC vectorises no loop with a choice in it as long as it honours traps. No result of a row changes by that; but GCC
// 12 then takes f32(i64(x)) for trunc(x), which is -0 and not 0 between -1 and 0, so casts are compiled without.
constexpr const char* kFlags = "-O3 -march=native";
constexpr const char* kFlagsOfRows = "-O3 -march=native -fno-trapping-math";

struct Options {
  std::vector<std::string> only;
  std::uint64_t step = 1;
  unsigned threads = 2;
  std::string profile = "fma";
};

/// What is measured: a row, on all operands or on those of one sign.
struct Subject {
  const Row* row = nullptr;
  std::string name;
  int sign = -1;                // 0 or 1: operands with this sign bit only
  double least = kLeastNormal;  // errors are in units of max(|result|, least)

  bool sampled() const { return row->arity > 1; }
  double promise() const { return row->ulp == 0 ? 0.5 : row->ulp; }
  // Whether the reference is monotone, perhaps after rounding to f32, on floats of the sign and about the size of a.
  bool monotone(double a) const {
    if (row->name == "sin" || row->name == "cos" || row->name == "tan") return std::fabs(a) < 1;
    return row->name != "lgamma" || std::fabs(a) >= 0x1p23;
  }
};

using Operands = std::array<float, 3>;

/// The worst of an error and where.
struct Worst {
  double error = 0;
  Operands at = {};

  void take(double other_error, const Operands& other_at) {
    if (other_error > error) *this = {other_error, other_at};
  }
};

struct Tally {
  Worst normal;  // in units of the last place
  Worst tiny;    // of results below 2^-126 that are not 0, in units of 2^-149
  std::uint64_t flushed = 0, wrong = 0;
  Operands first_wrong = {};
  float wrong_result = 0;
  double wrong_truth = 0;

  void add_wrong(const Operands& at, float result, double truth) {
    if (wrong++ == 0) first_wrong = at, wrong_result = result, wrong_truth = truth;
  }

  void judge(const Subject& subject, const Operands& at, float result, double truth) {
    const auto nearest = static_cast<float>(truth);
    if (std::isnan(result) || std::isnan(nearest) || std::isinf(result) || std::isinf(nearest)) {
      if (result != nearest && !(std::isnan(result) && std::isnan(nearest))) add_wrong(at, result, truth);
      return;
    }
    const double error = std::fabs(static_cast<double>(result) - truth);
    if (std::fabs(truth) >= subject.least || subject.least > kLeastNormal) {
      normal.take(std::ldexp(error, 23 - std::ilogb(std::max(std::fabs(truth), subject.least))), at);
    } else if (std::signbit(result) != std::signbit(truth)) {
      add_wrong(at, result, truth);
    } else if (result == 0 && nearest != 0) {
      ++flushed;
    } else {
      tiny.take(std::ldexp(error, 149), at);
    }
  }

  void add(const Tally& other) {
    normal.take(other.normal.error, other.normal.at);
    tiny.take(other.tiny.error, other.tiny.at);
    flushed += other.flushed;
    if (wrong == 0) first_wrong = other.first_wrong, wrong_result = other.wrong_result, wrong_truth = other.wrong_truth;
    wrong += other.wrong;
  }
};

// ---- The compiled row

std::string module_text(const Row& row, std::string_view profile) {
  std::string out = fmt::format("module row numerics 1 / {}\nfunc predict(", profile);
  for (int k = 0; k < row.arity; ++k) out += fmt::format("{}%x{}: f32[{}]", k == 0 ? "" : ", ", k, kBlock);
  out += ") -> (%y) {\n";
  if (row.typing == Typing::convert) {
    out += fmt::format("  %t = cast %x0 {{to={}}}\n  %y = cast %t {{to=f32}}\n", row.name);
  } else {
    out += fmt::format("  %y = map.{} %x0{}{}\n", row.name, row.arity > 1 ? ", %x1" : "", row.arity > 2 ? ", %x2" : "");
  }
  return out + "}\n";
}

Expected<CompiledModel> compiled(const Row& row, const std::string& profile) {
  TRY(graph::Module module, graph::parse(module_text(row, profile)));
  EmitOptions options;
  options.name = "row";
  options.profile = profile;
  options.self_test = false;
  TRY(const auto files, compile(std::move(module), options));
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("bench-rows-{}", getpid());
  CHECK(write_files(folder.string(), files));
  auto model = CompiledModel::load(folder.string(), row.typing == Typing::convert ? kFlags : kFlagsOfRows);
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return model;
}

// ---- Operands

// Inputs of block `block`: those of one sign after those of the other, in order. How many there are; the rest repeats
// the last one.
std::size_t fill_all(const Subject& subject, std::uint64_t step, std::uint64_t block, std::span<float> x) {
  const std::uint64_t of_one_sign = (kHalf + step - 1) / step;
  const std::uint64_t blocks = (of_one_sign + kBlock - 1) / kBlock;
  const bool negative = subject.sign < 0 ? block >= blocks : subject.sign == 1;
  const std::uint64_t first = block % blocks * kBlock;
  const std::size_t count = std::min<std::uint64_t>(kBlock, of_one_sign - first);
  const auto low = static_cast<std::uint32_t>(first * step + (negative ? kHalf : 0));
  for (std::uint32_t i = 0; i < count; ++i) x[i] = std::bit_cast<float>(low + i * static_cast<std::uint32_t>(step));
  std::fill(x.begin() + static_cast<std::ptrdiff_t>(count), x.end(), x[count - 1]);
  return count;
}

constexpr float kSpecial[] = {0,
                              0.5F,
                              1,
                              1.5F,
                              2,
                              3,
                              4,
                              10,
                              100,
                              0x1p-149F,
                              0x1p-3F,
                              0x1p23F,
                              0x1p-126F,
                              0x1p-127F,
                              0x1.8p23F,
                              0x1p24F,
                              0x1.fffffep-1F,
                              0x1.000002p0F,
                              std::numeric_limits<float>::max(),
                              std::numeric_limits<float>::infinity(),
                              std::numeric_limits<float>::quiet_NaN()};

std::uint64_t scrambled(std::uint64_t i) {  // splitmix64
  i += 0x9e3779b97f4a7c15;
  i = (i ^ (i >> 30)) * 0xbf58476d1ce4e5b9;
  i = (i ^ (i >> 27)) * 0x94d049bb133111eb;
  return i ^ (i >> 31);
}

// Samples: special values in all combinations, then bits at random by turns with values of 2^-8 to 2^8, some of them
// integers.
float sample(std::uint64_t i, int operand) {
  const std::uint64_t special = 2 * std::size(kSpecial);
  if (i < special * special * special) {
    std::uint64_t choice = i;
    for (int k = 0; k < operand; ++k) choice /= special;
    const float value = kSpecial[choice % special / 2];
    return choice % 2 == 0 ? value : -value;
  }
  const std::uint64_t random = scrambled(4 * i + static_cast<std::uint64_t>(operand));
  if (i % 2 == 0) return std::bit_cast<float>(static_cast<std::uint32_t>(random));
  const auto exponent = static_cast<std::uint32_t>(119 + (random >> 32) % 16);
  const float value = std::bit_cast<float>((static_cast<std::uint32_t>(random) & 0x807fffff) | (exponent << 23));
  return (random >> 40) % 4 == 0 ? std::nearbyint(value) : value;
}

// ---- The comparison

/// One thread's work on a subject.
class Worker {
 public:
  Worker(const Subject& subject, const CompiledModel& model, std::uint64_t step)
      : subject_(subject),
        model_(model),
        step_(step),
        fast_(fast_reference(subject.row->name)),
        inputs_(static_cast<std::size_t>(subject.row->arity), Array(DType::f32, {std::int64_t{kBlock}})),
        truth_(kBlock) {}

  Status run(std::uint64_t block) {
    std::size_t count = kBlock;
    if (subject_.sampled()) {
      for (std::size_t k = 0; k < inputs_.size(); ++k) {
        const std::span<float> x = inputs_[k].as_writable<float>();
        for (std::size_t i = 0; i < kBlock; ++i) x[i] = sample((block * kBlock + i) * step_, static_cast<int>(k));
      }
    } else {
      count = fill_all(subject_, step_, block, inputs_[0].as_writable<float>());
    }
    TRY(const std::vector<Array> outputs, model_.predict(inputs_));
    find_truth();
    compare(outputs[0].as<float>(), count);
    return done();
  }

  const Tally& tally() const { return tally_; }
  std::uint64_t slow_blocks() const { return slow_blocks_; }

 private:
  Operands operands(std::size_t i) const {
    Operands out = {};
    for (std::size_t k = 0; k < inputs_.size(); ++k) out[k] = inputs_[k].as<float>()[i];
    return out;
  }

  double reference(const Operands& x) const {
    return subject_.row->reference(static_cast<double>(x[0]), static_cast<double>(x[1]), static_cast<double>(x[2]));
  }

  // Fills truth_: from the reference, or from something faster that agrees with it at eight inputs of the block.
  void find_truth() {
    if (!subject_.sampled() && (is_constant() || is_fast())) return;
    ++slow_blocks_;
    if (subject_.sampled()) {
      for (std::size_t i = 0; i < kBlock; ++i) truth_[i] = reference(operands(i));
    } else {
      const std::span<const float> x = inputs_[0].as<float>();
      for (std::size_t i = 0; i < kBlock; ++i) truth_[i] = subject_.row->reference(static_cast<double>(x[i]), 0, 0);
    }
  }

  static constexpr std::size_t probe(std::size_t k) { return k * (kBlock - 1) / 7; }

  static bool close(double a, double b) { return a == b || std::fabs(a - b) <= 0x1p-36 * std::fabs(b); }

  // The domain of every row is an interval of the floats of one sign: a block whose ends are outside is outside.
  // A monotone reference with equal ends is constant, as f32 sees it.
  bool is_constant() {
    const auto as_f32 = [](double truth) {
      if (std::fabs(truth) < 0x1p-151) return std::copysign(0.0, truth);
      return std::fabs(truth) > 0x1p129 ? std::copysign(std::numeric_limits<double>::infinity(), truth) : truth;
    };
    const Operands low = operands(0), high = operands(kBlock - 1);
    const double first = as_f32(reference(low)), last = as_f32(reference(high));
    const bool outside = std::isnan(first) && std::isnan(last);
    const bool constant = subject_.monotone(static_cast<double>(low[0])) &&
                          subject_.monotone(static_cast<double>(high[0])) && close(first, last) &&
                          std::signbit(first) == std::signbit(last);
    if (!outside && !constant) return false;
    std::fill(truth_.begin(), truth_.end(), first);
    return true;
  }

  bool is_fast() {
    if (fast_ == nullptr || !fast_(inputs_[0].as<float>().data(), truth_.data(), kBlock)) return false;
    for (std::size_t k = 0; k < 8; ++k) {
      if (!close(truth_[probe(k)], reference(operands(probe(k))))) return false;
    }
    return true;
  }

  // Whether one of a chunk may be worse than the worst so far, by the approximate truth.
  bool suspicious(const float* result, const double* truth) const {
    constexpr double kSlack = 1 - 0x1p-10;
    const double normal = tally_.normal.error * 0x1p-23 * kSlack;
    const double tiny = tally_.tiny.error * 0x1p-23 * kSlack;
    const double least = subject_.least;
    std::uint64_t found = 0;
    for (std::size_t i = 0; i < kChunk; ++i) {
      const double y = static_cast<double>(result[i]);
      const double t = truth[i];
      const auto bits = std::bit_cast<std::uint64_t>(t);
      const double power = std::bit_cast<double>(bits & 0x7ff0000000000000);
      const double limit = std::max(power, least) * (power < kLeastNormal ? tiny : normal);
      // In integers of 64 bits, so that the loop is vectorised without packing.
      const std::uint64_t far = std::fabs(y - t) <= limit ? 0 : 1;
      const std::uint64_t unequal = y == t ? 0 : 1;
      const std::uint64_t signs_differ = (std::bit_cast<std::uint64_t>(y) ^ bits) >> 63;
      const std::uint64_t one_is_number = (y == y ? 1 : 0) | (t == t ? 1 : 0);
      found |= ((far & unequal) | signs_differ) & one_is_number;
    }
    return found != 0;
  }

  void compare(std::span<const float> result, std::size_t count) {
    for (std::size_t chunk = 0; chunk < count; chunk += kChunk) {
      if (!suspicious(&result[chunk], &truth_[chunk])) continue;
      for (std::size_t i = chunk; i < std::min(count, chunk + kChunk); ++i) {
        const Operands x = operands(i);
        tally_.judge(subject_, x, result[i], reference(x));
      }
    }
  }

  const Subject& subject_;
  const CompiledModel& model_;
  std::uint64_t step_;
  Fast fast_;
  std::vector<Array> inputs_;
  std::vector<double> truth_;
  Tally tally_;
  std::uint64_t slow_blocks_ = 0;
};

Expected<Tally> measured(const Subject& subject, const Options& options) {
  const std::clock_t start = std::clock();
  TRY(const CompiledModel model, compiled(*subject.row, options.profile));
  const std::uint64_t inputs = subject.sampled() ? kSamples : kHalf;
  const std::uint64_t blocks = ((inputs + options.step - 1) / options.step + kBlock - 1) / kBlock;
  const std::uint64_t all = subject.sampled() || subject.sign >= 0 ? blocks : 2 * blocks;
  std::atomic<std::uint64_t> next = 0;
  std::mutex mutex;
  Tally tally;
  std::uint64_t slow_blocks = 0;
  std::optional<Diagnostic> problem;
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < options.threads; ++t) {
    threads.emplace_back([&] {
      Worker worker(subject, model, options.step);
      Status status = done();
      for (std::uint64_t block = next++; block < all && status; block = next++) status = worker.run(block);
      const std::scoped_lock lock(mutex);
      tally.add(worker.tally());
      slow_blocks += worker.slow_blocks();
      if (!status) problem = status.problem();
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (problem) return *problem;
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  fmt::print(stderr, "{}: {:.3f}, {:.1f} s of CPU, {:.0f} % by the reference itself\n", subject.name,
             tally.normal.error, seconds, 100 * static_cast<double>(slow_blocks) / static_cast<double>(all));
  return tally;
}

// ---- The table

std::string str(const Subject& subject, const Operands& at) {
  std::string out;
  for (int k = 0; k < subject.row->arity; ++k) {
    out += fmt::format("{}{:a}", k == 0 ? "" : ", ", at[static_cast<std::size_t>(k)]);
  }
  return subject.row->arity == 1 ? fmt::format("{} ({:.5g})", out, at[0]) : out;
}

std::string line(const Subject& subject, const Tally& tally) {
  std::string worst = fmt::format("{:.3f}", tally.normal.error);
  if (tally.normal.error > subject.promise()) worst = "**" + worst + "**";
  std::string tiny = tally.flushed > 0 ? "0" : "";
  if (tally.tiny.error > 0) tiny += fmt::format("{}{:.2f}", tiny.empty() ? "" : " or ", tally.tiny.error);
  std::string wrong;
  if (tally.wrong > 0) {
    wrong = fmt::format("{}, first {}: {} for {}", tally.wrong, str(subject, tally.first_wrong), tally.wrong_result,
                        tally.wrong_truth);
  }
  return fmt::format("| {} | {} | {} | {} | {} | {} |", subject.name, worst,
                     tally.normal.error > 0 ? str(subject, tally.normal.at) : "", subject.promise(), tiny, wrong);
}

// Rows of f32: operands and result, or a conversion that a second one takes back.
bool measurable(const Row& row) {
  if (row.inner) return false;
  const std::vector<DType> operands(static_cast<std::size_t>(row.arity), DType::f32);
  const std::optional<DType> type = row_type(row, operands);
  if (row.typing == Typing::convert) {
    return row.target != DType::f32 && row.target != DType::f64 && row.target != DType::index;
  }
  return row.typing == Typing::same && type == DType::f32;
}

std::vector<Subject> subjects(const std::vector<std::string>& only) {
  std::vector<Subject> out;
  for (const Row& row : rows()) {
    if (!measurable(row)) continue;
    if (!only.empty() && std::find(only.begin(), only.end(), row.name) == only.end()) continue;
    const std::string name(row.name);
    if (row.typing == Typing::convert) {
      out.push_back({&row, "cast to " + name});
    } else if (name == "lgamma") {
      out.push_back({&row, "lgamma, x >= 0", 0});
      out.push_back({&row, "lgamma, x < 0", 1, 1});
    } else if (name == "digamma") {  // below 0: tests/unit/row_test.cpp, for the unit depends on x there
      out.push_back({&row, "digamma, x >= 0", 0});
    } else {
      out.push_back({&row, name});
    }
  }
  return out;
}

int run(const Options& options) {
  const std::vector<Subject> chosen = subjects(options.only);
  if (chosen.empty()) {
    fmt::print(stderr, "no such row\n");
    return 1;
  }
  fmt::print(
      "| row | worst ULP | at | promised | below 2^-126 | NaN, inf or sign wrong |\n|---|---|---|---|---|---|\n");
  for (const Subject& subject : chosen) {
    const Expected<Tally> tally = measured(subject, options);
    if (!tally) {
      fmt::print(stderr, "{}: {}\n", subject.name, tally.problem().str());
      return 1;
    }
    fmt::print("{}\n", line(subject, *tally));
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace tusk::bench

int main(int argc, char** argv) {
  tusk::bench::Options options;
  CLI::App app("Worst errors of scalar rows in compiled code, as a table in Markdown.");
  app.add_option("--only", options.only, "these rows")->delimiter(',');
  app.add_option("--step", options.step, "every N-th input")->check(CLI::PositiveNumber);
  app.add_option("--threads", options.threads, "how many")->check(CLI::PositiveNumber);
  app.add_option("--profile", options.profile, "numerics")->check(CLI::IsMember({"fma", "muladd"}));
  CLI11_PARSE(app, argc, argv);
  return tusk::bench::run(options);
}
