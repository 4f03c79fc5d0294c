// What tests of random numbers look at.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "ir/base/array.hpp"

namespace tusk {

struct Moments {
  double mean = 0, deviation = 0, least = 0, largest = 0;
};

inline Moments moments_of(const Array& x) {
  Moments out;
  out.least = out.largest = x.at(0);
  for (std::int64_t i = 0; i < x.size(); ++i) {
    out.mean += x.at(i) / static_cast<double>(x.size());
    out.least = std::min(out.least, x.at(i));
    out.largest = std::max(out.largest, x.at(i));
  }
  for (std::int64_t i = 0; i < x.size(); ++i)
    out.deviation += std::pow(x.at(i) - out.mean, 2) / static_cast<double>(x.size());
  out.deviation = std::sqrt(out.deviation);
  return out;
}

}  // namespace tusk
