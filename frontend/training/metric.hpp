// Metrics: what is counted beside the loss, over all batches of an epoch. Their variables are states of a module.
// https://keras.io/api/metrics/
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "frontend/model/names.hpp"
#include "frontend/model/tensor.hpp"
#include "frontend/training/loss.hpp"

namespace tusk {

/// The base of every metric. It is traced, as layers are.
class MetricBase {
 public:
  virtual ~MetricBase() = default;

  std::string_view class_name() const { return class_name_; }
  const std::string& name() const { return name_; }
  /// In Keras' order, all 0 at first; made when they are first asked for, for some classes by the first update.
  const std::vector<Variable>& variables();

  /// Traced: counts a batch. The mask of y_pred leaves positions out; weights have the shape of the values, or one that
  /// broadcasts to it.
  virtual void update(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) = 0;
  /// Traced: the value so far, f32.
  virtual Tensor result() = 0;
  /// Throws [metric-option] for an option out of its range.
  virtual void check() const {}

  /// Set once, by the handle that makes the metric.
  void set_identity(std::string_view class_name, std::string name);

 protected:
  /// Calls add_variable for each.
  virtual void build() = 0;
  Variable add_variable(std::string_view name, const Shape& shape = {}, DType dtype = DType::f32);
  /// Adds to a variable.
  static void add(const Variable& variable, const Tensor& value);
  [[noreturn]] void refuse_option(std::string_view message) const;
  /// y_pred and y_true of [batch, outputs]: the number of outputs; throws [metric-inputs].
  std::int64_t outputs_of(const Tensor& y_true, const Tensor& y_pred) const;
  [[noreturn]] void refuse_inputs(std::string_view message) const;

 private:
  std::string_view class_name_;
  std::string name_;
  bool built_ = false;
  std::vector<Variable> variables_;
};

/// The mean of values, one for each sample: with weights, sum w v / sum w.
class MeanMetricBase : public MetricBase {
 public:
  void update(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) override;
  Tensor result() override;
  /// Both are f32 and, where an axis of 1 mends it, of one rank.
  virtual Tensor values(const Tensor& y_true, const Tensor& y_pred) const = 0;

 protected:
  void build() override;
  void update_mean(const Tensor& values, const Tensor& sample_weight);

  Variable total_, count_;
};

/// A handle of any metric; copies share it.
class Metric {
 public:
  Metric() = default;
  explicit Metric(std::shared_ptr<MetricBase> metric) : metric_(std::move(metric)) {}
  /// metrics::MeanMetricWrapper({.fn = function}), called "lambda" as Keras calls what has no name.
  explicit Metric(ValueFunction function);

  std::string_view class_name() const { return metric_->class_name(); }
  const std::string& name() const { return metric_->name(); }
  MetricBase& base() const { return *metric_; }
  explicit operator bool() const { return metric_ != nullptr; }

 private:
  std::shared_ptr<MetricBase> metric_;
};

/// The handle of a metric `Impl`: metrics::BinaryAccuracy({.threshold = 0.4}).
template <class Impl>
class MetricOf : public Metric {
 public:
  using Config = typename Impl::Config;
  MetricOf() : MetricOf(Config{}) {}
  MetricOf(Config config) : Metric(make(std::move(config))) {}  // NOLINT: braces are Python's keyword arguments

 private:
  static std::shared_ptr<Impl> make(Config config) {
    auto metric = std::make_shared<Impl>();
    metric->set_identity(class_name_of<Impl>(), config.name);
    metric->config = std::move(config);
    metric->check();
    return metric;
  }
};

}  // namespace tusk
