// What the MLIR text depends on beside the loops.
#pragma once

#include <string>

namespace tusk::mlir {

struct Options {
  bool muladd = false;          // N10: a product and a sum for each fma
  bool has_fma = true;          // of f32, in one instruction; else it is computed from doubles
  bool has_fma_f64 = true;      // of f64
  bool has_rounding = true;     // floor, ceil, trunc and rint in one instruction
  int vector_registers = 32;    // a tile that needs as many reads again what it has read
  bool has_wide = true;         // f64, quotients of i64, conversions between i64 and floats
  int index_bits = 64;          // of addresses
  std::string debug_head = {};  // comments in front of the loops in it
  std::string debug_file = {};  // what debuggers show; empty: no places
};

}  // namespace tusk::mlir
