// Kernel IR -> kernel IR: every tensor of the arena gets an offset.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ir/kernel/program.hpp"

namespace tusk {

/// The memory of one or several tensors that share it (in place), in bytes, while it holds a value. `first` and `last`
/// are positions in the function's order of steps.
struct Block {
  std::vector<int> tensors;
  std::int64_t bytes = 0;
  int first = 0;
  int last = 0;
  std::int64_t offset = 0;
};

struct MemoryPlan {
  std::vector<Block> blocks;
  std::vector<std::string> step_names;  // one for each position
  std::int64_t peak = 0;                // bytes of the arena
  std::int64_t lower_bound = 0;         // the largest sum of live bytes at one position
};

/// Adds scratch tensors for stages at root, reuses an operand's memory for an elementwise result after its last use,
/// and places blocks so that no two that live at once overlap. Sizes are rounded to 64 bytes and take the maxima of
/// symbols. Sets Tensor::arena_offset, Function::arena_bytes and arena_lower_bound.
kernel::Program plan_memory(kernel::Program program);

/// The plan of one function, for the picture and the tests; `program` is planned.
MemoryPlan memory_plan(const kernel::Program& program, const kernel::Function& function);

/// Lifetimes over offsets as an SVG picture.
std::string memory_plan_svg(const MemoryPlan& plan, const kernel::Function& function);

}  // namespace tusk
