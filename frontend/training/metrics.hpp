// The metrics of Keras that are means. Symbols: t is y_true, p is y_pred. https://keras.io/api/metrics/
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "frontend/training/losses.hpp"
#include "frontend/training/metric.hpp"

namespace tusk::metrics {

/// The mean of the values of a loss.
#define TUSK_METRIC_OF_LOSS(Class, Loss, default_name)                         \
  struct Class##Impl : MeanMetricBase {                                        \
    struct Config {                                                            \
      std::string name = default_name;                                         \
    } config;                                                                  \
    static void fields(auto& f, Config& c) { f("name", c.name); }              \
    Tensor values(const Tensor& y_true, const Tensor& y_pred) const override { \
      return losses::Loss().base().values(y_true, y_pred);                     \
    }                                                                          \
  };                                                                           \
  using Class = MetricOf<Class##Impl>

TUSK_METRIC_OF_LOSS(MeanSquaredError, MeanSquaredError, "mean_squared_error");
TUSK_METRIC_OF_LOSS(MeanAbsoluteError, MeanAbsoluteError, "mean_absolute_error");
TUSK_METRIC_OF_LOSS(MeanAbsolutePercentageError, MeanAbsolutePercentageError, "mean_absolute_percentage_error");
TUSK_METRIC_OF_LOSS(MeanSquaredLogarithmicError, MeanSquaredLogarithmicError, "mean_squared_logarithmic_error");
TUSK_METRIC_OF_LOSS(LogCoshError, LogCosh, "logcosh");
TUSK_METRIC_OF_LOSS(Hinge, Hinge, "hinge");
TUSK_METRIC_OF_LOSS(SquaredHinge, SquaredHinge, "squared_hinge");
TUSK_METRIC_OF_LOSS(CategoricalHinge, CategoricalHinge, "categorical_hinge");
TUSK_METRIC_OF_LOSS(KLDivergence, KLDivergence, "kl_divergence");
TUSK_METRIC_OF_LOSS(Poisson, Poisson, "poisson");
#undef TUSK_METRIC_OF_LOSS

/// The cosine of the angle between t and p: minus the loss of this name.
struct CosineSimilarityImpl : MeanMetricBase {
  struct Config {
    std::string name = "cosine_similarity";
    std::int64_t axis = -1;
  } config;
  static void fields(auto& f, Config& c) {
    f("name", c.name);
    f("axis", c.axis);
  }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using CosineSimilarity = MetricOf<CosineSimilarityImpl>;

/// How well a line through t and p fits them: the mean of (t - mean t) (p - mean p) / (std t std p).
struct PearsonCorrelationImpl : MeanMetricBase {
  struct Config {
    std::string name = "pearson_correlation";
    Axes axis = -1;
  } config;
  static void fields(auto& f, Config& c) {
    f("name", c.name);
    f("axis", c.axis);
  }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using PearsonCorrelation = MetricOf<PearsonCorrelationImpl>;

/// How well the line t = p does.
struct ConcordanceCorrelationImpl : MeanMetricBase {
  struct Config {
    std::string name = "concordance_correlation";
    Axes axis = -1;
  } config;
  static void fields(auto& f, Config& c) {
    f("name", c.name);
    f("axis", c.axis);
  }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using ConcordanceCorrelation = MetricOf<ConcordanceCorrelationImpl>;

/// The root of the mean of (t - p)^2.
struct RootMeanSquaredErrorImpl : MeanMetricBase {
  struct Config {
    std::string name = "root_mean_squared_error";
  } config;
  static void fields(auto& f, Config& c) { f("name", c.name); }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
  Tensor result() override;
};
using RootMeanSquaredError = MetricOf<RootMeanSquaredErrorImpl>;

struct BinaryCrossentropyImpl : MeanMetricBase {
  struct Config {
    std::string name = "binary_crossentropy";
    bool from_logits = false;
    double label_smoothing = 0;
  } config;
  static void fields(auto& f, Config& c) {
    f("name", c.name);
    f("from_logits", c.from_logits);
    f("label_smoothing", c.label_smoothing);
  }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using BinaryCrossentropy = MetricOf<BinaryCrossentropyImpl>;

struct CategoricalCrossentropyImpl : MeanMetricBase {
  struct Config {
    std::string name = "categorical_crossentropy";
    bool from_logits = false;
    double label_smoothing = 0;
    std::int64_t axis = -1;
  } config;
  static void fields(auto& f, Config& c) {
    f("name", c.name);
    f("from_logits", c.from_logits);
    f("label_smoothing", c.label_smoothing);
    f("axis", c.axis);
  }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using CategoricalCrossentropy = MetricOf<CategoricalCrossentropyImpl>;

struct SparseCategoricalCrossentropyImpl : MeanMetricBase {
  struct Config {
    std::string name = "sparse_categorical_crossentropy";
    bool from_logits = false;
    std::optional<std::int64_t> ignore_class = {};
    std::int64_t axis = -1;
  } config;
  static void fields(auto& f, Config& c) {
    f("name", c.name);
    f("from_logits", c.from_logits);
    f("ignore_class", c.ignore_class);
    f("axis", c.axis);
  }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using SparseCategoricalCrossentropy = MetricOf<SparseCategoricalCrossentropyImpl>;

/// The share of elements that are equal.
struct AccuracyImpl : MeanMetricBase {
  struct Config {
    std::string name = "accuracy";
  } config;
  static void fields(auto& f, Config& c) { f("name", c.name); }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using Accuracy = MetricOf<AccuracyImpl>;

/// The share of p > threshold that are t.
struct BinaryAccuracyImpl : MeanMetricBase {
  struct Config {
    std::string name = "binary_accuracy";
    double threshold = 0.5;
  } config;
  static void fields(auto& f, Config& c) {
    f("name", c.name);
    f("threshold", c.threshold);
  }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using BinaryAccuracy = MetricOf<BinaryAccuracyImpl>;

/// The share of positions whose largest p stands where the largest t does; of equal ones the first counts.
struct CategoricalAccuracyImpl : MeanMetricBase {
  struct Config {
    std::string name = "categorical_accuracy";
  } config;
  static void fields(auto& f, Config& c) { f("name", c.name); }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using CategoricalAccuracy = MetricOf<CategoricalAccuracyImpl>;

/// The same where t is the class.
struct SparseCategoricalAccuracyImpl : MeanMetricBase {
  struct Config {
    std::string name = "sparse_categorical_accuracy";
  } config;
  static void fields(auto& f, Config& c) { f("name", c.name); }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using SparseCategoricalAccuracy = MetricOf<SparseCategoricalAccuracyImpl>;

/// The share of positions where fewer than k classes have a larger p than the class of t.
struct TopKCategoricalAccuracyImpl : MeanMetricBase {
  struct Config {
    std::int64_t k = 5;
    std::string name = "top_k_categorical_accuracy";
  } config;
  static void fields(auto& f, Config& c) {
    f("name", c.name);
    f("k", c.k);
  }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using TopKCategoricalAccuracy = MetricOf<TopKCategoricalAccuracyImpl>;

/// The same where t is the class.
struct SparseTopKCategoricalAccuracyImpl : MeanMetricBase {
  struct Config {
    std::int64_t k = 5;
    std::string name = "sparse_top_k_categorical_accuracy";
  } config;
  static void fields(auto& f, Config& c) {
    f("name", c.name);
    f("k", c.k);
    f.only("from_sorted_ids", false);
  }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using SparseTopKCategoricalAccuracy = MetricOf<SparseTopKCategoricalAccuracyImpl>;

}  // namespace tusk::metrics
