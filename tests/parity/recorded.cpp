#include "tests/parity/recorded.hpp"

#include <cstdlib>

namespace tusk {

std::filesystem::path shared() {
  const char* given = std::getenv("TUSK_SHARED");
  return given != nullptr ? given : TUSK_SHARED_DEFAULT;
}

graph::Type type_of(const Array& array) {
  graph::Type type{array.dtype(), {}};
  for (const std::int64_t extent : array.shape()) type.shape.push_back(Dim(extent));
  return type;
}

}  // namespace tusk
