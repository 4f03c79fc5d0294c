// Makes a failing graph small: greedily fewer results, fewer ops, parameters in place of values, smaller extents.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "tests/property/random_graph.hpp"

namespace tusk::random_tests {

using Law = std::function<std::optional<Failure>(const GraphCase&)>;

/// law(graph); with TUSK_FORK=1 in a process of its own, whose crash is a failure, too.
std::optional<Failure> fails(const GraphCase& graph, const Law& law);

/// The least graph found that breaks the same law.
GraphCase shrunk(const GraphCase& graph, const Failure& failure, const Law& law);

/// The module as text that `tusk-opt -` reads; symbols and inputs as comments.
std::string text_of(const GraphCase& graph);

}  // namespace tusk::random_tests
