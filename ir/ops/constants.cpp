// const, iota: tensors that no operand makes.
#include <fmt/format.h>

#include "ir/ops/common.hpp"

namespace tusk::graph {
namespace {

Expected<std::vector<Type>> infer_const(const InferContext& c) {
  const Array& value = std::get<Array>(c.attr("value"));
  return std::vector<Type>{{value.dtype(), Shape(value.shape().begin(), value.shape().end())}};
}

std::vector<Array> evaluate_const(const EvalContext& c) {
  const Array& value = std::get<Array>(c.attr("value"));
  return {value.converted(is_float(value.dtype()) ? DType::f64 : DType::i64)};
}

Expected<std::vector<Type>> infer_iota(const InferContext& c) {
  const Shape& shape = c.shape("shape");
  CHECK(check_axis(c, c.integer("axis"), shape.size(), "c1"));
  return std::vector<Type>{{DType::i32, shape}};
}

std::vector<Array> evaluate_iota(const EvalContext& c) {
  Array out(DType::i64, c.result_shape());
  const auto axis = static_cast<std::size_t>(std::get<std::int64_t>(c.attr("axis")));
  std::int64_t at = 0;
  for_each_index(c.result_shape(), [&](const Ints& index) { out.set_int(at++, index[axis]); });
  return {out};
}

std::vector<kernel::Stage> lower_iota(const LowerContext& c) {
  const std::vector<kernel::Index> indices = LowerContext::indices(c.results[0].shape);
  const auto axis = static_cast<std::size_t>(std::get<std::int64_t>(c.attr("axis")));
  return {pointwise("y0", indices, DType::i32, kernel::apply("i32", {kernel::index(indices[axis].name)}))};
}

}  // namespace

extern const OpDef kConst;
const OpDef kConst = {
    .name = "const",
    .doc = "y = the array given: `%y = const {value=f32[2] [1,2]} : f32[2]`.",
    .min_operands = 0,
    .max_operands = 0,
    .attrs = {{"value", AttrSpec::Kind::array, {}, "dtype, shape and elements"}},
    .infer = infer_const,
    .evaluate = evaluate_const,
    .gradient_note = "it has no operands",
    .samples = {"func f(%x: f32[2]) -> (%y) { %c = const {value=f32[2] [1,-0.5]}  %y = map.add %x, %c }"},
};

extern const OpDef kIota;
const OpDef kIota = {
    .name = "iota",
    .doc = "y[i0, i1, ...] = i_axis, as i32: `%y = iota {shape=[2,3], axis=1} : i32[2,3]` is [[0,1,2],[0,1,2]].",
    .min_operands = 0,
    .max_operands = 0,
    .attrs = {{"shape", AttrSpec::Kind::shape, {}, "of the result"},
              {"axis", AttrSpec::Kind::integer, std::int64_t{0}, "along which it counts"}},
    .constraints = {{"c1", "axis is in [0, rank)"}},
    .infer = infer_iota,
    .evaluate = evaluate_iota,
    .gradient_note = "integers have no gradient",
    .lower = lower_iota,
    .samples = {"func f(%x: i32[2,3]) -> (%y) { %c = iota {shape=[2,3], axis=1}  %y = map.add %x, %c }",
                "func f(%x: i32[batch]) -> (%y) { %c = iota {shape=[batch]}  %y = map.mul %x, %c }"},
};

}  // namespace tusk::graph
