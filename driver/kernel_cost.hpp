// What one call of a kernel computes and moves, and how long it should take: counts of its stages as they are
// scheduled, against the rates of a target.
#pragma once

#include <cstdint>

#include "ir/kernel/program.hpp"
#include "ir/target/target_machine.hpp"

namespace tusk {

/// Times in cycles of the target.
struct KernelCost {
  double flops = 0;    // operations on elements, those of bodies of functions and of padding included; an fma is two
  double bytes = 0;    // what is read, each element once, and what is written
  double compute = 0;  // flops at the target's full rate
  double memory = 0;   // bytes from the level that holds them all; 0: its bandwidth is not known
  double cycles = 0;   // predicted: the slower one of memory and of the loops as they are scheduled
};

/// Of a step that calls a scheduled kernel. `value_of` gives the sizes.
KernelCost cost_of(const kernel::Program& program, const kernel::Function& function, const kernel::Step& step,
                   const TargetMachine& target, const ValueOf& value_of);

}  // namespace tusk
