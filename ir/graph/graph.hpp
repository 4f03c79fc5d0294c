// Graph IR: tensors and operations, WHAT is computed (docs/ir.md section 2).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "ir/base/array.hpp"
#include "ir/base/dim.hpp"
#include "ir/base/dtype.hpp"
#include "ir/base/expected.hpp"
#include "ir/kernel/kernel.hpp"

namespace tusk::graph {

using kernel::Literal;

struct Type {
  DType dtype = DType::f32;
  Shape shape;
  friend bool operator==(const Type&, const Type&) = default;
};
/// "f32[batch,784]"
std::string str(const Type& type);

/// What an op reads: a value of the function, a state or const of the module, a number, or a dim's value. Numbers and
/// dims are scalars that elementwise ops (`map`) take beside tensors of any shape.
struct Operand {
  enum class Kind : std::uint8_t { value, global, literal, dim } kind = Kind::value;
  int id = -1;  // value: index into Function::values; global: index into Module::globals
  Literal literal;
  Dim dim;

  static Operand value(int id) { return {Kind::value, id, {}, {}}; }
  static Operand global(int id) { return {Kind::global, id, {}, {}}; }
  static Operand number(Literal number) { return {Kind::literal, -1, number, {}}; }
  static Operand number(double number) { return {Kind::literal, -1, kernel::literal_of(number), {}}; }
  static Operand of(Dim dim) { return {Kind::dim, -1, {}, std::move(dim)}; }
  friend bool operator==(const Operand& a, const Operand& b);
};

/// `h == s*p + d*i - o`: one equality of a contract.
struct Where {
  std::string whole;     // h
  std::string position;  // p
  std::string tap;       // i
  std::int64_t stride = 1, dilation = 1;
  Dim offset;
  friend bool operator==(const Where&, const Where&) = default;
};

/// `a[n,h,w,c] b[i,j,c,o] -> y[n,p<14,q<14,o] where ...`
struct ContractSpec {
  std::vector<std::string> a, b, y;
  std::vector<std::pair<std::string, Dim>> extents;  // C3: those that no operand fixes
  std::vector<Where> where;
  friend bool operator==(const ContractSpec&, const ContractSpec&) = default;
};

/// An attribute's value. Shapes hold dims, ints hold axes, sizes and strides.
using Attr = std::variant<std::monostate, bool, std::int64_t, Literal, std::string, std::vector<std::int64_t>, Shape,
                          DType, ContractSpec, Array>;
bool equal(const Attr& a, const Attr& b);

/// Attributes by name, in the order of the op's declaration; what equals the default is left out.
struct Attrs {
  std::vector<std::pair<std::string, Attr>> list;
  const Attr* find(std::string_view name) const;
  void set(std::string name, Attr value);
};

struct OpDef;

struct Op;
/// A region of an op (scan): its own parameters, ops, and what it yields.
struct Region {
  std::vector<int> params;  // values
  std::vector<Op> ops;
  std::vector<Operand> yields;
};

struct Op {
  const OpDef* def = nullptr;
  const Row* row = nullptr;  // map, reduce and others that are named "op.row": see `variant`
  std::string variant;       // the text after the dot: map.exp, reduce.sum, scatter.add
  std::vector<Operand> operands;
  Attrs attrs;
  std::vector<Region> regions;
  std::vector<int> results;  // values
  std::string layer;         // path of the layer in the user's model, for names, errors and comments
};

struct Value {
  std::string name;
  Type type;
};

/// A condition on symbols that the compiler could not prove; the emitted entry checks it.
struct Condition {
  enum class Kind : std::uint8_t { equal, at_least, divisible } kind = Kind::equal;
  Dim left, right;
  friend bool operator==(const Condition&, const Condition&) = default;
  std::string str() const;
};

struct Update {
  int global = -1;
  Operand value;
};

/// Every name in use, and the last suffix that it was given.
using NamesInUse = std::unordered_map<std::string, int>;

/// The name itself, or with the first suffix _1, _2, ... that makes it new; it is in use from now on.
std::string unique_name(NamesInUse& names, std::string name);

struct Function {
  std::string name;
  std::vector<int> params;  // values
  std::vector<Value> values;
  std::vector<Op> ops;
  std::vector<Operand> results;
  std::vector<std::string> result_names;
  std::vector<Condition> conditions;
  std::vector<Update> updates;

  /// The name is made unique by a suffix _1, _2, ...; an empty one becomes a number. Values are added and renamed only
  /// through these two, so that names stay unique.
  int add_value(std::string value_name, Type type);
  void rename(int value, std::string value_name);

  NamesInUse names;
};

struct Symbol {
  std::string name;
  std::int64_t low = 1, high = 1, step = 1;
};

/// `state` or `const`. `splat`, `random` and literals are expanded when parsed.
struct Global {
  std::string path;
  Type type;
  bool is_state = false;
  bool trainable = false;
  Array value;           // consts, and initial values of states
  std::string text;      // how the text gave it ("splat(0)", "random(7)", "file(64)"), printed back
  bool missing = false;  // text `file(64)` without that file: `value` has the type, and no meaning
};

struct Module {
  std::string name = "model";
  std::string profile = "fma";
  std::vector<Symbol> symbols;
  std::vector<Global> globals;
  std::vector<Function> functions;
  std::vector<std::string> passes;  // those that changed bits (N12), for the manifest

  const Symbol* symbol(std::string_view name) const;
  Range range(std::string_view symbol) const;
  RangeOf ranges() const;
  Dim dim_of_symbol(std::string_view name) const;
  int global_named(std::string_view path) const;  // -1 if there is none
  Function* function(std::string_view name);
  const Function* function(std::string_view name) const;
};

Type type_of(const Module& module, const Function& function, const Operand& operand);

}  // namespace tusk::graph
