#include "frontend/training/progress_bar.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <limits>

#include "ir/base/utf8.hpp"

namespace tusk {
namespace {

constexpr std::string_view kBold = "\x1b[1m", kGreen = "\x1b[32m", kGrey = "\x1b[37m", kPlain = "\x1b[0m";

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void write(const ProgressOutput& output, std::string_view text) {
  std::ostream& out = output.out != nullptr ? *output.out : std::cout;
  out << text << std::flush;
}

ProgressOutput filled(ProgressOutput output) {
  if (!output.clock) output.clock = steady_seconds;
  return output;
}

/// Text with escape codes, which take no room on the screen.
struct Line {
  std::string text;
  std::int64_t width = 0;

  void add(std::string_view plain) {
    text += plain;
    width += static_cast<std::int64_t>(code_points(plain));
  }
  void add(std::string_view style, std::string_view plain) {
    text += style;
    add(plain);
    text += kPlain;
  }
};

std::string repeated(std::string_view text, std::int64_t times) {
  std::string out;
  for (std::int64_t i = 0; i < times; ++i) out += text;
  return out;
}

/// "  7/938"
std::string count_of(std::int64_t current, std::int64_t target) {
  const int digits = static_cast<int>(std::log10(static_cast<double>(target))) + 1;
  return fmt::format("{:{}}/{}", current, digits, target);
}

std::string time_left(double seconds) {
  const double minutes = std::floor(seconds / 60), hours = std::floor(seconds / 3600);
  if (seconds > 3600)
    return fmt::format("{:.0f}:{:02.0f}:{:02.0f}", hours, minutes - hours * 60, std::floor(std::fmod(seconds, 60)));
  if (seconds > 60) return fmt::format("{:.0f}:{:02.0f}", minutes, std::floor(std::fmod(seconds, 60)));
  return fmt::format("{:.0f}s", std::trunc(seconds) + 0.0);  // -0.5 is 0
}

std::string time_of(double seconds, std::string_view unit) {
  if (seconds >= 1 || seconds == 0) return fmt::format(" {:.0f}s/{}", seconds, unit);
  if (seconds >= 1e-3) return fmt::format(" {:.0f}ms/{}", seconds * 1e3, unit);
  return fmt::format(" {:.0f}us/{}", seconds * 1e6, unit);
}

/// Four digits behind the point, of what is larger than a thousandth.
std::string number(double value, double size) {
  if (std::isnan(value)) return "nan";  // whose sign Python does not print
  return size > 1e-3 ? fmt::format("{:.4f}", value) : fmt::format("{:.4e}", value);
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

ProgressBar::ProgressBar(Config config, ProgressOutput output)
    : config_(std::move(config)),
      output_(filled(std::move(output))),
      start_(output_.clock()),
      last_update_(-std::numeric_limits<double>::infinity()) {}

void ProgressBar::take(std::int64_t current, const ProgressValues& values, bool finalize) {
  for (const auto& [name, value] : values) {
    auto place = std::find_if(shown_.begin(), shown_.end(), [&](const Shown& shown) { return shown.name == name; });
    if (place == shown_.end()) place = shown_.insert(place, {name, 0, 0});
    const bool mean =
        config_.stateless_metrics ? has(*config_.stateless_metrics, name) : !has(config_.stateful_metrics, name);
    if (mean && !finalize) {
      const std::int64_t steps = std::max<std::int64_t>(current - seen_, 1);
      place->sum += value * static_cast<double>(steps);
      place->count += steps;
    } else {
      place->sum = value;
      place->count = 1;
    }
  }
  seen_ = current;
}

/// The mean of the steps behind the first one, which takes longer than the others.
double ProgressBar::step_seconds(std::int64_t current, double now) {
  if (current == 0) return 0;
  const double seconds = first_step_end_ && current > 1 ? (now - *first_step_end_) / static_cast<double>(current - 1)
                                                        : (now - start_) / static_cast<double>(current);
  if (current == 1) first_step_end_ = now;
  return seconds;
}

std::string ProgressBar::moving_line(std::int64_t current, double now, double step_time, bool finalize) {
  std::string back = "\n";
  if (output_.dynamic) back = std::string(static_cast<std::size_t>(last_width_), '\b') + '\r';
  Line line;
  const std::int64_t target = config_.target.value_or(0);
  if (target > 0) {
    const double done = static_cast<double>(current) / static_cast<double>(target);
    const auto full = static_cast<std::int64_t>(config_.width * done);
    line.add(kBold, count_of(current, target));
    line.add(" ");
    if (full > 0) line.add(kGreen, repeated("━", full));
    line.add(kGrey, repeated("━", config_.width - full));
  } else {
    line.add(fmt::format("{:7}/Unknown", current));
  }
  line.add(" ");
  const bool ahead = target > 0 && !finalize;
  line.add(kBold,
           ahead ? time_left(step_time * static_cast<double>(target - current)) : fmt::format("{:.0f}s", now - start_));
  line.add(time_of(step_time, config_.unit_name));
  for (const Shown& shown : shown_) {
    const double value = shown.sum / static_cast<double>(std::max<std::int64_t>(shown.count, 1));
    line.add(fmt::format(" - {}: {}", shown.name, number(value, std::abs(value))));
  }
  const std::string blanks = repeated(" ", last_width_ - line.width);
  last_width_ = line.width;
  return back + line.text + blanks + (finalize ? "\n" : "");
}

std::string ProgressBar::last_line(std::int64_t current, double now, double step_time) const {
  std::string line = fmt::format("{} - {:.0f}s -{}", count_of(current, *config_.target), now - start_,
                                 time_of(step_time, config_.unit_name));
  for (const Shown& shown : shown_) {
    // No std::abs: here Keras writes every negative number with an exponent.
    const double value = shown.sum / static_cast<double>(std::max<std::int64_t>(shown.count, 1));
    line += fmt::format(" - {}: {}", shown.name, number(value, value));
  }
  return line + '\n';
}

void ProgressBar::update(std::int64_t current, const ProgressValues& values, std::optional<bool> finalize) {
  const bool last = finalize.value_or(config_.target && current >= *config_.target);
  take(current, values, last);
  const double now = output_.clock();
  const double step_time = step_seconds(current, now);
  if (config_.verbose == 1) {
    if (now - last_update_ < config_.interval && !last) return;
    write(output_, moving_line(current, now, step_time, last));
  } else if (config_.verbose == 2 && last && config_.target.value_or(0) > 0) {
    write(output_, last_line(current, now, step_time));
  }
  last_update_ = now;
}

ProgressLogger::ProgressLogger(Config config, ProgressOutput output)
    : config_(config), output_(filled(std::move(output))) {}

ProgressBar& ProgressLogger::bar() {
  if (!bar_) {
    ProgressBar::Config config;
    config.target = config_.steps;
    config.verbose = config_.verbose;
    config.stateless_metrics.emplace();
    bar_.emplace(std::move(config), output_);
  }
  return *bar_;
}

void ProgressLogger::begin() {
  seen_ = 0;
  bar_.reset();
  bar();
}

void ProgressLogger::begin_epoch(std::int64_t epoch) {
  begin();
  if (config_.verbose != 0 && config_.epochs > 1)
    write(output_, fmt::format("Epoch {}/{}\n", epoch + 1, config_.epochs));
}

void ProgressLogger::step(std::int64_t batch, const ProgressValues& values) {
  seen_ = batch + 1;
  if (config_.verbose == 1) bar().update(seen_, values, false);
}

void ProgressLogger::end(const ProgressValues& values) {
  ProgressBar& ending = bar();
  if (!config_.steps) ending.set_target(config_.steps.emplace(seen_));
  ending.update(*config_.steps, values, true);
}

}  // namespace tusk
