// What model.compile is given, in the form in which it was written, and what a training plan it becomes.
// https://keras.io/api/models/model_training_apis/#compile-method
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "frontend/model/given.hpp"
#include "frontend/training/loss.hpp"
#include "frontend/training/metric.hpp"
#include "frontend/training/optimizer.hpp"
#include "frontend/training/train_step.hpp"

namespace tusk {

/// A function that can stand for a loss or a metric: Tensor(const Tensor& y_true, const Tensor& y_pred).
template <class F, class Handle>
concept FunctionFor = std::is_invocable_r_v<Tensor, F, const Tensor&, const Tensor&> &&
    std::is_constructible_v<Handle, ValueFunction> && !std::is_convertible_v<F, Handle>;

/// An object of Keras (a loss, an optimizer, ...), the name of one, a function in the place of a loss or a metric, or
/// None.
template <class Handle>
class Named {
 public:
  Named() = default;
  Named(NoneType) {}                                    // NOLINT: each stands where Keras takes it
  Named(const char* name) : name_(name) {}              // NOLINT
  Named(std::string name) : name_(std::move(name)) {}   // NOLINT
  Named(Handle object) : object_(std::move(object)) {}  // NOLINT
  template <FunctionFor<Handle> F>
  Named(F function) : object_(ValueFunction(std::move(function))) {}  // NOLINT
  const std::string& name() const { return name_; }                   // as it was typed; empty: an object or None
  const Handle& object() const { return object_; }
  bool is_none() const { return name_.empty() && !object_; }

 private:
  std::string name_;
  Handle object_;
};

/// A metric, the name of one, a function, None, or a list of these: what an entry of metrics may be.
struct MetricChoice {
  bool is_list = false;
  Named<Metric> metric = {};
  std::vector<MetricChoice> list = {};

  MetricChoice() = default;
  MetricChoice(NoneType) {}                                    // NOLINT: each stands where Keras takes it
  MetricChoice(const char* name) : metric(name) {}             // NOLINT
  MetricChoice(std::string name) : metric(std::move(name)) {}  // NOLINT
  MetricChoice(Metric object) : metric(std::move(object)) {}   // NOLINT
  template <FunctionFor<Metric> F>
  MetricChoice(F function) : metric(std::move(function)) {}                                     // NOLINT
  MetricChoice(std::initializer_list<MetricChoice> entries) : is_list(true), list(entries) {}   // NOLINT
  MetricChoice(std::vector<MetricChoice> entries) : is_list(true), list(std::move(entries)) {}  // NOLINT
};

/// {"accuracy", metrics::AUC()}, {{"accuracy"}, {"mae"}} for two outputs, {{"priority", {"accuracy"}}} by their names.
/// C++ cannot tell a dict {{"a", "mse"}, {"b", "mae"}} from a list of lists: it is a dict if no "a" is a metric's name
/// or what stands behind each is a list.
struct MetricsGiven {
  Form form = Form::none;  // none, list or dict
  std::vector<std::string> names = {};
  std::vector<MetricChoice> entries = {};

  MetricsGiven() = default;
  MetricsGiven(NoneType) {}                               // NOLINT
  MetricsGiven(std::initializer_list<MetricChoice> list)  // NOLINT
      : MetricsGiven(std::vector<MetricChoice>(list)) {}
  MetricsGiven(std::vector<MetricChoice> list);  // NOLINT
};

/// Keyword arguments of compile.
struct CompileOptions {
  Named<Optimizer> optimizer = "rmsprop";
  Given<Named<Loss>> loss = {};
  Given<double> loss_weights = {};
  MetricsGiven metrics = {}, weighted_metrics = {};
  /// Whether the optimizer of a model whose dtype policy is mixed_float16 is put into a LossScaleOptimizer.
  bool auto_scale_loss = true;
};

/// The optimizer; throws [training-name] for a name that is none.
Optimizer optimizer_of(const CompileOptions& options);
/// The one that trains the model: that, or the LossScaleOptimizer around it.
Optimizer optimizer_for(const CompileOptions& options, const Model& model);
/// Without the LossScaleOptimizer that `optimizer_for` has put around what was given.
Optimizer given_optimizer(const CompileOptions& options, const Optimizer& optimizer);

/// The loss of each output (None: an empty handle), without what a name like "crossentropy" leaves to the shapes.
/// Throws [compile-loss].
std::vector<Named<Loss>> losses_by_output(const CompileOptions& options, const std::vector<std::string>& outputs);
/// The metrics of each output. Throws [compile-metrics]; `argument` is "metrics" or "weighted_metrics".
std::vector<std::vector<Named<Metric>>> metrics_by_output(const MetricsGiven& given,
                                                          const std::vector<std::string>& outputs,
                                                          std::string_view argument);
/// Which outputs have a loss or metrics, and so want a target.
std::vector<bool> outputs_with_target(const CompileOptions& options, const std::vector<std::string>& outputs);

/// The plan for targets of these types, one for each output (none where it has no loss and no metric): names become
/// objects, "accuracy" and "crossentropy" those that the shapes call for.
TrainingPlan plan_of(const CompileOptions& options, const Optimizer& optimizer, const Model& model,
                     const std::vector<std::optional<Target>>& targets, std::vector<Target> sample_weights);

}  // namespace tusk
