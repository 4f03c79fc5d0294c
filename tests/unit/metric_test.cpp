// Metrics with options that the recordings do not have. What is expected was computed by Keras, without and with
// weights, for the numbers below.
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "frontend/model/trace.hpp"
#include "frontend/ops/ops.hpp"
#include "frontend/training/curve_metrics.hpp"
#include "frontend/training/iou_metrics.hpp"
#include "frontend/training/metric_list.hpp"
#include "frontend/training/metrics.hpp"
#include "frontend/training/reduction_metrics.hpp"
#include "frontend/training/score_metrics.hpp"
#include "ir/graph/callable.hpp"
#include "ir/graph/interpret.hpp"
#include "tests/unit/wrong_definition.hpp"

namespace tusk {
namespace {

using nlohmann::json;

constexpr std::int64_t kRows = 8;
constexpr double kWeights[kRows] = {1, 2, .5, 1, 0, 3, 1, 1.5};

Array table(DType type, std::int64_t columns, const std::function<double(std::int64_t)>& value) {
  Array array(type, columns == 0 ? std::vector{kRows} : std::vector{kRows, columns});
  for (std::int64_t i = 0; i < array.size(); ++i) array.set(i, value(i));
  return array;
}

const Array kTruth = table(DType::f32, 3, [](std::int64_t i) { return i * 5 % 7 < 3 ? 1 : 0; });
const Array kPredicted = table(DType::f32, 3, [](std::int64_t i) { return static_cast<double>(i * 7 % 23) / 22; });
const Array kWeightOfRow = table(DType::f32, 0, [](std::int64_t i) { return kWeights[i]; });
const Array kWeightOfEach = table(DType::f32, 3, [](std::int64_t i) { return kWeights[i / 3]; });
const Array kWide = table(DType::f32, 3, [](std::int64_t i) { return static_cast<double>(i * 7 % 23) / 22 * 3 - 1; });
const Array kClass = table(DType::i32, 3, [](std::int64_t i) { return static_cast<double>(i % 4); });
const Array kPredictedClass =
    table(DType::i32, 3, [](std::int64_t i) { return static_cast<double>((i * 3 + i / 5) % 5 - (i == 7 ? 1 : 0)); });

struct MetricCase {
  const char* name;
  Metric metric;
  std::vector<double> plain, weighted;
  Array truth = kTruth, predicted = kPredicted, weight = kWeightOfRow;
};

// One update, then the result.
std::vector<double> result_of(const Metric& metric, const std::vector<Array>& inputs, bool weighted) {
  Trace trace("f", Trace::Weights::states);
  std::vector<Tensor> x;
  for (const Array& input : inputs) {
    x.push_back(trace.parameter("x" + std::to_string(x.size()),
                                {input.dtype(), Shape(input.shape().begin(), input.shape().end())}));
  }
  const Tensor weight = weighted ? x.back() : Tensor();
  if (weighted) x.pop_back();
  metric.base().update(x[0], x.size() > 1 ? x[1] : Tensor(), weight);
  trace.function.results = {trace.operand(metric.base().result())};
  trace.function.result_names = {"result"};
  trace.module.functions.push_back(std::move(trace.function));
  const auto results = graph::interpret(trace.module, trace.module.functions.front(), inputs, {});
  if (!results) throw Error(results.problem());
  std::vector<double> values;
  for (std::int64_t i = 0; i < results->front().size(); ++i) values.push_back(results->front().at(i));
  return values;
}

void expect_near(const std::vector<double>& got, const std::vector<double>& wanted) {
  ASSERT_EQ(got.size(), wanted.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], wanted[i], 2e-6 * std::max(1.0, std::abs(wanted[i])));
}

Metric wrapper(const char* function, json arguments) {
  arguments["fn"] = {{"module", "builtins"}, {"class_name", "function"}, {"config", function}};
  return metric_from_config({{"class_name", "MeanMetricWrapper"}, {"config", arguments}});
}

TEST(Metrics, OfOneBatch) {
  using namespace metrics;
  const MetricCase cases[] = {
      {"ROC", AUC({.num_thresholds = 10}), {0.3464286}, {0.2881563}},
      {"ROC, minoring", AUC({.num_thresholds = 10, .summation_method = "minoring"}), {0.3142857}, {0.2576312}},
      {"ROC, majoring", AUC({.num_thresholds = 10, .summation_method = "majoring"}), {0.3785715}, {0.3186813}},
      {"PR", AUC({.num_thresholds = 10, .curve = "PR"}), {0.4269556}, {0.29359}},
      {"PR, minoring",
       AUC({.num_thresholds = 10, .curve = "PR", .summation_method = "minoring"}),
       {0.2702991},
       {0.1845997}},
      {"PR, majoring",
       AUC({.num_thresholds = 10, .curve = "PR", .summation_method = "majoring"}),
       {0.4494445},
       {0.3233525}},
      {"gain", AUC({.num_thresholds = 10, .curve = "PRGAIN"}), {-0.5517492}, {-0.7868899}},
      {"gain, minoring",
       AUC({.num_thresholds = 10, .curve = "PRGAIN", .summation_method = "minoring"}),
       {-0.7253227},
       {-1.253565}},
      {"gain, majoring",
       AUC({.num_thresholds = 10, .curve = "PRGAIN", .summation_method = "majoring"}),
       {-0.3781757},
       {-0.3202146}},
      {"two thresholds", AUC({.num_thresholds = 2}), {0.5}, {0.5}},
      {"own even thresholds", AUC({.thresholds = {.75, .25, .5}}), {0.3607143}, {0.3015873}},
      {"uneven, by label",
       AUC({.curve = "PR", .thresholds = {.3, .8}, .multi_label = true, .label_weights = {1, 2, 3}}),
       {0.3468014},
       {0.2842253}},
      {"by label", AUC({.num_thresholds = 5, .curve = "PR", .multi_label = true}), {0.3698663}, {0.3049808}},
      {"label weights", AUC({.num_thresholds = 5, .label_weights = {1, 0, 3}}), {0.2975708}, {0.2464834}},
      {"uneven, label weights", AUC({.thresholds = {.3}, .label_weights = {1, 0, 3}}), {0.194332}, {0.2154731}},
      {"even", Precision({.thresholds = {0, .5, 1}}), {0.4090909, 0.2727273, 0}, {0.3454545, 0.1666667, 0}},
      {"even, out of range", FalsePositives({.thresholds = {0, .5, 1}}), {11, 8, 0}, {15, 12.5, 0}, kTruth, kWide},
      {"uneven, out of range", TrueNegatives({.thresholds = {0, .6, 1}}), {3, 6, 9}, {4.5, 7, 13}, kTruth, kWide},
      {"one threshold", RecallAtPrecision({.precision = .1, .num_thresholds = 1}), {0.3}, {0.2380952}},
      {"two thresholds",
       SpecificityAtSensitivity({.sensitivity = .4, .num_thresholds = 2}),
       {0.07142857},
       {0.07692308}},
      {"all of a class", PrecisionAtRecall({.recall = 1, .num_thresholds = 5, .class_id = 1}), {0.375}, {0.15}},
      {"of a class",
       SensitivityAtSpecificity({.specificity = .1, .num_thresholds = 9, .class_id = 1}),
       {0.3333333},
       {0}},
      {"unknown classes",
       IoU({.num_classes = 4, .target_class_ids = {0, 3, 1}}),
       {0.25},
       {0.2777778},
       kClass,
       kPredictedClass,
       kWeightOfEach},
      {"fractions",
       IoU({.num_classes = 4, .target_class_ids = {0, 3, 1}, .dtype = "float32", .ignore_class = 2}),
       {0.2738095},
       {0.2995643},
       kClass,
       kPredictedClass,
       kWeightOfEach},
      {"one of two",
       BinaryIoU({.target_class_ids = {1}, .threshold = .25}),
       {0.2272727},
       {0.125},
       kTruth,
       kPredicted,
       kWeightOfEach},
      {"beta", FBetaScore({.average = "macro", .beta = .5, .threshold = .25}), {0.3011775}, {0.1626016}},
      {"few samples",
       R2Score({.class_aggregation = "", .num_regressors = 30}),
       {-0.5154958, -1.045179, -0.6352617},
       {-0.3727272, -3.259439, -0.6959364}},
      {"adjusted", R2Score({.num_regressors = 2}), {-0.8969293}, {-1.675339}},
      {"loss with an argument", wrapper("huber", {{"delta", .25}}), {0.1140776}, {0.1182335}},
      {"function with an argument", wrapper("binary_accuracy", {{"threshold", .25}}), {0.2916667}, {0.25}},
      {"of a loss", wrapper("cosine_similarity", json::object()), {-0.3870476}, {-0.3438377}},
      {"own function",
       MeanMetricWrapper({.fn = [](const Tensor& t, const Tensor& p) { return ops::square(t - p); }}),
       {0.4138258},
       {0.431095}},
  };
  for (const MetricCase& each : cases) {
    SCOPED_TRACE(each.name);
    expect_near(result_of(each.metric, {each.truth, each.predicted}, false), each.plain);
    expect_near(result_of(each.metric, {each.truth, each.predicted, each.weight}, true), each.weighted);
  }
}

TEST(Metrics, OfValues) {
  const Array each = table(DType::f32, 3, [](std::int64_t i) { return kWeights[i / 3] + kTruth.at(i); });
  const auto check = [&](const Metric& metric, double plain, double by_row, double by_element) {
    expect_near(result_of(metric, {kPredicted}, false), {plain});
    expect_near(result_of(metric, {kPredicted, kWeightOfRow}, true), {by_row});
    expect_near(result_of(metric, {kPredicted, each}, true), {by_element});
  };
  check(metrics::Mean(), 0.4791667, 0.4825758, 0.4607955);
  check(metrics::Sum(), 11.5, 14.477273, 18.431818);
}

// Several in one compiled module; the batch comes in two parts.
TEST(Metrics, AreStatesOfCompiledFunctions) {
  using namespace metrics;
  const Metric all[] = {AUC({.num_thresholds = 10}),
                        AUC({.num_thresholds = 5, .curve = "PR", .multi_label = true}),
                        BinaryIoU({.target_class_ids = {1}, .threshold = .25}),
                        Precision({.thresholds = .5}),
                        FBetaScore({.average = "macro", .beta = .5, .threshold = .25}),
                        R2Score({.num_regressors = 2})};
  const double wanted[] = {0.3464286, 0.3698663, 0.2272727, 0.2727273, 0.3011775, -0.8969293};
  Trace trace("update", Trace::Weights::states);
  const Shape shape{Dim::symbol("batch"), Dim(3)};
  const Tensor truth = trace.parameter("t", {DType::f32, shape});
  const Tensor predicted = trace.parameter("p", {DType::f32, shape});
  for (const Metric& metric : all) metric.base().update(truth, predicted, {});
  trace.next_function("result");
  for (const Metric& metric : all) {
    trace.function.results.push_back(trace.operand(metric.base().result()));
    trace.function.result_names.push_back(metric.name());
  }
  trace.next_function({});
  const auto compiled = graph::make_callable(std::move(trace.module));
  ASSERT_TRUE(compiled) << compiled.problem().str();
  for (const auto& [from, to] : {std::pair{0, 3}, std::pair{3, 8}}) {
    const auto part = [from = from, to = to](const Array& array) {
      Array rows(DType::f32, {to - from, 3});
      for (std::int64_t i = 0; i < rows.size(); ++i) rows.set(i, array.at(from * 3 + i));
      return rows;
    };
    const auto updated = (**compiled)("update", {part(kTruth), part(kPredicted)});
    ASSERT_TRUE(updated) << updated.problem().str();
  }
  const auto results = (**compiled)("result", {});
  ASSERT_TRUE(results) << results.problem().str();
  ASSERT_EQ(results->size(), std::size(all));
  for (std::size_t i = 0; i < results->size(); ++i) {
    SCOPED_TRACE(all[i].name());
    expect_near({(*results)[i].at(0)}, {wanted[i]});
  }
}

// A metric on parameters of these shapes.
void update(const Metric& metric, const Shape& y_true, const Shape& y_pred, const Shape& weight = {}) {
  Trace trace("metric", Trace::Weights::states);
  const Tensor t = trace.parameter("t", {DType::f32, y_true});
  const Tensor p = trace.parameter("p", {DType::f32, y_pred});
  metric.base().update(t, p, weight.empty() ? Tensor() : trace.parameter("w", {DType::f32, weight}));
}

TEST(Metrics, WhatIsRefused) {
  using namespace metrics;
  const Dim batch = Dim::symbol("batch");
  const Shape plane{batch, Dim(4), Dim(3)};
  expect({
      {[] { (void)AUC({.num_thresholds = 1}); }, "auc: num_thresholds is 1, expected at least 2 [metric-option]", ""},
      {[] { (void)AUC({.num_labels = 3}); },
       "auc: num_labels is set, which is for multi_label = true only [metric-option]", ""},
      {[] { (void)AUC({.multi_label = true, .num_labels = 0}); },
       "auc: num_labels is 0, expected at least 1 [metric-option]", ""},
      {[] {
         (void)Precision({.thresholds = {.5, 2}});
       },
       "precision: a threshold is 2, expected numbers in [0, 1] [metric-option]", ""},
      {[] { (void)PrecisionAtRecall(); },
       "precision_at_recall: recall is -1, expected a number in [0, 1] [metric-option]", ""},
      {[] { (void)PrecisionAtRecall({.recall = .5, .num_thresholds = 0}); },
       "precision_at_recall: num_thresholds is 0, expected at least 1 [metric-option]", ""},
      {[] { (void)MeanIoU(); }, "mean_io_u: num_classes is 0, expected a number from 1 to 16384 [metric-option]", ""},
      {[] { (void)IoU({.num_classes = 3}); }, "io_u: target_class_ids is empty [metric-option]", ""},
      {[] {
         (void)OneHotIoU({.num_classes = 3, .target_class_ids = {0, 3}});
       },
       "one_hot_io_u: target class 3 is none of the 3 classes [metric-option]", ""},
      {[] { (void)FBetaScore({.beta = 0}); }, "fbeta_score: beta is 0, expected a number above 0 [metric-option]", ""},
      {[] { (void)F1Score({.threshold = 0}); },
       "f1_score: threshold is 0, expected a number above 0 and at most 1 [metric-option]", ""},
      {[] { (void)R2Score({.class_aggregation = "mean"}); },
       "r2_score: class_aggregation is \"mean\", expected \"uniform_average\", \"variance_weighted_average\" or none "
       "[metric-option]",
       ""},
      {[] { (void)R2Score({.num_regressors = -1}); },
       "r2_score: num_regressors is -1, expected at least 0 [metric-option]", ""},
      {[] { (void)MeanMetricWrapper(); },
       "mean_metric_wrapper: fn is empty, expected a function of y_true and y_pred [metric-option]", ""},
      {[&] { update(R2Score(), plane, plane); },
       "r2_score takes y_true and y_pred of [batch, outputs] with a known number of outputs, found (None, 4, 3) and "
       "(None, 4, 3) [metric-inputs]",
       ""},
      {[&] { (void)F1Score().base().variables(); },
       "f1_score has no variables before its first update, which tells the number of outputs [metric-inputs]", ""},
      {[&] { (void)AUC({.multi_label = true}).base().variables(); },
       "auc has no variables before its first update, which tells the number of labels [metric-inputs]", ""},
      {[&] {
         update(AUC({.multi_label = true, .num_labels = 2}), {batch, Dim(3)}, {batch, Dim(3)});
       },
       "auc counts 2 labels, found 3 [metric-inputs]", ""},
      {[&] {
         update(AUC({.label_weights = {1, 2}}), {batch, Dim(3)}, {batch, Dim(3)});
       },
       "auc has 2 label_weights for y_pred of (None, 3) [metric-inputs]", ""},
      {[&] { update(Mean(), {batch}, {batch}); },
       "mean takes values and their weights, not y_true and y_pred [metric-inputs]", ""},
      {[&] { update(Sum(), {batch}, {batch}); },
       "sum takes values and their weights, not y_true and y_pred [metric-inputs]", ""},
      {[&] {
         update(MeanIoU({.num_classes = 3}), {batch, Dim(4)}, {batch, Dim(4)}, {batch});
       },
       "sample_weight has shape (None,), the classes of mean_io_u have (None, 4) [sample-weight]", "",
       "expected a weight for each position, or one number"},
      {[&] {
         update(F1Score(), {batch, Dim(4)}, {batch, Dim(4)}, {batch, Dim(4)});
       },
       "sample_weight of f1_score has shape (None, 4) [sample-weight]", "", "expected a weight for each sample"},
      {[&] {
         update(BinaryCrossentropy(), {batch, Dim(4)}, {batch, Dim(4)}, {batch, Dim(4)});
       },
       "sample_weight has shape (None, 4), the losses have (None,) [sample-weight]", "",
       "expected a weight for each of them, or extents of 1"},
      {[] {
         (void)metric_from_config(
             {{"class_name", "MeanMetricWrapper"}, {"config", {{"fn", {{"class_name", "Dense"}}}}}});
       },
       "MeanMetricWrapper of {\"class_name\":\"Dense\"}, expected a function of keras.losses or keras.metrics "
       "[training-config]",
       ""},
      {[] {
         (void)metric_from_config({{"class_name", "MeanMetricWrapper"}, {"config", json::object()}});
       },
       "expected a configuration of a function, found null [training-config]", ""},
  });
}

}  // namespace
}  // namespace tusk
