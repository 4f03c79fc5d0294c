// The values of symbols from the shapes of inputs.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "ir/graph/graph.hpp"

namespace tusk::graph {

using SymbolValues = std::map<std::string, std::int64_t>;

/// One shape for each parameter. A dim of the form `c*symbol + k` gives its symbol's value; then every dim, every range
/// and every condition of the function is checked. Symbols that no parameter shows are taken if they have one value,
/// else left out.
Expected<SymbolValues> bind_symbols(const Module& module, const Function& function,
                                    std::span<const std::vector<std::int64_t>> shapes);

/// Looks symbols up in the map, which must outlive the result.
ValueOf value_of(const SymbolValues& values);

}  // namespace tusk::graph
