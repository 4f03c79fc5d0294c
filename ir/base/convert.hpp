// Number conversions with one defined result for every input.
#pragma once

#include <cmath>
#include <limits>
#include <type_traits>

namespace tusk {

/// Float to integer: truncates, saturates out of range, NaN gives 0. (A plain cast is undefined out of range.)
template <class Int, class Float>
Int saturate(Float value) {
  static_assert(std::is_integral_v<Int> && std::is_floating_point_v<Float>);
  if (std::isnan(value)) return 0;
  // Both bounds are exact: min is a power of two or 0, and max + 1 is a power of two.
  const Float low = static_cast<Float>(std::numeric_limits<Int>::min());
  const Float high = std::ldexp(Float{1}, std::numeric_limits<Int>::digits);
  if (value < low) return std::numeric_limits<Int>::min();
  if (value >= high) return std::numeric_limits<Int>::max();
  return static_cast<Int>(value);
}

}  // namespace tusk
