// How far two arrays are apart, and where.
#pragma once

#include <string>

#include "ir/base/array.hpp"

namespace tusk {

/// The largest difference over the largest expected value; infinite where a NaN or an infinity stands only on one side,
/// or the shapes differ.
double relative_difference(const Array& found, const Array& expected);

/// The first place where types, shapes or bits differ; empty where there is none. Every NaN counts as the same.
std::string bit_difference(const Array& a, const Array& b);

}  // namespace tusk
