// scan: a loop over positions that carries values, takes slices and stacks results.
#include <fmt/format.h>

#include "ir/ops/common.hpp"
#include "ir/ops/scan_gradient.hpp"
#include "ir/text/count.hpp"

namespace tusk::graph {
namespace {

Status check_flags(const InferContext& c, const Ints& axes, const Ints& rev, std::string_view what) {
  if (axes.size() != rev.size())
    return c.fail(
        "c1", fmt::format("{0}_axes has {1}, {0}_rev has {2}", what, text::count_of(axes.size(), "entry"), rev.size()));
  return done();
}

Shape without(Shape shape, std::int64_t axis) {
  shape.erase(shape.begin() + axis);
  return shape;
}

Expected<std::vector<Type>> infer_scan(const InferContext& c) {
  const std::int64_t carries = c.integer("carries");
  const Ints& take_axes = c.ints("take_axes");
  const Ints& stack_axes = c.ints("stack_axes");
  CHECK(check_flags(c, take_axes, c.ints("take_rev"), "take"));
  CHECK(check_flags(c, stack_axes, c.ints("stack_rev"), "stack"));
  const Shape& length = c.shape("length");
  if (length.size() != 1) return c.fail("c1", "length is one dim");
  CHECK(c.at_least(length[0], Dim(1), "c2", "the number of positions"));
  const auto n = static_cast<std::size_t>(carries);
  if (carries < 0 || c.operands.size() != n + take_axes.size()) {
    return c.fail("c3", fmt::format("{} operands, expected {} carries and {} takes", c.operands.size(), carries,
                                    take_axes.size()));
  }
  if (c.op.regions.size() != 1) return c.fail("c3", "it needs one region");
  const Region& region = c.op.regions[0];
  if (region.params.size() != c.operands.size() || region.yields.size() != n + stack_axes.size()) {
    return c.fail("c3",
                  fmt::format("the region has {} parameters and {} yields, expected {} and {}", region.params.size(),
                              region.yields.size(), c.operands.size(), n + stack_axes.size()));
  }
  for (std::size_t k = 0; k < c.operands.size(); ++k) {
    Type expected = c.operands[k];
    if (k >= n) {
      const std::int64_t axis = take_axes[k - n];
      CHECK(check_axis(c, axis, expected.shape.size(), "c4"));
      CHECK(c.equal(expected.shape[static_cast<std::size_t>(axis)], length[0], "c4",
                    fmt::format("axis {} of operand {}", axis, k)));
      expected.shape = without(expected.shape, axis);
    }
    const Type& param = c.function.values[static_cast<std::size_t>(region.params[k])].type;
    if (!(param == expected))
      return c.fail("c4", fmt::format("parameter {} of the region is {}, expected {}", k, str(param), str(expected)));
  }
  std::vector<Type> results;
  for (std::size_t k = 0; k < region.yields.size(); ++k) {
    Type yielded = type_of(c.module, c.function, region.yields[k]);
    if (k < n) {
      if (!(yielded == c.operands[k]))
        return c.fail("c5", fmt::format("carry {} is {}, but {} is yielded", k, str(c.operands[k]), str(yielded)));
    } else {
      const std::int64_t axis = stack_axes[k - n];
      CHECK(check_axis(c, axis, yielded.shape.size() + 1, "c5"));
      yielded.shape.insert(yielded.shape.begin() + axis, length[0]);
    }
    results.push_back(std::move(yielded));
  }
  return results;
}

// x at position `at` of `axis`, and back.
Array slice(const Array& x, std::int64_t axis, std::int64_t at) {
  Ints shape = x.shape();
  shape.erase(shape.begin() + axis);
  const Ints strides = strides_of(x.shape());
  Array out(x.dtype(), shape);
  std::int64_t to = 0;
  for_each_index(shape, [&](const Ints& index) {
    Ints from = index;
    from.insert(from.begin() + axis, at);
    out.set(to++, x.at(dot(from, strides)));
  });
  return out;
}

void put(Array& whole, const Array& part, std::int64_t axis, std::int64_t at) {
  const Ints strides = strides_of(whole.shape());
  std::int64_t from = 0;
  for_each_index(part.shape(), [&](const Ints& index) {
    Ints to = index;
    to.insert(to.begin() + axis, at);
    whole.set(dot(to, strides), part.at(from++));
  });
}

std::vector<Array> evaluate_scan(const EvalContext& c) {
  const auto n = static_cast<std::size_t>(std::get<std::int64_t>(c.attr("carries")));
  const Ints& take_axes = std::get<Ints>(c.attr("take_axes"));
  const Ints& take_rev = std::get<Ints>(c.attr("take_rev"));
  const Ints& stack_axes = std::get<Ints>(c.attr("stack_axes"));
  const Ints& stack_rev = std::get<Ints>(c.attr("stack_rev"));
  const std::int64_t length = c.dim(std::get<Shape>(c.attr("length"))[0]);
  std::vector<Array> carried(c.operands.begin(), c.operands.begin() + static_cast<std::ptrdiff_t>(n));
  std::vector<Array> stacks;
  for (std::size_t k = 0; k < stack_axes.size(); ++k) {
    stacks.emplace_back(is_float(c.result_types[n + k].dtype) ? DType::f64 : DType::i64, c.result_shape(n + k));
  }
  for (std::int64_t t = 0; t < length; ++t) {
    std::vector<Array> in = carried;
    for (std::size_t k = 0; k < take_axes.size(); ++k)
      in.push_back(slice(c.operands[n + k], take_axes[k], take_rev[k] != 0 ? length - 1 - t : t));
    const std::vector<Array> out = c.run_region(c.op.regions[0], std::move(in));
    for (std::size_t k = 0; k < n; ++k) carried[k] = out[k];
    for (std::size_t k = 0; k < stacks.size(); ++k)
      put(stacks[k], out[n + k], stack_axes[k], stack_rev[k] != 0 ? length - 1 - t : t);
  }
  carried.insert(carried.end(), stacks.begin(), stacks.end());
  return carried;
}

}  // namespace

extern const OpDef kScan;
const OpDef kScan = {
    .name = "scan",
    .doc =
        "For each position t < length: the region maps the carries and the slices taken at t (axis dropped; `rev` "
        "takes at "
        "length-1-t) to new carries and to slices that are stacked along an axis. Results: the last carries, then the "
        "stacks. "
        "The region may read any value defined outside.",
    .min_operands = 0,
    .max_operands = -1,
    .attrs = {{"length", AttrSpec::Kind::shape, {}, "the number of positions, one dim"},
              {"carries", AttrSpec::Kind::integer, std::int64_t{0},
               "how many operands are carried; the others are taken"},
              {"take_axes", AttrSpec::Kind::ints, Ints{}, "the axis of each take"},
              {"take_rev", AttrSpec::Kind::ints, Ints{}, "1 where it is taken backwards"},
              {"stack_axes", AttrSpec::Kind::ints, Ints{}, "the axis of each stack"},
              {"stack_rev", AttrSpec::Kind::ints, Ints{}, "1 where it is stacked backwards"}},
    .constraints = {{"c1", "axes and rev flags come in pairs; length is one dim"},
                    {"c2", "there is at least one position"},
                    {"c3", "operands, region parameters and yields match carries, takes and stacks in number"},
                    {"c4", "region parameters have the types of the carries and of the slices"},
                    {"c5", "yielded carries keep their type; stack axes are in range"}},
    .infer = infer_scan,
    .evaluate = evaluate_scan,
    .gradient = scan_gradient,
    .samples =
        {
            // A running state, stacked.
            "func f(%h0: f32[batch,3], %x: f32[batch,time,3]) -> (%h, %ys) { %h, %ys = scan %h0, %x {length=[time], "
            "carries=1, "
            "take_axes=[1], take_rev=[0], stack_axes=[1], stack_rev=[0]} region (%c: f32[batch,3], %t: f32[batch,3]) { "
            "%s = map.add %c, %t  %n = map.tanh %s  yield %n, %n } }",
            // No take, no stack.
            "func f(%h0: f32[4]) -> (%h) { %h = scan %h0 {length=[3], carries=1} region (%c: f32[4]) { "
            "%n = map.mul %c, 0.5  yield %n } }",
            // Two carries that change places: both new values are there before the first is overwritten.
            "func f(%a0: f32[2], %b0: f32[2]) -> (%a, %b) { %a, %b = scan %a0, %b0 {length=[3], carries=2} "
            "region (%c: f32[2], %d: f32[2]) { yield %d, %c } }",
            // Backwards, along another axis, with a value captured from outside.
            "func f(%x: f32[5,2], %k: f32[2]) -> (%ys) { %ys = scan %x {length=[5], take_axes=[0], take_rev=[1], "
            "stack_axes=[1], stack_rev=[0]} region (%t: f32[2]) { %n = map.mul %t, %k  yield %n } }",
            // Only the last state of a recurrent product: every element of the new state reads all of the old one.
            "func f(%h0: f32[batch,2], %x: f32[batch,4,2], %r: f32[2,2]) -> (%h) { %h = scan %h0, %x {length=[4], "
            "carries=1, "
            "take_axes=[1], take_rev=[1]} region (%c: f32[batch,2], %t: f32[batch,2]) { "
            "%n = contract %c, %r, %t { a[n,k] b[k,o] -> y[n,o] }  yield %n } }",
            // A recurrent cell: the state is stacked backwards, weights and bias are captured.
            "func f(%h0: f32[batch,2], %x: f32[batch,time,2], %r: f32[2,2], %b: f32[2]) -> (%h, %ys) { %h, %ys = scan "
            "%h0, "
            "%x {length=[time], carries=1, take_axes=[1], take_rev=[1], stack_axes=[1], stack_rev=[1]} "
            "region (%c: f32[batch,2], %t: f32[batch,2]) { %z = contract %c, %r, %t { a[n,k] b[k,o] -> y[n,o] }  "
            "%bb = broadcast %b {shape=[batch,2], dims=[1]}  %a = map.add %z, %bb  %n = map.tanh %a  yield %n, %n } }",
            // A gate computed at each position from what no position changes, a carry that counts, and a captured value
            // that is yielded itself.
            "func f(%h0: f32[3], %x: f32[4,3], %g: f32[3]) -> (%h, %ys) { %i0 = const {value=i32[] [0]}  %i, %h, %ys = "
            "scan "
            "%i0, %h0, %x {length=[4], carries=2, take_axes=[0], take_rev=[0], stack_axes=[0], stack_rev=[0]} "
            "region (%k: i32[], %c: f32[3], %t: f32[3]) { %s = map.sigmoid %g  %k1 = map.add %k, 1  %even = map.eq "
            "%k, 2  %e = broadcast %even {shape=[3], dims=[]}  %m = map.mul %c, %s  %n = map.add %m, %t  "
            "%o = map.select %e, %c, %n  yield %k1, %o, %g } }",
            // A scan in a scan.
            "func f(%h0: f32[2], %x: f32[3,2,2]) -> (%h) { %h = scan %h0, %x {length=[3], carries=1, take_axes=[0], "
            "take_rev=[0]} region (%c: f32[2], %t: f32[2,2]) { %q = map.tanh %c  %n = scan %q, %t {length=[2], "
            "carries=1, "
            "take_axes=[0], take_rev=[1]} region (%u: f32[2], %v: f32[2]) { %w = map.mul %u, %v  %z = map.add %w, %q  "
            "yield %z }  yield %n } }",
        },
};

}  // namespace tusk::graph
