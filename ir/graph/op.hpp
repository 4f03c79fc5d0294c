// What an op is: one record, defined in one file of ir/ops/.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph/graph.hpp"
#include "ir/kernel/kernel.hpp"

namespace tusk::graph {

/// An attribute's declaration: how it prints, parses and defaults.
struct AttrSpec {
  enum class Kind : std::uint8_t { flag, integer, number, text, ints, shape, dtype, spec, array };
  std::string_view name;
  Kind kind = Kind::integer;
  Attr fallback;  // monostate: required
  std::string_view doc;
};

/// A numbered constraint and what it says, for docs/ops.md and errors ("contract-c2").
struct Constraint {
  std::string_view label;
  std::string_view text;
};

/// What the shape rule sees, and where it leaves conditions that it cannot prove.
struct InferContext {
  const Module& module;
  const Function& function;
  const Op& op;
  std::vector<Type> operands;  // literals and dims are scalars without a shape of their own: see is_scalar_operand
  std::vector<Condition>& conditions;

  const Attr& attr(std::string_view name) const;
  std::int64_t integer(std::string_view name) const;
  const std::vector<std::int64_t>& ints(std::string_view name) const;
  const Shape& shape(std::string_view name) const;
  bool flag(std::string_view name) const;
  bool is_number(std::size_t operand) const;  // a literal or a dim
  /// A diagnostic "OP-cN" with the operands' types noted and the layer named.
  Diagnostic fail(std::string_view label, std::string message) const;
  /// a == b: proved, refuted (the error "WHAT is A, expected B"), or left as a condition.
  Status equal(const Dim& a, const Dim& b, std::string_view label, std::string_view what) const;
  /// a >= b, likewise.
  Status at_least(const Dim& a, const Dim& b, std::string_view label, std::string_view what) const;
};

/// The decisions that make an op piecewise: results of comparisons, branches of max and min, positions of maxima. A
/// first run records them in order; a second run on inputs a little different replays them, which holds the piece still
/// for finite differences (law 6).
struct Choices {
  std::vector<std::int64_t> made;
  bool replay = false;
  std::size_t next = 0;
};

/// What the reference meaning sees: operands and the types of results with all symbols fixed. It computes in double
/// (integers up to 53 bits), on arrays of f64 for floating types; the caller rounds nothing.
struct EvalContext {
  const Op& op;
  std::vector<Array> operands;  // f64 for floats, i64 for integers and bool
  std::vector<Type> operand_types;
  std::vector<Type> result_types;  // static shapes
  ValueOf value_of;
  std::function<std::vector<Array>(const Region&, std::vector<Array>)> run_region;
  Choices* choices = nullptr;

  const Attr& attr(std::string_view name) const;
  /// Passes a decision (an index, a bool) through `choices`: gives it back, or the recorded one.
  std::int64_t choice(std::int64_t made) const;
  /// row(x) by its reference, decisions passed through `choices`.
  double choose(const Row& row, const double (&x)[3]) const;
  std::vector<std::int64_t> result_shape(std::size_t i = 0) const;
  std::int64_t dim(const Dim& d) const { return d.value(value_of); }
};

/// Appends ops to a function; each returns its result. Shape errors cannot occur in rules that are right: they are
/// collected in `problem` and reported once by the caller.
class Builder {
 public:
  Builder(Module& module, Function& function, std::vector<Op>& ops) : module_(module), function_(function), ops_(ops) {}

  /// Any op by its text name ("map.exp", "reshape"), attributes as given.
  Operand add(std::string_view op, std::vector<Operand> operands, Attrs attrs = {});
  std::vector<Operand> add_all(std::string_view op, std::vector<Operand> operands, Attrs attrs = {},
                               std::vector<Region> regions = {});
  /// map.ROW
  Operand map(std::string_view row, std::vector<Operand> operands);
  Operand broadcast(Operand x, Shape shape, std::vector<std::int64_t> dims);
  Operand reshape(Operand x, Shape shape);
  Operand transpose(Operand x, std::vector<std::int64_t> perm);
  Operand reduce(std::string_view kind, Operand x, std::vector<std::int64_t> axes);
  Operand cast(Operand x, DType to);
  Operand contract(Operand a, Operand b, std::optional<Operand> init, ContractSpec spec);
  /// A tensor filled with one number.
  Operand fill(Type type, double value);

  Type type(const Operand& operand) const { return type_of(module_, function_, operand); }
  Module& module() { return module_; }
  Function& function() { return function_; }
  std::vector<Op>& ops() { return ops_; }
  std::optional<Diagnostic> problem;
  std::string layer;      // given to every op added
  std::string name_hint;  // name of the next result; else it is named after its op

 private:
  Module& module_;
  Function& function_;
  std::vector<Op>& ops_;
};

/// What a gradient rule sees: the op with all its attributes, defaults too; dy for each result (absent: zero). It gives
/// dx for each operand (absent: zero).
struct GradContext {
  Builder& b;
  const Op& op;
  std::vector<std::optional<Operand>> dy;
  std::vector<std::optional<Operand>> dx;  // to be filled
  /// Whether anybody wants the gradient of a value.
  std::function<bool(const Operand&)> wanted = {};
  /// For ops with regions: gradients of outer values that a region reads without their being operands.
  std::vector<std::pair<Operand, Operand>> captured = {};
  /// If set, it takes the place of `op`: the same results and, after them, more that the backward pass reads (scan).
  std::optional<Op> forward = {};
  const Attr& attr(std::string_view name) const;
  Operand operand(std::size_t i) const { return op.operands[i]; }
  Operand result(std::size_t i = 0) const { return Operand::value(op.results[i]); }
};

/// What a lowering sees. It gives one kernel whose parameters are named x0, x1, ... (operands that are tensors; a
/// literal or a dim has no parameter: `operand(i, indices)` reads either) and whose results are named y0, y1, ...
struct LowerContext {
  const Module& module;
  const Function& function;
  const Op& op;
  std::vector<Type> operands;
  std::vector<Type> results;

  const Attr& attr(std::string_view name) const;
  /// The value of operand i at the indices, in its register type.
  kernel::ExprRef operand(std::size_t i, std::vector<kernel::ExprRef> indices) const;
  /// The register type that numbers among the operands take.
  DType number_type() const;
  kernel::ExprRef operand_else(std::size_t i, std::vector<kernel::ExprRef> indices, Literal otherwise) const;
  /// Index names for a tensor of this shape, and the same as expressions.
  static std::vector<kernel::Index> indices(const Shape& shape);
  static std::vector<kernel::ExprRef> refs(std::span<const kernel::Index> indices);
};

struct OpDef {
  std::string_view name;
  std::string_view doc = {};                    // formula, operands, one example
  int min_operands = 1, max_operands = 1;       // -1: any number
  std::vector<std::string_view> variants = {};  // reduce: sum max ...; empty: none (map: any row)
  std::vector<AttrSpec> attrs = {};
  std::vector<Constraint> constraints = {};
  Expected<std::vector<Type>> (*infer)(const InferContext&) = nullptr;
  std::vector<Array> (*evaluate)(const EvalContext&) = nullptr;
  /// Null: no gradient (integers), see `gradient_note`.
  void (*gradient)(GradContext&) = nullptr;
  std::string_view gradient_note = {};
  /// The result has the elements of operand 0 in the same row-major order (reshape): lowered as a view of it.
  bool same_order = false;
  /// The result is its operands side by side (concat): for each operand where its first element lies in the result.
  /// Lowered as copies into parts of the result, which vanish where the producer can store there.
  std::vector<Shape> (*parts)(const LowerContext&) = nullptr;
  /// Stages y0, y1, ...; null where same_order, parts, a body or the pass itself (const, scan) says it all.
  std::vector<kernel::Stage> (*lower)(const LowerContext&) = nullptr;
  /// Composite: the body in IR text, a template for ir/graph/inline.hpp; then infer, evaluate and lower follow from it.
  std::string_view body = {};
  /// Composite: its gradient as text of the same kind. Parameters: operands, results, dy of each result; it returns dx
  /// of each operand, a number where there is none.
  std::string_view gradient_body = {};
  /// Composite: names beside the attributes that the texts may use.
  void (*derive)(const InferContext&, Attrs& derived) = nullptr;
  /// Small legal cases: bodies of modules in IR text.
  std::vector<std::string_view> samples = {};
};

/// The list (ir/ops/ops.cpp).
std::span<const OpDef* const> ops();
const OpDef* op_named(std::string_view name);

/// An op without operands from its text name: "sort", "map.exp", "reduce.sum".
Expected<Op> op_from_name(std::string_view name);
/// Sets the attributes: each must be declared and have the declared kind, all required ones must be there. Afterwards
/// they stand in the order of the declaration, without those that equal their default.
Status set_attrs(Op& op, Attrs attrs);
/// The op's value of an attribute, or its default.
const Attr& attr_of(const Op& op, std::string_view name);
/// "map.exp"
std::string text_name(const Op& op);

/// Runs the shape rule of an op whose def, variant, operands and attrs are set.
Expected<std::vector<Type>> infer(const Module& module, const Function& function, const Op& op,
                                  std::vector<Condition>& conditions);

}  // namespace tusk::graph
