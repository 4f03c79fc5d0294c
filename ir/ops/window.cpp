// window, argwindow, unwindow: sliding windows, and back.
#include <fmt/format.h>
#include <limits>

#include "ir/ops/common.hpp"
#include "ir/text/count.hpp"

namespace tusk::graph {
namespace {

// One entry for each axis of x; axes that are not pooled have size 1, stride 1, no padding.
// position p and tap i of an axis read element h = stride*p + dilation*i - low.
struct Window {
  Ints size, stride, dilation;
  Shape low, high;
};

template <class Context>
Window window_of(const Context& c) {
  return {std::get<Ints>(c.attr("size")), std::get<Ints>(c.attr("stride")), std::get<Ints>(c.attr("dilation")),
          std::get<Shape>(c.attr("low")), std::get<Shape>(c.attr("high"))};
}

Attrs attrs_of_window(const Op& op) {
  Attrs out;
  for (const char* name : {"size", "stride", "dilation", "low", "high"}) out.set(name, *op.attrs.find(name));
  return out;
}

Status check_window(const InferContext& c, const Window& w, std::size_t rank) {
  if (w.size.size() != rank || w.stride.size() != rank || w.dilation.size() != rank || w.low.size() != rank ||
      w.high.size() != rank) {
    return c.fail("c1", fmt::format("size, stride, dilation, low and high need {}", text::count_of(rank, "entry")));
  }
  for (std::size_t i = 0; i < rank; ++i) {
    if (w.size[i] < 1 || w.stride[i] < 1 || w.dilation[i] < 1) {
      return c.fail("c2", fmt::format("size, stride and dilation of axis {} must be at least 1", i));
    }
  }
  return done();
}

Dim positions(const Window& w, std::size_t i, const Dim& extent) {
  return (w.low[i] + extent + w.high[i] - Dim(w.dilation[i] * (w.size[i] - 1) + 1)).floor_div(w.stride[i]) + Dim(1);
}

Expected<Shape> windowed(const InferContext& c, const Window& w, const Shape& x) {
  Shape y;
  for (std::size_t i = 0; i < x.size(); ++i) {
    y.push_back(positions(w, i, x[i]));
    CHECK(c.at_least(y.back(), Dim(1), "c3", fmt::format("the number of windows along axis {}", i)));
  }
  return y;
}

std::int64_t tap_count(const Window& w) {
  std::int64_t count = 1;
  for (const std::int64_t size : w.size) count *= size;
  return count;
}

// The element of x that `tap` reads at `position`, or nothing if it lies in the padding.
bool element(const EvalContext& c, const Window& w, const Ints& position, const Ints& tap, const Ints& shape,
             Ints& out) {
  for (std::size_t i = 0; i < shape.size(); ++i) {
    out[i] = w.stride[i] * position[i] + w.dilation[i] * tap[i] - c.dim(w.low[i]);
    if (out[i] < 0 || out[i] >= shape[i]) return false;
  }
  return true;
}

// The index expressions stride*p + dilation*i - low; `taps[i]` is null for an axis of size 1.
std::vector<kernel::ExprRef> reads(const Window& w, const std::vector<kernel::ExprRef>& positions,
                                   const std::vector<kernel::ExprRef>& taps) {
  std::vector<kernel::ExprRef> out;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    kernel::ExprRef at = times(positions[i], w.stride[i]);
    if (taps[i]) at = plus(at, times(taps[i], w.dilation[i]));
    out.push_back(plus(at, w.low[i] * Dim(-1)));
  }
  return out;
}

bool has_padding(const Window& w) {
  for (std::size_t i = 0; i < w.size.size(); ++i) {
    if (w.low[i] != Dim(0) || w.high[i] != Dim(0)) return true;
  }
  return false;
}

// Taps as reduce indices, one for each axis with more than one.
struct Taps {
  std::vector<kernel::Index> indices;
  std::vector<kernel::ExprRef> of_axis;
};
Taps taps_of(const Window& w, const std::vector<kernel::Index>& outer) {
  Taps taps;
  std::size_t count = 0;
  for (const std::int64_t size : w.size) count += size > 1 ? 1 : 0;
  const std::vector<std::string> names = reduce_names(outer, count);
  std::size_t next = 0;
  for (const std::int64_t size : w.size) {
    taps.of_axis.push_back(size > 1 ? kernel::index(names[next]) : nullptr);
    if (size > 1) taps.indices.push_back({names[next++], Dim(size)});
  }
  return taps;
}

// --- window

Expected<std::vector<Type>> infer_window(const InferContext& c) {
  const Window w = window_of(c);
  const Type& x = c.operands[0];
  CHECK(check_window(c, w, x.shape.size()));
  if (x.dtype == DType::boolean) return c.fail("c4", "bool has no sum and no order; cast to i32");
  TRY(Shape shape, windowed(c, w, x.shape));
  return std::vector<Type>{{x.dtype, std::move(shape)}};
}

std::vector<Array> evaluate_window(const EvalContext& c) {
  const Window w = window_of(c);
  const Array& x = c.operands[0];
  const Ints strides = strides_of(x.shape());
  const bool sum = c.op.variant == "sum";
  const double padding = sum ? 0 : identity_of(kernel::Reducer::max, c.operand_types[0].dtype).as_double();
  Array out(x.dtype(), c.result_shape());
  Ints at(x.shape().size());
  std::int64_t to = 0;
  for_each_index(c.result_shape(), [&](const Ints& position) {
    double acc = padding;
    for_each_index(w.size, [&](const Ints& tap) {
      const double value = element(c, w, position, tap, x.shape(), at) ? x.at(dot(at, strides)) : padding;
      acc = sum ? acc + value : (value > acc ? value : acc);
    });
    out.set(to++, acc);
  });
  return {out};
}

void gradient_window(GradContext& g) {
  if (!g.dy[0]) return;
  const Type x = g.b.type(g.operand(0));
  Attrs attrs = attrs_of_window(g.op);
  std::vector<Operand> operands{*g.dy[0]};
  if (g.op.variant == "max") operands.push_back(g.b.add_all("argwindow.max", {g.operand(0)}, attrs)[1]);
  attrs.set("extent", x.shape);
  g.dx[0] = g.b.add("unwindow", operands, attrs);
}

std::vector<kernel::Stage> lower_window(const LowerContext& c) {
  const Window w = window_of(c);
  kernel::Stage stage;
  stage.name = "y0";
  stage.type = c.results[0].dtype;
  stage.indices = LowerContext::indices(c.results[0].shape);
  Taps taps = taps_of(w, stage.indices);
  kernel::Reduce reduce;
  reduce.kind = c.op.variant == "sum" ? kernel::Reducer::sum : kernel::Reducer::max;
  std::vector<kernel::ExprRef> from = reads(w, LowerContext::refs(stage.indices), taps.of_axis);
  stage.expr = has_padding(w) ? c.operand_else(0, std::move(from), identity_of(reduce.kind, stage.type))
                              : c.operand(0, std::move(from));
  if (taps.indices.empty()) taps.indices.push_back({reduce_names(stage.indices, 1)[0], Dim(1)});  // as reduce does
  reduce.indices = std::move(taps.indices);
  stage.reduce = std::move(reduce);
  return {ordered(std::move(stage))};
}

// --- argwindow

Expected<std::vector<Type>> infer_argwindow(const InferContext& c) {
  TRY(std::vector<Type> types, infer_window(c));
  if (tap_count(window_of(c)) > 255) return c.fail("c5", "a window has at most 255 taps");
  types.push_back({DType::u8, types[0].shape});
  return types;
}

std::vector<Array> evaluate_argwindow(const EvalContext& c) {
  const Window w = window_of(c);
  const Array& x = c.operands[0];
  const Ints strides = strides_of(x.shape());
  const double padding = identity_of(kernel::Reducer::max, c.operand_types[0].dtype).as_double();
  Array out(x.dtype(), c.result_shape());
  Array taps(DType::i64, c.result_shape());
  Ints at(x.shape().size());
  std::int64_t to = 0;
  for_each_index(c.result_shape(), [&](const Ints& position) {
    std::int64_t best = 0;
    std::int64_t linear = 0;
    double acc = padding;
    const auto read = [&](const Ints& tap) {
      return element(c, w, position, tap, x.shape(), at) ? x.at(dot(at, strides)) : padding;
    };
    for_each_index(w.size, [&](const Ints& tap) {
      const double value = read(tap);
      if (value > acc) {
        acc = value;
        best = linear;
      }
      ++linear;
    });
    const std::int64_t chosen = c.choice(best);
    linear = 0;
    for_each_index(w.size, [&](const Ints& tap) {
      if (linear++ == chosen && chosen != best) acc = read(tap);
    });
    out.set(to, acc);
    taps.set_int(to++, chosen);
  });
  return {out, taps};
}

void gradient_argwindow(GradContext& g) {
  if (!g.dy[0]) return;
  Attrs attrs = attrs_of_window(g.op);
  attrs.set("extent", g.b.type(g.operand(0)).shape);
  g.dx[0] = g.b.add("unwindow", {*g.dy[0], g.result(1)}, attrs);
}

// A stage has one result, so the tap is a stage of its own: argmax over the taps in row-major order.
std::vector<kernel::Stage> lower_argwindow(const LowerContext& c) {
  const Window w = window_of(c);
  std::vector<kernel::Stage> stages = lower_window(c);
  kernel::Stage tap;
  tap.name = "y1";
  tap.type = DType::u8;
  tap.indices = LowerContext::indices(c.results[1].shape);
  const std::string name = reduce_names(tap.indices, 1)[0];
  kernel::Reduce reduce;
  reduce.kind = kernel::Reducer::argmax;
  reduce.indices = {{name, Dim(tap_count(w))}};
  std::vector<kernel::ExprRef> of_axis(w.size.size());
  kernel::ExprRef linear = kernel::index(name);
  std::int64_t outer = tap_count(w);
  for (std::size_t i = 0; i < w.size.size(); ++i) {
    if (w.size[i] == 1) continue;
    outer /= w.size[i];  // the taps of all later axes
    of_axis[i] = outer == 1 ? linear : kernel::apply("div", {linear, index_constant(outer)});
    if (outer != 1) linear = kernel::apply("rem", {linear, index_constant(outer)});
  }
  std::vector<kernel::ExprRef> from = reads(w, LowerContext::refs(tap.indices), of_axis);
  tap.expr = c.operand_else(0, std::move(from), identity_of(kernel::Reducer::max, c.operands[0].dtype));
  tap.reduce = std::move(reduce);
  stages.push_back(ordered(std::move(tap)));
  return stages;
}

// --- unwindow

Expected<std::vector<Type>> infer_unwindow(const InferContext& c) {
  const Window w = window_of(c);
  const Type& dy = c.operands[0];
  const Shape& extent = c.shape("extent");
  if (dy.dtype == DType::boolean) return c.fail("c4", "bool has no sum and no order; cast to i32");
  CHECK(check_window(c, w, dy.shape.size()));
  if (extent.size() != dy.shape.size())
    return c.fail("c1", fmt::format("extent needs {}", text::count_of(dy.shape.size(), "entry")));
  for (std::size_t i = 0; i < extent.size(); ++i) {
    const std::string what = fmt::format("the number of windows along axis {}", i);
    CHECK(c.equal(positions(w, i, extent[i]), dy.shape[i], "c3", what));
    CHECK(c.at_least(dy.shape[i], Dim(1), "c3", what));
  }
  if (c.operands.size() == 2) {
    const Type& tap = c.operands[1];
    if (tap.dtype != DType::u8 || tap.shape.size() != dy.shape.size()) {
      return c.fail("c6", fmt::format("taps are {}, expected u8{}", str(tap), shape_str(dy.shape)));
    }
    for (std::size_t i = 0; i < extent.size(); ++i) {
      CHECK(c.equal(tap.shape[i], dy.shape[i], "c6", fmt::format("axis {} of the taps", i)));
    }
  }
  return std::vector<Type>{{dy.dtype, extent}};
}

std::vector<Array> evaluate_unwindow(const EvalContext& c) {
  const Window w = window_of(c);
  const Array& dy = c.operands[0];
  Array out(dy.dtype(), c.result_shape());
  const Ints strides = strides_of(out.shape());
  Ints at(out.shape().size());
  std::int64_t from = 0;
  for_each_index(dy.shape(), [&](const Ints& position) {
    std::int64_t linear = 0;
    for_each_index(w.size, [&](const Ints& tap) {
      const bool taken = c.operands.size() < 2 || c.operands[1].int_at(from) == linear;
      ++linear;
      if (!taken || !element(c, w, position, tap, out.shape(), at)) return;
      const std::int64_t to = dot(at, strides);
      out.set(to, out.at(to) + dy.at(from));
    });
    ++from;
  });
  return {out};
}

void gradient_unwindow(GradContext& g) {
  if (!g.dy[0]) return;
  if (g.op.operands.size() == 2) {
    g.b.problem = error("unwindow-gradient", "max pooling is not differentiable twice");
    return;
  }
  g.dx[0] = g.b.add("window.sum", {*g.dy[0]}, attrs_of_window(g.op));
}

std::vector<kernel::Stage> lower_unwindow(const LowerContext& c) {
  const Window w = window_of(c);
  kernel::Stage stage;
  stage.name = "y0";
  stage.type = c.results[0].dtype;
  stage.indices = LowerContext::indices(c.results[0].shape);
  Taps taps = taps_of(w, stage.indices);
  kernel::Reduce reduce;
  reduce.kind = kernel::Reducer::sum;
  // Positions of windowed axes are removed by `where` (rule W2); the others are the index itself.
  static constexpr std::string_view kPositions[] = {"p", "q", "r", "s", "t_"};
  std::vector<kernel::ExprRef> position;
  std::size_t next = 0;
  kernel::ExprRef linear;
  for (std::size_t i = 0; i < w.size.size(); ++i) {
    const kernel::ExprRef self = kernel::index(stage.indices[i].name);
    const bool windowed = w.size[i] > 1 || w.stride[i] > 1 || w.low[i] != Dim(0) || w.high[i] != Dim(0);
    if (!windowed) {
      position.push_back(self);
      continue;
    }
    const std::string p(kPositions[next++ % std::size(kPositions)]);
    position.push_back(kernel::index(p));
    kernel::ExprRef at = times(kernel::index(p), w.stride[i]);
    if (taps.of_axis[i]) at = plus(at, times(taps.of_axis[i], w.dilation[i]));
    reduce.where.push_back({stage.indices[i].name, plus(at, w.low[i] * Dim(-1))});
    if (taps.of_axis[i]) linear = linear ? plus(times(linear, w.size[i]), taps.of_axis[i]) : taps.of_axis[i];
  }
  const Literal zero = kernel::literal_of_int(0);
  kernel::ExprRef value = c.operand_else(0, position, zero);
  if (c.operands.size() == 2) {
    const kernel::ExprRef tap = c.operand_else(1, position, kernel::literal_of_int(255));
    const kernel::ExprRef want = linear ? kernel::apply("i32", {linear}) : kernel::literal(DType::i32, zero);
    value = kernel::apply("select", {kernel::apply("eq", {tap, want}), value, kernel::literal(value->type, zero)});
  }
  stage.expr = value;
  if (reduce.where.empty()) return {stage};
  // A stride without taps still removes a position, so there is a reduction of one term.
  if (taps.indices.empty()) taps.indices.push_back({reduce_names(stage.indices, 1)[0], Dim(1)});
  reduce.indices = std::move(taps.indices);
  stage.reduce = std::move(reduce);
  return {ordered(std::move(stage))};
}

const std::vector<AttrSpec> kWindowAttrs = {{"size", AttrSpec::Kind::ints, {}, "taps along each axis"},
                                            {"stride", AttrSpec::Kind::ints, {}, "between windows"},
                                            {"dilation", AttrSpec::Kind::ints, {}, "between taps"},
                                            {"low", AttrSpec::Kind::shape, {}, "padding before each axis"},
                                            {"high", AttrSpec::Kind::shape, {}, "padding behind each axis"}};

std::vector<AttrSpec> with_extent() {
  std::vector<AttrSpec> attrs = kWindowAttrs;
  attrs.push_back({"extent", AttrSpec::Kind::shape, {}, "the shape of the result"});
  return attrs;
}

const std::vector<Constraint> kWindowConstraints = {
    {"c1", "size, stride, dilation, low and high have one entry for each axis"},
    {"c2", "size, stride and dilation are at least 1"},
    {"c3", "there is at least one window along each axis; for unwindow as many as dy has"},
    {"c4", "x is not bool"},
    {"c5", "argwindow: at most 255 taps"},
    {"c6", "unwindow: taps are u8 with the shape of dy"}};

}  // namespace

extern const OpDef kWindow;
const OpDef kWindow = {
    .name = "window",
    .doc =
        "y[p] = sum or max over the taps i of x[stride*p + dilation*i - low]; padding counts as 0 for sum and as -inf "
        "for "
        "max. There are (low + n + high - dilation*(size-1) - 1) // stride + 1 windows along an axis.",
    .variants = {"sum", "max"},
    .attrs = kWindowAttrs,
    .constraints = kWindowConstraints,
    .infer = infer_window,
    .evaluate = evaluate_window,
    .gradient = gradient_window,
    .lower = lower_window,
    .samples =
        {"func f(%x: f32[6]) -> (%y) { %y = window.sum %x {size=[3], stride=[1], dilation=[1], low=[0], high=[0]} }",
         "func f(%x: f32[7]) -> (%y) { %y = window.sum %x {size=[2], stride=[2], dilation=[3], low=[1], high=[1]} }",
         "func f(%x: f32[batch,4,5,2]) -> (%y) { %y = window.max %x {size=[1,2,2,1], stride=[1,2,2,1], "
         "dilation=[1,1,1,1], low=[0,0,0,0], high=[0,0,1,0]} }",
         "func f(%x: f32[2,5,5]) -> (%y) { %y = window.sum %x {size=[1,3,3], stride=[1,2,1], dilation=[1,1,1], "
         "low=[0,1,1], high=[0,1,1]} }",
         "func f(%x: i32[6]) -> (%y) { %y = window.max %x {size=[2], stride=[1], dilation=[1], low=[1], high=[0]} }"},
};

extern const OpDef kArgWindow;
const OpDef kArgWindow = {
    .name = "argwindow",
    .doc = "(y, tap): window.max, and which tap gave it, in row-major order, the first of equal ones.",
    .variants = {"max"},
    .attrs = kWindowAttrs,
    .constraints = kWindowConstraints,
    .infer = infer_argwindow,
    .evaluate = evaluate_argwindow,
    .gradient = gradient_argwindow,
    .lower = lower_argwindow,
    .samples = {"func f(%x: f32[6]) -> (%y, %t) { %y, %t = argwindow.max %x {size=[3], stride=[2], dilation=[1], "
                "low=[0], high=[1]} }",
                "func f(%x: f32[batch,4,4,2]) -> (%y, %t) { %y, %t = argwindow.max %x {size=[1,2,2,1], "
                "stride=[1,2,2,1], dilation=[1,1,1,1], low=[0,0,0,0], high=[0,0,0,0]} }"},
};

extern const OpDef kUnwindow;
const OpDef kUnwindow = {
    .name = "unwindow",
    .doc =
        "The transpose of window: dx[h] = sum of dy[p] over all taps i with h == stride*p + dilation*i - low; with "
        "`tap` only "
        "those that argwindow chose. Not differentiable twice with taps.",
    .min_operands = 1,
    .max_operands = 2,
    .attrs = with_extent(),
    .constraints = kWindowConstraints,
    .infer = infer_unwindow,
    .evaluate = evaluate_unwindow,
    .gradient = gradient_unwindow,
    .lower = lower_unwindow,
    .samples =
        {"func f(%x: f32[4]) -> (%y) { %y = unwindow %x {size=[3], stride=[1], dilation=[1], low=[0], high=[0], "
         "extent=[6]} }",
         "func f(%x: f32[3]) -> (%y) { %y = unwindow %x {size=[3], stride=[2], dilation=[2], low=[1], high=[1], "
         "extent=[7]} }",
         "func f(%x: f32[3]) -> (%y) { %y = unwindow %x {size=[1], stride=[2], dilation=[1], low=[0], high=[0], "
         "extent=[6]} }",
         "func f(%x: f32[batch,2,2,2], %z: f32[batch,4,4,2]) -> (%y) { %m, %t = argwindow.max %z {size=[1,2,2,1], "
         "stride=[1,2,2,1], dilation=[1,1,1,1], low=[0,0,0,0], high=[0,0,0,0]}  %y = unwindow %x, %t {size=[1,2,2,1], "
         "stride=[1,2,2,1], dilation=[1,1,1,1], low=[0,0,0,0], high=[0,0,0,0], extent=[batch,4,4,2]} }"},
};

}  // namespace tusk::graph
