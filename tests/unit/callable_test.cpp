// Compiled modules that are found again: by their text and constants, whatever their states are.
#include "ir/graph/callable.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <iterator>

#include "codegen/mlir/load.hpp"
#include "ir/graph/parse.hpp"

namespace tusk {
namespace {

class CallableCache : public testing::Test {
 protected:
  void SetUp() override {
    setenv("TUSK_CACHE", cache_.c_str(), 1);
    setenv("TUSK_JIT", "cpp", 1);  // which keeps what it builds
  }
  void TearDown() override {
    unsetenv("TUSK_CACHE");
    unsetenv("TUSK_JIT");
    std::filesystem::remove_all(cache_);
  }

  // y = x * factor + w, then w += 1.
  static std::shared_ptr<graph::Callable> made(double w, double factor) {
    const auto module = graph::parse(fmt::format(R"(module m numerics 1 / fma
state @w : f32[3] = splat({}) trainable
const @factor : f32[3] = [{}, 1, 1]
func step(%x: f32[3]) -> (%y) {{
  %y = map.fma %x, @factor, @w
  %n = map.add @w, 1
  update @w = %n
}}
)",
                                                 w, factor));
    EXPECT_TRUE(module) << (module ? "" : module.problem().str());
    auto callable = graph::make_callable(*module);
    EXPECT_TRUE(callable) << (callable ? "" : callable.problem().str());
    return callable ? *callable : nullptr;
  }
  static float first(graph::Callable& callable) {
    const auto results = callable("step", {Array::splat(DType::f32, {3}, 2)});
    EXPECT_TRUE(results);
    return results ? (*results)[0].as<float>()[0] : 0;
  }
  std::size_t folders() const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(cache_)) count += entry.is_directory() ? 1 : 0;
    return count;
  }
  const std::string cache_ = testing::TempDir() + "/tusk_callable_" + std::to_string(getpid());
};

TEST_F(CallableCache, StatesAreNoPartOfTheCode) {
  const auto a = made(10, 0.5);
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(first(*a), 11);
  EXPECT_EQ(first(*a), 12);
  EXPECT_EQ(folders(), 1);
  const auto b = made(100, 0.5);  // found again, with a state of its own
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(first(*b), 101);
  EXPECT_EQ(first(*a), 13);
  EXPECT_EQ(folders(), 1);
}

TEST_F(CallableCache, ConstantsAre) {
  const auto a = made(10, 0.5);
  const auto b = made(10, 0.25);
  ASSERT_TRUE(a != nullptr && b != nullptr);
  EXPECT_EQ(first(*a), 11);
  EXPECT_EQ(first(*b), 10.5F);
  EXPECT_EQ(folders(), 2);
}

TEST_F(CallableCache, TheJitKeepsObjects) {
  if (!mlir::find_backend()) GTEST_SKIP() << "left out: the MLIR back end is not here";
  setenv("TUSK_JIT", "mlir", 1);
  const auto a = made(10, 0.5);
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(first(*a), 11);
  const auto files = [&] {
    return std::distance(std::filesystem::directory_iterator(cache_), std::filesystem::directory_iterator());
  };
  EXPECT_EQ(files(), 2);          // the code of the module, and an object
  const auto b = made(100, 0.5);  // found again, with a state of its own
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(first(*b), 101);
  EXPECT_EQ(first(*a), 12);
  EXPECT_EQ(files(), 2);
}

TEST_F(CallableCache, DamagedCodeIsMadeAgain) {
  if (!mlir::find_backend()) GTEST_SKIP() << "left out: the MLIR back end is not here";
  setenv("TUSK_JIT", "mlir", 1);
  ASSERT_NE(made(10, 0.5), nullptr);
  for (const auto& entry : std::filesystem::directory_iterator(cache_))
    std::filesystem::resize_file(entry.path(), std::filesystem::file_size(entry.path()) / 2);
  const auto a = made(10, 0.5);
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(first(*a), 11);
}

TEST_F(CallableCache, NothingIsKeptWithoutACache) {
  setenv("TUSK_CACHE", "", 1);
  const auto a = made(10, 0.5);
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(first(*a), 11);
  EXPECT_FALSE(std::filesystem::exists(cache_));
}

}  // namespace
}  // namespace tusk
