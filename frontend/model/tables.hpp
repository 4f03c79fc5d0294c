// Bounds of the tables that layers compute from their fields.
#pragma once

#include <fmt/format.h>

#include <cstdint>

#include "frontend/model/error.hpp"

namespace tusk {

/// Refuses a table with more elements than those of layers in use, by far: each field may be within its bounds, but not
/// their product.
inline void check_table(std::int64_t rows, std::int64_t columns) {
  constexpr std::int64_t kMost = 10'000'000;
  if (rows > kMost / columns)
    throw Error(error("tensor-size", fmt::format("a table of {} times {} numbers is too large", rows, columns)));
}

}  // namespace tusk
