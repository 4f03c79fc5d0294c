// Metrics of values: Mean and Sum of what is given, the mean of what a function gives.
// https://keras.io/api/metrics/reduction_metrics/
#pragma once

#include <string>
#include <utility>

#include "frontend/training/loss.hpp"
#include "frontend/training/metric.hpp"

namespace tusk::metrics {

/// The mean of values: update(values, {}, sample_weight).
struct MeanImpl : MeanMetricBase {
  struct Config {
    std::string name = "mean";
  } config;
  static void fields(auto& f, Config& c) { f("name", c.name); }
  void update(const Tensor& given, const Tensor& nothing, const Tensor& sample_weight) override;
  Tensor values(const Tensor& given, const Tensor&) const override { return given; }
};
using Mean = MetricOf<MeanImpl>;

/// Their sum.
struct SumImpl : MetricBase {
  struct Config {
    std::string name = "sum";
  } config;
  static void fields(auto& f, Config& c) { f("name", c.name); }
  void update(const Tensor& given, const Tensor& nothing, const Tensor& sample_weight) override;
  Tensor result() override;

 protected:
  void build() override;

 private:
  Variable total_;
};
using Sum = MetricOf<SumImpl>;

using tusk::ValueFunction;

/// The mean of what a function gives.
struct MeanMetricWrapperImpl : MeanMetricBase {
  struct Config {
    ValueFunction fn = {};
    std::string name = {};
  } config;
  void check() const override;
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override { return config.fn(y_true, y_pred); }
};
using MeanMetricWrapper = MetricOf<MeanMetricWrapperImpl>;

}  // namespace tusk::metrics
