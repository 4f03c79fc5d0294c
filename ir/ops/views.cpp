// broadcast, reshape, transpose, slice: the same elements seen through other indices.
#include <fmt/format.h>
#include <algorithm>

#include "ir/ops/common.hpp"
#include "ir/text/count.hpp"

namespace tusk::graph {
namespace {

// --- broadcast

Expected<std::vector<Type>> infer_broadcast(const InferContext& c) {
  const Shape& shape = c.shape("shape");
  const Ints& dims = c.ints("dims");
  const Type& x = c.operands[0];
  if (dims.size() != x.shape.size()) {
    return c.fail("c1", fmt::format("dims has {} for rank {}", text::count_of(dims.size(), "entry"), x.shape.size()));
  }
  for (std::size_t i = 0; i < dims.size(); ++i) {
    CHECK(check_axis(c, dims[i], shape.size(), "c2"));
    if (i > 0 && dims[i] <= dims[i - 1]) return c.fail("c2", "dims must increase");
    const Dim& to = shape[static_cast<std::size_t>(dims[i])];
    if (x.shape[i] == Dim(1)) continue;
    CHECK(c.equal(x.shape[i], to, "c3", fmt::format("axis {} of the operand", i)));
  }
  return std::vector<Type>{{x.dtype, shape}};
}

std::vector<Array> evaluate_broadcast(const EvalContext& c) {
  const Array& x = c.operands[0];
  const Ints& dims = std::get<Ints>(c.attr("dims"));
  Array out(x.dtype(), c.result_shape());
  const Ints strides = strides_of(x.shape());
  std::int64_t at = 0;
  for_each_index(c.result_shape(), [&](const Ints& index) {
    std::int64_t from = 0;
    for (std::size_t i = 0; i < dims.size(); ++i) {
      if (x.shape()[i] != 1) from += strides[i] * index[static_cast<std::size_t>(dims[i])];
    }
    out.set(at++, x.at(from));
  });
  return {out};
}

void gradient_broadcast(GradContext& g) {
  if (!g.dy[0]) return;
  const Type x = g.b.type(g.operand(0));
  const Type y = g.b.type(g.result());
  const Ints& dims = std::get<Ints>(*g.op.attrs.find("dims"));
  Ints axes;  // of y, that do not stand in x, or are stretched from 1
  for (std::size_t axis = 0; axis < y.shape.size(); ++axis) {
    const auto it = std::find(dims.begin(), dims.end(), static_cast<std::int64_t>(axis));
    const bool kept = it != dims.end() && (x.shape[static_cast<std::size_t>(it - dims.begin())] == y.shape[axis] ||
                                           x.shape[static_cast<std::size_t>(it - dims.begin())] != Dim(1));
    if (!kept) axes.push_back(static_cast<std::int64_t>(axis));
  }
  const Operand sum = axes.empty() ? *g.dy[0] : g.b.reduce("sum", *g.dy[0], axes);
  g.dx[0] = g.b.type(sum).shape == x.shape ? sum : g.b.reshape(sum, x.shape);
}

std::vector<kernel::Stage> lower_broadcast(const LowerContext& c) {
  const std::vector<kernel::Index> indices = LowerContext::indices(c.results[0].shape);
  const Ints& dims = std::get<Ints>(c.attr("dims"));
  std::vector<kernel::ExprRef> from;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    const bool stretched = c.operands[0].shape[i] == Dim(1);
    from.push_back(stretched ? index_constant(0) : kernel::index(indices[static_cast<std::size_t>(dims[i])].name));
  }
  return {pointwise("y0", indices, c.results[0].dtype, c.operand(0, std::move(from)))};
}

// --- reshape

Expected<std::vector<Type>> infer_reshape(const InferContext& c) {
  const Shape& shape = c.shape("shape");
  CHECK(c.equal(product(c.operands[0].shape), product(shape), "c1", "the number of elements"));
  return std::vector<Type>{{c.operands[0].dtype, shape}};
}

std::vector<Array> evaluate_reshape(const EvalContext& c) { return {c.operands[0].reshaped(c.result_shape())}; }

void gradient_reshape(GradContext& g) {
  if (g.dy[0]) g.dx[0] = g.b.reshape(*g.dy[0], g.b.type(g.operand(0)).shape);
}

// --- transpose

Expected<std::vector<Type>> infer_transpose(const InferContext& c) {
  const Ints& perm = c.ints("perm");
  const Type& x = c.operands[0];
  if (perm.size() != x.shape.size()) {
    return c.fail("c1", fmt::format("perm has {} for rank {}", text::count_of(perm.size(), "entry"), x.shape.size()));
  }
  CHECK(check_axes(c, perm, x.shape.size(), "c1"));
  Type result{x.dtype, {}};
  for (const std::int64_t axis : perm) result.shape.push_back(x.shape[static_cast<std::size_t>(axis)]);
  return std::vector<Type>{result};
}

std::vector<Array> evaluate_transpose(const EvalContext& c) {
  const Array& x = c.operands[0];
  const Ints& perm = std::get<Ints>(c.attr("perm"));
  const Ints strides = strides_of(x.shape());
  Array out(x.dtype(), c.result_shape());
  std::int64_t at = 0;
  for_each_index(c.result_shape(), [&](const Ints& index) {
    std::int64_t from = 0;
    for (std::size_t i = 0; i < perm.size(); ++i) from += index[i] * strides[static_cast<std::size_t>(perm[i])];
    out.set(at++, x.at(from));
  });
  return {out};
}

void gradient_transpose(GradContext& g) {
  if (!g.dy[0]) return;
  const Ints& perm = std::get<Ints>(*g.op.attrs.find("perm"));
  Ints inverse(perm.size());
  for (std::size_t i = 0; i < perm.size(); ++i)
    inverse[static_cast<std::size_t>(perm[i])] = static_cast<std::int64_t>(i);
  g.dx[0] = g.b.transpose(*g.dy[0], inverse);
}

std::vector<kernel::Stage> lower_transpose(const LowerContext& c) {
  const std::vector<kernel::Index> indices = LowerContext::indices(c.results[0].shape);
  const Ints& perm = std::get<Ints>(c.attr("perm"));
  std::vector<kernel::ExprRef> from(perm.size());
  for (std::size_t i = 0; i < perm.size(); ++i)
    from[static_cast<std::size_t>(perm[i])] = kernel::index(indices[i].name);
  return {pointwise("y0", indices, c.results[0].dtype, c.operand(0, std::move(from)))};
}

// --- slice

// Element 0 of the result is element `start` of x; for a negative step `start` is the larger end.
Expected<std::vector<Type>> infer_slice(const InferContext& c) {
  const Shape& start = c.shape("start");
  const Shape& limit = c.shape("limit");
  const Ints& step = c.ints("step");
  const Type& x = c.operands[0];
  if (start.size() != x.shape.size() || limit.size() != x.shape.size() || step.size() != x.shape.size()) {
    return c.fail("c1", fmt::format("start, limit and step need {}", text::count_of(x.shape.size(), "entry")));
  }
  Type result{x.dtype, {}};
  for (std::size_t i = 0; i < step.size(); ++i) {
    if (step[i] == 0) return c.fail("c2", fmt::format("step of axis {} is 0", i));
    const Dim length = step[i] > 0 ? (limit[i] - start[i]).ceil_div(step[i]) : (start[i] - limit[i]).ceil_div(-step[i]);
    CHECK(c.at_least(length, Dim(0), "c3", fmt::format("the length of axis {}", i)));
    CHECK(c.at_least(step[i] > 0 ? start[i] : limit[i] + Dim(1), Dim(0), "c4",
                     fmt::format("the first index of axis {}", i)));
    const Dim behind = step[i] > 0 ? limit[i] : start[i] + Dim(1);  // what is read ends in front of it
    if ((x.shape[i] - behind).range(c.module.ranges()).high < 0) {
      const Dim most = step[i] > 0 ? x.shape[i] : x.shape[i] - Dim(1);
      return c.fail("c4", fmt::format("{} of axis {} is {}, expected at most {}", step[i] > 0 ? "limit" : "start", i,
                                      (step[i] > 0 ? limit[i] : start[i]).str(), most.str()));
    }
    CHECK(c.at_least(x.shape[i], behind, "c4", fmt::format("the extent of axis {}", i)));
    result.shape.push_back(length);
  }
  return std::vector<Type>{result};
}

std::vector<Array> evaluate_slice(const EvalContext& c) {
  const Array& x = c.operands[0];
  const Shape& start = std::get<Shape>(c.attr("start"));
  const Ints& step = std::get<Ints>(c.attr("step"));
  const Ints strides = strides_of(x.shape());
  Array out(x.dtype(), c.result_shape());
  std::int64_t at = 0;
  for_each_index(c.result_shape(), [&](const Ints& index) {
    std::int64_t from = 0;
    for (std::size_t i = 0; i < step.size(); ++i) from += (c.dim(start[i]) + step[i] * index[i]) * strides[i];
    out.set(at++, x.at(from));
  });
  return {out};
}

void gradient_slice(GradContext& g) {
  if (!g.dy[0]) return;
  const Type x = g.b.type(g.operand(0));
  const Type y = g.b.type(g.result());
  const Shape& start = std::get<Shape>(*g.op.attrs.find("start"));
  const Ints& step = std::get<Ints>(*g.op.attrs.find("step"));
  Operand dy = *g.dy[0];
  Shape flip_start;
  Shape flip_limit;
  Ints flip_step;
  Shape low;
  Shape high;
  Ints inner;
  for (std::size_t i = 0; i < step.size(); ++i) {
    const Dim n = y.shape[i];
    const std::int64_t s = step[i] > 0 ? step[i] : -step[i];
    flip_start.push_back(step[i] < 0 ? n - Dim(1) : Dim(0));
    flip_limit.push_back(step[i] < 0 ? Dim(-1) : n);
    flip_step.push_back(step[i] < 0 ? -1 : 1);
    // The lowest element of x that y reads.
    const Dim first = step[i] > 0 ? start[i] : start[i] - (n - Dim(1)) * Dim(s);
    low.push_back(first);
    inner.push_back(s - 1);
    high.push_back(x.shape[i] - first - (n - Dim(1)) * Dim(s) - Dim(1));
  }
  if (std::any_of(step.begin(), step.end(), [](std::int64_t s) { return s < 0; })) {
    dy = g.b.add("slice", {dy}, attrs_of({{"start", flip_start}, {"limit", flip_limit}, {"step", flip_step}}));
  }
  g.dx[0] = g.b.add("pad", {dy}, attrs_of({{"low", low}, {"high", high}, {"inner", inner}}));
}

std::vector<kernel::Stage> lower_slice(const LowerContext& c) {
  const std::vector<kernel::Index> indices = LowerContext::indices(c.results[0].shape);
  const Shape& start = std::get<Shape>(c.attr("start"));
  const Ints& step = std::get<Ints>(c.attr("step"));
  std::vector<kernel::ExprRef> from;
  for (std::size_t i = 0; i < step.size(); ++i)
    from.push_back(plus(times(kernel::index(indices[i].name), step[i]), start[i]));
  return {pointwise("y0", indices, c.results[0].dtype, c.operand(0, std::move(from)))};
}

}  // namespace

extern const OpDef kBroadcast;
const OpDef kBroadcast = {
    .name = "broadcast",
    .doc =
        "y[i0, i1, ...] = x[i_dims[0], i_dims[1], ...]; axes of x with extent 1 are stretched. "
        "`%y = broadcast %x {shape=[2,3], dims=[1]}` repeats a vector of 3 as two rows.",
    .attrs = {{"shape", AttrSpec::Kind::shape, {}, "of the result"},
              {"dims", AttrSpec::Kind::ints, {}, "for each axis of x the axis of the result"}},
    .constraints = {{"c1", "dims has one entry for each axis of x"},
                    {"c2", "dims increase and are axes of the result"},
                    {"c3", "an axis of x is 1 or equals the axis of the result"}},
    .infer = infer_broadcast,
    .evaluate = evaluate_broadcast,
    .gradient = gradient_broadcast,
    .lower = lower_broadcast,
    .samples = {"func f(%x: f32[3]) -> (%y) { %y = broadcast %x {shape=[2,3], dims=[1]} }",
                "func f(%x: f32[]) -> (%y) { %y = broadcast %x {shape=[batch,2], dims=[]} }",
                "func f(%x: f32[2,1,3]) -> (%y) { %y = broadcast %x {shape=[4,2,5,3], dims=[1,2,3]} }",
                "func f(%x: f32[batch]) -> (%y) { %y = broadcast %x {shape=[batch,3], dims=[0]} }"},
};

extern const OpDef kReshape;
const OpDef kReshape = {
    .name = "reshape",
    .doc = "The same elements in row-major order with another shape: `%y = reshape %x {shape=[batch,6]}`.",
    .attrs = {{"shape", AttrSpec::Kind::shape, {}, "of the result"}},
    .constraints = {{"c1", "the number of elements stays"}},
    .infer = infer_reshape,
    .evaluate = evaluate_reshape,
    .gradient = gradient_reshape,
    .same_order = true,
    .samples = {"func f(%x: f32[2,3]) -> (%y) { %y = reshape %x {shape=[6]} }",
                "func f(%x: f32[batch,2,3]) -> (%y) { %y = reshape %x {shape=[batch,6]} }",
                "func f(%x: f32[batch,6]) -> (%y) { %y = reshape %x {shape=[batch,3,2]} }",
                "func f(%x: f32[4,3]) -> (%y) { %y = reshape %x {shape=[2,6]} }",
                "func f(%x: f32[1,1]) -> (%y) { %y = reshape %x {shape=[]} }",
                "func f(%x: f32[batch,2,3]) -> (%y) { %y = reshape %x {shape=[batch*2,3]} }",
                "func f(%x: f32[batch,1,3,1]) -> (%y) { %y = reshape %x {shape=[1,batch,3]} }"},
};

extern const OpDef kTranspose;
const OpDef kTranspose = {
    .name = "transpose",
    .doc = "y[i0, i1, ...] = x[j0, j1, ...] with j_perm[k] = i_k: axis k of the result is axis perm[k] of x.",
    .attrs = {{"perm", AttrSpec::Kind::ints, {}, "a permutation of the axes"}},
    .constraints = {{"c1", "perm is a permutation of [0, rank)"}},
    .infer = infer_transpose,
    .evaluate = evaluate_transpose,
    .gradient = gradient_transpose,
    .lower = lower_transpose,
    .samples = {"func f(%x: f32[2,3]) -> (%y) { %y = transpose %x {perm=[1,0]} }",
                "func f(%x: f32[batch,2,3,4]) -> (%y) { %y = transpose %x {perm=[0,3,1,2]} }",
                "func f(%x: i32[2,3,4]) -> (%y) { %y = transpose %x {perm=[2,0,1]} }"},
};

extern const OpDef kSlice;
const OpDef kSlice = {
    .name = "slice",
    .doc =
        "y[i] = x[start + step*i], i < ceil((limit - start)/step). A negative step walks down: start is the first "
        "element "
        "read, limit lies below the last. `%y = slice %x {start=[3], limit=[-1], step=[-1]}` flips a vector of 4.",
    .attrs = {{"start", AttrSpec::Kind::shape, {}, "first element of each axis"},
              {"limit", AttrSpec::Kind::shape, {}, "behind the last element of each axis"},
              {"step", AttrSpec::Kind::ints, {}, "not 0"}},
    .constraints = {{"c1", "start, limit and step have one entry for each axis"},
                    {"c2", "no step is 0"},
                    {"c3", "no length is negative"},
                    {"c4", "every element read lies in x"}},
    .infer = infer_slice,
    .evaluate = evaluate_slice,
    .gradient = gradient_slice,
    .lower = lower_slice,
    .samples = {"func f(%x: f32[5]) -> (%y) { %y = slice %x {start=[1], limit=[4], step=[1]} }",
                "func f(%x: f32[7]) -> (%y) { %y = slice %x {start=[1], limit=[7], step=[2]} }",
                "func f(%x: f32[4]) -> (%y) { %y = slice %x {start=[3], limit=[-1], step=[-1]} }",
                "func f(%x: f32[batch,6]) -> (%y) { %y = slice %x {start=[0,5], limit=[batch,0], step=[1,-2]} }",
                "func f(%x: f32[time,2]) -> (%y) { %y = slice %x {start=[time + -1,0], limit=[time,2], step=[1,1]} }"},
};

}  // namespace tusk::graph
