// reduce, argreduce: an axis, or several, become one element.
#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "ir/ops/common.hpp"

namespace tusk::graph {
namespace {

// --- reduce

Expected<std::vector<Type>> infer_reduce(const InferContext& c) {
  const Type& x = c.operands[0];
  const Ints& axes = c.ints("axes");
  CHECK(check_axes(c, axes, x.shape.size(), "c1"));
  const bool logical = c.op.variant == "all" || c.op.variant == "any";
  if (logical != (x.dtype == DType::boolean)) {
    return c.fail("c2", fmt::format("reduce.{} does not take {}", c.op.variant, name_of(x.dtype)));
  }
  Type result{x.dtype, {}};
  for (const std::int64_t axis : other_axes(x.shape.size(), axes))
    result.shape.push_back(x.shape[static_cast<std::size_t>(axis)]);
  return std::vector<Type>{result};
}

double combine(std::string_view kind, double acc, double x) {
  if (kind == "sum") return acc + x;
  if (kind == "prod" || kind == "all") return acc * x;
  if (kind == "max" || kind == "any") return x > acc ? x : acc;
  return x < acc ? x : acc;
}

kernel::Reducer reducer_of(std::string_view kind) { return *kernel::reducer_named(kind); }

std::vector<Array> evaluate_reduce(const EvalContext& c) {
  const Array& x = c.operands[0];
  const Ints kept = other_axes(x.shape().size(), std::get<Ints>(c.attr("axes")));
  Array out(x.dtype(), c.result_shape());
  const double identity = identity_of(reducer_of(c.op.variant), c.result_types[0].dtype).as_double();
  for (std::int64_t i = 0; i < out.size(); ++i) out.set(i, identity);
  const Ints strides = strides_of(out.shape());
  std::int64_t from = 0;
  for_each_index(x.shape(), [&](const Ints& index) {
    std::int64_t to = 0;
    for (std::size_t k = 0; k < kept.size(); ++k) to += index[static_cast<std::size_t>(kept[k])] * strides[k];
    const double value = x.at(from++);
    out.set(to, combine(c.op.variant, out.at(to), value));
  });
  return {out};
}

void gradient_reduce(GradContext& g) {
  if (!g.dy[0]) return;
  const Type x = g.b.type(g.operand(0));
  if (!is_float(x.dtype)) return;
  const Ints& axes = std::get<Ints>(*g.op.attrs.find("axes"));
  const Ints kept = other_axes(x.shape.size(), axes);
  const auto spread = [&](Operand small) { return g.b.broadcast(small, x.shape, kept); };
  const std::string& kind = g.op.variant;
  if (kind == "sum") {
    g.dx[0] = spread(*g.dy[0]);
  } else if (kind == "max" || kind == "min") {
    // Equal elements share the gradient, as in TensorFlow and JAX.
    const Operand hit = g.b.map("eq", {g.operand(0), spread(g.result())});
    const Operand count = g.b.reduce("sum", g.b.cast(hit, x.dtype), axes);
    const Operand share = spread(g.b.map("div", {*g.dy[0], count}));
    g.dx[0] = g.b.map("select", {hit, share, Operand::number(0.0)});
  } else if (kind == "prod") {
    // dx_i = dy * product of all others: with the reduced axes as one axis of k elements, multiply k x k of them with
    // the diagonal replaced by 1. Right where elements are zero, and closed under further differentiation.
    Ints perm = kept;
    perm.insert(perm.end(), axes.begin(), axes.end());
    Shape moved;
    for (const std::int64_t axis : perm) moved.push_back(x.shape[static_cast<std::size_t>(axis)]);
    Dim count(1);
    for (const std::int64_t axis : axes) count *= x.shape[static_cast<std::size_t>(axis)];
    Shape flat(moved.begin(), moved.begin() + static_cast<std::ptrdiff_t>(kept.size()));
    flat.push_back(count);
    Shape square = flat;
    square.push_back(count);
    const auto rank = static_cast<std::int64_t>(square.size());
    const Operand rows = g.b.reshape(g.b.transpose(g.operand(0), perm), flat);
    Ints others = counting(kept.size());
    others.push_back(rank - 1);
    const Operand spread_rows = g.b.broadcast(rows, square, others);
    const Operand i = g.b.add("iota", {}, attrs_of({{"shape", square}, {"axis", rank - 2}}));
    const Operand j = g.b.add("iota", {}, attrs_of({{"shape", square}, {"axis", rank - 1}}));
    const Operand others_only = g.b.map("select", {g.b.map("eq", {i, j}), Operand::number(1.0), spread_rows});
    const Operand product = g.b.reduce("prod", others_only, {rank - 1});
    Ints inverse(perm.size());
    for (std::size_t k = 0; k < perm.size(); ++k)
      inverse[static_cast<std::size_t>(perm[k])] = static_cast<std::int64_t>(k);
    g.dx[0] = g.b.map("mul", {spread(*g.dy[0]), g.b.transpose(g.b.reshape(product, moved), inverse)});
  }
}

std::vector<kernel::Stage> lower_reduce(const LowerContext& c) {
  const Shape& x = c.operands[0].shape;
  const Ints& axes = std::get<Ints>(c.attr("axes"));
  kernel::Stage stage;
  stage.name = "y0";
  stage.type = c.results[0].dtype;
  const std::vector<kernel::Index> all = LowerContext::indices(x);  // names by the axes of x
  kernel::Reduce reduce;
  reduce.kind = reducer_of(c.op.variant);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool reduced = std::find(axes.begin(), axes.end(), static_cast<std::int64_t>(i)) != axes.end();
    (reduced ? reduce.indices : stage.indices).push_back(all[i]);
  }
  stage.expr = c.operand(0, LowerContext::refs(all));
  // Of no axes: a reduction of one term, which rules N5 and N6 still bind (-0 + 0 is 0, max ignores NaN).
  if (reduce.indices.empty()) reduce.indices.push_back({reduce_names(stage.indices, 1)[0], Dim(1)});
  stage.reduce = std::move(reduce);
  return {ordered(std::move(stage))};
}

// --- argreduce

Expected<std::vector<Type>> infer_arg(const InferContext& c) {
  const Type& x = c.operands[0];
  const std::int64_t axis = c.integer("axis");
  CHECK(check_axis(c, axis, x.shape.size(), "c1"));
  if (x.dtype == DType::boolean) return c.fail("c2", "bool has no order; cast to i32");
  Type result{DType::i32, x.shape};
  result.shape.erase(result.shape.begin() + axis);
  return std::vector<Type>{result};
}

std::vector<Array> evaluate_arg(const EvalContext& c) {
  const Array& x = c.operands[0];
  const auto axis = static_cast<std::size_t>(std::get<std::int64_t>(c.attr("axis")));
  const Ints strides = strides_of(x.shape());
  const bool largest = c.op.variant == "max";
  Array out(DType::i64, c.result_shape());
  std::int64_t at = 0;
  for_each_index(c.result_shape(), [&](const Ints& index) {
    Ints from = index;
    from.insert(from.begin() + static_cast<std::ptrdiff_t>(axis), 0);
    const std::int64_t base = dot(from, strides);
    double best =
        identity_of(largest ? kernel::Reducer::max : kernel::Reducer::min, c.operand_types[0].dtype).as_double();
    std::int64_t where = 0;
    for (std::int64_t k = 0; k < x.shape()[axis]; ++k) {
      const double value = x.at(base + k * strides[axis]);
      if (largest ? value > best : value < best) {
        best = value;
        where = k;
      }
    }
    out.set_int(at++, c.choice(where));
  });
  return {out};
}

std::vector<kernel::Stage> lower_arg(const LowerContext& c) {
  const auto axis = std::get<std::int64_t>(c.attr("axis"));
  kernel::Stage stage;
  stage.name = "y0";
  stage.type = DType::i32;
  const std::vector<kernel::Index> all = LowerContext::indices(c.operands[0].shape);
  stage.indices = all;
  stage.indices.erase(stage.indices.begin() + axis);
  kernel::Reduce reduce;
  reduce.kind = c.op.variant == "max" ? kernel::Reducer::argmax : kernel::Reducer::argmin;
  reduce.indices = {all[static_cast<std::size_t>(axis)]};
  stage.expr = c.operand(0, LowerContext::refs(all));
  stage.reduce = std::move(reduce);
  return {ordered(std::move(stage))};
}

}  // namespace

extern const OpDef kReduce;
const OpDef kReduce = {
    .name = "reduce",
    .doc =
        "The axes are combined in row-major order and dropped. max and min start from -inf and inf, so they ignore NaN "
        "and keep the first of equal elements (N6). `%y = reduce.sum %x {axes=[1]}`.",
    .variants = {"sum", "max", "min", "prod", "all", "any"},
    .attrs = {{"axes", AttrSpec::Kind::ints, {}, "distinct axes of x"}},
    .constraints = {{"c1", "axes are distinct and in [0, rank)"}, {"c2", "all and any take bool, the others numbers"}},
    .infer = infer_reduce,
    .evaluate = evaluate_reduce,
    .gradient = gradient_reduce,
    .gradient_note = "all, any: none",
    .lower = lower_reduce,
    .samples = {"func f(%x: f32[2,3]) -> (%y) { %y = reduce.sum %x {axes=[1]} }",
                "func f(%x: f32[4,70]) -> (%y) { %y = reduce.sum %x {axes=[0,1]} }",
                "func f(%x: f32[batch,3]) -> (%y) { %y = reduce.sum %x {axes=[0]} }",
                "func f(%x: f32[batch,300]) -> (%y) { %y = reduce.sum %x {axes=[0,1]} }",
                "func f(%x: f32[3,37]) -> (%y) { %y = reduce.max %x {axes=[1]} }",
                "func f(%x: f32[3,4]) -> (%y) { %y = reduce.min %x {axes=[0]} }",
                "func f(%x: f32[3,4]) -> (%y) { %y = reduce.prod %x {axes=[1]} }",
                "func f(%x: i32[3,40]) -> (%y) { %y = reduce.sum %x {axes=[1]} }",
                "func f(%x: bool[3,4]) -> (%y) { %y = reduce.all %x {axes=[1]} }",
                "func f(%x: bool[3,4]) -> (%y) { %y = reduce.any %x {axes=[0,1]} }",
                "func f(%x: f64[3,40]) -> (%y) { %y = reduce.sum %x {axes=[1]} }",
                "func f(%x: f32[3]) -> (%y) { %y = reduce.sum %x {axes=[]} }",
                "func f(%x: f32[3]) -> (%y) { %y = reduce.max %x {axes=[]} }"},
};

extern const OpDef kArgReduce;
const OpDef kArgReduce = {
    .name = "argreduce",
    .doc =
        "The index of the largest or least element along `axis`, as i32; the first of equal ones; NaN is ignored, and "
        "0 "
        "if nothing compares.",
    .variants = {"max", "min"},
    .attrs = {{"axis", AttrSpec::Kind::integer, {}, "that is dropped"}},
    .constraints = {{"c1", "axis is in [0, rank)"}, {"c2", "x is not bool"}},
    .infer = infer_arg,
    .evaluate = evaluate_arg,
    .gradient_note = "integers have no gradient",
    .lower = lower_arg,
    .samples = {"func f(%x: f32[2,5]) -> (%y) { %y = argreduce.max %x {axis=1} }",
                "func f(%x: f32[batch,5]) -> (%y) { %y = argreduce.min %x {axis=1} }",
                "func f(%x: i32[4,3]) -> (%y) { %y = argreduce.max %x {axis=0} }"},
};

}  // namespace tusk::graph
