// Loop IR values as MLIR operations. Internal to codegen/mlir.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "codegen/mlir/body.hpp"
#include "codegen/mlir/options.hpp"
#include "ir/base/expected.hpp"
#include "ir/loop/loop.hpp"

namespace tusk::mlir {

/// What a name of the loop IR means at a place of the text.
struct Binding {
  std::string ssa;             // "%x", "%3#1"
  loop::Type type;             // of a value
  bool non_negative = false;   // a value of type index that is provably >= 0
  bool is_buffer = false;      // the name is a pointer to elements
  DType element = DType::f32;  // a buffer's storage type
};
using Bindings = std::map<std::string, Binding, std::less<>>;

/// "vector<16xf32>", "i64", "i1"
std::string type_text(const loop::Type& type, const Options& options);
/// A type in memory: "i16" for f16, "i8" for bool.
std::string memory_text(DType type, int lanes = 1);

/// Prints values. The first fault is kept in `problem`, and the text is then worthless.
class ValuePrinter {
 public:
  /// `support` collects the names of rows, functions of support.hpp and constants that are used.
  ValuePrinter(Body& body, const Bindings& bindings, const Options& options, std::set<std::string>& support)
      : body_(&body), bindings_(&bindings), options_(options), support_(support) {}

  std::string print(const loop::ValueRef& value);  // the name of its result
  /// The pointer to an element of a buffer.
  std::string address(const std::string& buffer, const loop::ValueRef& index);
  void store(const loop::Stmt& stmt);
  std::string constant(loop::Type type, const loop::Literal& value);
  std::string integer(std::int64_t value, loop::Type type) { return constant(type, kernel::literal_of_int(value)); }
  bool non_negative(const loop::ValueRef& value) const;
  const std::optional<Diagnostic>& problem() const { return problem_; }

 private:
  std::string fail(std::string message);
  std::string type(const loop::Type& type) const { return type_text(type, options_); }
  /// "name a, b : type" of one type.
  std::string op(std::string_view name, loop::Type type, const std::string& a, const std::string& b = {},
                 const std::string& c = {});
  std::string cast(std::string_view name, const std::string& value, loop::Type from, loop::Type to);
  std::string compare(std::string_view name, const std::string& predicate, loop::Type type, const std::string& a,
                      const std::string& b);
  std::string choose(const std::string& mask, const std::string& yes, const std::string& no, loop::Type type);
  std::string support(std::string_view name, const std::string& value, loop::Type from, loop::Type to);
  std::string splat(const std::string& scalar, loop::Type type);
  std::string row(const loop::Value& value);
  std::string basic(const Row& row, loop::Type type, const std::vector<std::string>& x);
  std::string whole(const Row& row, loop::Type type, const std::string& x);
  std::string fused(loop::Type type, const std::vector<std::string>& x);
  std::string divide(Basic basic, loop::Type type, const std::string& a, const std::string& b);
  std::string floor_divide(const loop::Value& value, const std::string& a, const std::string& b);
  std::string shift(const loop::Value& value, const std::string& a, const std::string& b);
  std::string convert(DType target, loop::Type from, const std::string& x);
  std::string load(const loop::Value& value);
  std::string place_of_either(const loop::Value& value, DType element);
  bool is_wide(DType integer) const;  // 64 bits in registers
  std::string literal_text(loop::Type type, const loop::Literal& value) const;
  std::string first(const loop::ValueRef& count, int lanes);  // the mask
  std::string tree(const loop::Value& value);
  /// What lies in memory as a value of a register type, and back.
  std::string unpacked(const std::string& raw, DType element, int lanes);
  std::string packed(const std::string& value, DType element, int lanes);

  Body* body_;
  const Bindings* bindings_;
  const Options& options_;
  std::set<std::string>& support_;
  std::optional<Diagnostic> problem_;
};

}  // namespace tusk::mlir
