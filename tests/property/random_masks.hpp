// Random formulas of truths over tensors that fill vectors: where one byte per truth meets values of 1 to 8 bytes.
// Compilers turn such loops into vectors under masks of several widths, and have done so wrongly; the graphs of
// random_graph.hpp have too few elements for that.
#pragma once

#include "tests/property/random_graph.hpp"

namespace tusk::random_tests {

GraphCase generate_masks(std::uint64_t seed);

}  // namespace tusk::random_tests
