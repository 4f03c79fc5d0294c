// The ends of the types of numbers.
#pragma once

#include <cmath>
#include <limits>
#include <utility>

#include "ir/base/dtype.hpp"

namespace tusk::ops {

inline bool is_signed(DType integer) { return integer != DType::u8 && integer != DType::u32; }

/// The least and the largest finite number of a type, which is not bool; 2^63 - 1 is 2^63 as a double.
inline std::pair<double, double> range_of(DType type) {
  const auto both = [](double largest) { return std::pair(-largest, largest); };
  switch (type) {
    case DType::f16:
      return both(65504);
    case DType::bf16:
      return both(0x1.FEp127);
    case DType::f32:
      return both(std::numeric_limits<float>::max());
    case DType::f64:
      return both(std::numeric_limits<double>::max());
    default:
      const double count = std::exp2(8 * size_of(type));
      return is_signed(type) ? std::pair(-count / 2, count / 2 - 1) : std::pair(0.0, count - 1);
  }
}

}  // namespace tusk::ops
