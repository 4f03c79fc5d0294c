// Callbacks by themselves, with logs made up. tests/parity/fit_test.cpp has them in fits that Keras recorded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "frontend/import/load_model.hpp"
#include "frontend/layers/layers.hpp"
#include "frontend/training/fit.hpp"
#include "frontend/training/optimizers.hpp"
#include "tests/unit/error_of.hpp"

namespace tusk {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

Model compiled() {
  clear_session();
  const Tensor x = Input({3}, {.name = "x"});
  Model model(x, layers::Dense(2, {.name = "a"})(x), {.name = "m"});
  model.compile({.optimizer = optimizers::SGD({.learning_rate = 0.5, .name = "sgd"}), .loss = "mse"});
  return model;
}

class Callbacks : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  // The logs of each epoch in turn; gives the epochs that were run.
  std::int64_t run(const Callback& callback, const std::vector<Logs>& epochs) {
    CallbackBase& base = callback.base();
    base.set_up(model_, {});
    Logs none;
    base.on_train_begin(none);
    std::int64_t epoch = 0;
    for (Logs logs : epochs) {
      base.on_epoch_begin(epoch, none);
      base.on_train_batch_end(0, logs);
      base.on_train_batch_end(1, logs);
      base.on_epoch_end(epoch, logs);
      ++epoch;
      if (model_.stop_training()) break;
    }
    base.on_train_end(none);
    return epoch;
  }
  std::int64_t run(const Callback& callback, const std::string& name, const std::vector<double>& values) {
    std::vector<Logs> logs;
    for (const double value : values) logs.push_back(Logs({{name, value}}));
    return run(callback, logs);
  }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::vector<std::string> files() const {
    std::vector<std::string> out;
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
      if (entry.is_regular_file()) out.push_back(fs::relative(entry.path(), folder_));
    }
    std::ranges::sort(out);
    return out;
  }

  const Model model_ = compiled();
  const std::string folder_ = testing::TempDir() + "/callbacks_" + std::to_string(getpid());
};

TEST_F(Callbacks, StopEarly) {
  using callbacks::EarlyStopping;
  const std::vector<double> losses{5, 4, 4.5, 3.9, 4, 4.1, 3};
  EXPECT_EQ(run(EarlyStopping({.monitor = "loss"}), "loss", losses), 3);
  model_.set_stop_training(false);
  EXPECT_EQ(run(EarlyStopping({.monitor = "loss", .patience = 2}), "loss", losses), 6);
  model_.set_stop_training(false);
  EXPECT_EQ(run(EarlyStopping({.monitor = "loss", .patience = 3, .mode = "max"}), "loss", losses), 4);
  model_.set_stop_training(false);
  EXPECT_EQ(run(EarlyStopping({.monitor = "loss", .min_delta = -0.5, .patience = 2}), "loss", losses), 4);
  model_.set_stop_training(false);
  EXPECT_EQ(run(EarlyStopping({.monitor = "loss", .patience = 2, .baseline = 3.5}), "loss", losses), 3);
  model_.set_stop_training(false);
  EXPECT_EQ(run(EarlyStopping({.monitor = "loss", .start_from_epoch = 3}), "loss", losses), 5);
}

TEST_F(Callbacks, RestoreTheBestWeights) {
  const auto set = [&](double value) {
    model_.set_weights({Array::splat(DType::f32, {3, 2}, value), Array::splat(DType::f32, {2}, value)});
  };
  const callbacks::LambdaCallback change(
      {.on_epoch_begin = [&](std::int64_t epoch, Logs&) { set(static_cast<double>(epoch)); }});
  const callbacks::EarlyStopping stop({.monitor = "loss", .patience = 2, .verbose = 1, .restore_best_weights = true});
  stop.base().set_up(model_, {});
  testing::internal::CaptureStdout();
  Logs none;
  stop.base().on_train_begin(none);
  for (std::int64_t epoch = 0; epoch < 4; ++epoch) {
    change.base().on_epoch_begin(epoch, none);
    Logs logs({{"loss", epoch == 1 ? 1.0 : 2.0}});
    stop.base().on_epoch_end(epoch, logs);
  }
  stop.base().on_train_end(none);
  EXPECT_EQ(testing::internal::GetCapturedStdout(),
            "Epoch 4: early stopping\nRestoring model weights from the end of the best epoch: 2.\n");
  EXPECT_EQ(model_.get_weights()[0].at(0), 1);
}

TEST_F(Callbacks, ReduceTheRate) {
  testing::internal::CaptureStdout();
  run(callbacks::ReduceLROnPlateau({.monitor = "loss", .factor = 0.5, .patience = 2, .verbose = 1, .min_lr = 0.2}),
      "loss", {1, 1, 1, 1, 1, 1, 1});
  EXPECT_EQ(testing::internal::GetCapturedStdout(),
            "\nEpoch 3: ReduceLROnPlateau reducing learning rate to 0.25.\n"
            "\nEpoch 5: ReduceLROnPlateau reducing learning rate to 0.2.\n");
  EXPECT_FLOAT_EQ(static_cast<float>(model_.optimizer().learning_rate()), 0.2F);
}

TEST_F(Callbacks, WriteLines) {
  const std::string file = path("log.csv");
  const auto text = [&] {
    std::ifstream in(file, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  run(callbacks::CSVLogger({.filename = file, .separator = ";"}), "loss", {0.5, 1});
  EXPECT_EQ(text(), "epoch;loss;val_loss\r\n0;0.5;NA\r\n1;1.0;NA\r\n");
  run(callbacks::CSVLogger({.filename = file, .separator = ";", .append = true}), "loss", {1e-5});
  EXPECT_EQ(text(), "epoch;loss;val_loss\r\n0;0.5;NA\r\n1;1.0;NA\r\n0;1e-05;NA\r\n");
  EXPECT_THAT(error_of([&] { run(callbacks::CSVLogger({.filename = path("no/log.csv")}), "loss", {1}); }),
              HasSubstr("no/log.csv [callback-file]"));
}

TEST_F(Callbacks, StopAtWhatIsNoNumber) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(run(callbacks::TerminateOnNaN(), "loss", {1, NAN, 2}), 2);
  EXPECT_EQ(testing::internal::GetCapturedStdout(),
            "Batch 0: Invalid loss, terminating training\nBatch 1: Invalid loss, terminating training\n");
  EXPECT_THAT(error_of([&] { run(callbacks::TerminateOnNaN({.raise_error = true}), "loss", {INFINITY}); }),
              HasSubstr("batch 0: the loss is inf [callback-nan]"));
}

TEST_F(Callbacks, SaveCheckpoints) {
  using callbacks::ModelCheckpoint;
  const std::vector<Logs> logs{Logs({{"val_loss", 0.5}}), Logs({{"val_loss", 0.75}}), Logs({{"val_loss", 0.125}})};
  run(ModelCheckpoint({.filepath = path("all/{epoch:02d}-{val_loss:.2f}.keras")}), logs);
  EXPECT_THAT(files(), ElementsAre("all/01-0.50.keras", "all/02-0.75.keras", "all/03-0.12.keras"));
  fs::remove_all(path("all"));
  testing::internal::CaptureStdout();
  run(ModelCheckpoint(
          {.filepath = path("{epoch}.weights.h5"), .verbose = 1, .save_best_only = true, .save_weights_only = true}),
      logs);
  const std::string one = path("1.weights.h5");
  const std::string three = path("3.weights.h5");
  EXPECT_EQ(testing::internal::GetCapturedStdout(),
            "\nEpoch 1: val_loss improved from None to 0.50000, saving model to " + one +
                "\n\nEpoch 1: finished saving model to " + one +
                "\n\nEpoch 2: val_loss did not improve from 0.50000\n"
                "\nEpoch 3: val_loss improved from 0.50000 to 0.12500, saving model to " +
                three + "\n\nEpoch 3: finished saving model to " + three + "\n");
  EXPECT_THAT(files(), ElementsAre("1.weights.h5", "3.weights.h5"));
  fs::remove(one);
  fs::remove(three);
  run(ModelCheckpoint({.filepath = path("{epoch}-{batch}.keras"), .save_freq = 3}), logs);  // two batches each
  EXPECT_THAT(files(), ElementsAre("2-1.keras", "3-2.keras"));
  run(ModelCheckpoint({.filepath = path("whole.h5")}), logs);
  EXPECT_EQ(load_model(path("whole.h5")).optimizer().name(), "sgd");
  fs::remove(path("whole.h5"));
  run(ModelCheckpoint({.filepath = path("best.keras"), .save_best_only = true, .initial_value_threshold = 0.1}), logs);
  EXPECT_THAT(files(), ElementsAre("2-1.keras", "3-2.keras"));
}

TEST_F(Callbacks, SayWhatIsWrong) {
  using callbacks::ModelCheckpoint;
  EXPECT_THAT(error_of([] { ModelCheckpoint({.filepath = "a.h5", .save_weights_only = true}); }),
              HasSubstr("the path \"a.h5\" does not end in .weights.h5 [callback-path]"));
  EXPECT_THAT(error_of([&] { run(ModelCheckpoint({.filepath = path("{epochs}.keras")}), "loss", {1}); }),
              HasSubstr("[callback-path]\n  there are epoch, loss"));
  EXPECT_THAT(error_of([&] { run(callbacks::EarlyStopping({.monitor = "val_of_mine"}), "val_of_mine", {1}); }),
              HasSubstr("whether more or less of \"val_of_mine\" is better is not known [callback-mode]"));
  EXPECT_THAT(error_of([] { (void)History()["val_loss"]; }),
              HasSubstr("nothing was logged as \"val_loss\" [history-name]"));
  EXPECT_THAT(error_of([] {
                (void)Scores({{"loss", 1.0}})["mae"];
              }),
              HasSubstr("nothing was logged as \"mae\" [history-name]\n  there are loss"));
}

TEST(OptimizerState, IsOfTheWeightsThatItWasMadeFor) {
  const Model one = compiled();
  const Model other = compiled();
  const Optimizer sgd = optimizers::SGD({.learning_rate = 0.5, .name = "sgd"});
  const auto build = [&](const Model& model) {
    std::vector<TrainedWeight> weights;
    for (const Variable& variable : model.weights()) weights.push_back({variable, variable.name()});
    sgd.base().build(weights);
  };
  build(one);
  build(one);
  EXPECT_THAT(error_of([&] { build(other); }), HasSubstr("sgd has been built for other weights [optimizer-weights]"));
  EXPECT_EQ(sgd.learning_rate(), 0.5);
  sgd.set_learning_rate(0.25);
  EXPECT_EQ(sgd.variables()[1].value().at(0), 0.25);
}

}  // namespace
}  // namespace tusk
