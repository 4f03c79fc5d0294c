// The bytes of an emitted State, from a device back into arrays: what the front end calls without knowing who compiles.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "ir/base/array.hpp"
#include "ir/base/expected.hpp"
#include "ir/graph/graph.hpp"

namespace tusk::graph {

/// The states that functions of a module change, by path, out of the `bytes` of a State of the code that is emitted for
/// it. The bytes say their version and the layout that they have; [state-bytes] says what differs. Defined by driver/,
/// the library to link.
Expected<std::map<std::string, Array>> states_of(Module module, std::span<const std::byte> bytes);

}  // namespace tusk::graph
