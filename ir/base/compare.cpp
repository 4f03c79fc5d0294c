#include "ir/base/compare.hpp"

#include <algorithm>
#include <cmath>

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

}  // namespace tusk
