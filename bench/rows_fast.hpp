// Vectorised references of rows: accurate to a few units of a double, for every input that is not special.
#pragma once

#include <cstddef>
#include <string_view>

namespace tusk::bench {

constexpr std::size_t kMostInputs = 8192;

/// y[i] = row(x[i]) for n <= kMostInputs inputs in ascending or descending order, all of one sign. False: not for these
/// inputs.
using Fast = bool (*)(const float* x, double* y, std::size_t n);

/// Null where Row::reference is fast itself, or where there is no other way.
Fast fast_reference(std::string_view row);

}  // namespace tusk::bench
