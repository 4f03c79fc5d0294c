// gather, scatter: elements chosen by data.
#include <fmt/format.h>
#include <algorithm>

#include "ir/ops/common.hpp"

namespace tusk::graph {
namespace {

// x[b..., o..., v, r...] and i[b..., k...] -> y[b..., o..., k..., r...]: axes of x before `axis` are the batch axes b
// and further outer axes o; the index axis v becomes the axes k of i.
struct Axes {
  std::size_t batch, axis, x_rank, i_rank;
  std::size_t k() const { return i_rank - batch; }  // axes of i that replace v
  std::size_t y_rank() const { return x_rank - 1 + k(); }
};

Expected<Axes> axes_of(const InferContext& c, const Type& x, const Type& i) {
  const std::int64_t axis = c.integer("axis");
  const std::int64_t batch = c.integer("batch");
  CHECK(check_axis(c, axis, x.shape.size(), "c1"));
  if (batch < 0 || batch > axis || batch > static_cast<std::int64_t>(i.shape.size())) {
    return c.fail("c2",
                  fmt::format("batch is {}, but axis is {} and the indices have rank {}", batch, axis, i.shape.size()));
  }
  if (i.dtype != DType::i32) return c.fail("c3", fmt::format("indices are {}, expected i32", name_of(i.dtype)));
  for (std::size_t k = 0; k < static_cast<std::size_t>(batch); ++k) {
    CHECK(c.equal(x.shape[k], i.shape[k], "c2", fmt::format("batch axis {}", k)));
  }
  return Axes{static_cast<std::size_t>(batch), static_cast<std::size_t>(axis), x.shape.size(), i.shape.size()};
}

Axes axes_of(const Attr& axis, const Attr& batch, std::size_t x_rank, std::size_t i_rank) {
  return {static_cast<std::size_t>(std::get<std::int64_t>(batch)),
          static_cast<std::size_t>(std::get<std::int64_t>(axis)), x_rank, i_rank};
}

Shape gathered(const Axes& a, const Shape& x, const Shape& i) {
  Shape y(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(a.axis));
  y.insert(y.end(), i.begin() + static_cast<std::ptrdiff_t>(a.batch), i.end());
  y.insert(y.end(), x.begin() + static_cast<std::ptrdiff_t>(a.axis) + 1, x.end());
  return y;
}

// Of an index of y: the part that addresses i, and the part that addresses x with `v` in place of the index axis.
template <class T>
std::vector<T> index_of_i(const Axes& a, const std::vector<T>& y) {
  std::vector<T> out(y.begin(), y.begin() + static_cast<std::ptrdiff_t>(a.batch));
  out.insert(out.end(), y.begin() + static_cast<std::ptrdiff_t>(a.axis),
             y.begin() + static_cast<std::ptrdiff_t>(a.axis + a.k()));
  return out;
}
template <class T>
std::vector<T> index_of_x(const Axes& a, const std::vector<T>& y, T v) {
  std::vector<T> out(y.begin(), y.begin() + static_cast<std::ptrdiff_t>(a.axis));
  out.push_back(std::move(v));
  out.insert(out.end(), y.begin() + static_cast<std::ptrdiff_t>(a.axis + a.k()), y.end());
  return out;
}

// --- gather

Expected<std::vector<Type>> infer_gather(const InferContext& c) {
  TRY(const Axes a, axes_of(c, c.operands[0], c.operands[1]));
  CHECK(c.at_least(c.operands[0].shape[a.axis], Dim(1), "c4", "the extent of the axis gathered from"));
  return std::vector<Type>{{c.operands[0].dtype, gathered(a, c.operands[0].shape, c.operands[1].shape)}};
}

std::vector<Array> evaluate_gather(const EvalContext& c) {
  const Array& x = c.operands[0];
  const Array& i = c.operands[1];
  const Axes a = axes_of(c.attr("axis"), c.attr("batch"), x.shape().size(), i.shape().size());
  const Ints x_strides = strides_of(x.shape());
  const Ints i_strides = strides_of(i.shape());
  Array out(x.dtype(), c.result_shape());
  std::int64_t at = 0;
  for_each_index(c.result_shape(), [&](const Ints& y) {
    const std::int64_t v =
        std::clamp<std::int64_t>(i.int_at(dot(index_of_i(a, y), i_strides)), 0, x.shape()[a.axis] - 1);
    out.set(at++, x.at(dot(index_of_x(a, y, v), x_strides)));
  });
  return {out};
}

void gradient_gather(GradContext& g) {
  if (!g.dy[0]) return;
  const Type x = g.b.type(g.operand(0));
  const auto axis = static_cast<std::size_t>(std::get<std::int64_t>(g.attr("axis")));
  // Forward clamps its indices, so the gradient of a clamped read belongs to the first or last element.
  const Operand low = g.b.map("max", {g.operand(1), Operand::number(kernel::literal_of_int(0))});
  const Operand index = g.b.map("min", {low, Operand::of(x.shape[axis] - Dim(1))});
  g.dx[0] = g.b.add("scatter.add", {g.b.fill(x, 0), index, *g.dy[0]}, g.op.attrs);
}

std::vector<kernel::Stage> lower_gather(const LowerContext& c) {
  const std::vector<kernel::Index> indices = LowerContext::indices(c.results[0].shape);
  const Axes a = axes_of(c.attr("axis"), c.attr("batch"), c.operands[0].shape.size(), c.operands[1].shape.size());
  const std::vector<kernel::ExprRef> y = LowerContext::refs(indices);
  const Dim last = c.operands[0].shape[a.axis] - Dim(1);
  kernel::ExprRef v = kernel::apply("index", {c.operand(1, index_of_i(a, y))});
  v = kernel::apply("min", {kernel::apply("max", {v, index_constant(0)}),
                            last.is_constant() ? index_constant(last.constant()) : kernel::dim_value(last)});
  return {pointwise("y0", indices, c.results[0].dtype, c.operand(0, index_of_x(a, y, v)))};
}

// --- scatter

Expected<std::vector<Type>> infer_scatter(const InferContext& c) {
  const Type& x = c.operands[0];
  const Type& u = c.operands[2];
  TRY(const Axes a, axes_of(c, x, c.operands[1]));
  if (x.dtype == DType::boolean && c.op.variant != "set")
    return c.fail("c5", fmt::format("bool has no {}; cast to i32", c.op.variant == "add" ? "sum" : "order"));
  if (u.dtype != x.dtype)
    return c.fail("c4", fmt::format("updates are {}, expected {}", name_of(u.dtype), name_of(x.dtype)));
  const Shape expected = gathered(a, x.shape, c.operands[1].shape);
  if (u.shape.size() != expected.size()) {
    return c.fail("c4", fmt::format("updates have shape {}, expected {}", shape_str(u.shape), shape_str(expected)));
  }
  for (std::size_t k = 0; k < expected.size(); ++k) {
    CHECK(c.equal(u.shape[k], expected[k], "c4", fmt::format("axis {} of the updates", k)));
  }
  return std::vector<Type>{x};
}

std::vector<Array> evaluate_scatter(const EvalContext& c) {
  Array out = c.operands[0];
  const Array& i = c.operands[1];
  const Array& u = c.operands[2];
  const Axes a = axes_of(c.attr("axis"), c.attr("batch"), out.shape().size(), i.shape().size());
  const Ints x_strides = strides_of(out.shape());
  const Ints i_strides = strides_of(i.shape());
  std::int64_t from = 0;
  for_each_index(u.shape(), [&](const Ints& y) {
    const std::int64_t v = i.int_at(dot(index_of_i(a, y), i_strides));
    const double update = u.at(from++);
    if (v < 0 || v >= out.shape()[a.axis]) return;
    const std::int64_t to = dot(index_of_x(a, y, v), x_strides);
    if (c.op.variant == "add") {
      out.set(to, out.at(to) + update);
    } else if (c.op.variant == "set" || update > out.at(to)) {
      out.set(to, update);
    }
  });
  return {out};
}

void gradient_scatter(GradContext& g) {
  if (!g.dy[0]) return;
  if (g.op.variant == "max") {
    g.b.problem = error("scatter-gradient", "scatter.max has no gradient");
    return;
  }
  g.dx[0] = *g.dy[0];
  const Type x = g.b.type(g.operand(0));
  const Type u = g.b.type(g.operand(2));
  if (g.op.variant == "set") g.dx[0] = g.b.add("scatter.set", {*g.dy[0], g.operand(1), g.b.fill(u, 0)}, g.op.attrs);
  // An update out of range is skipped, so its gradient is 0: gather clamps, therefore select.
  const auto axis = static_cast<std::size_t>(std::get<std::int64_t>(g.attr("axis")));
  if (x.shape[axis] == Dim{0}) {  // all are
    g.dx[2] = g.b.fill(u, 0);
    return;
  }
  const Operand read = g.b.add("gather", {*g.dy[0], g.operand(1)}, g.op.attrs);
  const Operand inside = g.b.map("and", {g.b.map("ge", {g.operand(1), Operand::number(kernel::literal_of_int(0))}),
                                         g.b.map("lt", {g.operand(1), Operand::of(x.shape[axis])})});
  const Type i = g.b.type(g.operand(1));
  const auto batch = static_cast<std::size_t>(std::get<std::int64_t>(g.attr("batch")));
  Ints dims;
  for (std::size_t k = 0; k < i.shape.size(); ++k) {
    dims.push_back(static_cast<std::int64_t>(k < batch ? k : axis + k - batch));
  }
  g.dx[2] = g.b.map("select", {g.b.broadcast(inside, u.shape, dims), read, Operand::number(0.0)});
}

std::vector<kernel::Stage> lower_scatter(const LowerContext& c) {
  const Type& x = c.operands[0];
  const Type& i = c.operands[1];
  const Axes a = axes_of(c.attr("axis"), c.attr("batch"), x.shape.size(), i.shape.size());
  kernel::Stage stage;
  stage.name = "y0";
  stage.indices = LowerContext::indices(x.shape);
  stage.type = x.dtype;
  kernel::Reduce reduce;
  reduce.kind = c.op.variant == "add"   ? kernel::Reducer::sum
                : c.op.variant == "max" ? kernel::Reducer::max
                                        : kernel::Reducer::last;
  const std::vector<std::string> names = reduce_names(stage.indices, std::max<std::size_t>(1, a.k()));
  if (a.k() == 0) reduce.indices.push_back({names[0], Dim(1)});  // one update for each batch
  std::vector<kernel::ExprRef> position;                         // an index of u
  const std::vector<kernel::ExprRef> left = LowerContext::refs(stage.indices);
  position.assign(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(a.axis));
  for (std::size_t k = 0; k < a.k(); ++k) {
    reduce.indices.push_back({names[k], i.shape[a.batch + k]});
    position.push_back(kernel::index(names[k]));
  }
  position.insert(position.end(), left.begin() + static_cast<std::ptrdiff_t>(a.axis) + 1, left.end());
  reduce.where = {{stage.indices[a.axis].name, kernel::apply("index", {c.operand(1, index_of_i(a, position))})}};
  reduce.from = c.operand(0, left);
  stage.reduce = std::move(reduce);
  stage.expr = c.operand(2, position);
  return {ordered(std::move(stage))};
}

}  // namespace

extern const OpDef kGather;
const OpDef kGather = {
    .name = "gather",
    .doc =
        "y = x with axis `axis` replaced by the axes of the indices i (behind `batch` axes that x and i share): "
        "y[b, o, k, r] = x[b, o, clamp(i[b, k], 0, extent - 1), r]. `%y = gather %table, %ids {axis=0}` is an "
        "embedding.",
    .min_operands = 2,
    .max_operands = 2,
    .attrs = {{"axis", AttrSpec::Kind::integer, std::int64_t{0}, "of x"},
              {"batch", AttrSpec::Kind::integer, std::int64_t{0}, "leading axes that x and i share"}},
    .constraints = {{"c1", "axis is in [0, rank)"},
                    {"c2", "batch is at most axis and the rank of i; the batch axes are equal"},
                    {"c3", "indices are i32"},
                    {"c4", "the axis gathered from is not empty"}},
    .infer = infer_gather,
    .evaluate = evaluate_gather,
    .gradient = gradient_gather,
    .lower = lower_gather,
    .samples = {"func f(%x: f32[5,2], %i: i32[3]) -> (%y) { %y = gather %x, %i }",
                "func f(%x: f32[5,2], %i: i32[batch,3]) -> (%y) { %y = gather %x, %i }",
                "func f(%x: f32[2,5,2], %i: i32[3]) -> (%y) { %y = gather %x, %i {axis=1} }",
                "func f(%x: f32[batch,5], %i: i32[batch,2]) -> (%y) { %y = gather %x, %i {axis=1, batch=1} }",
                "func f(%x: f32[5], %i: i32[]) -> (%y) { %y = gather %x, %i }"},
};

extern const OpDef kScatter;
const OpDef kScatter = {
    .name = "scatter",
    .doc =
        "y = x, and for every index of the updates u in order: y[b, o, i[b, k], r] gets + u, = u or max with u[b, o, "
        "k, r]; "
        "an index out of range is skipped. The axes are those of gather.",
    .min_operands = 3,
    .max_operands = 3,
    .variants = {"add", "set", "max"},
    .attrs = {{"axis", AttrSpec::Kind::integer, std::int64_t{0}, "of x"},
              {"batch", AttrSpec::Kind::integer, std::int64_t{0}, "leading axes that x and i share"}},
    .constraints = {{"c1", "axis is in [0, rank)"},
                    {"c2", "batch is at most axis and the rank of i; the batch axes are equal"},
                    {"c3", "indices are i32"},
                    {"c4", "the updates have the shape of gather's result and the dtype of x"},
                    {"c5", "add and max are not for bool"}},
    .infer = infer_scatter,
    .evaluate = evaluate_scatter,
    .gradient = gradient_scatter,
    .gradient_note = "set: right for unique indices; max: none",
    .lower = lower_scatter,
    .samples =
        {"func f(%x: f32[5,2], %i: i32[3], %u: f32[3,2]) -> (%y) { %y = scatter.add %x, %i, %u }",
         "func f(%x: f32[6], %i: i32[batch], %u: f32[batch]) -> (%y) { %y = scatter.add %x, %i, %u }",
         "func f(%x: f32[batch,5], %i: i32[batch,2], %u: f32[batch,2]) -> (%y) { %y = scatter.add %x, %i, %u {axis=1, "
         "batch=1} }",
         "func f(%x: f32[2,5], %i: i32[2,2], %u: f32[2,2,2]) -> (%y) { %y = scatter.add %x, %i, %u {axis=1} }",
         "func f(%x: f32[5], %u: f32[2]) -> (%y) { %i = const {value=i32[2] [3,1]}  %y = scatter.set %x, %i, %u }",
         "func f(%x: i32[5], %i: i32[3], %u: i32[3]) -> (%y) { %y = scatter.max %x, %i, %u }",
         "func f(%x: f32[5], %i: i32[], %u: f32[]) -> (%y) { %y = scatter.add %x, %i, %u }"},
};

}  // namespace tusk::graph
