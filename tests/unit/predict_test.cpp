// Model::predict: compiled by the system's compiler, batch by batch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "codegen/mlir/load.hpp"
#include "frontend/layers/layers.hpp"
#include "frontend/model/model.hpp"
#include "frontend/model/to_module.hpp"
#include "frontend/training/fit.hpp"
#include "ir/base/compare.hpp"
#include "ir/graph/interpret.hpp"
#include "tests/unit/error_of.hpp"

namespace tusk {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Array counting(std::vector<std::int64_t> shape) {
  Array array(DType::f32, std::move(shape));
  for (std::int64_t i = 0; i < array.size(); ++i) array.set(i, 0.25 * static_cast<double>(i % 17) - 2);
  return array;
}

bool same_bytes(const Array& a, const Array& b) {
  return a.shape() == b.shape() && std::ranges::equal(a.bytes(), b.bytes());
}

std::string predict_error(const Model& model, const std::vector<Array>& inputs, const PredictOptions& options = {}) {
  return tusk::error_of([&] { model.predict(inputs, options); });
}

class Predict : public testing::Test {
 protected:
  void SetUp() override {
    clear_session();
    setenv("TUSK_CACHE", cache_.c_str(), 1);
  }
  void TearDown() override {
    unsetenv("TUSK_CACHE");
    std::filesystem::remove_all(cache_);
  }
  // Tests run side by side.
  const std::string cache_ = testing::TempDir() + "/tusk_cache_" + std::to_string(getpid());
};

TEST_F(Predict, FindsWhatItHasBuilt) {
  setenv("TUSK_JIT", "cpp", 1);
  const Tensor x = Input({3}, {.name = "x"});
  layers::Dense dense(2, {.name = "d"});
  const Model model(x, dense(x), {.name = "m"});
  const Array first = model.predict({counting({2, 3})})[0];
  const Model again(x, dense(x), {.name = "m"});
  setenv("CXX", "false", 1);  // a compiler of another name is another key
  EXPECT_THAT(predict_error(again, {counting({2, 3})}), HasSubstr("the C++ compiler fails"));
  unsetenv("CXX");
  EXPECT_TRUE(same_bytes(first, again.predict({counting({2, 3})})[0]));
  const auto count = [&] {
    return std::distance(std::filesystem::directory_iterator(cache_), std::filesystem::directory_iterator());
  };
  EXPECT_EQ(count(), 1);
  dense.set_weights({counting({3, 2}), counting({2})});  // other weights, the same code
  EXPECT_FALSE(same_bytes(first, model.predict({counting({2, 3})})[0]));
  EXPECT_EQ(count(), 1);
  unsetenv("TUSK_JIT");
}

// A byte of each kept file is another one, or its last half is missing: it is made again.
TEST_F(Predict, DoesNotTrustDamagedFiles) {
  for (const char* jit : {"cpp", "mlir"}) {
    if (std::string_view(jit) == "mlir" && !mlir::find_backend()) continue;
    setenv("TUSK_JIT", jit, 1);
    const Tensor x = Input({3}, {.name = "x"});
    const layers::Dense dense(2, {.name = "d"});
    const auto result = [&] { return Model(x, dense(x), {.name = "m"}).predict({counting({2, 3})})[0]; };
    const Array first = result();
    for (const bool cut : {false, true}) {
      for (const auto& entry : std::filesystem::recursive_directory_iterator(cache_)) {
        if (!entry.is_regular_file()) continue;
        const auto middle = static_cast<std::streamoff>(entry.file_size() / 2);
        if (cut) {
          std::filesystem::resize_file(entry.path(), static_cast<std::uintmax_t>(middle));
          continue;
        }
        std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
        file.seekg(middle);
        const auto byte = static_cast<char>(file.get() ^ 1);
        file.seekp(middle);
        file.put(byte);
      }
      EXPECT_TRUE(same_bytes(first, result())) << jit << (cut ? ", cut" : ", another byte");
    }
    unsetenv("TUSK_JIT");
  }
}

// Each with its own batch size, so that they have to compile by turns.
TEST_F(Predict, ServesThreads) {
  const Tensor x = Input({3}, {.name = "x"});
  const Model model(x, layers::Dense(2, {.name = "d"})(x), {.name = "m"});
  const Array input = counting({200, 3});
  const Array expected = model.predict({input}, {.batch_size = 1, .verbose = 0})[0];
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (std::int64_t k = 0; k < 4; ++k) {
    threads.emplace_back([&, k] {
      for (std::int64_t size = 8 + k; size < 200; size += 64)
        wrong += same_bytes(expected, model.predict({input}, {.batch_size = size, .verbose = 0})[0]) ? 0 : 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(Predict, CompilesAgainOnlyWhatHasChanged) {
  setenv("TUSK_JIT", "cpp", 1);
  const Tensor x = Input({"time", 3}, {.name = "x"});
  const layers::Dense dense(2, {.name = "d"});
  const Model model(x, dense(x), {.name = "m"});
  const Array input = counting({2, 20, 3});
  const Array first = model.predict({input}, {.batch_size = 8})[0];
  setenv("CXX", "false", 1);  // now it can only go on with what it has
  EXPECT_TRUE(same_bytes(first, model.predict({input}, {.batch_size = 8})[0]));
  EXPECT_TRUE(same_bytes(first, model.predict({input}, {.batch_size = 1})[0]));
  dense.set_weights(dense.get_weights());
  EXPECT_TRUE(same_bytes(first, model.predict({input}, {.batch_size = 8})[0]));
  EXPECT_THAT(predict_error(model, {input}, {.batch_size = 9}), HasSubstr("the C++ compiler fails"))
      << "there is no room";
  EXPECT_THAT(predict_error(model, {counting({2, 300, 3})}, {.batch_size = 8}), HasSubstr("the C++ compiler fails"));
  dense.set_weights({counting({3, 2}), counting({2})});
  EXPECT_THAT(predict_error(model, {input}, {.batch_size = 8}), HasSubstr("the C++ compiler fails"));
  unsetenv("CXX");
  const Array second = model.predict({counting({2, 300, 3})})[0];
  setenv("CXX", "false", 1);
  EXPECT_FALSE(same_bytes(first, model.predict({input})[0])) << "with the new weights, and room for both";
  EXPECT_TRUE(same_bytes(second, model.predict({counting({2, 300, 3})})[0]));
  unsetenv("CXX");
  unsetenv("TUSK_JIT");
}

TEST_F(Predict, SeesWhatAnotherModelHasTrained) {
  const Tensor x = Input({3}, {.name = "x"});
  const Tensor code = layers::Dense(2, {.name = "code"})(x);
  const Model encoder(x, code);
  const Model whole(x, layers::Dense(3)(code));
  const Array input = counting({4, 3});
  whole.compile({.optimizer = "sgd", .loss = "mse"});
  std::vector<Array> seen{encoder.predict({input})[0]};
  for (int round = 0; round < 2; ++round) {
    whole.fit(input, input, {.verbose = 0});
    seen.push_back(encoder.predict({input})[0]);
    const graph::Module module = value_or_throw(to_module(encoder, {.dims = {{"batch", 1, 4, 1}}}));
    const Array wanted = value_or_throw(graph::interpret(module, module.functions[0], {input}, {{"batch", 4}})).front();
    EXPECT_LT(relative_difference(seen.back(), wanted), 1e-6);
    EXPECT_FALSE(same_bytes(seen[seen.size() - 2], seen.back()));
  }
}

TEST_F(Predict, GivesTheSameBitsInBatchesOfAnySize) {
  const Tensor left = Input({5}, {.name = "left"});
  const Tensor right = Input({3}, {.name = "right"});
  const Tensor both = layers::concatenate({layers::Dense(4, {.activation = "relu"})(left), right});
  const Model model({left, right}, {layers::Dense(2)(both), both}, {.name = "both"});
  const std::vector<Array> inputs{counting({71, 5}), counting({71, 3})};

  const std::vector<Array> results = model.predict(inputs);
  ASSERT_EQ(results.size(), 2U);
  EXPECT_THAT(results[0].shape(), ElementsAre(71, 2));
  EXPECT_THAT(results[1].shape(), ElementsAre(71, 7));
  const graph::Module module = value_or_throw(to_module(model, {.dims = {{"batch", 1, 71, 1}}}));
  const std::vector<Array> wanted =
      value_or_throw(graph::interpret(module, module.functions[0], inputs, {{"batch", 71}}));
  for (std::size_t k = 0; k < 2; ++k) EXPECT_LT(relative_difference(results[k], wanted[k]), 1e-6);

  const std::vector<Array> by_one = model.predict(inputs, {.batch_size = 1});
  for (std::size_t k = 0; k < 2; ++k) EXPECT_TRUE(same_bytes(results[k], by_one[k]));
}

TEST_F(Predict, TakesLongSequences) {
  const Tensor x = Input({"time", 2});
  const Model model({x}, {layers::Conv1D(3, 2, {.padding = "same"})(x)});
  EXPECT_THAT(model.predict({counting({2, 1000, 2})})[0].shape(), ElementsAre(2, 1000, 3));
}

TEST_F(Predict, ChecksWhatItIsGiven) {
  const Tensor x = Input({3}, {.name = "image"});
  const Tensor z = Input({3}, {.name = "other"});
  const Model model({x, z}, {layers::add({x, z})}, {.name = "sum"});
  const Array three = counting({4, 3});
  EXPECT_THAT(predict_error(model, {three}), HasSubstr("sum: expected 2 arrays, found 1 [model-arrays]"));
  EXPECT_THAT(predict_error(model, {three, counting({4, 3, 2})}),
              HasSubstr("sum: input `other` has shape (None, 3), found (4, 3, 2)"));
  EXPECT_THAT(predict_error(model, {three, counting({5, 3})}),
              HasSubstr("sum: inputs have different numbers of samples: 4 and 5"));
  EXPECT_THAT(predict_error(model, {counting({0, 3}), counting({0, 3})}), HasSubstr("sum: there are no samples"));
  EXPECT_THAT(predict_error(model, {three, three}, {.batch_size = 0}), HasSubstr("batch_size is at least 1, found 0"));
  EXPECT_THAT(predict_error(model, {three, counting({4, 2})}),
              HasSubstr("sum: input `other` has shape (None, 3), found (4, 2)"));
  EXPECT_THAT(tusk::error_of([&] {
                model.predict({{"image", three}, {"others", three}});
              }),
              HasSubstr("sum: there is no array for the input \"other\""));
}

}  // namespace
}  // namespace tusk
