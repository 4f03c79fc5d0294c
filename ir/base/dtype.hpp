// Element types of tensors and buffers.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tusk {

/// f16 and bf16 are storage types: arithmetic on them runs in f32 and rounds where a value is stored (numerics N11).
/// i8 and u8 likewise run in i32 and wrap where a value is stored. `index` is the type of addresses in the loop IR.
enum class DType : std::uint8_t { f32, f64, f16, bf16, i8, u8, i32, u32, i64, boolean, index };

/// The spelling in all three IRs: "f32", "bool", ...
std::string_view name_of(DType type);

/// The inverse of name_of.
std::optional<DType> dtype_named(std::string_view name);

/// Bytes of one element in memory. `index` has none (0).
int size_of(DType type);

/// The type in which values of `type` are computed: f32 for f16 and bf16, i32 for i8 and u8, else the type itself.
DType register_type(DType type);

constexpr bool is_float(DType t) { return t == DType::f32 || t == DType::f64 || t == DType::f16 || t == DType::bf16; }
constexpr bool is_integer(DType t) { return !is_float(t) && t != DType::boolean; }
constexpr bool is_storage_only(DType t) {
  return t == DType::f16 || t == DType::bf16 || t == DType::i8 || t == DType::u8;
}

}  // namespace tusk
