// How large a tensor can be: sizes beyond that would not fit the 64 bits in which plans and addresses are computed.
#pragma once

#include <cstdint>
#include <string>

#include "ir/base/dim.hpp"
#include "ir/base/dtype.hpp"
#include "ir/base/expected.hpp"

namespace tusk {

/// Bytes of one tensor: more than the addresses of any machine span, few enough that 2^15 of them add up.
constexpr std::int64_t kMostBytes = std::int64_t{1} << 48;

/// Refuses (`size`) a tensor that needs more than kMostBytes at the greatest values of its symbols. `what` begins the
/// message: "`%y`".
Status check_size(const std::string& what, DType type, const Shape& shape, const RangeOf& ranges);

}  // namespace tusk
