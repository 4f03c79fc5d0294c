// How far two arrays are apart.
#pragma once

#include "ir/base/array.hpp"

namespace tusk {

/// The largest difference over the largest expected value; infinite where a NaN or an infinity stands only on one side,
/// or the shapes differ.
double relative_difference(const Array& found, const Array& expected);

}  // namespace tusk
