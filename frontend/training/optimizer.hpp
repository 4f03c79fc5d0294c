// Optimizers: how gradients change weights. What they keep between steps are variables, and a step of theirs is traced:
// it becomes part of the compiled training step. https://keras.io/api/optimizers/
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "frontend/model/names.hpp"
#include "frontend/model/tensor.hpp"
#include "frontend/training/schedules.hpp"

namespace tusk {

/// What every optimizer takes (the arguments of keras.optimizers.Optimizer).
struct OptimizerOptions {
  LearningRate learning_rate = 0.001;
  std::optional<double> weight_decay, clipnorm, clipvalue, global_clipnorm;
  bool use_ema = false;
  double ema_momentum = 0.99;
  std::optional<std::int64_t> ema_overwrite_frequency;
  std::optional<double> loss_scale_factor;
  std::optional<std::int64_t> gradient_accumulation_steps;
};

/// A weight that is trained, its path in the functions of the model ("encoder/dense/kernel"), and that in Keras, by
/// which optimizers choose weights ("dense/kernel"; empty: the same).
struct TrainedWeight {
  Variable variable;
  std::string path;
  std::string keras_path = {};

  const std::string& chosen_by() const { return keras_path.empty() ? path : keras_path; }
};

class OptimizerBase {
 public:
  virtual ~OptimizerBase() = default;

  std::string_view class_name() const { return class_name_; }
  const std::string& name() const { return name_; }

  /// Makes the variables, once. Throws [optimizer-weights] if they are made and these are other weights.
  void build(const std::vector<TrainedWeight>& weights);
  /// Iteration, learning rate (unless it is a schedule), averages, accumulators, then those of the class: the order of
  /// Keras' files.
  const std::vector<Variable>& variables() const { return variables_; }

  /// Traced: new values for the weights, in their order, and for all variables. Requires: it is built.
  virtual void apply(const std::vector<Tensor>& gradients);
  /// That of the next step: the number, or what the schedule says. Throws [optimizer-rate] where a schedule says it.
  virtual double learning_rate() const;
  virtual void set_learning_rate(double rate);
  /// The path of the variable that has it, if it is no schedule.
  virtual std::string rate_path() const { return name_ + "/learning_rate"; }
  /// With averages of the weights (use_ema): puts them in the weights' place, as fit does at its end.
  virtual void finalize();

  /// Throws [optimizer-option] where something is missing.
  virtual void check() const {}

  /// Traced: the loss as it is differentiated.
  virtual Tensor scaled(const Tensor& loss) const;

  /// Set once, by the handle that makes it.
  void set_identity(std::string_view class_name, std::string name, OptimizerOptions options);
  /// Instead of the one that it was given.
  void set_loss_scale_factor(std::optional<double> factor) { options_.loss_scale_factor = factor; }
  /// Weights whose path has one of these texts in it are not decayed.
  void exclude_from_weight_decay(std::vector<std::string> texts) { undecayed_ = std::move(texts); }

 protected:
  /// One weight of one step: scalars are of the weight's dtype. `step` counts from 1.
  struct Update {
    std::size_t index;
    Tensor weight, gradient, rate, step;
  };

  /// Makes the class' own variables.
  virtual void build_slots(const std::vector<TrainedWeight>& weights) = 0;
  /// Before the updates of a step.
  virtual void begin_step(const Tensor& /*step*/) {}
  /// The new weight.
  virtual Tensor updated(const Update& update) = 0;
  virtual std::optional<double> weight_decay_of(const TrainedWeight& weight) const;

  /// A variable of the weight's shape (or another), called path_slot.
  Variable add_slot(const TrainedWeight& weight, std::string_view slot, double initial = 0);
  Variable add_slot(const TrainedWeight& weight, std::string_view slot, const std::vector<std::int64_t>& shape,
                    double initial = 0);
  Variable add_scalar(std::string name, DType type, double value);
  /// The slot `slot` of every weight.
  std::vector<Variable> add_slots(const std::vector<TrainedWeight>& weights, std::string_view slot, double initial = 0);
  static Tensor read(const Variable& variable);
  static void assign(const Variable& variable, const Tensor& value);
  /// One more in `iteration`, for a class whose `apply` is its own.
  void count_step();
  /// Another optimizer's variables behind those so far.
  void add_variables(const std::vector<Variable>& variables);

  const OptimizerOptions& options() const { return options_; }

 private:
  bool decays(const TrainedWeight& weight) const;
  std::vector<Tensor> clipped(std::vector<Tensor> gradients) const;
  void update_weights(const std::vector<Tensor>& gradients, const Tensor& rate, const Tensor& step);
  void average(const Variable& average, const Tensor& iterations, Tensor& weight);

  std::string_view class_name_;
  std::string name_;
  OptimizerOptions options_;
  bool built_ = false;
  std::vector<TrainedWeight> weights_;
  std::vector<Variable> variables_, averages_, accumulators_;
  Variable iteration_, learning_rate_;
  std::vector<std::string> undecayed_;
};

/// A handle of any optimizer; copies share it.
class Optimizer {
 public:
  Optimizer() = default;
  explicit Optimizer(std::shared_ptr<OptimizerBase> optimizer) : optimizer_(std::move(optimizer)) {}

  std::string_view class_name() const { return optimizer_->class_name(); }
  const std::string& name() const { return optimizer_->name(); }
  const std::vector<Variable>& variables() const { return optimizer_->variables(); }
  double learning_rate() const { return optimizer_->learning_rate(); }
  void set_learning_rate(double rate) const { optimizer_->set_learning_rate(rate); }
  OptimizerBase& base() const { return *optimizer_; }
  explicit operator bool() const { return optimizer_ != nullptr; }

 private:
  std::shared_ptr<OptimizerBase> optimizer_;
};

/// The handle of an optimizer `Impl`: optimizers::Adam({.learning_rate = 0.01}), or the rate alone, Adam(0.01).
template <class Impl>
class OptimizerOf : public Optimizer {
 public:
  using Config = typename Impl::Config;
  OptimizerOf() : OptimizerOf(Config{}) {}
  OptimizerOf(Config config) : Optimizer(make(std::move(config))) {}  // NOLINT: braces are Python's keyword arguments
  // A rate is deduced, which braces are not.
  template <class Rate>
  requires(std::is_convertible_v<Rate, LearningRate>) explicit OptimizerOf(Rate rate, Config config = {})
      : Optimizer(make(with(std::move(rate), std::move(config)))) {}

 private:
  static Config with(LearningRate rate, Config config) {
    config.learning_rate = std::move(rate);
    return config;
  }
  static std::shared_ptr<Impl> make(Config config) {
    auto optimizer = std::make_shared<Impl>();
    OptimizerOptions options;
    if constexpr (requires { config.use_ema; }) {
      options = {config.learning_rate,     config.weight_decay,
                 config.clipnorm,          config.clipvalue,
                 config.global_clipnorm,   config.use_ema,
                 config.ema_momentum,      config.ema_overwrite_frequency,
                 config.loss_scale_factor, config.gradient_accumulation_steps};
    } else {
      options.learning_rate = 0;  // around others, which have their own
    }
    optimizer->set_identity(class_name_of<Impl>(), config.name, std::move(options));
    optimizer->config = std::move(config);
    optimizer->check();
    return optimizer;
  }
};

}  // namespace tusk
