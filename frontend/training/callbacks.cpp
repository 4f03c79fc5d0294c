#include "frontend/training/callbacks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>

#include "frontend/files/bytes.hpp"
#include "frontend/model/error.hpp"
#include "frontend/training/trainer.hpp"

namespace tusk::callbacks {
namespace {

void print(const std::string& line) { std::cout << line << '\n' << std::flush; }

void warn(const std::string& line) { std::cerr << "warning: " << line << '\n' << std::flush; }

std::string names_of(const Logs& logs) {
  std::string out;
  for (const auto& [name, value] : logs) out += (out.empty() ? "" : ",") + name;
  return out;
}

// Metrics of which more is better; of all others, less.
bool is_gain(std::string_view class_name) {
  constexpr std::string_view kGains[] = {"AUC",
                                         "CosineSimilarity",
                                         "ConcordanceCorrelation",
                                         "F1Score",
                                         "FBetaScore",
                                         "PearsonCorrelation",
                                         "Precision",
                                         "PrecisionAtRecall",
                                         "R2Score",
                                         "Recall",
                                         "RecallAtPrecision",
                                         "SensitivityAtSpecificity",
                                         "SpecificityAtSensitivity"};
  return class_name.ends_with("Accuracy") || class_name.ends_with("IoU") ||
         std::ranges::find(kGains, class_name) != std::end(kGains);
}

// The number as Python prints it.
std::string python_number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::string text = fmt::format("{}", value);
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

}  // namespace

void Monitor::begin(const Model& model, std::string_view callback, std::string_view monitor, Mode mode,
                    double min_delta) {
  std::optional<bool> wants_more;
  if (mode != "auto") wants_more = mode == "max";
  std::string_view name = monitor;
  if (name.starts_with("val_")) name.remove_prefix(4);
  const std::vector<std::string>& outputs = model.output_names();
  const bool is_loss = name == "loss" || (outputs.size() > 1 && std::ranges::any_of(outputs, [&](const auto& output) {
                                            return name == output + "_loss";
                                          }));
  if (!wants_more && is_loss) wants_more = false;
  const auto& program = trainer_of(model, "fit").program;
  for (const bool weighted : {false, true}) {
    if (wants_more || !program) break;
    for (const auto& list : weighted ? program->plan.weighted_metrics : program->plan.metrics) {
      for (const Metric& metric : list) {
        if (metric.name() == name) wants_more = is_gain(metric.class_name());
      }
    }
  }
  if (!wants_more)
    throw Error(error("callback-mode", fmt::format("{}: whether more or less of {} is better is not known", callback,
                                                   in_quotes(monitor)))
                    .note(".mode = \"max\" or \"min\" says it"));
  wants_more_ = *wants_more;
  min_delta_ = std::abs(min_delta);
}

bool Monitor::is_better(double value, std::optional<double> than) const {
  if (!than) return true;
  return wants_more_ ? value - min_delta_ > *than : value + min_delta_ < *than;
}

void EarlyStoppingImpl::on_train_begin(Logs&) {
  wait = stopped_epoch = best_epoch = 0;
  best.reset();
  best_weights_.clear();
}

void EarlyStoppingImpl::on_epoch_end(std::int64_t epoch, Logs& logs) {
  monitor_.begin(model(), "EarlyStopping", config.monitor, config.mode, config.min_delta);
  const double* current = logs.find(config.monitor);
  if (current == nullptr)
    warn(fmt::format("EarlyStopping monitors {}, which is not in the logs: {}", in_quotes(config.monitor),
                     names_of(logs)));
  if (current == nullptr || epoch < config.start_from_epoch) return;
  if (config.restore_best_weights && best_weights_.empty()) {
    best_weights_ = model().get_weights();
    best_epoch = epoch;
  }
  ++wait;
  if (monitor_.is_better(*current, best)) {
    best = *current;
    best_epoch = epoch;
    if (config.restore_best_weights) best_weights_ = model().get_weights();
    if (!config.baseline || monitor_.is_better(*current, config.baseline)) wait = 0;
    return;
  }
  if (wait >= config.patience && epoch > 0) {
    stopped_epoch = epoch;
    model().set_stop_training(true);
  }
}

void EarlyStoppingImpl::on_train_end(Logs&) {
  if (stopped_epoch > 0 && config.verbose > 0) print(fmt::format("Epoch {}: early stopping", stopped_epoch + 1));
  if (!config.restore_best_weights || best_weights_.empty()) return;
  if (config.verbose > 0)
    print(fmt::format("Restoring model weights from the end of the best epoch: {}.", best_epoch + 1));
  model().set_weights(best_weights_);
}

void ReduceLROnPlateauImpl::check() const {
  if (config.factor >= 1)
    throw Error(
        error("callback-option", fmt::format("ReduceLROnPlateau: factor is {}, expected less than 1", config.factor)));
}

void ReduceLROnPlateauImpl::on_train_begin(Logs&) {
  best_.reset();
  wait_ = cooldown_ = 0;
}

void ReduceLROnPlateauImpl::on_epoch_end(std::int64_t epoch, Logs& logs) {
  monitor_.begin(model(), "ReduceLROnPlateau", config.monitor, config.mode, config.min_delta);
  Optimizer optimizer = model().optimizer();
  const double rate = optimizer.learning_rate();
  logs["learning_rate"] = rate;
  const double* current = logs.find(config.monitor);
  if (current == nullptr) {
    warn(fmt::format("ReduceLROnPlateau monitors {}, which is not in the logs: {}", in_quotes(config.monitor),
                     names_of(logs)));
    return;
  }
  if (cooldown_ > 0) {
    --cooldown_;
    wait_ = 0;
  }
  if (monitor_.is_better(*current, best_)) {
    best_ = *current;
    wait_ = 0;
    return;
  }
  if (cooldown_ > 0 || ++wait_ < config.patience || rate <= static_cast<float>(config.min_lr)) return;
  const double smaller = std::max(rate * config.factor, config.min_lr);
  optimizer.set_learning_rate(smaller);
  if (config.verbose > 0)
    print(
        fmt::format("\nEpoch {}: ReduceLROnPlateau reducing learning rate to {}.", epoch + 1, python_number(smaller)));
  cooldown_ = config.cooldown;
  wait_ = 0;
}

void LearningRateSchedulerImpl::check() const {
  if (!config.schedule) throw Error(error("callback-option", "LearningRateScheduler: there is no schedule"));
}

void LearningRateSchedulerImpl::on_epoch_begin(std::int64_t epoch, Logs&) {
  Optimizer optimizer = model().optimizer();
  const double rate = config.schedule(epoch, optimizer.learning_rate());
  optimizer.set_learning_rate(rate);
  if (config.verbose > 0)
    print(
        fmt::format("\nEpoch {}: LearningRateScheduler setting learning rate to {}.", epoch + 1, python_number(rate)));
}

void LearningRateSchedulerImpl::on_epoch_end(std::int64_t, Logs& logs) {
  logs["learning_rate"] = model().optimizer().learning_rate();
}

void CSVLoggerImpl::on_train_begin(Logs&) {
  std::error_code ignored;
  const bool has_lines = config.append && std::filesystem::file_size(config.filename, ignored) > 0 && !ignored;
  file_ = std::ofstream(config.filename, std::ios::binary | (config.append ? std::ios::app : std::ios::trunc));
  if (!file_) throw Error(error("callback-file", fmt::format("CSVLogger: cannot write {}", config.filename)));
  has_header_ = has_lines;
  keys_.clear();
}

void CSVLoggerImpl::on_epoch_end(std::int64_t epoch, Logs& logs) {
  if (keys_.empty()) {
    for (const auto& [name, value] : logs) keys_.push_back(name);
    std::ranges::sort(keys_);
    const std::size_t count = keys_.size();
    if (std::ranges::none_of(keys_, [](const std::string& key) { return key.starts_with("val_"); })) {
      for (std::size_t i = 0; i < count; ++i) keys_.push_back("val_" + keys_[i]);
    }
    std::string header = "epoch";
    for (const std::string& key : keys_) header += config.separator + key;
    if (!std::exchange(has_header_, true)) file_ << header << "\r\n";
  }
  file_ << epoch;
  for (const std::string& key : keys_) {
    const double* value = logs.find(key);
    file_ << config.separator << (value != nullptr ? python_number(*value) : "NA");
  }
  file_ << "\r\n" << std::flush;
  if (!file_) throw Error(error("callback-file", fmt::format("CSVLogger: cannot write {}", config.filename)));
}

void CSVLoggerImpl::on_train_end(Logs&) { file_.close(); }

void TerminateOnNaNImpl::on_train_batch_end(std::int64_t batch, Logs& logs) {
  const double* loss = logs.find("loss");
  if (loss == nullptr || std::isfinite(*loss)) return;
  if (config.raise_error)
    throw Error(error("callback-nan", fmt::format("batch {}: the loss is {}", batch, python_number(*loss))));
  print(fmt::format("Batch {}: Invalid loss, terminating training", batch));
  model().set_stop_training(true);
}

}  // namespace tusk::callbacks
