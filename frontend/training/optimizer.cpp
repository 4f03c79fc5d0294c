#include "frontend/training/optimizer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "frontend/ops/ops.hpp"
#include "ir/graph/interpret.hpp"

namespace tusk {
namespace {

std::string with_underscores(std::string path) {
  std::ranges::replace(path, '/', '_');
  return path;
}

Tensor sum_of_squares(const Tensor& x) { return ops::sum(ops::square(x)); }

}  // namespace

void OptimizerBase::set_identity(std::string_view class_name, std::string name, OptimizerOptions options) {
  class_name_ = class_name;
  name_ = name.empty() ? automatic_name(class_name) : std::move(name);
  options_ = std::move(options);
  // As in Keras, what is not above zero clips nothing.
  for (std::optional<double>* clip : {&options_.clipnorm, &options_.clipvalue, &options_.global_clipnorm}) {
    if (*clip && !(**clip > 0)) clip->reset();
  }
  if (options_.learning_rate.schedule() == nullptr &&
      !std::isfinite(static_cast<float>(options_.learning_rate.number()))) {
    throw Error(error("optimizer-option", fmt::format("{}: learning_rate is {}, expected a number", name_,
                                                      options_.learning_rate.number())));
  }
  const int clips = (options_.clipnorm ? 1 : 0) + (options_.clipvalue ? 1 : 0) + (options_.global_clipnorm ? 1 : 0);
  if (clips > 1) {
    throw Error(error("optimizer-clip",
                      fmt::format("{}: only one of clipnorm, clipvalue and global_clipnorm can be set", name_)));
  }
  const auto at_least = [&](const std::optional<std::int64_t>& value, std::int64_t least, std::string_view what) {
    if (value && *value < least)
      throw Error(
          error("optimizer-option", fmt::format("{}: {} is {}, expected at least {}", name_, what, *value, least)));
  };
  at_least(options_.gradient_accumulation_steps, 2, "gradient_accumulation_steps");
  at_least(options_.ema_overwrite_frequency, 1, "ema_overwrite_frequency");
  if (options_.use_ema && !(options_.ema_momentum >= 0 && options_.ema_momentum <= 1)) {
    throw Error(error("optimizer-option", fmt::format("{}: ema_momentum is {}, expected a number in [0, 1]", name_,
                                                      options_.ema_momentum)));
  }
}

void OptimizerBase::build(const std::vector<TrainedWeight>& weights) {
  if (built_) {
    if (!std::ranges::equal(weights, weights_, {}, &TrainedWeight::variable, &TrainedWeight::variable))
      throw Error(error("optimizer-weights", fmt::format("{} has been built for other weights", name_))
                      .note("a new optimizer for each model, and for a model whose layers were frozen or unfrozen"));
    return;
  }
  built_ = true;
  weights_ = weights;
  iteration_ = add_scalar(name_ + "/iteration", DType::i64, 0);
  if (options_.learning_rate.schedule() == nullptr)
    learning_rate_ = add_scalar(name_ + "/learning_rate", DType::f32, options_.learning_rate.number());
  if (options_.use_ema) averages_ = add_slots(weights, "average");
  if (options_.gradient_accumulation_steps) accumulators_ = add_slots(weights, "gradient_accumulator");
  build_slots(weights);
}

double OptimizerBase::learning_rate() const {
  if (learning_rate_) return learning_rate_.value().at(0);
  const Schedule* schedule = options_.learning_rate.schedule();
  if (schedule == nullptr) return static_cast<float>(options_.learning_rate.number());
  Trace trace("rate", Trace::Weights::copied);
  const Tensor step = trace.parameter("step", {DType::i64, {}});
  trace.function.results = {trace.operand((*schedule)(step))};
  trace.function.result_names = {"rate"};
  trace.module.functions.push_back(std::move(trace.function));
  const Array now = iteration_ ? iteration_.value() : Array(DType::i64, {});
  return static_cast<float>(value_or_throw(graph::interpret(trace.module, "rate", {now}, {})).front().at(0));
}

void OptimizerBase::set_learning_rate(double rate) {
  if (options_.learning_rate.schedule() != nullptr)
    throw Error(error("optimizer-rate", fmt::format("{} has a schedule: its learning rate cannot be set", name_)));
  options_.learning_rate = rate;
  if (learning_rate_) learning_rate_.assign(Array::splat(DType::f32, {}, rate));
}

void OptimizerBase::finalize() {
  for (std::size_t i = 0; i < averages_.size(); ++i) weights_[i].variable.assign(averages_[i].value());
}

Variable OptimizerBase::add_slot(const TrainedWeight& weight, std::string_view slot,
                                 const std::vector<std::int64_t>& shape, double initial) {
  graph::Type type{weight.variable.type().dtype, {shape.begin(), shape.end()}};
  Variable variable(fmt::format("{}/{}_{}", name_, with_underscores(weight.path), slot), std::move(type), "zeros",
                    false, false, 0);
  if (initial != 0) variable.assign(Array::splat(variable.type().dtype, shape, initial));
  variables_.push_back(variable);
  return variable;
}

Variable OptimizerBase::add_slot(const TrainedWeight& weight, std::string_view slot, double initial) {
  return add_slot(weight, slot, weight.variable.shape(), initial);
}

std::vector<Variable> OptimizerBase::add_slots(const std::vector<TrainedWeight>& weights, std::string_view slot,
                                               double initial) {
  std::vector<Variable> out;
  for (const TrainedWeight& weight : weights) out.push_back(add_slot(weight, slot, initial));
  return out;
}

Variable OptimizerBase::add_scalar(std::string name, DType type, double value) {
  Variable variable(std::move(name), {type, {}}, "zeros", false, false, 0);
  variable.assign(Array::splat(type, {}, value));
  variables_.push_back(variable);
  return variable;
}

Tensor OptimizerBase::read(const Variable& variable) { return Trace::value(variable); }

void OptimizerBase::assign(const Variable& variable, const Tensor& value) { Trace::current().assign(variable, value); }

void OptimizerBase::add_variables(const std::vector<Variable>& variables) {
  variables_.insert(variables_.end(), variables.begin(), variables.end());
}

bool OptimizerBase::decays(const TrainedWeight& weight) const {
  return std::ranges::none_of(
      undecayed_, [&](const std::string& text) { return weight.chosen_by().find(text) != std::string::npos; });
}

std::optional<double> OptimizerBase::weight_decay_of(const TrainedWeight&) const { return options_.weight_decay; }

Tensor OptimizerBase::scaled(const Tensor& loss) const {
  return options_.loss_scale_factor ? loss * *options_.loss_scale_factor : loss;
}

std::vector<Tensor> OptimizerBase::clipped(std::vector<Tensor> gradients) const {
  if (options_.clipnorm) {
    const double most = *options_.clipnorm;
    for (Tensor& g : gradients) g = g * most / ops::maximum(ops::sqrt(sum_of_squares(g)), most);
  } else if (options_.global_clipnorm) {
    const double most = *options_.global_clipnorm;
    Tensor squares;
    for (const Tensor& g : gradients) squares = squares ? squares + sum_of_squares(g) : sum_of_squares(g);
    const Tensor factor = most * ops::minimum(1 / ops::sqrt(squares), 1 / most);
    for (Tensor& g : gradients) g = g * factor;
  } else if (options_.clipvalue) {
    for (Tensor& g : gradients) g = ops::clip(g, -*options_.clipvalue, *options_.clipvalue);
  }
  return gradients;
}

// The moving average of a weight; its first value is the weight itself.
void OptimizerBase::average(const Variable& average, const Tensor& iterations, Tensor& weight) {
  const Tensor momentum = ops::where(ops::equal(iterations, 0), 0.0, options_.ema_momentum);
  const Tensor m = emit::cast(momentum, weight.dtype());
  const Tensor mean = m * read(average) + (1 - m) * weight;
  assign(average, mean);
  if (options_.ema_overwrite_frequency) {
    const Tensor due = ops::equal(ops::mod(iterations + 1, *options_.ema_overwrite_frequency), 0);
    weight = ops::where(due, mean, weight);
  }
}

void OptimizerBase::apply(const std::vector<Tensor>& given) {
  Trace& trace = Trace::current();
  const Tensor raw = read(iteration_);
  Tensor iterations = raw;
  std::vector<Tensor> gradients = given;
  if (options_.loss_scale_factor) {
    for (Tensor& g : gradients) g = g / *options_.loss_scale_factor;
  }
  const Schedule* schedule = options_.learning_rate.schedule();
  const Tensor rate = schedule != nullptr ? (*schedule)(raw) : read(learning_rate_);
  // The caller may change it between two steps: what no function updates would be a constant.
  if (schedule == nullptr) assign(learning_rate_, rate);
  const auto update = [&] {
    gradients = clipped(std::move(gradients));
    update_weights(gradients, rate, emit::cast(iterations + 1, DType::f32));
  };
  if (const auto steps = options_.gradient_accumulation_steps) {
    iterations = ops::floor_divide(raw, *steps);
    const Tensor applies = ops::equal(ops::mod(raw + 1, *steps), 0);
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      gradients[i] = gradients[i] + read(accumulators_[i]);
      assign(accumulators_[i], ops::where(applies, ops::zeros_like(gradients[i]), gradients[i]));
    }
    trace.only_if(applies, [&] {
      for (Tensor& g : gradients) g = g / static_cast<double>(*steps);
      update();
    });
  } else {
    update();
  }
  for (std::size_t i = 0; options_.use_ema && i < weights_.size(); ++i) {
    Tensor weight = read(weights_[i].variable);
    average(averages_[i], iterations, weight);
    if (options_.ema_overwrite_frequency) assign(weights_[i].variable, weight);
  }
  count_step();
}

void OptimizerBase::count_step() { assign(iteration_, read(iteration_) + 1); }

void OptimizerBase::update_weights(const std::vector<Tensor>& gradients, const Tensor& rate, const Tensor& step) {
  begin_step(step);
  std::vector<Tensor> results;
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    Tensor weight = read(weights_[i].variable);
    const Tensor own_rate = emit::cast(rate, weight.dtype());
    const Tensor own_step = emit::cast(step, weight.dtype());
    const std::optional<double> decay = weight_decay_of(weights_[i]);
    if (decay && decays(weights_[i])) weight = weight - weight * *decay * own_rate;
    results.push_back(updated({i, weight, gradients[i], own_rate, own_step}));
  }
  for (std::size_t i = 0; i < weights_.size(); ++i) assign(weights_[i].variable, results[i]);
}

}  // namespace tusk
