// What fit, evaluate and predict print while they run, character by character as Keras prints it.
// https://keras.io/api/utils/python_utils/ (Progbar)
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tusk {

/// Names and values in the order in which they are shown (fit's logs: sorted by name, val_ behind the others).
using ProgressValues = std::vector<std::pair<std::string, double>>;

/// Where a bar writes, and whose seconds it counts.
struct ProgressOutput {
  std::ostream* out = nullptr;  // std::cout
  /// A line is written over by the next one. Keras on Linux and macOS always does so, into a file too.
  bool dynamic = true;
  std::function<double()> clock = {};  // seconds; else those of the system's steady clock
};

/// keras.utils.Progbar. verbose: 0 nothing, 1 a bar that moves, 2 one line at the end.
class ProgressBar {
 public:
  struct Config {
    std::optional<std::int64_t> target = {};  // steps; without: unknown
    int width = 20;
    int verbose = 1;
    double interval = 0.05;  // seconds between two lines at least
    /// Of these the mean over the steps is shown, of others the last value. Nothing: the mean of all but stateful ones.
    std::optional<std::vector<std::string>> stateless_metrics = {};
    std::vector<std::string> stateful_metrics = {};
    std::string unit_name = "step";
  };
  explicit ProgressBar(Config config, ProgressOutput output = {});

  /// After `current` steps. `finalize` ends the line; without it, reaching the target does.
  void update(std::int64_t current, const ProgressValues& values = {}, std::optional<bool> finalize = {});
  /// `steps` more.
  void add(std::int64_t steps, const ProgressValues& values = {}) { update(seen_ + steps, values); }
  /// Once it is known.
  void set_target(std::int64_t target) { config_.target = target; }

 private:
  struct Shown {
    std::string name;
    double sum = 0;
    std::int64_t count = 0;
  };
  void take(std::int64_t current, const ProgressValues& values, bool finalize);
  double step_seconds(std::int64_t current, double now);
  std::string moving_line(std::int64_t current, double now, double step_time, bool finalize);
  std::string last_line(std::int64_t current, double now, double step_time) const;

  Config config_;
  ProgressOutput output_;
  std::int64_t seen_ = 0;
  std::vector<Shown> shown_;
  double start_ = 0;
  double last_update_ = 0;
  std::optional<double> first_step_end_;
  std::int64_t last_width_ = 0;
};

/// Keras' ProgbarLogger: the lines of one call of fit, evaluate or predict. The validation of fit prints nothing by
/// itself: its results come with the end of the epoch.
class ProgressLogger {
 public:
  struct Config {
    int verbose = 1;
    std::int64_t epochs = 1;
    std::optional<std::int64_t> steps = {};  // of an epoch; without: unknown until the first one ends
  };
  explicit ProgressLogger(Config config, ProgressOutput output = {});

  /// Of an evaluation or a prediction.
  void begin();
  /// From 0; "Epoch 1/2", if there is more than one.
  void begin_epoch(std::int64_t epoch);
  /// A batch is done, from 0. Values are those of the epoch so far; predict has none.
  void step(std::int64_t batch, const ProgressValues& values = {});
  /// Of the epoch, the evaluation or the prediction.
  void end(const ProgressValues& values = {});

 private:
  ProgressBar& bar();

  Config config_;
  ProgressOutput output_;
  std::int64_t seen_ = 0;
  std::optional<ProgressBar> bar_;
};

}  // namespace tusk
