#include "ir/base/size.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tusk {

Status check_size(const std::string& what, DType type, const Shape& shape, const RangeOf& ranges) {
  std::int64_t bytes = std::max(1, size_of(type));
  bool fits = true;
  bool open = false;
  for (const Dim& dim : shape) {
    const std::int64_t extent = std::max<std::int64_t>(0, dim.range(ranges).high);
    if (extent == 0) return done();
    open = open || !dim.is_constant();
    fits = fits && !__builtin_mul_overflow(bytes, extent, &bytes) && bytes <= kMostBytes;
  }
  if (fits) return done();
  Diagnostic problem = error("size", fmt::format("{} is too large: {}{}, of at most 2^48 bytes{}", what, name_of(type),
                                                 shape_str(shape), open ? " at its largest sizes" : ""));
  if (open) problem.note("reduce the greatest value of its open sizes: --dim NAME=LOW..HIGH");
  return problem;
}

}  // namespace tusk
