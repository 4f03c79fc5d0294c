#include "frontend/training/metric_list.hpp"

#include <array>

#include "frontend/import/weights.hpp"
#include "frontend/training/class_list.hpp"
#include "frontend/training/confusion_metrics.hpp"
#include "frontend/training/curve_metrics.hpp"
#include "frontend/training/iou_metrics.hpp"
#include "frontend/training/loss_list.hpp"
#include "frontend/training/metrics.hpp"
#include "frontend/training/reduction_metrics.hpp"
#include "frontend/training/score_metrics.hpp"

namespace tusk {
namespace {

template <class Handle>
constexpr class_list::Known<Metric> metric() {
  return class_list::known<Metric, Handle>();
}

Metric wrapper(const nlohmann::json& config);

constexpr auto kMetrics = std::to_array<class_list::Known<Metric>>({
    metric<metrics::AUC>(),
    metric<metrics::Accuracy>(),
    metric<metrics::BinaryAccuracy>(),
    metric<metrics::BinaryCrossentropy>(),
    metric<metrics::BinaryIoU>(),
    metric<metrics::CategoricalAccuracy>(),
    metric<metrics::CategoricalCrossentropy>(),
    metric<metrics::CategoricalHinge>(),
    metric<metrics::ConcordanceCorrelation>(),
    metric<metrics::CosineSimilarity>(),
    metric<metrics::F1Score>(),
    metric<metrics::FBetaScore>(),
    metric<metrics::FalseNegatives>(),
    metric<metrics::FalsePositives>(),
    metric<metrics::Hinge>(),
    metric<metrics::IoU>(),
    metric<metrics::KLDivergence>(),
    metric<metrics::LogCoshError>(),
    metric<metrics::Mean>(),
    metric<metrics::MeanAbsoluteError>(),
    metric<metrics::MeanAbsolutePercentageError>(),
    metric<metrics::MeanIoU>(),
    {"MeanMetricWrapper", wrapper},
    metric<metrics::MeanSquaredError>(),
    metric<metrics::MeanSquaredLogarithmicError>(),
    metric<metrics::OneHotIoU>(),
    metric<metrics::OneHotMeanIoU>(),
    metric<metrics::PearsonCorrelation>(),
    metric<metrics::Poisson>(),
    metric<metrics::Precision>(),
    metric<metrics::PrecisionAtRecall>(),
    metric<metrics::R2Score>(),
    metric<metrics::Recall>(),
    metric<metrics::RecallAtPrecision>(),
    metric<metrics::RootMeanSquaredError>(),
    metric<metrics::SensitivityAtSpecificity>(),
    metric<metrics::SparseCategoricalAccuracy>(),
    metric<metrics::SparseCategoricalCrossentropy>(),
    metric<metrics::SparseTopKCategoricalAccuracy>(),
    metric<metrics::SpecificityAtSensitivity>(),
    metric<metrics::SquaredHinge>(),
    metric<metrics::Sum>(),
    metric<metrics::TopKCategoricalAccuracy>(),
    metric<metrics::TrueNegatives>(),
    metric<metrics::TruePositives>(),
});

// What keras.metrics has as functions beside those of keras.losses.
constexpr auto kFunctions = std::to_array<class_list::Known<Metric>>({
    metric<metrics::BinaryAccuracy>(),
    metric<metrics::CategoricalAccuracy>(),
    metric<metrics::ConcordanceCorrelation>(),
    metric<metrics::PearsonCorrelation>(),
    metric<metrics::SparseCategoricalAccuracy>(),
    metric<metrics::SparseTopKCategoricalAccuracy>(),
    metric<metrics::TopKCategoricalAccuracy>(),
});

// The values of a function that a file names, whose arguments stand beside it.
metrics::ValueFunction function_named(const std::string& function, const nlohmann::json& arguments) {
  for (const auto& each : kFunctions) {
    if (snake_case(each.class_name) != function) continue;
    return [metric = each.make(arguments)](const Tensor& y_true, const Tensor& y_pred) {
      return static_cast<const MeanMetricBase&>(metric.base()).values(y_true, y_pred);
    };
  }
  const nlohmann::json loss{{"class_name", loss_named(function).class_name()}, {"config", arguments}};
  return [loss = loss_from_config(loss)](const Tensor& y_true, const Tensor& y_pred) {
    return loss.base().values(y_true, y_pred);
  };
}

Metric wrapper(const nlohmann::json& config) {
  nlohmann::json arguments = config;
  for (const char* own : {"name", "dtype", "fn"}) arguments.erase(own);
  const nlohmann::json fn = config.value("fn", nlohmann::json());
  const bool is_function =
      class_list::class_of(fn, "a function") == "function" && fn.contains("config") && fn["config"].is_string();
  if (!is_function)
    throw Error(error("training-config", fmt::format("MeanMetricWrapper of {}, expected a function of keras.losses or "
                                                     "keras.metrics",
                                                     json_text(fn))));
  const nlohmann::json name = config.value("name", nlohmann::json());
  return metrics::MeanMetricWrapper({.fn = function_named(fn["config"].get<std::string>(), arguments),
                                     .name = name.is_string() ? name.get<std::string>() : std::string()});
}

constexpr std::pair<std::string_view, std::string_view> kShort[] = {
    {"bce", "BinaryCrossentropy"},
    {"BCE", "BinaryCrossentropy"},
    {"mae", "MeanAbsoluteError"},
    {"MAE", "MeanAbsoluteError"},
    {"mape", "MeanAbsolutePercentageError"},
    {"MAPE", "MeanAbsolutePercentageError"},
    {"mse", "MeanSquaredError"},
    {"MSE", "MeanSquaredError"},
    {"msle", "MeanSquaredLogarithmicError"},
    {"MSLE", "MeanSquaredLogarithmicError"},
};

}  // namespace

Metric metric_named(std::string_view name) {
  for (const auto& each : kMetrics) {
    const bool is_short = std::ranges::find(kShort, std::pair(name, each.class_name)) != std::end(kShort);
    if (name == each.class_name || name == snake_case(each.class_name) || is_short)
      return each.make({{"name", std::string(name)}});
  }
  std::vector<std::string> names;
  for (const auto& each : kMetrics) names.push_back(snake_case(each.class_name));
  std::vector<std::string_view> known(names.begin(), names.end());
  for (const auto& [shorter, class_name] : kShort) known.push_back(shorter);
  throw Error(
      error("training-name", fmt::format("there is no metric {}{}", in_quotes(name), text::suggestion(name, known)))
          .note(fmt::format("the metrics are {}", fmt::join(names, ", "))));
}

std::vector<std::string_view> metric_classes() {
  std::vector<std::string_view> out;
  for (const auto& each : kMetrics) out.push_back(each.class_name);
  return out;
}

Metric metric_from_config(const nlohmann::json& config) {
  const std::string name = class_list::class_of(config, "a metric");
  return class_list::named(kMetrics, name, "metric").make(class_list::config_of(config));
}

nlohmann::ordered_json metric_config(const Metric& metric) {
  return class_list::envelope_of(kMetrics, metric, "keras.metrics");
}

}  // namespace tusk
