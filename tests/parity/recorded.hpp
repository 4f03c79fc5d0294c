// What the tests against recordings share.
#pragma once

#include <filesystem>

#include "ir/graph/graph.hpp"

namespace tusk {

/// The folder of the recordings: TUSK_SHARED, or the one beside the repository. It need not be there.
std::filesystem::path shared();

/// The type of a recorded array, all extents fixed.
graph::Type type_of(const Array& array);

}  // namespace tusk
