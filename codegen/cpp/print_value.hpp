// Loop IR values as C++ expressions, with as few parentheses as C++ and a reader need. Internal to codegen/cpp.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "ir/base/expected.hpp"
#include "ir/loop/loop.hpp"

namespace tusk::cpp {

/// What a name of the loop IR means at a place of the C++ text.
struct Binding {
  std::string identifier;
  bool non_negative = false;   // a value of type index that is provably >= 0
  DType element = DType::f32;  // a buffer's storage type
  bool constant = false;       // a buffer that is only read
};
using Bindings = std::map<std::string, Binding, std::less<>>;

/// How tightly C++ binds the top operator of a text, the tightest last.
enum class Level { choice, logical_or, logical_and, bits, equality, relation, sum, quotient, product, unary, primary };

struct Text {
  std::string str;
  Level level = Level::primary;
};

/// Prints values. The first fault is kept in `problem`, and the text is then worthless.
class ValuePrinter {
 public:
  /// `function_of` gives the spelling of a row's function; with `muladd`, fma is a product and a sum (N10).
  ValuePrinter(const Bindings& bindings, std::function<const std::string*(const std::string&)> function_of, bool muladd)
      : bindings_(bindings), function_of_(std::move(function_of)), muladd_(muladd) {}

  /// The value as a whole statement's right side.
  std::string top(const loop::ValueRef& value) { return print(value).str; }
  /// The value as an operand, in parentheses if its top operator binds less tightly than `least`.
  std::string operand(const loop::ValueRef& value, Level least);
  std::string address(const std::string& buffer, const loop::ValueRef& index);  // "x[n * 8 + c]"
  bool non_negative(const loop::ValueRef& value) const;
  /// Whether what is printed next is read under a condition that a loop's every turn meets anew. Compilers make such
  /// reads vectors under masks, and GCC 12 takes the mask of other elements where one mask serves several vectors
  /// (-O3 with AVX2 or AVX-512): from now on they go through `tusk::guarded`. Returns what held before.
  bool guard(bool on) { return std::exchange(guarded_, on); }
  bool guarded() const { return guarded_; }

  const std::optional<Diagnostic>& problem() const { return problem_; }

 private:
  Text print(const loop::ValueRef& value);
  Text literal(const loop::Type& type, const loop::Literal& value);
  Text row(const loop::Value& value);
  static bool reads(const loop::ValueRef& value);  // a buffer
  Text scalar_operator(const loop::Value& value);
  Text index_division(const loop::Value& value);
  Text convert(const loop::Value& value);
  Text load(const loop::Value& value);
  Text tree(const loop::Value& value);
  Text binary(const loop::Value& value, std::string_view symbol, Level own, Level left, Level right);
  Text call(const std::string& function, const loop::Value& value);
  Text runtime(std::string_view function, const loop::Value& value);  // a call of tusk_runtime.hpp
  Text fail(std::string message);

  const Bindings& bindings_;
  std::function<const std::string*(const std::string&)> function_of_;
  bool muladd_ = false;
  bool guarded_ = false;
  std::optional<Diagnostic> problem_;
};

/// "float", "std::int64_t", "tusk::f32x16", "tusk::maskx16".
std::string type_name(const loop::Type& type);
/// The tag of a storage type that is not computed in ("f16", "i8", "bit"), empty for others.
std::string_view storage_tag(DType type);

}  // namespace tusk::cpp
