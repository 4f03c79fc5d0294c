// Metrics over all thresholds: the area under a curve, and the best of one ratio where another is good enough.
// https://keras.io/api/metrics/classification_metrics/
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/training/confusion_metrics.hpp"

namespace tusk::metrics {

/// The base: counts decisions of all four kinds, in the order of Kind.
class CurveBase : public ConfusionBase {
 protected:
  /// a / (a + b), 0 where both are 0.
  Tensor share(Kind a, Kind b);
  Tensor counts_of(Kind kind) { return ConfusionBase::counts_of(static_cast<std::size_t>(kind)); }
  static std::vector<Kind> all_kinds();
};

/// The area under a curve: ROC (recall over the share of false positives), PR (precision over recall), PRGAIN. It is
/// summed up between thresholds: interpolation, or the smaller (minoring) or larger (majoring) end. With multi_label it
/// is the mean over the labels, y_pred [batch, labels]. Own thresholds go in (0, 1); 0 and 1 are added to them.
struct AUCImpl : CurveBase {
  struct Config {
    std::int64_t num_thresholds = 200;
    OneOf<"ROC", "PR", "PRGAIN"> curve = "ROC";
    OneOf<"interpolation", "minoring", "majoring"> summation_method = "interpolation";
    std::string name = {};
    std::vector<double> thresholds = {};
    bool multi_label = false;
    std::optional<std::int64_t> num_labels = {};
    std::vector<double> label_weights = {};
    bool from_logits = false;
  } config;
  static void fields(auto& f, Config& c) {
    f("name", c.name);
    f("num_thresholds", c.num_thresholds);
    f("curve", c.curve);
    f("summation_method", c.summation_method);
    f("multi_label", c.multi_label);
    f("num_labels", c.num_labels);
    f("label_weights", c.label_weights);
    f("from_logits", c.from_logits);
    f("thresholds", c.thresholds);
  }
  void update(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) override;
  Tensor result() override;
  void check() const override;

 protected:
  Options options() const override;
  void build() override;

 private:
  Tensor interpolated_precision();
};
using AUC = MetricOf<AUCImpl>;

/// The largest of one ratio at those thresholds where the other is at least `value`, else 0.
class BestBase : public CurveBase {
 protected:
  /// Of all positives, of all negatives, of all that are decided yes.
  enum class Ratio : std::uint8_t { recall, specificity, precision };
  Tensor best(Ratio wanted, Ratio bound, double value);
  void check_bound(std::string_view field, double value, std::int64_t num_thresholds) const;
  static Options options(std::int64_t num_thresholds, std::optional<std::int64_t> class_id);

 private:
  Tensor ratio(Ratio ratio);
};

#define TUSK_BEST(Class, wanted, field, bound)                                                             \
  struct Class##Impl : BestBase {                                                                          \
    struct Config {                                                                                        \
      double field = -1;                                                                                   \
      std::int64_t num_thresholds = 200;                                                                   \
      std::optional<std::int64_t> class_id = {};                                                           \
      std::string name = {};                                                                               \
    } config;                                                                                              \
    static void fields(auto& f, Config& c) {                                                               \
      f("name", c.name);                                                                                   \
      f("class_id", c.class_id);                                                                           \
      f("num_thresholds", c.num_thresholds);                                                               \
      f(#field, c.field);                                                                                  \
    }                                                                                                      \
    Tensor result() override { return best(Ratio::wanted, Ratio::bound, config.field); }                   \
    void check() const override { check_bound(#field, config.field, config.num_thresholds); }              \
                                                                                                           \
   protected:                                                                                              \
    Options options() const override { return BestBase::options(config.num_thresholds, config.class_id); } \
  };                                                                                                       \
  using Class = MetricOf<Class##Impl>

TUSK_BEST(SensitivityAtSpecificity, recall, specificity, specificity);
TUSK_BEST(SpecificityAtSensitivity, specificity, sensitivity, recall);
TUSK_BEST(PrecisionAtRecall, precision, recall, recall);
TUSK_BEST(RecallAtPrecision, recall, precision, precision);
#undef TUSK_BEST

}  // namespace tusk::metrics
