// model.compile, fit, evaluate and *_on_batch: training of a model in this process, by its compiled functions.
// https://keras.io/api/models/model_training_apis/
//
//   model.compile({.optimizer = "adam", .loss = "mse", .metrics = {"mae"}});
//   History history = model.fit(x, y, {.batch_size = 64, .epochs = 2, .validation_split = 0.2});
//   history["val_loss"].back();
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "frontend/training/callbacks.hpp"
#include "frontend/training/compile_options.hpp"

namespace tusk {

/// {x, y} or {x, y, sample_weight}.
struct ValidationData {
  Data x = {}, y = {}, sample_weight = {};
};

/// Every so many epochs, or in these (counted from 1).
struct ValidationFreq {
  std::int64_t every = 1;
  std::vector<std::int64_t> epochs = {};
  ValidationFreq(std::int64_t n) : every(n) {}                                 // NOLINT: Keras takes either
  ValidationFreq(std::initializer_list<std::int64_t> list) : epochs(list) {}   // NOLINT
  ValidationFreq(std::vector<std::int64_t> list) : epochs(std::move(list)) {}  // NOLINT
};

/// All rows in another order in each epoch, as they are, or those of each batch ("batch").
class Shuffle {
 public:
  Shuffle(std::same_as<bool> auto on) : rows_(on) {}  // NOLINT: Keras takes either
  template <std::size_t size>
  consteval Shuffle(const char (&word)[size]) : batches_(true) {  // NOLINT
    if (std::string_view(word, size - 1) != "batch") throw "shuffle is true, false or \"batch\"";
  }
  bool rows() const { return rows_; }
  bool in_batches() const { return batches_; }

 private:
  bool rows_ = false, batches_ = false;
};

struct FitOptions {
  std::int64_t batch_size = 32;
  std::int64_t epochs = 1;
  Verbose verbose = "auto";
  std::vector<Callback> callbacks = {};
  /// The last part of the arrays, before they are shuffled.
  double validation_split = 0;
  ValidationData validation_data = {};
  Shuffle shuffle = true;
  std::map<int, double> class_weight = {};
  Data sample_weight = {};
  std::int64_t initial_epoch = 0;
  /// The next epoch goes on where this many steps end.
  std::optional<std::int64_t> steps_per_epoch = {}, validation_steps = {};
  std::optional<std::int64_t> validation_batch_size = {};
  ValidationFreq validation_freq = 1;
};

struct EvaluateOptions {
  std::int64_t batch_size = 32;
  Verbose verbose = "auto";
  Data sample_weight = {};
  std::optional<std::int64_t> steps = {};
  std::vector<Callback> callbacks = {};
};

/// Of train_on_batch and test_on_batch.
struct BatchOptions {
  Data sample_weight = {};
  std::map<int, double> class_weight = {};
};

/// What fit has logged in each epoch.
class History {
 public:
  /// Of one name; throws [history-name].
  const std::vector<double>& operator[](std::string_view name) const;

  std::vector<std::int64_t> epoch;
  std::map<std::string, std::vector<double>, std::less<>> history;
  FitParams params;
};

/// What evaluate gives: by position in Keras' order (loss first), or by name.
class Scores {
 public:
  explicit Scores(std::vector<Logs::Entry> entries) : entries_(std::move(entries)) {}
  double operator[](std::integral auto position) const {
    return entries_.at(static_cast<std::size_t>(position)).second;
  }
  /// Throws [history-name].
  double operator[](std::string_view name) const;
  std::size_t size() const { return entries_.size(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }

 private:
  std::vector<Logs::Entry> entries_;
};

}  // namespace tusk
