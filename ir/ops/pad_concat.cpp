// pad, concat: larger tensors around or beside x.
#include <fmt/format.h>
#include <algorithm>

#include "ir/ops/common.hpp"
#include "ir/text/count.hpp"

namespace tusk::graph {
namespace {

// --- pad

Expected<std::vector<Type>> infer_pad(const InferContext& c) {
  const Shape& low = c.shape("low");
  const Shape& high = c.shape("high");
  const Ints& inner = c.ints("inner");
  const Type& x = c.operands[0];
  if (low.size() != x.shape.size() || high.size() != x.shape.size() || inner.size() != x.shape.size()) {
    return c.fail("c1", fmt::format("low, high and inner need {}", text::count_of(x.shape.size(), "entry")));
  }
  Type result{x.dtype, {}};
  for (std::size_t i = 0; i < inner.size(); ++i) {
    if (inner[i] < 0) return c.fail("c2", fmt::format("inner of axis {} is negative", i));
    const Dim extent = low[i] + x.shape[i] + (x.shape[i] - Dim(1)) * Dim(inner[i]) + high[i];
    CHECK(c.at_least(extent, Dim(0), "c3", fmt::format("the extent of axis {}", i)));
    result.shape.push_back(extent);
  }
  return std::vector<Type>{result};
}

std::vector<Array> evaluate_pad(const EvalContext& c) {
  const Array& x = c.operands[0];
  const Shape& low = std::get<Shape>(c.attr("low"));
  const Ints& inner = std::get<Ints>(c.attr("inner"));
  const Literal& value = std::get<Literal>(c.attr("value"));
  const Ints strides = strides_of(x.shape());
  Array out(x.dtype(), c.result_shape());
  std::int64_t at = 0;
  for_each_index(c.result_shape(), [&](const Ints& index) {
    std::int64_t from = 0;
    bool inside = true;
    for (std::size_t i = 0; i < inner.size() && inside; ++i) {
      const std::int64_t shifted = index[i] - c.dim(low[i]);
      inside = shifted >= 0 && shifted % (inner[i] + 1) == 0 && shifted / (inner[i] + 1) < x.shape()[i];
      from += shifted / (inner[i] + 1) * strides[i];
    }
    out.set(at++, inside ? x.at(from) : value.as_double());
  });
  return {out};
}

void gradient_pad(GradContext& g) {
  if (!g.dy[0]) return;
  const Type x = g.b.type(g.operand(0));
  const Type y = g.b.type(g.result());
  const Shape& low = std::get<Shape>(*g.op.attrs.find("low"));
  const Attr* inner_attr = g.op.attrs.find("inner");
  const Ints inner = std::get<Ints>(*inner_attr);
  // Negative padding cut elements off: their gradient is 0, so dy is first widened to where they lay.
  Shape widen_low;
  Shape widen_high;
  Shape start;
  Shape limit;
  Ints step;
  bool widens = false;
  for (std::size_t i = 0; i < inner.size(); ++i) {
    const Shape& high = std::get<Shape>(*g.op.attrs.find("high"));
    const bool cut_low = low[i].is_constant() && low[i].constant() < 0;
    const bool cut_high = high[i].is_constant() && high[i].constant() < 0;
    widen_low.push_back(cut_low ? low[i] * Dim(-1) : Dim(0));
    widen_high.push_back(cut_high ? high[i] * Dim(-1) : Dim(0));
    widens = widens || cut_low || cut_high;
    const Dim first = cut_low ? Dim(0) : low[i];
    start.push_back(first);
    step.push_back(inner[i] + 1);
    limit.push_back(first + (x.shape[i] - Dim(1)) * Dim(inner[i] + 1) + Dim(1));
  }
  Operand dy = *g.dy[0];
  if (widens) {
    dy = g.b.add("pad", {dy}, attrs_of({{"low", widen_low}, {"high", widen_high}, {"inner", Ints(inner.size(), 0)}}));
  }
  g.dx[0] = g.b.add("slice", {dy}, attrs_of({{"start", start}, {"limit", limit}, {"step", step}}));
}

std::vector<kernel::Stage> lower_pad(const LowerContext& c) {
  const std::vector<kernel::Index> indices = LowerContext::indices(c.results[0].shape);
  const Shape& low = std::get<Shape>(c.attr("low"));
  const Ints& inner = std::get<Ints>(c.attr("inner"));
  const DType type = register_type(c.results[0].dtype);
  const Literal value = std::get<Literal>(c.attr("value"));
  std::vector<kernel::ExprRef> from;
  kernel::ExprRef inside;  // of the elements between those of x, for inner > 0
  for (std::size_t i = 0; i < inner.size(); ++i) {
    kernel::ExprRef shifted = plus(kernel::index(indices[i].name), low[i] * Dim(-1));
    if (inner[i] > 0) {
      const kernel::ExprRef period = index_constant(inner[i] + 1);
      const kernel::ExprRef hit = kernel::apply("eq", {kernel::apply("rem", {shifted, period}), index_constant(0)});
      inside = inside ? kernel::apply("and", {inside, hit}) : hit;
      shifted = kernel::apply("div", {shifted, period});
    }
    from.push_back(shifted);
  }
  kernel::ExprRef value_expr = c.operand_else(0, std::move(from), value);
  if (inside) value_expr = kernel::apply("select", {inside, value_expr, kernel::literal(type, value)});
  return {pointwise("y0", indices, c.results[0].dtype, value_expr)};
}

// --- concat

Expected<std::vector<Type>> infer_concat(const InferContext& c) {
  const std::int64_t axis = c.integer("axis");
  Type result = c.operands[0];
  CHECK(check_axis(c, axis, result.shape.size(), "c1"));
  const auto along = static_cast<std::size_t>(axis);
  for (std::size_t k = 1; k < c.operands.size(); ++k) {
    const Type& x = c.operands[k];
    if (x.dtype != result.dtype) return c.fail("c2", fmt::format("operand {} is {}", k, name_of(x.dtype)));
    if (x.shape.size() != result.shape.size())
      return c.fail("c2", fmt::format("operand {} has rank {}", k, x.shape.size()));
    for (std::size_t i = 0; i < x.shape.size(); ++i) {
      if (i != along) CHECK(c.equal(x.shape[i], result.shape[i], "c2", fmt::format("axis {} of operand {}", i, k)));
    }
    result.shape[along] += x.shape[along];
  }
  return std::vector<Type>{result};
}

std::vector<Array> evaluate_concat(const EvalContext& c) {
  const auto axis = static_cast<std::size_t>(std::get<std::int64_t>(c.attr("axis")));
  Array out(c.operands[0].dtype(), c.result_shape());
  const Ints strides = strides_of(out.shape());
  std::int64_t first = 0;
  for (const Array& x : c.operands) {
    std::int64_t from = 0;
    for_each_index(x.shape(),
                   [&](const Ints& index) { out.set(dot(index, strides) + first * strides[axis], x.at(from++)); });
    first += x.shape()[axis];
  }
  return {out};
}

void gradient_concat(GradContext& g) {
  if (!g.dy[0]) return;
  const auto axis = static_cast<std::size_t>(std::get<std::int64_t>(*g.op.attrs.find("axis")));
  Dim first(0);
  for (std::size_t k = 0; k < g.op.operands.size(); ++k) {
    const Shape shape = g.b.type(g.operand(k)).shape;
    Shape start(shape.size(), Dim(0));
    Shape limit = shape;
    start[axis] = first;
    limit[axis] = first + shape[axis];
    g.dx[k] =
        g.b.add("slice", {*g.dy[0]}, attrs_of({{"start", start}, {"limit", limit}, {"step", Ints(shape.size(), 1)}}));
    first += shape[axis];
  }
}

std::vector<Shape> parts_of_concat(const LowerContext& c) {
  const auto axis = static_cast<std::size_t>(std::get<std::int64_t>(c.attr("axis")));
  std::vector<Shape> parts;
  Shape first(c.results[0].shape.size(), Dim(0));
  for (const Type& x : c.operands) {
    parts.push_back(first);
    first[axis] += x.shape[axis];
  }
  return parts;
}

}  // namespace

extern const OpDef kPad;
const OpDef kPad = {
    .name = "pad",
    .doc =
        "`low` and `high` elements of `value` around each axis, `inner` between neighbours; negative low or high cut "
        "off. "
        "`%y = pad %x {low=[1], high=[0], inner=[1]}` makes [0,1,0,2] of [1,2].",
    .attrs = {{"low", AttrSpec::Kind::shape, {}, "before each axis"},
              {"high", AttrSpec::Kind::shape, {}, "behind each axis"},
              {"inner", AttrSpec::Kind::ints, {}, "between neighbours"},
              {"value", AttrSpec::Kind::number, Literal{true, 0, 0}, "of the new elements"}},
    .constraints = {{"c1", "low, high and inner have one entry for each axis"},
                    {"c2", "inner is not negative"},
                    {"c3", "no extent is negative"}},
    .infer = infer_pad,
    .evaluate = evaluate_pad,
    .gradient = gradient_pad,
    .lower = lower_pad,
    .samples = {"func f(%x: f32[3]) -> (%y) { %y = pad %x {low=[1], high=[2], inner=[0]} }",
                "func f(%x: f32[3]) -> (%y) { %y = pad %x {low=[1], high=[0], inner=[2], value=-0.5} }",
                "func f(%x: f32[5]) -> (%y) { %y = pad %x {low=[-1], high=[-2], inner=[0]} }",
                "func f(%x: f32[batch,3,2]) -> (%y) { %y = pad %x {low=[0,1,0], high=[0,1,0], inner=[0,0,0]} }",
                "func f(%x: i32[2,2]) -> (%y) { %y = pad %x {low=[-1,1], high=[2,-1], inner=[1,0], value=7} }",
                "func f(%x: u8[17,2]) -> (%y) { %y = pad %x {low=[1,0], high=[2,0], inner=[0,0]} }"},
};

extern const OpDef kConcat;
const OpDef kConcat = {
    .name = "concat",
    .doc = "Operands behind one another along `axis`.",
    .min_operands = 1,
    .max_operands = -1,
    .attrs = {{"axis", AttrSpec::Kind::integer, {}, "along which they are joined"}},
    .constraints = {{"c1", "axis is in [0, rank)"}, {"c2", "dtypes and all other axes are equal"}},
    .infer = infer_concat,
    .evaluate = evaluate_concat,
    .gradient = gradient_concat,
    .parts = parts_of_concat,
    .samples = {"func f(%x: f32[2,3], %z: f32[2,1]) -> (%y) { %y = concat %x, %z {axis=1} }",
                "func f(%x: f32[batch,3], %z: f32[batch,3]) -> (%y) { %y = concat %x, %z, %x {axis=1} }",
                "func f(%x: f32[2,3], %z: f32[1,3]) -> (%y) { %y = concat %x, %z {axis=0} }",
                "func f(%x: f32[2,3]) -> (%y) { %a = map.neg %x  %b = map.abs %x  %y = concat %a, %b {axis=1} }",
                "func f(%x: i32[3]) -> (%y) { %y = concat %x {axis=0} }"},
};

}  // namespace tusk::graph
