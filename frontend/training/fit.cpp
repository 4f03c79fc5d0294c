#include "frontend/training/fit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <numeric>
#include <random>

#include "frontend/files/bytes.hpp"
#include "frontend/model/arrays.hpp"
#include "frontend/model/error.hpp"
#include "frontend/model/random_seed.hpp"
#include "frontend/training/progress_bar.hpp"
#include "frontend/training/trainer.hpp"

namespace tusk {
namespace {

Error option_problem(const Model& model, const std::string& message) {
  return Error(error("fit-option", model.name() + ": " + message));
}

void check_at_least(const Model& model, std::string_view name, std::int64_t value, std::int64_t least) {
  if (value < least) throw option_problem(model, fmt::format("{} is {}, expected at least {}", name, value, least));
}

void warn_ran_out(const Model& model, std::int64_t done, std::int64_t wanted) {
  std::cerr << fmt::format("warning: {}: the data ran out after {} of {} steps\n", model.name(), done, wanted);
}

// The rows of each step: all of them in each epoch, or as many steps as are asked for, from where the last epoch ended.
class Batches {
 public:
  Batches(std::int64_t count, std::int64_t size, std::optional<std::int64_t> steps)
      : size_(size), steps_(steps), order_(static_cast<std::size_t>(count)) {}

  std::int64_t per_epoch() const { return steps_.value_or(whole()); }

  /// `shuffled` makes an order when a new pass over the rows begins.
  template <class Order>
  void begin_epoch(const Order& shuffled) {
    if (next_ == 0 || !steps_ || next_ >= whole()) {
      next_ = 0;
      std::iota(order_.begin(), order_.end(), 0);
      shuffled(std::span<std::int64_t>(order_));
    }
  }
  /// Empty at the end of the pass.
  std::span<const std::int64_t> next() {
    if (next_ >= whole()) return {};
    const std::size_t begin = static_cast<std::size_t>(next_++ * size_);
    return std::span(order_).subspan(begin, std::min(static_cast<std::size_t>(size_), order_.size() - begin));
  }

 private:
  std::int64_t whole() const { return (static_cast<std::int64_t>(order_.size()) + size_ - 1) / size_; }

  std::int64_t size_;
  std::optional<std::int64_t> steps_;
  std::vector<std::int64_t> order_;
  std::int64_t next_ = 0;
};

// Fisher and Yates, by the generator's own numbers: the same order everywhere.
void shuffle(std::span<std::int64_t> rows, std::mt19937_64& random) {
  for (std::size_t i = rows.size(); i > 1; --i) std::swap(rows[i - 1], rows[random() % i]);
}

// One hook of all callbacks.
template <class Hook, class... Arguments>
void call(const std::vector<Callback>& callbacks, Hook hook, Arguments&&... arguments) {
  for (const Callback& callback : callbacks) (callback.base().*hook)(arguments...);
}

Logs evaluate_all(CurrentProgram program, const Samples& samples, Batches batches,
                  const std::vector<Callback>& callbacks, ProgressLogger* progress) {
  Logs none;
  Logs logs;
  call(callbacks, &CallbackBase::on_test_begin, none);
  if (progress != nullptr) progress->begin();
  reset_metrics(program());
  batches.begin_epoch([](std::span<std::int64_t>) {});
  const std::int64_t steps = batches.per_epoch();
  Samples batch;
  for (std::int64_t step = 0; step < steps; ++step) {
    const std::span<const std::int64_t> which = batches.next();
    if (which.empty()) {
      warn_ran_out(program.model(), step, steps);
      break;
    }
    call(callbacks, &CallbackBase::on_test_batch_begin, step, none);
    copy_rows(samples, which, batch);
    run(program(), "evaluate", batch);
    logs = logs_of(program());
    call(callbacks, &CallbackBase::on_test_batch_end, step, logs);
    if (progress != nullptr) progress->step(step, logs.entries());
  }
  call(callbacks, &CallbackBase::on_test_end, logs);
  if (progress != nullptr) progress->end(logs.entries());
  return logs;
}

Scores in_order(const Model& model, const Logs& logs) {
  const TrainingPlan& plan = trainer_of(model, "evaluate").program->plan;
  std::vector<std::string> names{"loss"};
  for (const auto* lists : {&plan.metrics, &plan.weighted_metrics}) {
    for (const auto& list : *lists) {
      for (const Metric& metric : list) names.push_back(metric.name());
    }
  }
  for (const std::string& output : model.output_names()) names.push_back(output + "_loss");
  // As Keras has it: a name as often as metrics have it, then what no metric is called.
  std::vector<Logs::Entry> out;
  for (const std::string& name : names) {
    if (const double* value = logs.find(name)) out.emplace_back(name, *value);
  }
  for (const auto& [name, value] : logs) {
    if (std::ranges::find(names, name) == names.end()) out.emplace_back(name, value);
  }
  return Scores(std::move(out));
}

// The last part of the rows becomes the data to validate with.
std::pair<Samples, Samples> split(const Model& model, const Samples& all, double fraction) {
  if (!(fraction > 0 && fraction < 1))
    throw option_problem(model, fmt::format("validation_split is {}, expected a number in [0, 1)", fraction));
  const auto at = static_cast<std::int64_t>(std::floor(static_cast<double>(all.count) * (1 - fraction)));
  if (at == 0 || at == all.count)
    throw option_problem(model, fmt::format("validation_split = {} of {} samples leaves none to {}", fraction,
                                            all.count, at == 0 ? "train with" : "validate with"));
  return {rows(all, 0, at), rows(all, at, all.count)};
}

bool validates(const ValidationFreq& freq, std::int64_t epoch) {
  if (freq.epochs.empty()) return (epoch + 1) % freq.every == 0;
  return std::ranges::find(freq.epochs, epoch + 1) != freq.epochs.end();
}

void check(const Model& model, const FitOptions& options) {
  check_at_least(model, "batch_size", options.batch_size, 1);
  check_at_least(model, "epochs", options.epochs, 0);
  check_at_least(model, "initial_epoch", options.initial_epoch, 0);
  check_at_least(model, "validation_freq", options.validation_freq.every, 1);
  check_at_least(model, "steps_per_epoch", options.steps_per_epoch.value_or(1), 1);
  check_at_least(model, "validation_steps", options.validation_steps.value_or(1), 1);
  check_at_least(model, "validation_batch_size", options.validation_batch_size.value_or(1), 1);
}

// One call of fit.
class Fit {
 public:
  Fit(const Model& model, const Data& x, const Data& y, const FitOptions& options) : model_(model), options_(options) {
    trainer_of(model, "fit");
    trainer_ = model.functional().trainer;
    check(model, options);
    train_ = samples_of(model, x, y, options.sample_weight, options.class_weight);
    const ValidationData& given = options.validation_data;
    if (!given.x.is_none()) {
      validation_ = samples_of(model, given.x, given.y, given.sample_weight, {});
    } else if (options.validation_split != 0) {
      std::tie(train_, validation_.emplace()) = split(model, train_, options.validation_split);
      // The weights of classes are for training.
      if (!options.class_weight.empty()) validation_->weights.clear();
    }
  }

  History run_all() {
    Batches batches(train_.count, options_.batch_size, options_.steps_per_epoch);
    History history;
    history.params = {options_.verbose.level(), options_.epochs, batches.per_epoch()};
    ProgressLogger progress(
        {.verbose = options_.verbose.level(), .epochs = options_.epochs, .steps = batches.per_epoch()});
    for (const Callback& callback : options_.callbacks) callback.base().set_up(model_, history.params);
    trainer_->stop_training = false;
    prepare();
    Logs none;
    Logs logs;
    call(options_.callbacks, &CallbackBase::on_train_begin, none);
    for (std::int64_t epoch = options_.initial_epoch; epoch < options_.epochs; ++epoch) {
      Logs begin;
      call(options_.callbacks, &CallbackBase::on_epoch_begin, epoch, begin);
      progress.begin_epoch(epoch);
      logs = train(batches, progress);
      if (validation_ && validates(options_.validation_freq, epoch)) logs = validated(logs);
      call(options_.callbacks, &CallbackBase::on_epoch_end, epoch, logs);
      history.epoch.push_back(epoch);
      for (const auto& [name, value] : logs) history.history[name].push_back(value);
      progress.end(logs.entries());
      if (trainer_->stop_training) break;
    }
    if (options_.epochs > 0) trainer_->optimizer.base().finalize();
    call(options_.callbacks, &CallbackBase::on_train_end, logs);
    return history;
  }

 private:
  std::int64_t validation_batch() const { return options_.validation_batch_size.value_or(options_.batch_size); }

  // One program for both, if it can be.
  void prepare() {
    if (validation_) program_for(model_, *validation_, validation_batch(), "train_step");
    program_for(model_, train_, options_.batch_size, "train_step");
  }

  Logs train(Batches& batches, ProgressLogger& progress) {
    prepare();
    CurrentProgram program(model_, trainer_, train_, options_.batch_size, "train_step");
    reset_metrics(program());
    batches.begin_epoch([&](std::span<std::int64_t> order) { shuffle_rows(order); });
    const std::int64_t steps = batches.per_epoch();
    Logs logs;
    for (std::int64_t step = 0; step < steps; ++step) {
      const std::span<const std::int64_t> which = batches.next();
      if (which.empty()) {
        warn_ran_out(model_, step, steps);
        break;
      }
      Logs none;
      call(options_.callbacks, &CallbackBase::on_train_batch_begin, step, none);
      copy_rows(train_, which, batch_);
      run(program(), "train_step", batch_);
      if (step == 0 && validation_) program().compiled->prepare("evaluate");
      logs = logs_of(program());
      call(options_.callbacks, &CallbackBase::on_train_batch_end, step, logs);
      progress.step(step, logs.entries());
      if (trainer_->stop_training) break;
    }
    return logs_of(program());
  }

  void shuffle_rows(std::span<std::int64_t> order) {
    std::seed_seq seeds{random_seed() & 0xffffffffU, random_seed() >> 32, ++trainer_->shuffles};
    std::mt19937_64 random(seeds);
    if (options_.shuffle.rows()) shuffle(order, random);
    for (std::size_t at = 0; options_.shuffle.in_batches() && at < order.size();) {
      const std::size_t size = std::min(static_cast<std::size_t>(options_.batch_size), order.size() - at);
      shuffle(order.subspan(at, size), random);
      at += size;
    }
  }

  // The logs of the epoch, and those of the validation behind val_.
  Logs validated(const Logs& logs) {
    std::vector<Logs::Entry> entries = logs.entries();
    const Batches batches(validation_->count, validation_batch(), options_.validation_steps);
    const CurrentProgram program(model_, trainer_, *validation_, validation_batch(), "train_step");
    for (const auto& [name, value] : evaluate_all(program, *validation_, batches, options_.callbacks, nullptr))
      entries.emplace_back("val_" + name, value);
    return Logs(std::move(entries));
  }

  const Model& model_;
  const FitOptions& options_;
  std::shared_ptr<Trainer> trainer_;
  Samples train_, batch_;
  std::optional<Samples> validation_;
};

Scores on_batch(const Model& model, std::string_view function, std::string_view called, const Data& x, const Data& y,
                const BatchOptions& options) {
  trainer_of(model, called);
  Samples batch = samples_of(model, x, y, options.sample_weight, options.class_weight);
  Program& program = program_for(model, batch, batch.count, function);
  reset_metrics(program);
  run(program, function, batch);
  return in_order(model, logs_of(program));
}

}  // namespace

const std::vector<double>& History::operator[](std::string_view name) const {
  const auto found = history.find(name);
  if (found != history.end()) return found->second;
  std::string names;
  for (const auto& [known, values] : history) names += (names.empty() ? "" : ", ") + known;
  throw Error(
      error("history-name", fmt::format("nothing was logged as {}", in_quotes(name))).note("there are " + names));
}

double Scores::operator[](std::string_view name) const {
  std::string names;
  for (const auto& [known, value] : entries_) {
    if (known == name) return value;
    names += (names.empty() ? "" : ", ") + known;
  }
  throw Error(
      error("history-name", fmt::format("nothing was logged as {}", in_quotes(name))).note("there are " + names));
}

void Model::compile(const CompileOptions& options) const {
  graph::prepare_compiler();
  auto trainer = std::make_shared<Trainer>();
  trainer->options = options;
  trainer->optimizer = optimizer_for(options, *this);
  if (!options.loss.is_none()) (void)outputs_with_target(options, output_names());
  functional().trainer = std::move(trainer);
}

History Model::fit(const Data& x, const Data& y) const { return fit(x, y, {}); }

History Model::fit(const Data& x, const Data& y, const FitOptions& options) const {
  return Fit(*this, x, y, options).run_all();
}

Scores Model::evaluate(const Data& x, const Data& y) const { return evaluate(x, y, {}); }

Scores Model::evaluate(const Data& x, const Data& y, const EvaluateOptions& options) const {
  trainer_of(*this, "evaluate");
  check_at_least(*this, "batch_size", options.batch_size, 1);
  check_at_least(*this, "steps", options.steps.value_or(1), 1);
  Samples samples = samples_of(*this, x, y, options.sample_weight, {});
  const Batches batches(samples.count, options.batch_size, options.steps);
  ProgressLogger progress({.verbose = options.verbose.level(), .steps = batches.per_epoch()});
  program_for(*this, samples, options.batch_size, "evaluate");
  for (const Callback& callback : options.callbacks)
    callback.base().set_up(*this, {options.verbose.level(), 1, batches.per_epoch()});
  const CurrentProgram program(*this, functional().trainer, samples, options.batch_size, "evaluate");
  return in_order(*this, evaluate_all(program, samples, batches, options.callbacks, &progress));
}

Scores Model::train_on_batch(const Data& x, const Data& y) const { return train_on_batch(x, y, {}); }

Scores Model::train_on_batch(const Data& x, const Data& y, const BatchOptions& options) const {
  return on_batch(*this, "train_step", "train_on_batch", x, y, options);
}

Scores Model::test_on_batch(const Data& x, const Data& y) const { return test_on_batch(x, y, {}); }

Scores Model::test_on_batch(const Data& x, const Data& y, const BatchOptions& options) const {
  return on_batch(*this, "evaluate", "test_on_batch", x, y, options);
}

std::vector<Array> Model::predict_on_batch(const Data& x) const {
  const std::vector<Array> inputs = input_arrays(*this, x);
  const std::int64_t count = inputs.empty() || inputs[0].shape().empty() ? 1 : inputs[0].shape()[0];
  return predict(x, {.batch_size = std::max<std::int64_t>(count, 1), .verbose = 0});
}

Optimizer Model::optimizer() const { return trainer_of(*this, "optimizer").optimizer; }

bool Model::stop_training() const { return trainer_of(*this, "stop_training").stop_training; }

void Model::set_stop_training(bool stop) const { trainer_of(*this, "set_stop_training").stop_training = stop; }

}  // namespace tusk
