// Arrays that memory cannot hold, and where the others lie.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>

#include "ir/base/array.hpp"
#include "tests/unit/error_of.hpp"

namespace tusk {
namespace {

using testing::HasSubstr;

std::string refusal(std::vector<std::int64_t> shape) {
  return error_of([&] { const Array array(DType::f32, shape); });
}

TEST(Array, RefusesWhatMemoryCannotHold) {
  constexpr std::int64_t kHuge = std::int64_t{1} << 40;
  EXPECT_THAT(refusal({kHuge, kHuge}), HasSubstr("is larger than memory can be [memory]"));
  EXPECT_THAT(refusal({std::int64_t{1} << 62}), HasSubstr("is larger than memory can be [memory]"));
  EXPECT_THAT(refusal({kHuge, 64}), HasSubstr("out of memory: an array of f32 (1099511627776, 64)"));
  EXPECT_THAT(refusal({-1}), HasSubstr("has a negative extent [memory]"));
  EXPECT_THAT(refusal({-1, -1}), HasSubstr("has a negative extent [memory]"));
}

TEST(Array, StartsALineOfTheCache) {
  for (const std::int64_t size : {1, 3, 100, 1 << 20}) {
    const Array array(DType::u8, {size});
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(array.bytes().data()) % 64, 0U) << size;
  }
  EXPECT_EQ(Array(DType::f32, {0, 3}).size(), 0);
}

}  // namespace
}  // namespace tusk
