#include "frontend/training/train_step.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <utility>

#include "frontend/files/bytes.hpp"
#include "frontend/model/keras_paths.hpp"
#include "frontend/ops/ops.hpp"
#include "frontend/training/first_value.hpp"
#include "frontend/training/loss_list.hpp"
#include "frontend/training/penalties.hpp"
#include "ir/text/suggest.hpp"

namespace tusk {
namespace {

// The mean of a loss over what has been counted, each batch as often as it has samples.
struct LossTracker {
  std::string name;
  Variable total, count;
};

LossTracker tracker(const std::string& name) {
  const auto variable = [&](const char* what) {
    return Variable(fmt::format("{}/{}", name, what), {DType::f32, {}}, "zeros", false, false, 0);
  };
  return {name, variable("total"), variable("count")};
}

// A metric of an output under its name in Keras' logs.
struct LoggedMetric {
  std::string name;
  std::size_t output;
  bool is_weighted;
  Metric metric;
};

// What a function is given for each output; empty where there is nothing.
struct Targets {
  std::vector<Tensor> truths, weights;
};

class Tracer {
 public:
  Tracer(const Model& model, const TrainingPlan& plan);
  using Inputs = std::vector<Tensor>;
  void trace(Trace& trace, const Inputs& inputs);
  /// The function that stands first.
  std::string_view first() const;

  struct Entry {
    std::string_view name;
    bool has_inputs;  // the model's
    void (Tracer::*trace)(const Inputs&);
  };
  static const std::array<Entry, 9> kFunctions;

 private:
  struct Forward {
    std::vector<Tensor> outputs;
    Targets targets;
    Tensor loss;
    std::vector<Tensor> losses;  // of the outputs that have one, unweighted
  };

  void predict(const Inputs& inputs);
  void train_step(const Inputs& inputs);
  void gradients(const Inputs& inputs);
  void apply(const Inputs& inputs);
  void evaluate(const Inputs& inputs);
  void input_gradients(const Inputs& inputs);
  void initialize(const Inputs& inputs);
  void metrics(const Inputs& inputs);
  void reset_metrics(const Inputs& inputs);

  void check() const;
  bool wants(std::string_view function) const;
  bool has_target(std::size_t output) const;
  Targets parameters(const Dim& batch, const std::vector<Tensor>& results);
  Forward forward(const Inputs& inputs, bool training);
  void about(std::size_t output, const Tensor& truth, const std::function<void()>& act) const;
  void add_losses(Forward& forward) const;
  void count(const Forward& forward, const Dim& batch);
  std::vector<Tensor> weight_gradients(const Forward& forward);
  void apply_gradients(const std::vector<Tensor>& gradients);
  std::vector<Variable> counted();
  void give(std::string_view name, const Tensor& result);

  const Model& model_;
  const TrainingPlan& plan_;
  const std::vector<Variable> trainable_;
  std::vector<LossTracker> trackers_;  // of the whole loss, and of each if there are several
  std::vector<LoggedMetric> metrics_;
  Trace* trace_ = nullptr;
};

const std::array<Tracer::Entry, 9> Tracer::kFunctions{{{"predict", true, &Tracer::predict},
                                                       {"train_step", true, &Tracer::train_step},
                                                       {"gradients", true, &Tracer::gradients},
                                                       {"apply", false, &Tracer::apply},
                                                       {"evaluate", true, &Tracer::evaluate},
                                                       {"input_gradients", true, &Tracer::input_gradients},
                                                       {"initialize", false, &Tracer::initialize},
                                                       {"metrics", false, &Tracer::metrics},
                                                       {"reset_metrics", false, &Tracer::reset_metrics}}};

[[noreturn]] void refuse(const std::string& message) { throw Error(error("training-plan", message)); }

// A metric whose name in the logs is taken gets a number, a weighted one first "weighted_".
std::vector<LoggedMetric> logged_metrics(const Model& model, const TrainingPlan& plan) {
  std::vector<LoggedMetric> out;
  std::map<std::string, int> uses;
  for (const bool weighted : {false, true}) {
    const auto& lists = weighted ? plan.weighted_metrics : plan.metrics;
    for (std::size_t i = 0; i < lists.size(); ++i) {
      const std::string prefix = model.outputs().size() > 1 ? model.output_names()[i] + "_" : "";
      for (const Metric& metric : lists[i]) {
        std::string name = prefix + metric.name();
        if (weighted && uses.contains(name)) name = prefix + "weighted_" + metric.name();
        if (const int used = uses[name]++; used > 0) name = fmt::format("{}_{}", name, used);
        out.push_back({name, i, weighted, metric});
      }
    }
  }
  return out;
}

Tracer::Tracer(const Model& model, const TrainingPlan& plan)
    : model_(model), plan_(plan), trainable_(model.base().trainable_weights()) {
  check();
  const std::size_t outputs = model.outputs().size();
  trackers_.push_back(tracker("loss"));
  const auto losses = std::ranges::count_if(plan.losses, [](const Loss& loss) { return static_cast<bool>(loss); });
  for (std::size_t i = 0; losses > 1 && i < outputs; ++i) {
    if (plan.losses[i]) trackers_.push_back(tracker(model.output_names()[i] + "_loss"));
  }
  metrics_ = logged_metrics(model, plan);
}

bool Tracer::wants(std::string_view function) const {
  return std::ranges::find(plan_.functions, function) != plan_.functions.end();
}

std::string_view Tracer::first() const {
  return std::ranges::find_if(kFunctions, [&](const Entry& entry) { return wants(entry.name); })->name;
}

void Tracer::check() const {
  const std::size_t outputs = model_.outputs().size();
  check_functions(plan_.functions);
  const bool counts = wants("train_step") || wants("gradients") || wants("evaluate");
  if (plan_.functions.empty()) refuse("the plan has no function");
  if (wants("apply") && !wants("gradients"))
    refuse("apply takes what gradients gives, which is not among the functions");
  if ((wants("metrics") || wants("reset_metrics")) && !counts)
    refuse("no function counts for the metrics: train_step, gradients and evaluate do");
  if (wants("initialize") && !counts && !wants("predict") && !wants("input_gradients"))
    refuse("initialize makes weights, and no function has any");
  if (model_.inputs().empty() || model_.inputs().front().rank() == 0) refuse("the first input has no batch");

  if (plan_.losses.size() != outputs)
    refuse(fmt::format("{} losses for {} outputs; an empty loss leaves an output out", plan_.losses.size(), outputs));
  if (!plan_.loss_weights.empty() && plan_.loss_weights.size() != outputs)
    refuse(fmt::format("{} loss_weights for {} outputs", plan_.loss_weights.size(), outputs));
  if (!std::ranges::all_of(plan_.loss_weights, [](double weight) { return std::isfinite(weight); }))
    refuse(fmt::format("the loss_weights are {}, expected numbers", fmt::join(plan_.loss_weights, ", ")));
  for (const auto* lists : {&plan_.metrics, &plan_.weighted_metrics}) {
    if (!lists->empty() && lists->size() != outputs)
      refuse(fmt::format("{} lists of metrics for {} outputs", lists->size(), outputs));
  }
  std::size_t targets = 0;
  for (std::size_t i = 0; i < outputs; ++i) targets += has_target(i) ? 1 : 0;
  if (plan_.targets.size() != targets)
    refuse(fmt::format("{} targets for {} outputs with a loss or metrics", plan_.targets.size(), targets));
  if (plan_.sample_weights.size() > 1 && plan_.sample_weights.size() != targets)
    refuse(fmt::format("{} sample_weights for {} targets", plan_.sample_weights.size(), targets));
  if (std::ranges::none_of(plan_.losses, [](const Loss& loss) { return static_cast<bool>(loss); }))
    refuse("no output has a loss");
  if (!wants("train_step") && !wants("gradients")) return;
  if (!plan_.optimizer) refuse("the plan has no optimizer");
  if (trainable_.empty()) throw Error(error("training-weights", "the model has no weights that training could change"));
}

bool Tracer::has_target(std::size_t output) const {
  return plan_.losses[output] || (output < plan_.metrics.size() && !plan_.metrics[output].empty()) ||
         (output < plan_.weighted_metrics.size() && !plan_.weighted_metrics[output].empty());
}

// Extents that are those of the declared output (None, a name) are those of what was traced.
Targets Tracer::parameters(const Dim& batch, const std::vector<Tensor>& results) {
  const auto parameter = [&](std::string name, const Target& target, std::size_t output) {
    const Shape& declared = model_.outputs()[output].shape();
    const Shape& traced = results[output].shape();
    graph::Type type{target.dtype, {batch}};
    for (std::size_t i = 0; i < target.shape.size(); ++i) {
      const bool is_own = i + 1 < declared.size() && i + 1 < traced.size() && !target.shape[i].is_constant() &&
                          target.shape[i] == declared[i + 1];
      type.shape.push_back(is_own ? traced[i + 1] : target.shape[i]);
    }
    return trace_->parameter(std::move(name), std::move(type));
  };
  const std::size_t outputs = model_.outputs().size();
  Targets out{std::vector<Tensor>(outputs), std::vector<Tensor>(outputs)};
  std::size_t next = 0;
  for (std::size_t i = 0; i < outputs; ++i) {
    if (has_target(i)) out.truths[i] = parameter("y_" + model_.output_names()[i], plan_.targets[next++], i);
  }
  if (plan_.sample_weights.size() == 1) {
    out.weights.assign(outputs, parameter("sample_weight", plan_.sample_weights[0], 0));
  } else if (!plan_.sample_weights.empty()) {
    next = 0;
    for (std::size_t i = 0; i < outputs; ++i) {
      if (has_target(i))
        out.weights[i] = parameter("sample_weight_" + model_.output_names()[i], plan_.sample_weights[next++], i);
    }
  }
  return out;
}

// The outputs, and the loss: the sum of the losses of all outputs, each with its weight, and of all penalties.
Tracer::Forward Tracer::forward(const Inputs& inputs, bool training) {
  check_penalties(model_);
  Forward out;
  std::vector<Tensor> penalties;
  trace_->observer = [&](const LayerBase& layer, const std::vector<Tensor>& results) {
    for (Tensor& penalty : activity_penalties(layer, results)) penalties.push_back(std::move(penalty));
  };
  out.outputs = model_.functional().call_all(inputs, {.training = training});
  trace_->observer = {};
  out.targets = parameters(inputs.front().shape().front(), out.outputs);
  add_losses(out);
  for (const Variable& variable : trainable_) {
    if (variable.regularizer()) penalties.push_back(penalty_of(variable.regularizer(), variable));
  }
  for (const Tensor& penalty : penalties) out.loss = out.loss + penalty;
  return out;
}

// Whether a loss compares labels and predictions element by element: all of Keras' but those of classes and sequences.
bool compares_elements(const Loss& loss) {
  constexpr std::string_view kOthers[] = {"SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy",
                                          "Circle", "CTC"};
  const auto is_it = [&](std::string_view name) { return name == loss.class_name(); };
  return std::ranges::any_of(loss_classes(), is_it) && std::ranges::none_of(kOthers, is_it);
}

// Labels of another rank would meet axes that have nothing to do with theirs, where these happen to be of one extent.
void check_rank(const Loss& loss, const Tensor& y_true, const Tensor& y_pred) {
  if (!compares_elements(loss)) return;
  const auto [a, b] = with_one_rank(y_true, y_pred);
  if (a.rank() == b.rank()) return;
  throw Error(error("loss-labels", "labels of shape " + keras_shape(y_true.shape()) + " for predictions of shape " +
                                       keras_shape(y_pred.shape()))
                  .note(fmt::format("{} wants labels of the shape of the predictions", loss.class_name())));
}

// Does something with an output and its labels; an error of it says what they are.
void Tracer::about(std::size_t output, const Tensor& truth, const std::function<void()>& act) const {
  try {
    act();
  } catch (const Error& thrown) {
    Diagnostic problem = thrown.problem();
    problem.note(fmt::format(
        "y of the output {} is {} {}, the output {}{}", in_quotes(model_.output_names()[output]),
        keras_dtype(truth.dtype()), keras_shape(truth.shape()), keras_shape(model_.outputs()[output].shape()),
        plan_.losses[output] ? fmt::format(", its loss {}", plan_.losses[output].class_name()) : ""));
    throw Error(problem);
  }
}

void Tracer::add_losses(Forward& forward) const {
  for (std::size_t i = 0; i < forward.outputs.size(); ++i) {
    if (!plan_.losses[i]) continue;
    Tensor loss;
    about(i, forward.targets.truths[i], [&] {
      check_rank(plan_.losses[i], forward.targets.truths[i], forward.outputs[i]);
      loss = plan_.losses[i](forward.targets.truths[i], forward.outputs[i], forward.targets.weights[i]);
    });
    if (loss.rank() != 0) loss = ops::sum(loss);
    forward.losses.push_back(loss);
    if (!plan_.loss_weights.empty()) loss = loss * plan_.loss_weights[i];
    forward.loss = forward.loss ? forward.loss + loss : loss;
  }
}

void Tracer::count(const Forward& forward, const Dim& batch) {
  const Tensor samples = emit::map("add", {emit::filled("zero", DType::f32, {}, 0), batch});
  const auto add = [&](const Variable& variable, const Tensor& value) {
    trace_->assign(variable, Trace::value(variable) + value);
  };
  for (std::size_t i = 0; i < trackers_.size(); ++i) {
    const Tensor loss = i == 0 ? forward.loss : forward.losses[i - 1];
    add(trackers_[i].total, loss * samples);
    add(trackers_[i].count, samples);
  }
  for (const LoggedMetric& m : metrics_) {
    about(m.output, forward.targets.truths[m.output], [&] {
      m.metric.base().update(forward.targets.truths[m.output], forward.outputs[m.output],
                             m.is_weighted ? forward.targets.weights[m.output] : Tensor());
    });
  }
}

std::vector<Tensor> Tracer::weight_gradients(const Forward& forward) {
  std::vector<TrainedWeight> trained;
  std::vector<Tensor> wanted;
  const auto keras_paths = tusk::keras_paths(model_);
  for (const Variable& variable : trainable_) {
    trained.push_back({variable, trace_->path_of(variable), keras_paths.at(variable)});
    wanted.emplace_back(variable);
  }
  OptimizerBase& optimizer = plan_.optimizer.base();
  optimizer.build(trained);
  return trace_->gradients(optimizer.scaled(forward.loss), wanted);
}

void Tracer::apply_gradients(const std::vector<Tensor>& gradients) {
  plan_.optimizer.base().apply(gradients);
  for (const Variable& variable : trainable_) {
    if (variable.constraint()) trace_->assign(variable, constrained(variable.constraint(), Trace::value(variable)));
  }
}

void Tracer::give(std::string_view name, const Tensor& result) {
  trace_->function.results.push_back(trace_->operand(result));
  trace_->function.result_names.emplace_back(name);
}

void Tracer::predict(const Inputs& inputs) {
  const std::vector<Tensor> outputs = model_.functional().call_all(inputs, {});
  for (std::size_t i = 0; i < outputs.size(); ++i) give(model_.output_names()[i], outputs[i]);
}

void Tracer::train_step(const Inputs& inputs) {
  const Forward step = forward(inputs, true);
  apply_gradients(weight_gradients(step));
  count(step, inputs.front().shape().front());
  give("loss", step.loss);
}

void Tracer::gradients(const Inputs& inputs) {
  const Forward step = forward(inputs, true);
  std::vector<Tensor> flat;
  for (const Tensor& gradient : weight_gradients(step)) {
    flat.push_back(ops::reshape(gradient, {-1}));
    if (flat.back().dtype() != flat.front().dtype())
      refuse("the trainable weights have several dtypes, so their gradients are no one array");
  }
  count(step, inputs.front().shape().front());
  give("loss", step.loss);
  give("gradient", flat.size() == 1 ? flat.front() : ops::concatenate(flat));
}

void Tracer::apply(const Inputs&) {
  std::int64_t size = 0;
  for (const Variable& variable : trainable_) size += element_count(variable.shape());
  const Tensor flat = trace_->parameter("gradient", {trainable_.front().type().dtype, {size}});
  std::vector<Tensor> gradients;
  std::int64_t at = 0;
  for (const Variable& variable : trainable_) {
    const std::int64_t end = at + element_count(variable.shape());
    gradients.push_back(ops::reshape(flat[{ops::Slice{at, end, 1}}], variable.shape()));
    at = end;
  }
  apply_gradients(gradients);
}

void Tracer::evaluate(const Inputs& inputs) {
  const Forward step = forward(inputs, false);
  count(step, inputs.front().shape().front());
  give("loss", step.loss);
}

void Tracer::input_gradients(const Inputs& inputs) {
  const Forward step = forward(inputs, false);
  std::vector<Tensor> wanted;
  for (const Tensor& input : inputs) {
    if (is_float(input.dtype())) wanted.push_back(input);
  }
  if (wanted.empty()) refuse("the model has no input of floats, which alone have gradients");
  give("loss", step.loss);
  const std::vector<Tensor> gradients = trace_->gradients(step.loss, wanted);
  std::size_t next = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (is_float(inputs[i].dtype())) give("gradient_" + model_.input_names()[i], gradients[next++]);
  }
}

void Tracer::initialize(const Inputs&) {
  const Tensor seed = trace_->parameter("seed", {DType::u32, {Dim(2)}});
  std::uint32_t number = 0;
  for (const Variable& variable : model_.base().weights()) {
    const Tensor value = first_value(variable, seed, number++);
    if (value) trace_->assign(variable, value);
  }
}

void Tracer::metrics(const Inputs&) {
  for (const LossTracker& t : trackers_) give(t.name, ops::divide_no_nan(Trace::value(t.total), Trace::value(t.count)));
  for (const LoggedMetric& m : metrics_) give(m.name, m.metric.base().result());
}

std::vector<Variable> Tracer::counted() {
  std::vector<Variable> out;
  for (const LossTracker& t : trackers_) out.insert(out.end(), {t.total, t.count});
  for (const LoggedMetric& m : metrics_) {
    const std::vector<Variable>& own = m.metric.base().variables();
    out.insert(out.end(), own.begin(), own.end());
  }
  return out;
}

void Tracer::reset_metrics(const Inputs&) {
  for (const Variable& variable : counted())
    trace_->assign(variable, emit::filled("zero", variable.type().dtype, variable.type().shape, 0));
}

void Tracer::trace(Trace& trace, const Inputs& inputs) {
  trace_ = &trace;
  bool is_first = true;
  std::vector<graph::Type> types;
  for (const Tensor& input : inputs) types.push_back(input.type());
  for (const Entry& entry : kFunctions) {
    if (std::ranges::find(plan_.functions, entry.name) == plan_.functions.end()) continue;
    Inputs own = inputs;
    if (!std::exchange(is_first, false)) {
      trace.next_function(std::string(entry.name));
      own.clear();
      for (std::size_t i = 0; entry.has_inputs && i < types.size(); ++i)
        own.push_back(trace.parameter(model_.input_names()[i], types[i]));
    }
    (this->*entry.trace)(own);
  }
}

}  // namespace

std::vector<std::string_view> training_functions() {
  std::vector<std::string_view> names;
  for (const Tracer::Entry& entry : Tracer::kFunctions) names.push_back(entry.name);
  return names;
}

void check_functions(const std::vector<std::string>& functions) {
  const std::vector<std::string_view> known = training_functions();
  for (const std::string& function : functions) {
    if (std::ranges::find(known, function) == known.end()) {
      throw Error(error("function-unknown",
                        fmt::format("there is no function `{}`{}", function, text::suggestion(function, known)))
                      .note(fmt::format("there are {}", fmt::join(known, ", "))));
    }
    if (std::ranges::count(functions, function) > 1) refuse(fmt::format("the function {} is named twice", function));
  }
}

Expected<graph::Module> to_training_module(const Model& model, const TrainingPlan& plan) {
  return catch_errors([&] {
    Tracer tracer(model, plan);
    return traced_module(model, {std::string(tracer.first()), plan.dims}, Trace::Weights::states,
                         [&](Trace& trace, const std::vector<Tensor>& inputs) { tracer.trace(trace, inputs); });
  });
}

}  // namespace tusk
