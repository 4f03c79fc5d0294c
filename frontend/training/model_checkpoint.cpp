// callbacks::ModelCheckpoint
#include <fmt/args.h>
#include <fmt/format.h>

#include <filesystem>
#include <iostream>

#include "frontend/export/save_model.hpp"
#include "frontend/files/bytes.hpp"
#include "frontend/model/error.hpp"
#include "frontend/training/callbacks.hpp"

namespace tusk::callbacks {
namespace {

// The fields of the path, as Python's str.format fills them.
std::string filled(const std::string& path, std::int64_t epoch, std::optional<std::int64_t> batch, const Logs& logs) {
  fmt::dynamic_format_arg_store<fmt::format_context> fields;
  fields.push_back(fmt::arg("epoch", epoch + 1));
  if (batch && logs.find("batch") == nullptr) fields.push_back(fmt::arg("batch", *batch + 1));
  std::string names = batch ? "epoch, batch" : "epoch";
  for (const auto& [name, value] : logs) {
    fields.push_back(fmt::arg(name.c_str(), value));
    names += ", " + name;
  }
  try {
    return fmt::vformat(path, fields);
  } catch (const fmt::format_error& problem) {
    throw Error(error("callback-path",
                      fmt::format("ModelCheckpoint: cannot fill the fields of {}: {}", in_quotes(path), problem.what()))
                    .note("there are " + names));
  }
}

}  // namespace

void ModelCheckpointImpl::check() const {
  const std::string& path = config.filepath;
  const bool fits =
      config.save_weights_only ? path.ends_with(".weights.h5") : path.ends_with(".keras") || path.ends_with(".h5");
  if (!fits)
    throw Error(error("callback-path", fmt::format("ModelCheckpoint: the path {} does not end in {}", in_quotes(path),
                                                   config.save_weights_only ? ".weights.h5" : ".keras")));
  if (config.save_freq.batches() < 0)
    throw Error(error(
        "callback-option",
        fmt::format("ModelCheckpoint: save_freq is {}, expected \"epoch\" or at least 1", config.save_freq.batches())));
}

void ModelCheckpointImpl::say(const std::string& what) const {
  if (config.verbose > 0) std::cout << fmt::format("\nEpoch {}: {}\n", epoch_ + 1, what) << std::flush;
}

void ModelCheckpointImpl::on_epoch_begin(std::int64_t epoch, Logs&) { epoch_ = epoch; }

void ModelCheckpointImpl::on_train_batch_end(std::int64_t batch, Logs& logs) {
  if (config.save_freq.batches() == 0 || ++batches_ < config.save_freq.batches()) return;
  batches_ = 0;
  save(batch, logs);
}

void ModelCheckpointImpl::on_epoch_end(std::int64_t epoch, Logs& logs) {
  epoch_ = epoch;
  if (config.save_freq.batches() == 0) save({}, logs);
}

bool ModelCheckpointImpl::is_due(const Logs& logs, const std::string& path) {
  if (!config.save_best_only) {
    say("saving model to " + path);
    return true;
  }
  if (!std::exchange(has_begun_, true)) {
    best_ = config.initial_value_threshold;
    monitor_.begin(model(), "ModelCheckpoint", config.monitor, config.mode, 0);
  }
  const double* current = logs.find(config.monitor);
  if (current == nullptr) {
    std::cerr << fmt::format("warning: ModelCheckpoint monitors {}, which is not in the logs: it saves each time\n",
                             in_quotes(config.monitor));
    return true;
  }
  const std::string before = best_ ? fmt::format("{:.5f}", *best_) : "None";
  if (!monitor_.is_better(*current, best_)) {
    say(fmt::format("{} did not improve from {}", config.monitor, before));
    return false;
  }
  say(fmt::format("{} improved from {} to {:.5f}, saving model to {}", config.monitor, before, *current, path));
  best_ = *current;
  return true;
}

void ModelCheckpointImpl::save(std::optional<std::int64_t> batch, const Logs& logs) {
  const std::string path = filled(config.filepath, epoch_, batch, logs);
  if (!is_due(logs, path)) return;
  std::error_code ignored;  // what it means, writing says
  if (const auto folder = std::filesystem::path(path).parent_path(); !folder.empty())
    std::filesystem::create_directories(folder, ignored);
  const Status saved = config.save_weights_only ? tusk::save_weights(path, model()) : save_model(path, model());
  if (!saved) throw Error(saved.problem());
  say("finished saving model to " + path);
}

}  // namespace tusk::callbacks
