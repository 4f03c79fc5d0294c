// map.ROW: one scalar row on every element.
#include <fmt/format.h>
#include <cmath>
#include <utility>

#include "ir/graph/infix.hpp"
#include "ir/ops/common.hpp"
#include "ir/text/count.hpp"

namespace tusk::graph {
namespace {

// The dtype that numbers among the operands take: that of the first tensor they have to agree with.
std::optional<DType> shared_dtype(const InferContext& c) {
  const std::size_t first = c.op.row->typing == Typing::select ? 1 : 0;
  for (std::size_t i = first; i < c.operands.size(); ++i) {
    if (!c.is_number(i)) return c.operands[i].dtype;
  }
  return std::nullopt;
}

// Whether a number of the type can be this one. Floats round it.
bool holds(DType type, const Literal& literal) {
  if (is_float(type)) return true;
  std::int64_t value = literal.integer;
  if (!literal.is_integer) {
    if (!(std::fabs(literal.real) < 0x1p63) || std::trunc(literal.real) != literal.real) return false;
    value = static_cast<std::int64_t>(literal.real);
  }
  switch (type) {
    case DType::boolean:
      return value == 0 || value == 1;
    case DType::i32:
      return std::in_range<std::int32_t>(value);
    case DType::u32:
      return std::in_range<std::uint32_t>(value);
    default:
      return true;
  }
}

Expected<std::vector<Type>> infer_map(const InferContext& c) {
  const Row& row = *c.op.row;
  if (row.typing == Typing::convert) return c.fail("c6", "conversions are the op cast");
  if (row.inner) return c.fail("c6", fmt::format("{} serves the bodies of other rows only", row.name));
  if (static_cast<int>(c.operands.size()) != row.arity) {
    return c.fail(
        "c1", fmt::format("{} takes {}, found {}", row.name, text::count_of(row.arity, "operand"), c.operands.size()));
  }
  const std::optional<DType> shared = shared_dtype(c);
  if (!shared) return c.fail("c2", "all operands are numbers, so the result has no shape; write a const");
  Type result{*shared, {}};
  bool have_shape = false;
  std::vector<DType> registers;
  for (std::size_t i = 0; i < c.operands.size(); ++i) {
    if (c.is_number(i)) {
      registers.push_back(register_type(*shared));
      continue;
    }
    const Type& type = c.operands[i];
    registers.push_back(register_type(type.dtype));
    if (!have_shape) {
      result.shape = type.shape;
      have_shape = true;
    }
    if (type.shape.size() != result.shape.size()) {
      return c.fail("c3", "operands have different ranks; broadcast is an op of its own");
    }
    for (std::size_t axis = 0; axis < type.shape.size(); ++axis) {
      CHECK(c.equal(type.shape[axis], result.shape[axis], "c3", fmt::format("axis {} of operand {}", axis, i)));
    }
    const bool chooses = row.typing == Typing::select && i == 0;
    const bool counts = row.typing == Typing::shift && i == 1;
    if (!chooses && !counts && type.dtype != *shared) {
      return c.fail("c4", fmt::format("operand {} is {}, expected {}; cast is an op of its own", i, name_of(type.dtype),
                                      name_of(*shared)));
    }
  }
  if (row.typing == Typing::select && (c.is_number(0) || c.operands[0].dtype != DType::boolean)) {
    return c.fail("c5", fmt::format("the condition of select is a tensor of bool, found {}",
                                    c.is_number(0) ? "a number" : name_of(c.operands[0].dtype)));
  }
  for (std::size_t i = 0; i < c.operands.size(); ++i) {
    const Operand& operand = c.op.operands[i];
    if (operand.kind == Operand::Kind::literal && !holds(registers[i], operand.literal)) {
      return c.fail("c7", fmt::format("operand {} is {}, which is no number of {}", i,
                                      kernel::literal_str(operand.literal, DType::f64), name_of(registers[i])));
    }
  }
  const std::optional<DType> type = row_type(row, registers);
  if (!type) return c.fail("c5", fmt::format("row {} does not take {}", row.name, name_of(*shared)));
  switch (row.typing) {
    case Typing::compare:
      result.dtype = DType::boolean;
      break;
    case Typing::convert:
    case Typing::bitcast:
      result.dtype = row.target;
      break;
    default:
      break;
  }
  return std::vector<Type>{result};
}

// Basic rows on integers: they wrap, x / 0 and x rem 0 are 0, shift counts are masked. The caller wraps to the dtype.
std::optional<std::int64_t> on_integers(Basic basic, DType type, std::int64_t a, std::int64_t b) {
  const auto wrapped = [](std::uint64_t bits) { return static_cast<std::int64_t>(bits); };
  const auto x = static_cast<std::uint64_t>(a);
  const auto y = static_cast<std::uint64_t>(b);
  const int width = type == DType::i64 ? 63 : 31;
  switch (basic) {
    case Basic::add:
      return wrapped(x + y);
    case Basic::sub:
      return wrapped(x - y);
    case Basic::mul:
      return wrapped(x * y);
    case Basic::neg:
      return wrapped(0 - x);
    case Basic::div:
      return b == 0 ? 0 : b == -1 ? wrapped(0 - x) : a / b;
    case Basic::rem:
      return b == 0 || b == -1 ? 0 : a % b;
    case Basic::shl:
      return wrapped(x << (b & width));
    case Basic::shr:
      return a >> (b & width);
    case Basic::logical_and:
      return a & b;
    case Basic::logical_or:
      return a | b;
    case Basic::logical_xor:
      return a ^ b;
    default:
      return std::nullopt;
  }
}

std::vector<Array> evaluate_map(const EvalContext& c) {
  const Row& row = *c.op.row;
  const auto integer_at = [&](std::size_t k, std::int64_t i) {
    if (k >= c.operands.size()) return std::int64_t{0};
    return c.operands[k].int_at(c.operands[k].size() == 1 ? 0 : i);
  };
  if (is_integer(c.result_types[0].dtype) && on_integers(row.basic, c.result_types[0].dtype, 1, 1)) {
    Array out(DType::i64, c.result_shape());
    for (std::int64_t i = 0; i < out.size(); ++i) {
      out.set_int(i, *on_integers(row.basic, c.result_types[0].dtype, integer_at(0, i), integer_at(1, i)));
    }
    return {out};
  }
  const bool floating = is_float(c.result_types[0].dtype);
  const bool divides = !floating && (row.name == "floordiv" || row.name == "mod");
  Array out(floating ? DType::f64 : DType::i64, c.result_shape());
  const std::size_t arity = c.operands.size();
  const double* floats[3] = {nullptr, nullptr, nullptr};  // of operands that are read as they are
  std::int64_t step[3] = {0, 0, 0};
  for (std::size_t k = 0; k < arity; ++k) {
    if (c.operands[k].dtype() == DType::f64) floats[k] = c.operands[k].as<double>().data();
    step[k] = c.operands[k].size() == 1 ? 0 : 1;
  }
  double* to = floating ? out.as_writable<double>().data() : nullptr;
  for (std::int64_t i = 0; i < out.size(); ++i) {
    double x[3] = {0, 0, 0};
    for (std::size_t k = 0; k < arity; ++k)
      x[k] = floats[k] != nullptr ? floats[k][i * step[k]] : c.operands[k].at(i * step[k]);
    const double y = divides && x[1] == 0 ? 0 : c.choose(row, x);  // integers have no infinity: x / 0 is 0
    if (floating) {
      to[i] = y;
    } else {
      out.set(i, y);
    }
  }
  return {out};
}

void gradient_map(GradContext& g) {
  if (!g.dy[0]) return;
  const Row& row = *g.op.row;
  for (std::size_t i = 0; i < g.op.operands.size(); ++i) {
    if (g.op.operands[i].kind != Operand::Kind::value && g.op.operands[i].kind != Operand::Kind::global) continue;
    if (row.derivative[i].empty() || !is_float(g.b.type(g.op.operands[i]).dtype)) continue;
    g.dx[i] = row_gradient(g.b, row, i, g.op.operands, g.result(), *g.dy[0]);
  }
}

std::vector<kernel::Stage> lower_map(const LowerContext& c) {
  const std::vector<kernel::Index> indices = LowerContext::indices(c.results[0].shape);
  std::vector<kernel::ExprRef> operands;
  for (std::size_t i = 0; i < c.operands.size(); ++i) operands.push_back(c.operand(i, LowerContext::refs(indices)));
  return {pointwise("y0", indices, c.results[0].dtype, kernel::apply(*c.op.row, std::move(operands)))};
}

}  // namespace

extern const OpDef kMap;
const OpDef kMap = {
    .name = "map",
    .doc =
        "y[i] = ROW(x0[i], ...): a scalar row (docs/performance.md) on every element. Numbers and dims are taken "
        "beside "
        "tensors of any shape; tensors have equal shapes.\n"
        "`%y = map.max %x, 0 : f32[3]` gives [0, 0, 2] for [-1, 0, 2].",
    .min_operands = 1,
    .max_operands = 3,
    .constraints = {{"c1", "as many operands as the row takes"},
                    {"c2", "at least one operand that decides the type is a tensor"},
                    {"c3", "tensors have equal shapes"},
                    {"c4", "tensors have equal dtypes (select: the last two)"},
                    {"c5", "the row takes the dtype"},
                    {"c6", "the row is no conversion, which is the op cast, and no part of another row"},
                    {"c7", "numbers beside integers and bool are among theirs (of u8 and i8: those of i32)"}},
    .infer = infer_map,
    .evaluate = evaluate_map,
    .gradient = gradient_map,
    .lower = lower_map,
    .samples =
        {
            "func f(%x: f32[2,3]) -> (%y) { %y = map.relu %x }",
            "func f(%x: f32[4], %z: f32[4]) -> (%y) { %y = map.mul %x, %z }",
            "func f(%x: f32[4], %z: f32[4]) -> (%y) { %y = map.max %x, %z }",
            "func f(%x: f32[batch,5], %z: f32[batch,5]) -> (%y) { %c = map.gt %x, 0  %y = map.select %c, %z, 0.5 }",
            "func f(%x: f32[5,8], %z: u8[5,8]) -> (%y) { %c = map.eq %z, 0  %y = map.select %c, %x, 0.0 }",
            "func f(%x: u8[20,2], %z: u8[20,2]) -> (%y) { %i = iota {shape=[20,2]}  %c = map.lt %i, 17  %y = "
            "map.select "
            "%c, %x, %z }",
            "func f(%x: bool[20,2], %z: bool[20,2]) -> (%y) { %y = map.and %x, %z }",
            "func f(%x: bool[20,2], %z: f32[20,2], %w: f32[20,2]) -> (%y) { %c = map.gt %z, 0.25  %d = map.and %x, %c  "
            "%y = map.select %d, %z, %w }",
            "func f(%x: f32[batch,5]) -> (%y) { %y = map.div %x, batch }",
            "func f(%x: f32[7]) -> (%y) { %y = map.sigmoid %x }",
            "func f(%x: f32[7]) -> (%y) { %y = map.tanh %x }",
            "func f(%x: i32[4], %z: i32[4]) -> (%y) { %y = map.div %x, %z }",
            "func f(%x: i32[4], %z: i32[4]) -> (%y) { %y = map.mod %x, %z }",
            "func f(%x: i8[4], %z: i8[4]) -> (%y) { %y = map.add %x, %z }",
            "func f(%x: u32[4]) -> (%y) { %y = map.shr %x, 3 }",
            "func f(%x: f16[4], %z: f16[4]) -> (%y) { %y = map.add %x, %z }",
            "func f(%x: bf16[4], %z: bf16[4]) -> (%y) { %y = map.mul %x, %z }",
            "func f(%x: f64[4], %z: f64[4]) -> (%y) { %y = map.div %x, %z }",
            "func f(%x: bool[4], %z: bool[4]) -> (%y) { %y = map.xor %x, %z }",
            "func f(%x: i64[4], %z: i64[4]) -> (%y) { %y = map.mul %x, %z }",
            "func f(%x: f32[]) -> (%y) { %y = map.exp %x }",
            "func f(%x: f32[3]) -> (%y) { %y = map.pow 2.75, %x }",
            "func f(%x: f32[batch,2]) -> (%y) { %y = map.pow batch, %x }",
            "func f(%x: f32[3], %z: f32[3], %w: f32[3]) -> (%y) { %y = map.fma %x, %z, %w }",
        },
};

}  // namespace tusk::graph
