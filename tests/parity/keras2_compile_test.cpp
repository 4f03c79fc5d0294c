// Models that Keras 2 had compiled: read, and trained on as Keras 2 trains them on (record_keras2_compile.py).
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
#include <set>
#include <string>
#include <vector>

#include "frontend/files/json.hpp"
#include "frontend/files/npy.hpp"
#include "frontend/files/zip.hpp"
#include "frontend/import/load_model.hpp"
#include "frontend/training/fit.hpp"
#include "frontend/training/trainer.hpp"
#include "ir/graph/interpret.hpp"
#include "tests/parity/recorded.hpp"

namespace tusk {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Arrays = std::map<std::string, Array>;

// The files of goldens/keras2_compile.zip, in a folder of their own while a test runs.
class Keras2Compile : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    const auto zip = value_or_throw(ZipReader::open(TUSK_SOURCE_DIR "/tests/parity/goldens/keras2_compile.zip"));
    for (const ZipMember& member : zip.members()) {
      const Bytes bytes = value_or_throw(zip.read(member.name));
      std::ofstream(folder_ / member.name, std::ios::binary)
          .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    }
    setenv("TUSK_CACHE", (folder_ / "cache").c_str(), 1);
  }
  void TearDown() override {
    unsetenv("TUSK_CACHE");
    fs::remove_all(folder_);
  }
  std::string problem_of(const std::string& file) const {
    const Expected<Model> model = load_model_checked(folder_ / file);
    return model ? "" : model.problem().str();
  }
  const fs::path folder_ = fs::path(testing::TempDir()) / ("tusk_keras2_" + std::to_string(getpid()));
};

Array rows_of(const Array& data, std::int64_t first, std::int64_t count) {
  std::vector<std::int64_t> shape = data.shape();
  const std::int64_t each = data.size() / shape[0];
  shape[0] = count;
  Array out(data.dtype(), std::move(shape));
  for (std::int64_t i = 0; i < out.size(); ++i) out.set(i, data.at(first * each + i));
  return out;
}

std::vector<std::string> targets_of(const Model& model) {
  if (model.outputs().size() == 1) return {"data/y"};
  std::vector<std::string> out;
  for (const std::string& name : model.output_names()) out.push_back("data/" + name);
  return out;
}

// Two epochs of three batches by the interpreter: the mean loss of each.
std::vector<double> trained(const Model& model, const Arrays& arrays) {
  const Trainer& trainer = trainer_of(model, "fit");
  std::vector<std::optional<Target>> targets;
  for (const std::string& name : targets_of(model)) {
    const Array& y = arrays.at(name);
    targets.push_back(Target{y.dtype(), {y.shape().begin() + 1, y.shape().end()}});
  }
  TrainingPlan plan = plan_of(trainer.options, trainer.optimizer, model, targets, {});
  plan.functions = {"train_step"};
  graph::Module module = value_or_throw(to_training_module(model, plan));
  const graph::Function& function = module.functions.front();
  std::vector<double> losses;
  for (int epoch = 0; epoch < 2; ++epoch) {
    double sum = 0;
    for (std::int64_t batch = 0; batch < 3; ++batch) {
      std::vector<Array> inputs{rows_of(arrays.at("data/x"), 4 * batch, 4)};
      for (const std::string& name : targets_of(model)) inputs.push_back(rows_of(arrays.at(name), 4 * batch, 4));
      const auto results = value_or_throw(graph::interpret(module, function, inputs, {{"batch", 4}}));
      sum += results.front().at(0);
      for (std::size_t i = 0; i < function.updates.size(); ++i) {
        graph::Global& state = module.globals[static_cast<std::size_t>(function.updates[i].global)];
        state.value = results[function.results.size() + i].converted(state.type.dtype);
      }
    }
    losses.push_back(sum / 3);
  }
  for (Variable weight : model.weights())
    weight.assign(module.globals[static_cast<std::size_t>(module.global_named(weight.path()))].value);
  return losses;
}

// The same by fit, with its metrics.
json fitted(const Model& model, const Arrays& arrays) {
  Data y;
  for (const std::string& name : targets_of(model)) y.items.push_back(arrays.at(name));
  y.form = y.items.size() == 1 ? Form::one : Form::list;
  const History history =
      model.fit(arrays.at("data/x"), y, {.batch_size = 4, .epochs = 2, .verbose = 0, .shuffle = false});
  json out = json::object();
  for (const auto& [name, values] : history.history) out[name] = values;
  return out;
}

TEST_F(Keras2Compile, TrainsOn) {
  const std::set<std::string> by_fit = {"adam_decay", "sgd_two_outputs", "adam_keras", "average"};
  std::ifstream file(folder_ / "compile.json");
  const json records = json::parse(file);
  ASSERT_EQ(records.size(), 18U);
  for (const auto& [name, record] : records.items()) {
    SCOPED_TRACE(name);
    clear_session();
    const Model model = load_model(folder_ / record["file"].get<std::string>());
    const Arrays arrays = value_or_throw(read_npz(folder_ / (name + ".npz")));
    EXPECT_EQ(model.optimizer().variables().front().value().int_at(0), 6);  // steps before it was saved
    json history{{"loss", json::array()}};
    if (by_fit.contains(name)) {
      history = fitted(model, arrays);
      EXPECT_EQ(history.size(), record["history"].size());
    } else {
      history["loss"] = trained(model, arrays);
    }
    for (const auto& [key, values] : history.items()) {
      ASSERT_TRUE(record["history"].contains(key)) << key;
      for (std::size_t i = 0; i < values.size(); ++i)
        EXPECT_NEAR(values[i].get<double>(), record["history"][key][i].get<double>(), 1e-5) << key << i;
    }
    const std::vector<Array> weights = model.get_weights();
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const Array& wanted = arrays.at(fmt::format("after/{}", i));
      ASSERT_EQ(weights[i].shape(), wanted.shape());
      double largest = 0;
      for (std::int64_t k = 0; k < wanted.size(); ++k) largest = std::max(largest, std::abs(wanted.at(k)));
      for (std::int64_t k = 0; k < wanted.size(); ++k)
        EXPECT_NEAR(weights[i].at(k), wanted.at(k), 1e-5 * largest) << i << "[" << k << "]";
    }
  }
}

TEST_F(Keras2Compile, RefusesOtherRules) {
  using testing::HasSubstr;
  EXPECT_THAT(problem_of("refused_rmsprop.h5"),
              testing::AllOf(
                  HasSubstr("RMSprop of Keras 2 follows a rule of its own: without momentum it adds epsilon to a root"),
                  HasSubstr("[training-config]"), HasSubstr("{.compile = false}")));
  EXPECT_THAT(problem_of("refused_nadam.h5"), HasSubstr("it has another schedule of momenta"));
  EXPECT_THAT(problem_of("refused_new_nadam.h5"), HasSubstr("its product of momenta"));
  EXPECT_TRUE(load_model_checked(folder_ / "refused_nadam.h5", {.compile = false}));
}

// Files of Keras 2.1 to 2.15 as they were found.
TEST_F(Keras2Compile, OfFilesAtHand) {
  struct Case {
    const char* file;
    std::int64_t steps;
    double rate;
  };
  const Case cases[] = {{"forms_linear_adam.h5", 312, 0.001},
                        {"mmsplice_Donor.h5", 209049, 0.00012662899},
                        {"deepcut_lite.h5", 3626714, 0.001},
                        {"mlperf_tiny_resnet8_cifar10.h5", 781500, 6.6368516e-06},
                        {"mltk_autoencoder_example.h5", 80, 0.001}};
  for (const Case& each : cases) {
    const fs::path path = shared() / "models" / each.file;
    if (!fs::exists(path)) GTEST_SKIP() << "left out: five models of " << shared() / "models";
    const Expected<Model> model = load_model_checked(path);
    ASSERT_TRUE(model) << each.file << model.problem().str();
    EXPECT_EQ(model->optimizer().variables().front().value().int_at(0), each.steps) << each.file;
    EXPECT_FLOAT_EQ(static_cast<float>(model->optimizer().learning_rate()), static_cast<float>(each.rate));
  }
}

}  // namespace
}  // namespace tusk
