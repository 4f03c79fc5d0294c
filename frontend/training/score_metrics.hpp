// Scores of y_true and y_pred of [batch, outputs], from sums over the batch: F scores and R2.
// https://keras.io/api/metrics/classification_metrics/
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "frontend/model/choices.hpp"
#include "frontend/training/metric.hpp"

namespace tusk::metrics {

/// One score for each class ("none"), of all classes together ("micro"), the mean of the scores ("macro"), or their
/// mean weighted by how often the class is there.
using ScoreAverage = OneOf<"none", "micro", "macro", "weighted">;

/// The base: without a threshold the largest p of a row is yes.
class FScoreBase : public MetricBase {
 public:
  void update(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) override;
  Tensor result() override;
  void check() const override;

 protected:
  struct Options {
    ScoreAverage average;
    double beta;
    std::optional<double> threshold;
  };
  virtual Options options() const = 0;
  void build() override;

 private:
  std::int64_t classes_ = 0;
  Variable right_, wrong_, missed_, there_;
};

/// (1 + beta^2) precision recall / (beta^2 precision + recall).
struct FBetaScoreImpl : FScoreBase {
  struct Config {
    ScoreAverage average = "none";
    double beta = 1;
    std::optional<double> threshold = {};
    std::string name = "fbeta_score";
  } config;
  static void fields(auto& f, Config& c) {
    f("name", c.name);
    f("average", c.average);
    f("beta", c.beta);
    f("threshold", c.threshold);
  }

 protected:
  Options options() const override { return {config.average, config.beta, config.threshold}; }
};
using FBetaScore = MetricOf<FBetaScoreImpl>;

/// The same with beta = 1.
struct F1ScoreImpl : FScoreBase {
  struct Config {
    ScoreAverage average = "none";
    std::optional<double> threshold = {};
    std::string name = "f1_score";
  } config;
  static void fields(auto& f, Config& c) {
    f("name", c.name);
    f("average", c.average);
    f("threshold", c.threshold);
  }

 protected:
  Options options() const override { return {config.average, 1, config.threshold}; }
};
using F1Score = MetricOf<F1ScoreImpl>;

/// 1 - sum (t - p)^2 / sum (t - mean t)^2. class_aggregation "": one for each output. num_regressors other than 0: the
/// adjusted score.
struct R2ScoreImpl : MetricBase {
  struct Config {
    std::string class_aggregation = "uniform_average";  // or "variance_weighted_average", ""
    std::int64_t num_regressors = 0;
    std::string name = "r2_score";
  } config;
  static void fields(auto& f, Config& c) {
    f("name", c.name);
    f.nullable("class_aggregation", c.class_aggregation);
    f("num_regressors", c.num_regressors);
  }
  void update(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) override;
  Tensor result() override;
  void check() const override;

 protected:
  void build() override;

 private:
  std::int64_t outputs_ = 0;
  Variable num_samples_, squared_sum_, sum_, residual_, count_;
};
using R2Score = MetricOf<R2ScoreImpl>;

}  // namespace tusk::metrics
