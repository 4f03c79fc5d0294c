// What a model will need, before any code is written: memory, weights and multiplications, layer by layer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "driver/compile.hpp"
#include "ir/base/expected.hpp"
#include "ir/graph/graph.hpp"

namespace tusk {

struct LayerBudget {
  std::string layer;               // its path in the model
  std::int64_t macs = 0;           // multiplications with additions of products and convolutions, for one sample
  std::int64_t weight_bytes = 0;   // of its constants, before any is folded into another
  std::int64_t largest_bytes = 0;  // of its largest value, for one sample
};

struct Budget {
  std::vector<LayerBudget> layers;  // in the order in which they run
  std::int64_t macs = 0;
  std::int64_t weight_bytes = 0;                        // as they are emitted
  std::int64_t arena_bytes = 0, arena_lower_bound = 0;  // at the largest sizes of all symbols
  std::int64_t io_bytes = 0;                            // inputs and outputs, which the caller holds, likewise
};

/// Of the first function. Extents other than the batch count with their largest value. Fails as compiling would, also
/// where the arena is larger than options.max_arena.
Expected<Budget> budget_of(const graph::Module& module, const EmitOptions& options);

/// As a table.
std::string print(const Budget& budget);

}  // namespace tusk
