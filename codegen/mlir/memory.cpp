// Loads and stores: how elements lie in memory, and what a mask leaves out.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <string_view>
#include <vector>

#include "codegen/mlir/value.hpp"
#include "ir/loop/names.hpp"

namespace tusk::mlir {

using loop::Type;
using loop::Value;
using loop::ValueRef;

std::string memory_text(DType type, int lanes) {
  const std::string element = type == DType::f32   ? "f32"
                              : type == DType::f64 ? "f64"
                                                   : fmt::format("i{}", 8 * size_of(type));
  return lanes == 1 ? element : fmt::format("vector<{}x{}>", lanes, element);
}

std::string ValuePrinter::first(const ValueRef& count, int lanes) {
  const Type mask{DType::boolean, lanes};
  if (count->kind == Value::Kind::literal) {
    if (lanes == 1) return constant({DType::boolean, 1}, kernel::literal_of_int(count->literal.integer > 0 ? 1 : 0));
    std::vector<std::string_view> bits;
    for (int lane = 0; lane < lanes; ++lane) bits.push_back(lane < count->literal.integer ? "true" : "false");
    return body_->in_front(fmt::format("arith.constant dense<[{}]> : {}", fmt::join(bits, ", "), type(mask)));
  }
  const std::string n = print(count);
  if (lanes == 1) return compare("cmpi", "sgt", loop::kIndex, n, integer(0, loop::kIndex));
  const std::string least = op("arith.maxsi", loop::kIndex, n, integer(0, loop::kIndex));
  const std::string most = op("arith.minsi", loop::kIndex, least, integer(lanes, loop::kIndex));
  const Type word{DType::i32, lanes};
  const std::string limit = splat(cast("trunci", most, loop::kIndex, {DType::i32, 1}), word);
  return compare("cmpi", "slt", word, print(loop::ramp(lanes)), limit);
}

std::string ValuePrinter::unpacked(const std::string& raw, DType element, int lanes) {
  const std::string memory = memory_text(element, lanes);
  const Type word{DType::u32, lanes};
  const auto extended = [&](std::string_view how) {
    return body_->pure(fmt::format("arith.{} {} : {} to {}", how, raw, memory, type(word)));
  };
  switch (element) {
    case DType::f16:
      return support("f16_value", extended("extui"), word, {DType::f32, lanes});
    case DType::bf16:
      return support("bf16_value", extended("extui"), word, {DType::f32, lanes});
    case DType::i8:
      return extended("extsi");
    case DType::u8:
      return extended("extui");
    case DType::boolean: {
      const std::string zero = body_->in_front(lanes == 1 ? std::string("arith.constant 0 : i8")
                                                          : fmt::format("arith.constant dense<0> : {}", memory));
      return body_->pure(fmt::format("arith.cmpi ne, {}, {} : {}", raw, zero, memory));
    }
    default:
      return raw;
  }
}

std::string ValuePrinter::packed(const std::string& value, DType element, int lanes) {
  const std::string memory = memory_text(element, lanes);
  const Type word{DType::u32, lanes};
  const auto cut = [&](const std::string& bits) {
    return body_->pure(fmt::format("arith.trunci {} : {} to {}", bits, type(word), memory));
  };
  switch (element) {
    case DType::f16:
      return cut(support("f16_bits", value, {DType::f32, lanes}, word));
    case DType::bf16:
      return cut(support("bf16_bits", value, {DType::f32, lanes}, word));
    case DType::i8:
    case DType::u8:
      return cut(value);
    case DType::boolean:
      return body_->pure(fmt::format("arith.extui {} : {} to {}", value, type({DType::boolean, lanes}), memory));
    default:
      return value;
  }
}

std::string ValuePrinter::address(const std::string& buffer, const ValueRef& index) {
  const auto it = bindings_->find(buffer);
  if (it == bindings_->end() || !it->second.is_buffer) return fail(fmt::format("buffer `{}` is not defined", buffer));
  if (index->kind == Value::Kind::literal && index->literal.integer == 0) return it->second.ssa;
  return body_->pure(fmt::format("llvm.getelementptr {}[{}] : (!llvm.ptr, {}) -> !llvm.ptr, {}", it->second.ssa,
                                 print(index), type(loop::kIndex), memory_text(it->second.element)));
}

// Where a scalar under a mask is read: its own place, or that of a constant with the value that stands for it. Without
// branches compilers read it where it is used. Empty where the place itself needs a read, or the value has no such
// constant.
std::string ValuePrinter::place_of_either(const Value& v, DType element) {
  const bool as_it_lies = register_type(element) == element && element != DType::boolean;
  if (loop::has_load(v.operands[0]) || (!as_it_lies && v.literal.as_double() != 0)) return {};
  const std::string mask = print(v.operands[1]);
  const std::string place = address(v.name, v.operands[0]);
  const std::string name = fmt::format("tusk.else.{}.{}", memory_text(element), literal_text({element, 1}, v.literal));
  support_.insert(name);
  const std::string other = body_->in_front(fmt::format("llvm.mlir.addressof @\"{}\" : !llvm.ptr", name));
  return body_->pure(fmt::format("arith.select {}, {}, {} : !llvm.ptr", mask, place, other));
}

std::string ValuePrinter::load(const Value& v) {
  const auto buffer = bindings_->find(v.name);
  if (buffer == bindings_->end()) return fail(fmt::format("buffer `{}` is not defined", v.name));
  const DType element = buffer->second.element;
  const int lanes = v.type.lanes;
  if (lanes == 1) {
    const auto read = [&] {
      const std::string place = address(v.name, v.operands[0]);
      const std::string raw = body_->read(fmt::format("llvm.load {} : !llvm.ptr -> {}", place, memory_text(element)));
      return unpacked(raw, element, 1);
    };
    if (!v.has_mask) return read();
    if (const std::string either = place_of_either(v, element); !either.empty()) {
      const std::string raw = body_->read(fmt::format("llvm.load {} : !llvm.ptr -> {}", either, memory_text(element)));
      return unpacked(raw, element, 1);
    }
    const std::string mask = print(v.operands[1]);
    const std::string otherwise = constant(v.type, v.literal);
    const std::string result = body_->fresh();
    body_->open(fmt::format("{} = scf.if {} -> ({}) {{", result, mask, type(v.type)));
    body_->line(fmt::format("scf.yield {} : {}", read(), type(v.type)));
    body_->between("} else {");
    body_->line(fmt::format("scf.yield {} : {}", otherwise, type(v.type)));
    body_->close();
    return result;
  }
  const std::string place = address(v.name, v.operands[0]);
  const std::string memory = memory_text(element, lanes);
  const int align = size_of(element);
  if (!v.has_mask) {
    return unpacked(
        body_->read(fmt::format("llvm.load {} {{alignment = {} : i64}} : !llvm.ptr -> {}", place, align, memory)),
        element, lanes);
  }
  const ValueRef count = loop::first_lanes(v.operands[1]);
  const std::string mask = count ? first(count, lanes) : print(v.operands[1]);
  const bool as_it_lies = register_type(element) == element && element != DType::boolean;
  const std::string otherwise = constant(v.type, v.literal);
  const std::string rest =
      as_it_lies ? otherwise : body_->in_front(fmt::format("arith.constant dense<0> : {}", memory));
  const std::string raw =
      body_->read(fmt::format("llvm.intr.masked.load {}, {}, {} {{alignment = {} : i32}} : (!llvm.ptr, {}, {}) -> {}",
                              place, mask, rest, align, type({DType::boolean, lanes}), memory, memory));
  if (as_it_lies) return raw;
  return choose(mask, unpacked(raw, element, lanes), otherwise, v.type);
}

void ValuePrinter::store(const loop::Stmt& stmt) {
  const auto buffer = bindings_->find(stmt.base);
  if (buffer == bindings_->end()) {
    fail(fmt::format("buffer `{}` is not defined", stmt.base));
    return;
  }
  const DType element = buffer->second.element;
  const int lanes = stmt.value->type.lanes;
  if (lanes == 1) {
    if (stmt.mask) body_->open(fmt::format("scf.if {} {{", print(stmt.mask)));
    const std::string value = packed(print(stmt.value), element, 1);
    const std::string place = address(stmt.base, stmt.address);
    body_->line(fmt::format("llvm.store {}, {} : {}, !llvm.ptr", value, place, memory_text(element)));
    if (stmt.mask) body_->close();
    return;
  }
  const std::string place = address(stmt.base, stmt.address);
  const std::string memory = memory_text(element, lanes);
  const std::string value = packed(print(stmt.value), element, lanes);
  const int align = size_of(element);
  if (!stmt.mask) {
    return body_->line(
        fmt::format("llvm.store {}, {} {{alignment = {} : i64}} : {}, !llvm.ptr", value, place, align, memory));
  }
  const ValueRef count = loop::first_lanes(stmt.mask);
  const std::string mask = count ? first(count, lanes) : print(stmt.mask);
  body_->line(fmt::format("llvm.intr.masked.store {}, {}, {} {{alignment = {} : i32}} : {}, {} into !llvm.ptr", value,
                          place, mask, align, memory, type({DType::boolean, lanes})));
}

}  // namespace tusk::mlir
