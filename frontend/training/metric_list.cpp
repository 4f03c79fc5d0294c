#include "frontend/training/metric_list.hpp"

#include <array>

#include "frontend/training/class_list.hpp"
#include "frontend/training/confusion_metrics.hpp"
#include "frontend/training/metrics.hpp"

namespace tusk {
namespace {

template <class Handle>
constexpr class_list::Known<Metric> metric() {
  return class_list::known<Metric, Handle>();
}

constexpr auto kMetrics = std::to_array<class_list::Known<Metric>>({
    metric<metrics::Accuracy>(),
    metric<metrics::BinaryAccuracy>(),
    metric<metrics::BinaryCrossentropy>(),
    metric<metrics::CategoricalAccuracy>(),
    metric<metrics::CategoricalCrossentropy>(),
    metric<metrics::CategoricalHinge>(),
    metric<metrics::CosineSimilarity>(),
    metric<metrics::FalseNegatives>(),
    metric<metrics::FalsePositives>(),
    metric<metrics::Hinge>(),
    metric<metrics::KLDivergence>(),
    metric<metrics::LogCoshError>(),
    metric<metrics::MeanAbsoluteError>(),
    metric<metrics::MeanAbsolutePercentageError>(),
    metric<metrics::MeanSquaredError>(),
    metric<metrics::MeanSquaredLogarithmicError>(),
    metric<metrics::Poisson>(),
    metric<metrics::Precision>(),
    metric<metrics::Recall>(),
    metric<metrics::RootMeanSquaredError>(),
    metric<metrics::SparseCategoricalAccuracy>(),
    metric<metrics::SparseCategoricalCrossentropy>(),
    metric<metrics::SparseTopKCategoricalAccuracy>(),
    metric<metrics::SquaredHinge>(),
    metric<metrics::TopKCategoricalAccuracy>(),
    metric<metrics::TrueNegatives>(),
    metric<metrics::TruePositives>(),
});

}  // namespace

std::vector<std::string_view> metric_classes() {
  std::vector<std::string_view> out;
  for (const auto& each : kMetrics) out.push_back(each.class_name);
  return out;
}

Metric metric_from_config(const nlohmann::json& config) {
  const std::string name = class_list::class_of(config, "a metric");
  return class_list::named(kMetrics, name, "metric").make(class_list::config_of(config));
}

}  // namespace tusk
