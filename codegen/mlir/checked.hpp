// A function of an interface as MLIR: checks, each of which may end it with a code. Internal to codegen/mlir.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/mlir/body.hpp"
#include "codegen/mlir/options.hpp"
#include "codegen/mlir/value.hpp"

namespace tusk::mlir {

/// The values of `enum class Status` in NAME.hpp.
enum Code { kOk, kBadBatch, kBadDimension, kNullPointer, kBadIndex, kBadWeights, kBadArena, kBadState };

struct Parameter {
  std::string name, type, cpp;  // "%arena", "!llvm.ptr", "Arena&"
};

class Checked {
 public:
  Checked() : values_(body_, bindings_, options_, support_) {}

  Body& body() { return body_; }
  ValuePrinter& values() { return values_; }
  Bindings& bindings() { return bindings_; }

  std::string word(std::int64_t value, std::string_view type = "i64") {
    return body_.in_front(fmt::format("arith.constant {} : {}", value, type));
  }
  std::string compare(std::string_view predicate, const std::string& a, const std::string& b,
                      std::string_view type = "i64") {
    return body_.pure(fmt::format("arith.cmpi {}, {}, {} : {}", predicate, a, b, type));
  }
  std::string op(std::string_view name, const std::string& a, const std::string& b, std::string_view type = "i64") {
    return body_.pure(fmt::format("arith.{} {}, {} : {}", name, a, b, type));
  }
  std::string is_null(const std::string& pointer) {
    return body_.pure(
        fmt::format("llvm.icmp \"eq\" {}, {} : !llvm.ptr", pointer, body_.in_front("llvm.mlir.zero : !llvm.ptr")));
  }
  /// A pointer as a number of 64 bits.
  std::string number_of(const std::string& pointer) {
    return body_.pure(fmt::format("llvm.ptrtoint {} : !llvm.ptr to i64", pointer));
  }
  std::string is_unaligned(const std::string& pointer) {
    return compare("ne", op("andi", number_of(pointer), word(63)), word(0));
  }
  std::string at(const std::string& pointer, std::int64_t bytes) {
    if (bytes == 0) return pointer;
    return body_.pure(fmt::format("llvm.getelementptr {}[{}] : (!llvm.ptr) -> !llvm.ptr, i8", pointer, bytes));
  }
  std::string field(const std::string& pointer, std::size_t number) {  // of a struct of pointers
    return body_.pure(fmt::format("llvm.getelementptr {}[{}] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr", pointer, number));
  }
  std::string read(const std::string& place, std::string_view type) {
    return body_.read(fmt::format("llvm.load {} : !llvm.ptr -> {}", place, type));
  }
  void write(const std::string& value, const std::string& place, std::string_view type) {
    body_.line(fmt::format("llvm.store {}, {} : {}, !llvm.ptr", value, place, type));
  }
  void refuse_if(const std::string& condition, Code code) {
    const int next = static_cast<int>(refused_.size());
    refused_.push_back(code);
    body_.line(fmt::format("llvm.cond_br {}, ^bad{}, ^next{}", condition, static_cast<int>(code), next));
    body_.line(fmt::format("^next{}:", next));
  }

  std::string take(std::string_view symbol, const std::vector<Parameter>& parameters, bool is_private,
                   std::string_view result = "i32") {
    std::string out = fmt::format("  llvm.func {}@{}(", is_private ? "internal " : "", symbol);
    for (const Parameter& p : parameters)
      out += fmt::format("{}{}: {}", &p == parameters.data() ? "" : ", ", p.name, p.type);
    out += result.empty() ? ") {\n" : fmt::format(") -> {} {{\n", result);
    std::string ends;
    for (int code = 0; code <= kBadState; ++code) {
      if (std::ranges::find(refused_, code) == refused_.end()) continue;
      ends += fmt::format(
          "    ^bad{0}:\n    %.bad{0} = llvm.mlir.constant({0} : i32) : i32\n    llvm.return %.bad{0} : i32\n", code);
    }
    return out + body_.take() + ends + "  }\n\n";
  }

 private:
  Body body_;
  Bindings bindings_;
  Options options_;  // of sizes: 64 bits on every machine
  std::set<std::string> support_;
  ValuePrinter values_;
  std::vector<int> refused_;
};

}  // namespace tusk::mlir
