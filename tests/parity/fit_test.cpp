// fit, evaluate and predict against recordings of Keras' own (record_fit.py): histories, weights, printed text.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>

#include "frontend/files/json.hpp"
#include "frontend/files/npy.hpp"
#include "frontend/import/load_model.hpp"
#include "frontend/training/fit.hpp"
#include "frontend/training/losses.hpp"
#include "frontend/training/optimizers.hpp"

namespace tusk {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const fs::path kFolder = fs::path(TUSK_SOURCE_DIR) / "tests/parity/goldens/fit";

std::string text_of_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void expect_near(const Array& got, const Array& wanted, const std::string& what) {
  ASSERT_EQ(got.shape(), wanted.shape()) << what;
  double largest = 1;
  for (std::int64_t i = 0; i < wanted.size(); ++i) largest = std::max(largest, std::abs(wanted.at(i)));
  for (std::int64_t i = 0; i < wanted.size(); ++i)
    EXPECT_NEAR(got.at(i), wanted.at(i), 1e-5 * largest) << what << "[" << i << "]";
}

class Fit : public testing::Test {
 protected:
  void SetUp() override { setenv("TUSK_CACHE", cache_.c_str(), 1); }
  void TearDown() override {
    unsetenv("TUSK_CACHE");
    fs::remove_all(cache_);
  }

  void open(const std::string& name) {
    clear_session();
    name_ = name;
    record_ = json::parse(text_of_file(kFolder / "fit.json"))[name];
    model_ = value_or_throw(read_model(kFolder / (name + ".keras"))).model;
    arrays_ = value_or_throw(read_npz(kFolder / (name + ".npz")));
  }

  Array data(const std::string& name) const { return arrays_.at("data/" + name); }

  // Without the seconds, as recorded.
  static std::string without_times(std::string text) {
    text = std::regex_replace(text, std::regex("[0-9]+(ms|us|s)/step"), "T/step");
    return std::regex_replace(text, std::regex("(\x1b\\[1m|- )[0-9]+s"), "$1T");
  }

  void expect_history(const History& history, const std::string& printed) const {
    EXPECT_EQ(history.epoch, record_["epoch"].get<std::vector<std::int64_t>>());
    std::vector<std::string> names;
    for (const auto& [name, values] : history.history) names.push_back(name);
    std::vector<std::string> wanted_names;
    for (const auto& [name, values] : record_["history"].items()) wanted_names.push_back(name);
    EXPECT_EQ(names, wanted_names);
    for (const auto& [name, values] : record_["history"].items()) {
      const std::vector<double>& got = history[name];
      ASSERT_EQ(got.size(), values.size()) << name;
      for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], values[i].get<double>(), 1e-5) << name;
    }
    EXPECT_EQ(without_times(printed), record_["printed"].get<std::string>());
  }

  void expect_scores(const Scores& scores) const {
    ASSERT_EQ(scores.size(), record_["evaluate"].size());
    for (std::size_t i = 0; i < scores.size(); ++i)
      EXPECT_NEAR(scores[i], record_["evaluate"][i].get<double>(), 1e-5) << i;
  }

  void expect_after(const std::vector<Array>& predictions) const {
    for (const Variable& weight : model_.weights())
      expect_near(weight.value(), arrays_.at("after/" + weight.path()), weight.path());
    for (std::size_t i = 0; i < predictions.size(); ++i)
      expect_near(predictions[i], arrays_.at(fmt::format("predict/{}", i)), fmt::format("prediction {}", i));
  }

  std::string name_;
  json record_;
  Model model_;
  std::map<std::string, Array> arrays_;
  const std::string cache_ = testing::TempDir() + "/tusk_fit_" + std::to_string(getpid());
};

TEST_F(Fit, OfClasses) {
  open("classes");
  model_.compile({.optimizer = optimizers::Adam({.learning_rate = 0.05}),
                  .loss = "sparse_categorical_crossentropy",
                  .metrics = {"accuracy"}});
  testing::internal::CaptureStdout();
  const History history = model_.fit(
      data("x"), data("y"), {.batch_size = 5, .epochs = 3, .verbose = 2, .validation_split = 0.25, .shuffle = false});
  expect_history(history, testing::internal::GetCapturedStdout());
  expect_scores(model_.evaluate(data("x"), data("y"), {.verbose = 0}));
  expect_after(model_.predict(data("x"), {.verbose = 0}));
}

TEST_F(Fit, WithWeightsOfClasses) {
  open("class_weight");
  model_.compile({.optimizer = optimizers::SGD({.learning_rate = 0.1, .momentum = 0.9}),
                  .loss = losses::CategoricalCrossentropy({.label_smoothing = 0.1}),
                  .metrics = {"accuracy", "mse"},
                  .weighted_metrics = {"accuracy"}});
  testing::internal::CaptureStdout();
  const History history = model_.fit(
      data("x"), data("y"),
      {.batch_size = 8, .epochs = 3, .validation_split = 0.2, .shuffle = false, .class_weight = {{0, 1.0}, {2, 3.5}}});
  const std::string printed = testing::internal::GetCapturedStdout();
  // Lines that another one writes over depend on the time that they take.
  const auto last_lines = [](const std::string& text) {
    return std::regex_replace(text, std::regex("\r[^\n]*\r"), "\r");
  };
  record_["printed"] = last_lines(record_["printed"].get<std::string>());
  expect_history(history, last_lines(printed));
  expect_scores(model_.evaluate(data("x"), data("y"), {.batch_size = 7, .verbose = 0}));
  expect_after(model_.predict(data("x"), {.verbose = 0}));
}

TEST_F(Fit, WithWeightsOfSamples) {
  open("sample_weight");
  model_.compile({.optimizer = optimizers::RMSprop({.learning_rate = 0.01}),
                  .loss = "mse",
                  .metrics = {"mae"},
                  .weighted_metrics = {"mae"}});
  testing::internal::CaptureStdout();
  const History history = model_.fit(data("x"), data("y"),
                                     {.batch_size = 6,
                                      .epochs = 4,
                                      .verbose = 2,
                                      .validation_data = {data("vx"), data("vy"), data("vw")},
                                      .shuffle = false,
                                      .sample_weight = data("w"),
                                      .initial_epoch = 1,
                                      .validation_batch_size = 4,
                                      .validation_freq = 2});
  expect_history(history, testing::internal::GetCapturedStdout());
  expect_scores(model_.evaluate(data("vx"), data("vy"), {.verbose = 0, .sample_weight = data("vw")}));
  expect_after(model_.predict(data("x"), {.verbose = 0}));

  // A loss that is no number stops nothing.
  Array bad = data("y");
  bad.set(0, NAN);
  const History failed = model_.fit(data("x"), bad, {.epochs = 2, .verbose = 0, .sample_weight = data("w")});
  ASSERT_EQ(failed["loss"].size(), 2U);
  EXPECT_TRUE(std::isnan(failed["loss"][0]) && std::isnan(failed["loss"][1]));
}

TEST_F(Fit, OfTwoOutputsByName) {
  open("two_outputs");
  model_.compile({.optimizer = optimizers::RMSprop({.learning_rate = 0.01}),
                  .loss = {{"priority", losses::BinaryCrossentropy({.from_logits = true})},
                           {"department", losses::CategoricalCrossentropy({.from_logits = true})}},
                  .loss_weights = {{"priority", 1.0}, {"department", 0.2}},
                  .metrics = {{"department", {"accuracy", "mse"}}, {"priority", {"mae"}}}});
  testing::internal::CaptureStdout();
  const History history =
      model_.fit({{"title", data("title")}, {"body", data("body")}},
                 {{"priority", data("priority")}, {"department", data("department")}},
                 {.batch_size = 6, .epochs = 3, .verbose = 2, .validation_split = 0.3, .shuffle = false});
  expect_history(history, testing::internal::GetCapturedStdout());
  expect_scores(model_.evaluate({{"body", data("body")}, {"title", data("title")}},
                                {{"priority", data("priority")}, {"department", data("department")}}, {.verbose = 0}));
  expect_after(model_.predict({data("title"), data("body")}, {.verbose = 0}));
}

TEST_F(Fit, WithCallbacks) {
  open("plateau");
  const fs::path log = fs::path(testing::TempDir()) / fmt::format("fit_{}.csv", getpid());
  model_.compile({.optimizer = optimizers::SGD({.learning_rate = 0.1}), .loss = "mse"});
  testing::internal::CaptureStdout();
  const History history = model_.fit(data("x"), data("y"),
                                     {.batch_size = 3,
                                      .epochs = 12,
                                      .verbose = 2,
                                      .callbacks = {callbacks::ReduceLROnPlateau({.monitor = "loss",
                                                                                  .factor = 0.5,
                                                                                  .patience = 1,
                                                                                  .verbose = 1,
                                                                                  .min_delta = 0.3,
                                                                                  .cooldown = 1,
                                                                                  .min_lr = 0.01}),
                                                    callbacks::EarlyStopping({.monitor = "loss",
                                                                              .min_delta = 0.02,
                                                                              .patience = 2,
                                                                              .verbose = 1,
                                                                              .restore_best_weights = true,
                                                                              .start_from_epoch = 1}),
                                                    callbacks::CSVLogger({.filename = log.string()})},
                                      .shuffle = false,
                                      .steps_per_epoch = 2});
  expect_history(history, testing::internal::GetCapturedStdout());
  expect_after(model_.predict(data("x"), {.verbose = 0}));
  // Numbers differ in their last digits.
  const auto shape = [](const std::string& text) {
    return std::regex_replace(text, std::regex("[0-9]+[.]([0-9]{3})[0-9]*"), "$1");
  };
  EXPECT_EQ(shape(text_of_file(log)), shape(record_["csv"].get<std::string>()));
  fs::remove(log);
}

TEST_F(Fit, WithAveragesOfWeights) {
  open("average");
  model_.compile(
      {.optimizer = optimizers::Adam({.learning_rate = 0.05, .use_ema = true, .ema_momentum = 0.8}), .loss = "mae"});
  testing::internal::CaptureStdout();
  const History history =
      model_.fit(data("x"), data("y"),
                 {.batch_size = 4,
                  .epochs = 2,
                  .verbose = 0,
                  .callbacks = {callbacks::LearningRateScheduler(
                      {.schedule = [](std::int64_t, double rate) { return rate * 0.5; }, .verbose = 1})},
                  .shuffle = false});
  expect_history(history, testing::internal::GetCapturedStdout());
  expect_after(model_.predict(data("x"), {.verbose = 0}));
}

// Each step begins with a normalized kernel, from which the optimizer goes on; the vector is kept from step to step.
TEST_F(Fit, WithSpectralNormalization) {
  open("spectral");
  model_.compile({.optimizer = optimizers::Adam({.learning_rate = 0.02}), .loss = "mse"});
  testing::internal::CaptureStdout();
  const History history =
      model_.fit(data("x"), data("y"), {.batch_size = 5, .epochs = 3, .verbose = 2, .shuffle = false});
  expect_history(history, testing::internal::GetCapturedStdout());
  expect_scores(model_.evaluate(data("x"), data("y"), {.verbose = 0}));
  expect_after(model_.predict(data("x"), {.verbose = 0}));
}

struct CountImpl : CallbackBase {
  struct Config {
  } config;
  void on_predict_batch_end(std::int64_t, Logs&) override { ++batches; }
  int batches = 0;
};
using Count = CallbackOf<CountImpl>;

// What one call gives another one, too; weights are what they are, whoever looks or writes.
TEST_F(Fit, AgreesWithBatchesByHand) {
  open("classes");
  const auto compile = [&] {
    model_.compile({.optimizer = optimizers::SGD({.learning_rate = 0.1}), .loss = "crossentropy", .metrics = {"acc"}});
  };
  const std::vector<Array> before = model_.get_weights();
  compile();
  std::vector<double> kernel;
  const callbacks::LambdaCallback look(
      {.on_train_batch_end = [&](std::int64_t, Logs&) { kernel.push_back(model_.weights()[0].value().at(0)); }});
  const callbacks::LambdaCallback begin_again(
      {.on_epoch_end = [&](std::int64_t, Logs&) { model_.set_weights(before); }});
  const History shuffled =
      model_.fit(data("x"), data("y"), {.batch_size = 23, .epochs = 2, .verbose = 0, .callbacks = {look, begin_again}});
  EXPECT_NEAR(shuffled["loss"][0], shuffled["loss"][1], 1e-6);  // all rows, in two orders
  ASSERT_EQ(kernel.size(), 2U);
  EXPECT_NE(kernel[0], before[0].at(0));
  EXPECT_NEAR(kernel[0], kernel[1], 1e-6);

  model_.optimizer().set_learning_rate(0.2);
  const Scores step = model_.train_on_batch(data("x"), data("y"));
  EXPECT_NEAR(step["loss"], shuffled["loss"][0], 1e-6);
  EXPECT_EQ(step["acc"], shuffled["acc"][0]);
  EXPECT_EQ(model_.optimizer().variables()[0].value().int_at(0), 3);
  const double moved = model_.get_weights()[0].at(0) - before[0].at(0);
  EXPECT_NEAR(moved, 2 * (kernel[0] - before[0].at(0)), 1e-6);

  const Scores test = model_.test_on_batch(data("x"), data("y"));
  EXPECT_NEAR(test[0], model_.evaluate(data("x"), data("y"), {.batch_size = 7, .verbose = 0})["loss"], 1e-6);
  expect_near(model_.predict_on_batch(data("x"))[0], model_.predict({data("x")}, {.batch_size = 4, .verbose = 0})[0],
              "prediction");

  const Count count;
  (void)model_.predict(data("x"), {.batch_size = 4, .verbose = 0, .callbacks = {count}});
  EXPECT_EQ(count.impl().batches, 6);
}

}  // namespace
}  // namespace tusk
