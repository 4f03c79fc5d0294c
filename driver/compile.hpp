// Joins passes and printers: a graph module in, files out.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "ir/base/expected.hpp"
#include "ir/graph/graph.hpp"
#include "passes/pipeline.hpp"

namespace tusk {

}  // namespace tusk
