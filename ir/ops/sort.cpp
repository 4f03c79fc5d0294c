// sort: values in order, and where they came from.
#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "ir/ops/common.hpp"

namespace tusk::graph {
namespace {

// NaN is larger than every number, so the order is total and the ranks are a permutation.
bool before(double a, double b, bool descending) {
  const bool less = std::isnan(b) ? !std::isnan(a) : a < b;
  const bool greater = std::isnan(a) ? !std::isnan(b) : a > b;
  return descending ? greater : less;
}

Expected<std::vector<Type>> infer_sort(const InferContext& c) {
  const Type& x = c.operands[0];
  CHECK(check_axis(c, c.integer("axis"), x.shape.size(), "c1"));
  CHECK(
      c.at_least(x.shape[static_cast<std::size_t>(c.integer("axis"))], Dim(1), "c3", "the extent of the axis sorted"));
  if (x.dtype == DType::boolean) return c.fail("c2", "bool has no order; cast to i32");
  return std::vector<Type>{x, {DType::i32, x.shape}};
}

std::vector<Array> evaluate_sort(const EvalContext& c) {
  const Array& x = c.operands[0];
  const auto axis = static_cast<std::size_t>(std::get<std::int64_t>(c.attr("axis")));
  const bool descending = std::get<bool>(c.attr("descending"));
  const Ints strides = strides_of(x.shape());
  const std::int64_t n = x.shape()[axis];
  Array values(x.dtype(), x.shape());
  Array index(DType::i64, x.shape());
  Ints rows = x.shape();
  rows[axis] = n > 0 ? 1 : 0;
  for_each_index(rows, [&](const Ints& row) {
    const std::int64_t base = dot(row, strides);
    Ints order = counting(static_cast<std::size_t>(n));
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
      return before(x.at(base + a * strides[axis]), x.at(base + b * strides[axis]), descending);
    });
    for (std::int64_t k = 0; k < n; ++k) {
      const std::int64_t from = c.choice(order[static_cast<std::size_t>(k)]);
      values.set(base + k * strides[axis], x.at(base + from * strides[axis]));
      index.set_int(base + k * strides[axis], from);
    }
  });
  return {values, index};
}

void gradient_sort(GradContext& g) {
  if (!g.dy[0]) return;
  // The batch axes of scatter lead, so the sorted axis moves behind all others and back.
  const Type x = g.b.type(g.operand(0));
  const auto axis = std::get<std::int64_t>(*g.op.attrs.find("axis"));
  Ints perm = other_axes(x.shape.size(), {axis});
  perm.push_back(axis);
  Ints inverse(perm.size());
  for (std::size_t k = 0; k < perm.size(); ++k)
    inverse[static_cast<std::size_t>(perm[k])] = static_cast<std::int64_t>(k);
  const Operand index = g.b.transpose(g.result(1), perm);
  const Operand dy = g.b.transpose(*g.dy[0], perm);
  const auto last = static_cast<std::int64_t>(x.shape.size()) - 1;
  const Operand dx =
      g.b.add("scatter.add", {g.b.fill(g.b.type(dy), 0), index, dy}, attrs_of({{"axis", last}, {"batch", last}}));
  g.dx[0] = g.b.transpose(dx, inverse);
}

// Rank by counting, then scatter of the positions by rank (W3), then gather of the values: k^2 comparisons for an axis
// of k, but three formulas that every engine runs as they are, and no function of the runtime.
std::vector<kernel::Stage> lower_sort(const LowerContext& c) {
  using kernel::apply;
  const auto axis = static_cast<std::size_t>(std::get<std::int64_t>(c.attr("axis")));
  const bool descending = std::get<bool>(c.attr("descending"));
  const bool floating = is_float(c.operands[0].dtype);
  const Shape& shape = c.operands[0].shape;
  const std::vector<kernel::Index> indices = LowerContext::indices(shape);
  const std::string other = reduce_names(indices, 1)[0];
  const auto at = [&](const kernel::ExprRef& position) {
    std::vector<kernel::ExprRef> out = LowerContext::refs(indices);
    out[axis] = position;
    return out;
  };
  const kernel::ExprRef self = c.operand(0, LowerContext::refs(indices));
  const kernel::ExprRef rival = c.operand(0, at(kernel::index(other)));
  const auto comes_before = [&](const kernel::ExprRef& a, const kernel::ExprRef& b) {
    // NaN largest: for numbers a plain comparison, which is false for NaN on either side.
    const kernel::ExprRef plain = apply("lt", {a, b});
    if (!floating) return plain;
    return apply("or", {plain, apply("and", {apply("ne", {b, b}), apply("eq", {a, a})})});
  };
  const kernel::ExprRef ahead = descending ? comes_before(self, rival) : comes_before(rival, self);
  const kernel::ExprRef behind = descending ? comes_before(rival, self) : comes_before(self, rival);
  const kernel::ExprRef tie = apply("not", {apply("or", {ahead, behind})});
  const kernel::ExprRef earlier = apply("lt", {kernel::index(other), kernel::index(indices[axis].name)});

  kernel::Stage rank;
  rank.name = "rank";
  rank.type = DType::i32;
  rank.indices = indices;
  rank.expr = apply("i32", {apply("or", {ahead, apply("and", {tie, earlier})})});
  kernel::Reduce count;
  count.kind = kernel::Reducer::sum;
  count.indices = {{other, shape[axis]}};
  rank.reduce = std::move(count);

  kernel::Stage position;
  position.name = "y1";
  position.type = DType::i32;
  position.indices = indices;
  position.expr = apply("i32", {kernel::index(other)});
  kernel::Reduce place;
  place.kind = kernel::Reducer::sum;  // of exactly one term
  place.indices = {{other, shape[axis]}};
  place.where = {{indices[axis].name, apply("index", {kernel::load("rank", DType::i32, at(kernel::index(other)))})}};
  position.reduce = std::move(place);

  const Dim last = shape[axis] - Dim(1);
  kernel::ExprRef from = apply("index", {kernel::load("y1", DType::i32, LowerContext::refs(indices))});
  from = apply("min", {apply("max", {from, index_constant(0)}),
                       last.is_constant() ? index_constant(last.constant()) : kernel::dim_value(last)});
  kernel::Stage values = pointwise("y0", indices, c.results[0].dtype, c.operand(0, at(from)));
  return {ordered(std::move(rank)), ordered(std::move(position)), std::move(values)};
}

}  // namespace

extern const OpDef kSort;
const OpDef kSort = {
    .name = "sort",
    .doc =
        "(values, index): the elements along `axis` in ascending or descending order, stable, NaN as the largest; "
        "values[i] = x[index[i]], index is i32.",
    .attrs = {{"axis", AttrSpec::Kind::integer, {}, "that is sorted"},
              {"descending", AttrSpec::Kind::flag, false, "largest first"}},
    .constraints = {{"c1", "axis is in [0, rank)"}, {"c2", "x is not bool"}, {"c3", "the axis is not empty"}},
    .infer = infer_sort,
    .evaluate = evaluate_sort,
    .gradient = gradient_sort,
    .lower = lower_sort,
    .samples = {"func f(%x: f32[5]) -> (%y, %i) { %y, %i = sort %x {axis=0} }",
                "func f(%x: f32[batch,6]) -> (%y, %i) { %y, %i = sort %x {axis=1, descending=true} }",
                "func f(%x: i32[4,2]) -> (%y, %i) { %y, %i = sort %x {axis=0} }"},
};

}  // namespace tusk::graph
