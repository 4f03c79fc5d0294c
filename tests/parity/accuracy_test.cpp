// What a compiled model is worth: real pictures, right answers counted.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "driver/compile.hpp"
#include "driver/compiled.hpp"
#include "frontend/import/load_model.hpp"
#include "frontend/model/to_module.hpp"
#include "tests/parity/recorded.hpp"

namespace tusk {
namespace {

namespace fs = std::filesystem;

// MLPerf Tiny's image classifier: real Keras gets 881 of these 1,000 pictures of CIFAR-10's test set right.
TEST(Accuracy, Resnet8OnCifar10) {
  const fs::path file = shared() / "models" / "mlperf_tiny_resnet8_cifar10.h5";
  const fs::path data = shared() / "data" / "cifar10_test_1000.bin";
  if (!fs::exists(file) || !fs::exists(data)) GTEST_SKIP() << "left out: " << data << " is not there";
  constexpr std::int64_t kPictures = 1000;
  constexpr std::int64_t kBatch = 50;
  constexpr std::int64_t kSide = 32;
  constexpr std::int64_t kPlane = kSide * kSide;

  const Expected<LoadedModel> loaded = read_model(file);
  ASSERT_TRUE(loaded) << loaded.problem().str();
  ModuleOptions dims;
  dims.dims.push_back({"batch", 1, kBatch, 1});
  Expected<graph::Module> module = to_module(loaded->model, dims);
  ASSERT_TRUE(module) << module.problem().str();
  EmitOptions options;
  options.self_test = false;
  const auto files = compile(*std::move(module), options);
  ASSERT_TRUE(files) << files.problem().str();
  const fs::path folder = fs::path(testing::TempDir()) / "tusk_resnet8";
  ASSERT_TRUE(write_files(folder.string(), *files));
  const Expected<CompiledModel> model = CompiledModel::load(folder.string(), "-O3 -march=native");
  ASSERT_TRUE(model) << model.problem().str();

  // Of each picture: the label, then planes of red, green and blue.
  std::ifstream in(data, std::ios::binary);
  const std::vector<char> bytes(std::istreambuf_iterator<char>(in), {});
  ASSERT_EQ(bytes.size(), static_cast<std::size_t>(kPictures * (1 + 3 * kPlane)));
  int right = 0;
  for (std::int64_t first = 0; first < kPictures; first += kBatch) {
    Array pictures(DType::f32, {kBatch, kSide, kSide, 3});
    for (std::int64_t n = 0; n < kBatch; ++n) {
      const char* picture = bytes.data() + (first + n) * (1 + 3 * kPlane) + 1;
      for (std::int64_t i = 0; i < 3 * kPlane; ++i) {
        const auto value = static_cast<unsigned char>(picture[i]);
        pictures.set(n * 3 * kPlane + i % kPlane * 3 + i / kPlane, value);
      }
    }
    const auto results = model->predict({pictures});
    ASSERT_TRUE(results) << results.problem().str();
    for (std::int64_t n = 0; n < kBatch; ++n) {
      std::int64_t best = 0;
      for (std::int64_t k = 1; k < 10; ++k) {
        if ((*results)[0].at(n * 10 + k) > (*results)[0].at(n * 10 + best)) best = k;
      }
      right += best == bytes[static_cast<std::size_t>((first + n) * (1 + 3 * kPlane))] ? 1 : 0;
    }
  }
  EXPECT_EQ(right, 881);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace tusk
