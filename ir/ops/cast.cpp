// cast, stop_gradient: the same elements, as another type or cut off from gradients.
#include <bit>

#include "ir/ops/common.hpp"

namespace tusk::graph {
namespace {

Expected<std::vector<Type>> infer_cast(const InferContext& c) {
  return std::vector<Type>{{std::get<DType>(c.attr("to")), c.operands[0].shape}};
}

std::vector<Array> evaluate_cast(const EvalContext& c) {
  const DType to = c.result_types[0].dtype;
  const Array& x = c.operands[0];
  Array out(is_float(to) ? DType::f64 : DType::i64, c.result_shape());
  for (std::int64_t i = 0; i < out.size(); ++i) {
    if (to == DType::boolean) {
      out.set_int(i, x.at(i) != 0 ? 1 : 0);
    } else if (is_float(to)) {
      out.set(i, x.at(i));
    } else if (is_float(c.operand_types[0].dtype)) {
      Array one(register_type(to), {1});  // saturates to the register type
      one.set(0, x.at(i));
      out.set_int(i, one.int_at(0));
    } else {
      out.set_int(i, x.int_at(i));
    }
  }
  return {out};
}

void gradient_cast(GradContext& g) {
  const DType from = g.b.type(g.operand(0)).dtype;
  if (g.dy[0] && is_float(from) && is_float(g.b.type(g.result()).dtype)) g.dx[0] = g.b.cast(*g.dy[0], from);
}

std::vector<kernel::Stage> lower_cast(const LowerContext& c) {
  const std::vector<kernel::Index> indices = LowerContext::indices(c.results[0].shape);
  const DType to = c.results[0].dtype;
  return {pointwise("y0", indices, to,
                    kernel::apply(convert_row(register_type(to)), {c.operand(0, LowerContext::refs(indices))}))};
}

Expected<std::vector<Type>> infer_stop(const InferContext& c) { return std::vector<Type>{c.operands[0]}; }

// A choice like those of max: finite differences hold the value still, for its gradient is zero.
std::vector<Array> evaluate_stop(const EvalContext& c) {
  Array out = c.operands[0];
  for (std::int64_t i = 0; i < out.size(); ++i) {
    if (is_float(out.dtype())) {
      out.set(i, std::bit_cast<double>(c.choice(std::bit_cast<std::int64_t>(out.at(i)))));
    } else {
      out.set_int(i, c.choice(out.int_at(i)));
    }
  }
  return {out};
}

void gradient_stop(GradContext&) {}  // none of dx: zero

}  // namespace

extern const OpDef kCast;
const OpDef kCast = {
    .name = "cast",
    .doc =
        "y[i] = x[i] as another dtype. Float to integer truncates, saturates at the range of the type it is computed "
        "in "
        "(i32 for i8 and u8, which then wrap), NaN gives 0. To bool: x != 0. `%y = cast %x {to=i32}` gives [1, -1] "
        "for [1.9, -1.9].",
    .attrs = {{"to", AttrSpec::Kind::dtype, {}, "the dtype of the result"}},
    .infer = infer_cast,
    .evaluate = evaluate_cast,
    .gradient = gradient_cast,
    .lower = lower_cast,
    .samples =
        {"func f(%x: f32[4]) -> (%y) { %y = cast %x {to=i32} }", "func f(%x: i32[4]) -> (%y) { %y = cast %x {to=f32} }",
         "func f(%x: f32[4]) -> (%y) { %y = cast %x {to=f16} }",
         "func f(%x: f32[4]) -> (%y) { %y = cast %x {to=bf16} }",
         "func f(%x: f16[4]) -> (%y) { %y = cast %x {to=f32} }", "func f(%x: i32[4]) -> (%y) { %y = cast %x {to=i8} }",
         "func f(%x: i32[4]) -> (%y) { %y = cast %x {to=u8} }", "func f(%x: f32[4]) -> (%y) { %y = cast %x {to=bool} }",
         "func f(%x: bool[4]) -> (%y) { %y = cast %x {to=f32} }",
         "func f(%x: f32[4]) -> (%y) { %y = cast %x {to=f64} }", "func f(%x: f32[4]) -> (%y) { %y = cast %x {to=i64} }",
         "func f(%x: f32[4]) -> (%y) { %y = cast %x {to=u32} }"},
};

extern const OpDef kStopGradient;
const OpDef kStopGradient = {
    .name = "stop_gradient",
    .doc = "y = x; its gradient is zero.",
    .infer = infer_stop,
    .evaluate = evaluate_stop,
    .gradient = gradient_stop,
    .gradient_note = "zero by definition",
    .same_order = true,
    .samples = {"func f(%x: f32[4]) -> (%y) { %s = stop_gradient %x  %y = map.mul %x, %s }"},
};

}  // namespace tusk::graph
