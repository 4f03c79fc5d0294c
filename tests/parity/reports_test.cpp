// Reports from the field about training: what was saved goes on as Keras does, and as if it had never been saved.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include "frontend/files/npy.hpp"
#include "frontend/import/load_model.hpp"
#include "frontend/training/fit.hpp"
#include "frontend/training/optimizers.hpp"
#include "tests/parity/recorded.hpp"

namespace tusk {
namespace {

namespace fs = std::filesystem;

class Reports : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    setenv("TUSK_CACHE", folder_.c_str(), 1);
    clear_session();
  }
  void TearDown() override {
    unsetenv("TUSK_CACHE");
    fs::remove_all(folder_);
  }

  // False where there are no recordings.
  bool open(const std::string& name) {
    file_ = shared() / "reports" / (name + ".keras");
    if (!fs::exists(file_)) return false;
    arrays_ = value_or_throw(read_npz(fs::path(file_).replace_extension(".npz")));
    return true;
  }

  const Array& at(const std::string& key) const {
    const auto found = arrays_.find(key);
    if (found == arrays_.end()) throw Error(error("test", "the recording has no " + key));
    return found->second;
  }

  Model loaded() const { return load_model(file_); }

  // The folder's README: 1e-6 + 1e-5 |recorded|.
  static void expect_near(double got, double wanted, const std::string& what) {
    EXPECT_NEAR(got, wanted, 1e-6 + 1e-5 * std::abs(wanted)) << what;
  }

  // Of layers that have no layers inside.
  static std::map<std::string, Variable> weights_of(const Model& model) {
    std::map<std::string, Variable> out;
    for (const Layer& layer : model.layers()) {
      for (const Variable& weight : layer.weights()) out.emplace(layer.name() + "/" + weight.name(), weight);
    }
    return out;
  }

  void expect_weights(const Model& model, int step) const {
    for (const auto& [path, weight] : weights_of(model)) {
      const Array& wanted = at(fmt::format("weights/{}/{}", step, path));
      const Array got = weight.value();
      ASSERT_EQ(got.shape(), wanted.shape());
      for (std::int64_t i = 0; i < wanted.size(); ++i)
        expect_near(got.at(i), wanted.at(i), fmt::format("{}[{}] after step {}", path, i, step));
    }
  }

  // One step, held against the recorded one; its loss.
  double step(const Model& model, int number) const {
    const double loss = model.train_on_batch(at(fmt::format("in/{}/x", number)), at(fmt::format("in/{}/y", number)))[0];
    expect_near(loss, at(fmt::format("loss/{}", number)).at(0), fmt::format("loss of step {}", number));
    expect_weights(model, number);
    return loss;
  }

  fs::path file_;
  std::map<std::string, Array> arrays_;
  const fs::path folder_ = fs::path(testing::TempDir()) / ("tusk_reports_" + std::to_string(getpid()));
};

void expect_same_bits(const Model& a, const Model& b) {
  const std::vector<Variable> ours = a.weights();
  const std::vector<Variable> theirs = b.weights();
  ASSERT_EQ(ours.size(), theirs.size());
  for (std::size_t i = 0; i < ours.size(); ++i)
    EXPECT_TRUE(std::ranges::equal(ours[i].value().bytes(), theirs[i].value().bytes())) << ours[i].name();
}

// The file holds Adam's moments and its count of steps after three.
TEST_F(Reports, AdamGoesOn) {
  if (!open("22_adam_resume")) GTEST_SKIP() << "left out: 1 report";
  const Model resumed = loaded();
  expect_weights(resumed, 3);
  step(resumed, 4);
  step(resumed, 5);
}

// Five steps at a stretch, and five between which the model was saved and read: the same bits.
TEST_F(Reports, SavingBetweenStepsChangesNothing) {
  if (!open("22_adam_resume")) GTEST_SKIP() << "left out: 1 report";
  const Model unbroken = loaded();
  auto weights = weights_of(unbroken);
  for (auto& [path, weight] : weights) weight.assign(at("weights/0/" + path));
  unbroken.compile(
      {.optimizer = optimizers::Adam(
           {.learning_rate = 0.05, .epsilon = 0.1, .amsgrad = true, .weight_decay = 0.01, .clipnorm = 0.5}),
       .loss = "mse"});
  for (int k = 1; k <= 3; ++k) step(unbroken, k);
  const std::string saved = folder_ / "after_three.keras";
  unbroken.save(saved);
  const Model resumed = load_model(saved);
  for (int k = 4; k <= 5; ++k) {
    EXPECT_EQ(step(unbroken, k), step(resumed, k));
    expect_same_bits(unbroken, resumed);
  }
}

// Losses and their weights go by the names of outputs, whatever the order of these.
TEST_F(Reports, LossesGoByName) {
  if (!open("23_loss_dict_order")) GTEST_SKIP() << "left out: 1 report";
  const Model model = loaded();
  expect_weights(model, 0);
  for (int k = 1; k <= 2; ++k) {
    const Scores log =
        model.train_on_batch(at("in/x"), {{"aa_big", at("in/y/aa_big")}, {"zz_small", at("in/y/zz_small")}});
    EXPECT_EQ(log.size(), 3U);
    for (const std::string name : {"loss", "aa_big_loss", "zz_small_loss"}) {
      const std::string key = fmt::format("log/{}/{}", k, name);
      expect_near(log[name], at(key).at(0), key);
    }
    expect_weights(model, k);
  }
}

}  // namespace
}  // namespace tusk
