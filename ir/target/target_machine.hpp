// Machines as data: what the scheduler knows of the processor that the code is for.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "ir/base/expected.hpp"

namespace tusk {

/// Bytes per cycle that one core reads; 0: not known.
struct Bandwidth {
  double l2 = 0, l3 = 0, dram = 0;
};

/// One kind of processor. Rates are per cycle, for vectors of the machine's own width.
struct TargetMachine {
  std::string_view name;
  std::string_view condition;   // of C++'s preprocessor, under which compilers make code for it; empty: always
  std::string_view flags;       // of GCC and Clang on x86-64, with which they use its instructions
  int lanes = 1;                // of 32 bits in a register; 1: no vectors
  int registers = 0;            // of that kind; 0: loops stay as they are
  double fmas = 1;              // multiply-adds
  double loads = 1;             // loads or broadcasts
  int latency = 4;              // cycles until the sum of an fma can be used
  std::int64_t l2 = 512 << 10;  // bytes of the second cache
  std::int64_t l1 = 32 << 10;   // and of the first
  std::int64_t page = 4096;     // bytes between addresses that share a set of the first cache
  int ways = 8;                 // lines of a set
  double fork = 0;              // cycles until all threads have a part of a loop; 0: loops are not shared
  std::int64_t l3 = 0;          // bytes of the third cache; 0: none, or not known
  Bandwidth bandwidth = {};     // of what lies behind the first cache
  double ghz = 0;               // its clock; 0: not known
};

/// All targets, `generic` first.
std::span<const TargetMachine> targets();

/// A target by its name; `native` is the one that fits this machine. Errors: target-name.
Expected<const TargetMachine*> target_named(std::string_view name);

/// Plain loops, which suit every machine.
const TargetMachine& generic_target();

}  // namespace tusk
