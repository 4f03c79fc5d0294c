// One step of the loop interpreter, and the steps that compute. Private to interpret.cpp and instruction.cpp.
#pragma once

#include <cstdint>

#include "ir/base/expected.hpp"
#include "ir/loop/loop.hpp"

namespace tusk::loop {

/// Reads `a`, `b`, `c` and writes `out`: n lanes each, at fixed places in memory. `plan` is what loads, stores, loops
/// and calls know beyond that. False means that it failed, and `problem` says why.
struct Instruction {
  using Run = bool (*)(const Instruction& self, Diagnostic& problem);
  Run run = nullptr;
  void* out = nullptr;
  const void* a = nullptr;
  const void* b = nullptr;
  const void* c = nullptr;
  std::int64_t n = 1;
  const void* plan = nullptr;
};

/// Bytes of a register's element. A bool is a byte, an index is 64 bits.
std::int64_t register_bytes(DType type);

/// A basic row on operands of this type (select and shift: of the value).
Instruction::Run row_instruction(const Row& row, DType operand, bool muladd);
/// The count of a shift has a type of its own: i32 and u32 are read as 32 bits, i64 as 64.
Instruction::Run shift_instruction(const Row& row, DType value, DType count);
Instruction::Run splat_instruction(DType type);
Instruction::Run ramp_instruction();
/// a: the count; b and c: the values.
Instruction::Run first_instruction(DType type);
/// A row on halves, again and again. a: the vector of n lanes; b: room for as many; plan: a TreePlan.
Instruction::Run tree_instruction();
struct TreePlan {
  Instruction::Run row = nullptr;
  std::int64_t bytes = 0;  // of an element
};

/// The buffer that a load or store goes to, as a function sees it.
struct View {
  std::byte* data = nullptr;
  std::int64_t bytes = 0;   // from data to the end of the buffer that it lies in
  std::int64_t before = 0;  // from that buffer's begin to data: strides may be negative
};

struct Access {
  const View* view = nullptr;
  std::string_view func;
  std::string_view buffer;
};

/// Load: a is the address, b the mask or null, c the scalar `else` value. Store: a is the address, b the mask or null,
/// c the value. `plan` is an Access; n lanes. `memory` is the element type of the buffer.
Instruction::Run load_instruction(DType memory, bool masked);
Instruction::Run store_instruction(DType memory);

}  // namespace tusk::loop
