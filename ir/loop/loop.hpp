// Loop IR: loops, vector registers, buffers; every float operation explicit (docs/ir.md section 5).
// SSA: a name is defined once in its function; loops and ifs carry values.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "ir/base/dim.hpp"
#include "ir/base/dtype.hpp"
#include "ir/kernel/kernel.hpp"
#include "ir/row/row.hpp"

namespace tusk::loop {

using kernel::Literal;

/// A register type: f32 f64 i32 u32 i64 bool index, or `lanes` of one of them ("f32x16").
struct Type {
  DType element = DType::f32;
  int lanes = 1;
  friend bool operator==(const Type&, const Type&) = default;
};
inline constexpr Type kIndex{DType::index, 1};
std::string str(const Type& type);

struct Value;
using ValueRef = std::shared_ptr<const Value>;

/// A value expression. Names are defined by statements, loops, parameters; nesting is allowed anywhere.
struct Value {
  enum class Kind : std::uint8_t {
    literal,  // of a scalar type
    name,     // a defined name, a loop index, or a scalar parameter
    row,      // row(operands): basic, or a row with a body (a call of its function)
    load,     // buffer[address], `mask m else lit`: operands = {address, [mask]}
    splat,    // operands[0] in every lane
    ramp,     // 0, 1, 2, ... of i32
    first,    // `first n a b`: lane < n ? a : b; operands = {n, a, b}
    tree,     // `tree row v`: lanes l and l + L/2 combined, then halves again, to a scalar (N3)
  };
  Kind kind = Kind::literal;
  Type type = {};
  Literal literal = {};   // literal; load: the `else` value
  std::string name = {};  // name; load: the buffer
  const Row* row = nullptr;
  std::vector<ValueRef> operands = {};
  bool has_mask = false;  // load
};

/// Index arithmetic uses rows on type index: add sub mul min max, div and rem (floor; a divisor of 0 gives 0),
/// compares. Loads of f16 and bf16 buffers give f32, of i8 and u8 give i32; stores round or wrap.

struct Stmt;
using Block = std::vector<Stmt>;

struct Carry {
  std::string name;    // inside the loop
  std::string result;  // after the loop
  Type type;
  ValueRef init;
};

struct Stmt {
  enum class Kind : std::uint8_t {
    let,     // name = value
    store,   // store buffer[address], value [mask m]
    loop,    // results = [parallel [n]] for name = low to high step n carry (...) { body; yield ... }
    branch,  // results = if condition { body; yield ... } else { other; yield ... }
    call,    // call callee(arguments): buffers by name, scalars by value
    buffer,  // let name = base + address: a buffer inside another (element type `type`), address in bytes of `base` if
             // the base is "arena", else in elements of it
    barrier,
    comment,  // text for a reader, printed as // text
  };
  Kind kind = Kind::let;
  std::string name;           // let, buffer, loop index; call: the callee; comment: the text
  Type type;                  // let, buffer (element)
  ValueRef value;             // let, store; branch: the condition
  std::string base;           // store, buffer: the buffer
  ValueRef address;           // store, buffer
  ValueRef mask;              // store, may be null
  std::int64_t parallel = 0;  // turns that a thread takes at least, if threads may share the loop: 0, 1, 2, ... high
  ValueRef low, high;
  std::int64_t step = 1;
  std::vector<Carry> carries;  // loop; branch uses result and type only
  Block body, other;
  std::vector<ValueRef> yields, other_yields;
  std::vector<ValueRef> arguments;  // call: a buffer is a name value whose name is a buffer of the function
};

struct Buffer {
  std::string name;
  DType type = DType::f32;
  bool constant = false;
  std::int64_t align = 0;  // bytes, 0: the element's
  std::string note;        // the shape, for a reader ("[batch,28,28,8]")
};

struct Scalar {
  std::string name;
  Type type;
};

/// A kernel's loops, or a scalar function (no buffers; `results` is its value), or an entry function of calls.
struct Func {
  std::string name;
  std::vector<std::string> comments;  // layer, shapes
  std::vector<Buffer> buffers;
  std::vector<Scalar> scalars;
  Block body;
  ValueRef result;  // scalar functions
  Type result_type;
};

struct Module {
  std::vector<Func> funcs;
  const Func* func(std::string_view name) const;
};

// Builders. Types follow from operands; a violated rule is a programming error (assert).
ValueRef literal(Type type, Literal value);
ValueRef index_literal(std::int64_t value);
ValueRef name(std::string name, Type type);
ValueRef apply(const Row& row, std::vector<ValueRef> operands);
ValueRef apply(std::string_view row, std::vector<ValueRef> operands);
ValueRef load(std::string buffer, Type type, ValueRef address);
ValueRef load_masked(std::string buffer, Type type, ValueRef address, ValueRef mask, Literal otherwise);
ValueRef splat(int lanes, ValueRef scalar);
ValueRef ramp(int lanes);
ValueRef first(ValueRef count, ValueRef a, ValueRef b);
ValueRef tree(const Row& row, ValueRef vector);
/// Whether one of these names stands in the expression.
bool reads_any(const ValueRef& value, const std::set<std::string>& names);
/// Whether two values are the same expression.
bool equal(const ValueRef& a, const ValueRef& b);
/// A dim as index arithmetic over names of its symbols.
ValueRef dim_value(const Dim& dim);
/// Folds constants, x + 0, x * 1, x * 0 in index arithmetic (integers only, so exact).
ValueRef simplified(const ValueRef& value);

}  // namespace tusk::loop
