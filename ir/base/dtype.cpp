#include "ir/base/dtype.hpp"

#include <array>

namespace tusk {
namespace {

struct TypeRow {
  DType type;
  std::string_view name;
  int size;
};

constexpr std::array<TypeRow, 11> kTypes{{{DType::f32, "f32", 4},
                                          {DType::f64, "f64", 8},
                                          {DType::f16, "f16", 2},
                                          {DType::bf16, "bf16", 2},
                                          {DType::i8, "i8", 1},
                                          {DType::u8, "u8", 1},
                                          {DType::i32, "i32", 4},
                                          {DType::u32, "u32", 4},
                                          {DType::i64, "i64", 8},
                                          {DType::boolean, "bool", 1},
                                          {DType::index, "index", 0}}};

const TypeRow& row_of(DType type) { return kTypes[static_cast<std::size_t>(type)]; }

}  // namespace

std::string_view name_of(DType type) { return row_of(type).name; }

std::optional<DType> dtype_named(std::string_view name) {
  for (const TypeRow& row : kTypes) {
    if (row.name == name) return row.type;
  }
  return std::nullopt;
}

int size_of(DType type) { return row_of(type).size; }

DType register_type(DType type) {
  switch (type) {
    case DType::f16:
    case DType::bf16:
      return DType::f32;
    case DType::i8:
    case DType::u8:
      return DType::i32;
    default:
      return type;
  }
}

}  // namespace tusk
