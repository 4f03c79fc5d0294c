// Metrics of right and wrong decisions: p > threshold stands for yes, t other than 0 is yes.
// https://keras.io/api/metrics/classification_metrics/
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "frontend/model/choices.hpp"
#include "frontend/training/metric.hpp"

namespace tusk::metrics {

/// One threshold or several: results have one number for each.
class Thresholds {
 public:
  Thresholds() = default;
  Thresholds(double one) : list_{one} {}                           // NOLINT: Keras takes either
  Thresholds(std::initializer_list<double> list) : list_(list) {}  // NOLINT
  explicit Thresholds(std::vector<double> list) : list_(std::move(list)) {}
  /// Empty: not given.
  const std::vector<double>& list() const { return list_; }

 private:
  std::vector<double> list_;
};

/// The base: counts decisions of some kinds at each threshold.
class ConfusionBase : public MetricBase {
 public:
  enum class Kind : std::uint8_t { true_positives, false_positives, true_negatives, false_negatives };

  void update(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) override;

 protected:
  struct Options {
    std::vector<Kind> kinds;
    std::vector<double> thresholds;
    std::optional<std::int64_t> top_k = {};  // only the k largest of the last axis can be yes
    std::optional<std::int64_t> class_id = {};
    bool even = false;                       // the thresholds lie evenly from 0 to 1: one pass over the predictions
    bool closed = false;                     // the first threshold lies just below 0, the last just above 1
    std::vector<double> label_weights = {};  // for each of the last axis
  };
  virtual Options options() const = 0;
  void build() override;
  /// The counts of kind number `kind`: [thresholds], or [thresholds, labels] if there are labels.
  Tensor counts_of(std::size_t kind);
  /// The same, a scalar for one threshold.
  Tensor count_of(std::size_t kind);
  /// Thresholds that a user gave, all in [0, 1]; none: 0.5, or with top_k all that it chose.
  static Options decisions(std::vector<Kind> kinds, const Thresholds& thresholds,
                           std::optional<std::int64_t> top_k = {}, std::optional<std::int64_t> class_id = {});
  void check_range(const Thresholds& thresholds) const;
  /// `count` thresholds from 0 to 1.
  static std::vector<double> evenly(std::int64_t count);
  static bool are_even(const std::vector<double>& thresholds);

  std::int64_t labels_ = 0;  // that are counted apart

 private:
  std::vector<Variable> counts_;
};

template <FixedText keras_name, ConfusionBase::Kind kind>
struct CountImpl : ConfusionBase {
  static constexpr std::string_view class_name = keras_name.view();
  struct Config {
    Thresholds thresholds = {};
    std::string name = {};
  } config;
  static void fields(auto& f, Config& c) {
    f("name", c.name);
    f("thresholds", c.thresholds);
  }
  Tensor result() override { return count_of(0); }
  void check() const override { check_range(config.thresholds); }

 protected:
  Options options() const override { return decisions({kind}, config.thresholds); }
};
using TruePositives = MetricOf<CountImpl<"TruePositives", ConfusionBase::Kind::true_positives>>;
using FalsePositives = MetricOf<CountImpl<"FalsePositives", ConfusionBase::Kind::false_positives>>;
using TrueNegatives = MetricOf<CountImpl<"TrueNegatives", ConfusionBase::Kind::true_negatives>>;
using FalseNegatives = MetricOf<CountImpl<"FalseNegatives", ConfusionBase::Kind::false_negatives>>;

/// Precision: true positives among all that were decided yes; Recall: among all that are yes.
template <FixedText keras_name, ConfusionBase::Kind wrong>
struct RatioImpl : ConfusionBase {
  static constexpr std::string_view class_name = keras_name.view();
  struct Config {
    Thresholds thresholds = {};
    std::optional<std::int64_t> top_k = {};
    std::optional<std::int64_t> class_id = {};
    std::string name = {};
  } config;
  static void fields(auto& f, Config& c) {
    f("name", c.name);
    f("thresholds", c.thresholds);
    f("top_k", c.top_k);
    f("class_id", c.class_id);
  }
  Tensor result() override;
  void check() const override { check_range(config.thresholds); }

 protected:
  Options options() const override {
    return decisions({Kind::true_positives, wrong}, config.thresholds, config.top_k, config.class_id);
  }
};
using Precision = MetricOf<RatioImpl<"Precision", ConfusionBase::Kind::false_positives>>;
using Recall = MetricOf<RatioImpl<"Recall", ConfusionBase::Kind::false_negatives>>;

}  // namespace tusk::metrics
