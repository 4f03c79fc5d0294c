// Callbacks: what is done while fit, evaluate and predict run. https://keras.io/api/callbacks/
#pragma once

#include <cstdint>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "frontend/model/choices.hpp"
#include "frontend/model/model.hpp"
#include "frontend/training/logs.hpp"

namespace tusk {

/// How fit was called.
struct FitParams {
  int verbose = 1;
  std::int64_t epochs = 1;
  std::optional<std::int64_t> steps = {};  // of an epoch
};

/// The base of every callback: a class of one's own overrides what it needs. Epochs and batches count from 0. What one
/// adds to the logs, the later ones see, the history and the printed line, too.
class CallbackBase {
 public:
  virtual ~CallbackBase() = default;

  virtual void on_train_begin(Logs& /*logs*/) {}
  virtual void on_train_end(Logs& /*logs*/) {}
  virtual void on_epoch_begin(std::int64_t /*epoch*/, Logs& /*logs*/) {}
  virtual void on_epoch_end(std::int64_t /*epoch*/, Logs& /*logs*/) {}
  virtual void on_train_batch_begin(std::int64_t /*batch*/, Logs& /*logs*/) {}
  virtual void on_train_batch_end(std::int64_t /*batch*/, Logs& /*logs*/) {}
  virtual void on_test_begin(Logs& /*logs*/) {}
  virtual void on_test_end(Logs& /*logs*/) {}
  virtual void on_test_batch_begin(std::int64_t /*batch*/, Logs& /*logs*/) {}
  virtual void on_test_batch_end(std::int64_t /*batch*/, Logs& /*logs*/) {}
  virtual void on_predict_begin(Logs& /*logs*/) {}
  virtual void on_predict_end(Logs& /*logs*/) {}
  virtual void on_predict_batch_begin(std::int64_t /*batch*/, Logs& /*logs*/) {}
  virtual void on_predict_batch_end(std::int64_t /*batch*/, Logs& /*logs*/) {}

  /// The model that is trained: its weights and its optimizer's learning rate can be read and set in every hook.
  const Model& model() const { return model_; }
  const FitParams& params() const { return params_; }
  /// By fit.
  void set_up(const Model& model, const FitParams& params) {
    model_ = model;
    params_ = params;
  }

 private:
  Model model_;
  FitParams params_;
};

/// A handle of any callback; copies share it.
class Callback {
 public:
  explicit Callback(std::shared_ptr<CallbackBase> callback) : callback_(std::move(callback)) {}
  CallbackBase& base() const { return *callback_; }
  operator const std::shared_ptr<CallbackBase>&() const { return callback_; }  // NOLINT: of PredictOptions

 private:
  std::shared_ptr<CallbackBase> callback_;
};

/// The handle of a callback `Impl`: callbacks::EarlyStopping({.patience = 3}). Impl has `struct Config {...} config`,
/// and may have `void check() const`, which throws what is wrong in it.
template <class Impl>
class CallbackOf : public Callback {
 public:
  using Config = typename Impl::Config;
  CallbackOf() : CallbackOf(Config{}) {}
  CallbackOf(Config config) : Callback(make(std::move(config))) {}  // NOLINT: braces are Python's keyword arguments
  Impl& impl() const { return static_cast<Impl&>(base()); }

 private:
  static std::shared_ptr<Impl> make(Config config) {
    auto callback = std::make_shared<Impl>();
    callback->config = std::move(config);
    if constexpr (requires { callback->check(); }) callback->check();
    return callback;
  }
};

namespace callbacks {

using Mode = OneOf<"auto", "min", "max">;

/// Whether a value that the logs have gets better.
class Monitor {
 public:
  /// "auto" asks the model's metrics. Throws [callback-mode] if they do not know.
  void begin(const Model& model, std::string_view callback, std::string_view monitor, Mode mode, double min_delta);
  /// By more than min_delta. Anything is better than nothing.
  bool is_better(double value, std::optional<double> than) const;

 private:
  bool wants_more_ = false;
  double min_delta_ = 0;
};

/// Stops when a value has not got better for `patience` epochs.
struct EarlyStoppingImpl : CallbackBase {
  struct Config {
    std::string monitor = "val_loss";
    double min_delta = 0;
    std::int64_t patience = 0;
    int verbose = 0;
    Mode mode = "auto";
    std::optional<double> baseline = {};
    bool restore_best_weights = false;
    std::int64_t start_from_epoch = 0;
  } config;
  void on_train_begin(Logs& logs) override;
  void on_epoch_end(std::int64_t epoch, Logs& logs) override;
  void on_train_end(Logs& logs) override;

  std::int64_t wait = 0, stopped_epoch = 0, best_epoch = 0;
  std::optional<double> best;

 private:
  Monitor monitor_;
  std::vector<Array> best_weights_;
};
using EarlyStopping = CallbackOf<EarlyStoppingImpl>;

/// Makes the learning rate smaller when a value has not got better for `patience` epochs.
struct ReduceLROnPlateauImpl : CallbackBase {
  struct Config {
    std::string monitor = "val_loss";
    double factor = 0.1;
    std::int64_t patience = 10;
    int verbose = 0;
    Mode mode = "auto";
    double min_delta = 1e-4;
    std::int64_t cooldown = 0;
    double min_lr = 0;
  } config;
  void check() const;
  void on_train_begin(Logs& logs) override;
  void on_epoch_end(std::int64_t epoch, Logs& logs) override;

 private:
  Monitor monitor_;
  std::optional<double> best_;
  std::int64_t wait_ = 0, cooldown_ = 0;
};
using ReduceLROnPlateau = CallbackOf<ReduceLROnPlateauImpl>;

/// Sets the learning rate at the beginning of each epoch: `schedule(epoch, rate so far)`.
struct LearningRateSchedulerImpl : CallbackBase {
  struct Config {
    std::function<double(std::int64_t epoch, double rate)> schedule = {};
    int verbose = 0;
  } config;
  void check() const;
  void on_epoch_begin(std::int64_t epoch, Logs& logs) override;
  void on_epoch_end(std::int64_t epoch, Logs& logs) override;
};
using LearningRateScheduler = CallbackOf<LearningRateSchedulerImpl>;

/// At the end of each epoch, or after so many batches.
class SaveFreq {
 public:
  SaveFreq(std::int64_t batches) : batches_(batches) {}  // NOLINT: Keras takes either
  template <std::size_t size>
  consteval SaveFreq(const char (&word)[size]) {  // NOLINT
    if (std::string_view(word, size - 1) != "epoch") throw "save_freq is \"epoch\" or a number of batches";
  }
  std::int64_t batches() const { return batches_; }  // 0: epochs

 private:
  std::int64_t batches_ = 0;
};

/// Saves the model, or its weights, as training goes on. The path has fields: "{epoch:02d}-{val_loss:.2f}.keras". A
/// file is the old one or the new one, whatever happens meanwhile.
struct ModelCheckpointImpl : CallbackBase {
  struct Config {
    std::string filepath = {};
    std::string monitor = "val_loss";
    int verbose = 0;
    bool save_best_only = false;
    bool save_weights_only = false;
    Mode mode = "auto";
    SaveFreq save_freq = "epoch";
    std::optional<double> initial_value_threshold = {};
  } config;
  void check() const;
  void on_epoch_begin(std::int64_t epoch, Logs& logs) override;
  void on_train_batch_end(std::int64_t batch, Logs& logs) override;
  void on_epoch_end(std::int64_t epoch, Logs& logs) override;

 private:
  bool is_due(const Logs& logs, const std::string& path);
  void save(std::optional<std::int64_t> batch, const Logs& logs);
  void say(const std::string& what) const;

  Monitor monitor_;
  std::optional<double> best_;
  bool has_begun_ = false;
  std::int64_t epoch_ = 0, batches_ = 0;
};
using ModelCheckpoint = CallbackOf<ModelCheckpointImpl>;

/// A line for each epoch, with what the logs have, in a file. Lines end in CR LF, as Keras' do.
struct CSVLoggerImpl : CallbackBase {
  struct Config {
    std::string filename = {};
    std::string separator = ",";
    bool append = false;
  } config;
  void on_train_begin(Logs& logs) override;
  void on_epoch_end(std::int64_t epoch, Logs& logs) override;
  void on_train_end(Logs& logs) override;

 private:
  std::ofstream file_;
  std::vector<std::string> keys_;
  bool has_header_ = false;
};
using CSVLogger = CallbackOf<CSVLoggerImpl>;

/// Stops when the loss is no number any more, or infinite.
struct TerminateOnNaNImpl : CallbackBase {
  struct Config {
    bool raise_error = false;
  } config;
  void on_train_batch_end(std::int64_t batch, Logs& logs) override;
};
using TerminateOnNaN = CallbackOf<TerminateOnNaNImpl>;

/// Functions as a callback.
struct LambdaCallbackImpl : CallbackBase {
  using OfCount = std::function<void(std::int64_t, Logs&)>;
  using OfLogs = std::function<void(Logs&)>;
  struct Config {
    OfCount on_epoch_begin = {}, on_epoch_end = {};
    OfLogs on_train_begin = {}, on_train_end = {};
    OfCount on_train_batch_begin = {}, on_train_batch_end = {};
  } config;
  void on_epoch_begin(std::int64_t epoch, Logs& logs) override { call(config.on_epoch_begin, epoch, logs); }
  void on_epoch_end(std::int64_t epoch, Logs& logs) override { call(config.on_epoch_end, epoch, logs); }
  void on_train_begin(Logs& logs) override { call(config.on_train_begin, logs); }
  void on_train_end(Logs& logs) override { call(config.on_train_end, logs); }
  void on_train_batch_begin(std::int64_t batch, Logs& logs) override { call(config.on_train_batch_begin, batch, logs); }
  void on_train_batch_end(std::int64_t batch, Logs& logs) override { call(config.on_train_batch_end, batch, logs); }

 private:
  static void call(const auto& function, auto&&... arguments) {
    if (function) function(arguments...);
  }
};
using LambdaCallback = CallbackOf<LambdaCallbackImpl>;

}  // namespace callbacks
}  // namespace tusk
