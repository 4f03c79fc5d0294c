#include "ir/base/compare.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace tusk {

double relative_difference(const Array& found, const Array& expected) {
  if (found.shape() != expected.shape()) return INFINITY;
  double largest = 0;
  double worst = 0;
  for (std::int64_t i = 0; i < found.size(); ++i) {
    const double wanted = expected.at(i);
    const double value = found.at(i);
    if (std::isfinite(wanted)) largest = std::max(largest, std::abs(wanted));
    if (std::isnan(wanted) && std::isnan(value)) continue;
    if (std::isinf(wanted) && static_cast<float>(value) == static_cast<float>(wanted)) continue;
    const double apart = std::abs(value - wanted);
    worst = std::isfinite(apart) ? std::max(worst, apart) : INFINITY;
  }
  return largest > 0 ? worst / largest : worst;
}

std::string bit_difference(const Array& a, const Array& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return "the types differ";
  const auto width = static_cast<std::size_t>(size_of(a.dtype()));
  for (std::int64_t i = 0; i < a.size(); ++i) {
    const auto at = static_cast<std::size_t>(i) * width;
    if (std::memcmp(a.bytes().data() + at, b.bytes().data() + at, width) == 0) continue;
    if (is_float(a.dtype()) && std::isnan(a.at(i)) && std::isnan(b.at(i))) continue;
    return fmt::format("element {}: {} and {}", i, a.at(i), b.at(i));
  }
  return "";
}

}  // namespace tusk
