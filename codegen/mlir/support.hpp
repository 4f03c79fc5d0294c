// What machines may lack, or what MLIR has no operation for, as loop IR functions over basic rows.
#pragma once

#include <string>
#include <string_view>

#include "ir/base/expected.hpp"
#include "ir/loop/loop.hpp"

namespace tusk::mlir {

/// "f16_bits.x8": the function f16_bits of eight lanes. There are, for halves as 32-bit words, f16_value, f16_bits,
/// bf16_value, bf16_bits; fma_f32, with one rounding, for machines that multiply and add doubles; floor, ceil, trunc
/// and rint of f32 and f64 for machines without an instruction.
Expected<loop::Func> support_function(std::string_view name);

}  // namespace tusk::mlir
