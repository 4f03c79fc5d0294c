// Kernel IR: a kernel is a list of stages, each one formula over its index space, with the order of every sum
// (docs/ir.md section 3). No loops, no buffers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ir/base/dim.hpp"
#include "ir/base/dtype.hpp"
#include "ir/row/row.hpp"

namespace tusk::kernel {

struct Expr;
using ExprRef = std::shared_ptr<const Expr>;

/// A number in text: integers keep all 64 bits.
struct Literal {
  bool is_integer = false;
  std::int64_t integer = 0;
  double real = 0;
  double as_double() const { return is_integer ? static_cast<double>(integer) : real; }
  friend bool operator==(const Literal& a, const Literal& b);  // NaN equals NaN, -0 differs from 0
};
inline Literal literal_of(double value) { return {false, 0, value}; }
inline Literal literal_of_int(std::int64_t value) { return {true, value, 0}; }
/// Shortest text that reads back to the same number of the type ("0.1", "-inf", "nan", "3").
std::string literal_str(const Literal& literal, DType type);

/// A scalar or index expression; immutable, shared.
struct Expr {
  enum class Kind : std::uint8_t {
    literal,  // a number of type `type`
    index,    // an index of the stage; type index
    dim,      // the value of a dim; type index
    load,     // tensor[indices], with an optional value for reads out of range; type = register type of the tensor
    row,      // row(operands)
  };
  Kind kind = Kind::literal;
  DType type = DType::f32;  // register type, or index
  Literal value;            // literal; load: the `else` value
  bool has_else = false;    // load
  std::string name;         // index, load: the tensor (a parameter or a stage)
  Dim dim;                  // dim
  const Row* row = nullptr;
  std::vector<ExprRef> operands;  // row: operands; load: one index expression for each axis
};

/// Index expressions use the rows add, sub, mul, div (floor, by a positive literal), rem (floor) on type index; a data
/// load used as an index is convert row `index(load)`.
ExprRef literal(DType type, Literal value);
ExprRef index(std::string name);
ExprRef dim_value(Dim dim);
ExprRef load(std::string tensor, DType type, std::vector<ExprRef> indices);
ExprRef load_else(std::string tensor, DType type, std::vector<ExprRef> indices, Literal otherwise);
/// The type follows from the row; the operands must fit it (checked by assert).
ExprRef apply(const Row& row, std::vector<ExprRef> operands);
ExprRef apply(std::string_view row, std::vector<ExprRef> operands);
bool equal(const ExprRef& a, const ExprRef& b);

struct Index {
  std::string name;
  Dim extent;
};

/// `last` keeps the last term (scatter.set): always serial, one lane, no block.
enum class Reducer : std::uint8_t { dot, sum, max, min, prod, all, any, argmax, argmin, last };
std::string_view name_of(Reducer reducer);
std::optional<Reducer> reducer_named(std::string_view name);

/// `index == value`: removes an index (rules W1, W2 where `value` is affine; W3 where it is a load).
struct Equality {
  std::string index;
  ExprRef value;
};

/// `kind i<..., j<... where ... from e lanes L block B : expr`. argmax and argmin have one reduce index and give it.
struct Reduce {
  Reducer kind = Reducer::sum;
  std::vector<Index> indices;  // in order (N3)
  std::vector<Equality> where;
  ExprRef from;            // null: the identity
  std::int64_t lanes = 1;  // N3
  std::int64_t block = 0;  // 0: no cut
};

/// name[indices] : type = [reduce] expr
struct Stage {
  std::string name;
  std::vector<Index> indices;
  DType type = DType::f32;  // storage type: the value rounds to it
  std::optional<Reduce> reduce;
  ExprRef expr;
};

struct Param {
  std::string name;
  DType type = DType::f32;
  Shape shape;
  bool inout = false;
};

struct Kernel {
  std::string name;
  std::vector<Param> params;
  std::vector<std::string> results;  // names of stages
  std::vector<Stage> stages;
  std::vector<std::string> layers;  // paths of the layers it comes from, for comments and errors

  const Param* param(std::string_view name) const;
  const Stage* stage(std::string_view name) const;
};

/// A number for an index of a stage.
struct IndexCount {
  std::string index;
  std::int64_t count = 1;
  friend bool operator==(const IndexCount&, const IndexCount&) = default;
};

/// How one stage at root runs, with the stages that are computed inside of it.
struct StageSchedule {
  std::string stage;
  std::vector<IndexCount> tile;     // elements along an index that one register tile takes; 1 where none is named
  IndexCount vector{"", 1};         // the index along which the lanes of a register lie, and how many
  std::vector<std::string> order;   // loops over tiles, outermost first; the others follow as they are written
  std::vector<IndexCount> split;    // h by s: one loop for each remainder of h by s (parity split)
  std::vector<std::string> unroll;  // reduce indices whose terms are written out
  // The first reduce index, in parts of so many terms: their loop is where `order` names it, else outermost, and
  // between two parts the sums are in memory (R1).
  IndexCount outer{"", 0};
  // Indices over whose tiles threads share the outermost loops; a loop in another one, both over one of these, is
  // joined with it. A thread takes at least `grain` turns.
  std::vector<std::string> parallel;
  std::int64_t grain = 1;
  // Made anew for each value of an index of its only consumer, so that its memory holds that part alone; empty: whole,
  // before its consumers.
  std::string consumer, at;
  friend bool operator==(const StageSchedule&, const StageSchedule&) = default;
};

/// The schedule record (docs/ir.md section 4). A stage that is named in `inline_stages` is computed where its consumer
/// reads it, in registers ("at z : innermost registers"); every other stage stands at root in a buffer of its own. A
/// stage without a record runs as plain loops. The empty schedule is always legal.
struct Schedule {
  std::vector<std::string> inline_stages;
  std::vector<StageSchedule> stages = {};

  const StageSchedule* of(std::string_view stage) const;
  bool is_inline(std::string_view stage) const;
};

/// The extents of a stage's indices.
Shape shape_of(const Stage& stage);
/// The indices of a stage at root in the order of its loops, outermost first.
std::vector<std::string> loop_order(const Stage& stage, const StageSchedule& record);
/// The stages that stand at root and are no results: each needs a buffer of its own.
std::vector<const Stage*> scratch_stages(const Kernel& kernel, const Schedule& schedule);
/// The axes of a stage that is made at an index of its consumer: that which is read there with that index alone, and
/// those that are read with an index alone whose loop is outside of that one, one value at a time. Nothing where the
/// stage is made whole, or where its reads are others.
struct AxisAt {
  std::size_t axis;
  std::string index;  // of the consumer
};
std::vector<AxisAt> axes_at(const Kernel& kernel, const Schedule& schedule, const Stage& stage);
/// The shape of a stage's buffer: one element along the axes at which it is made.
Shape buffer_shape(const Kernel& kernel, const Schedule& schedule, const Stage& stage);

/// N4: lanes and block of a reduction, from shapes only. The symbol `batch` counts as 1, every other symbol as 64.
struct Order {
  std::int64_t lanes = 1;
  std::int64_t block = 0;
};
Order order_of(const Stage& stage);

}  // namespace tusk::kernel
