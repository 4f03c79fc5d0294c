// Ops that are written in IR text over the primitives: how the text is filled in is said in ir/graph/inline.hpp.
#include <algorithm>

#include "ir/ops/common.hpp"

namespace tusk::graph {
namespace {

const std::vector<AttrSpec> kAxes = {{"axes", AttrSpec::Kind::ints, {}, "distinct axes of x"}};

Expected<std::vector<Type>> infer_same(const InferContext& c) {
  CHECK(check_axes(c, c.ints("axes"), c.operands[0].shape.size(), "c1"));
  if (!is_float(c.operands[0].dtype)) return c.fail("c2", "x is no tensor of floats");
  return std::vector<Type>{c.operands[0]};
}

// batch_moments over axis 0 and others goes sample by sample.
void derive_moments(const InferContext& c, Attrs& derived) {
  const Ints& axes = c.ints("axes");
  const std::size_t rank = c.operands[0].shape.size();
  Ints inner = axes;
  std::erase(inner, 0);
  Shape kept;
  for (const std::int64_t axis : other_axes(rank, inner))
    kept.push_back(c.operands[0].shape[static_cast<std::size_t>(axis)]);
  Ints behind = counting(kept.size());  // axes of `kept` behind the samples
  if (!behind.empty()) behind.erase(behind.begin());
  derived.set("per_sample", !inner.empty() && inner.size() < axes.size());
  derived.set("inner", std::move(inner));
  derived.set("kept", std::move(kept));
  derived.set("behind", std::move(behind));
  derived.set("samples", Ints{0});
}

// normalize: gamma varies along the axes of the mean (BatchNormalization), or along others (LayerNormalization).
void derive_normalize(const InferContext& c, Attrs& derived) {
  const bool gamma = c.operands.size() > 3 && !c.is_number(3);
  const bool together = c.ints("axes") == c.ints("scale_axes");
  derived.set("together", gamma && together);
  derived.set("apart", gamma && !together);
}

}  // namespace

extern const OpDef kSoftmax;
const OpDef kSoftmax = {
    .name = "softmax",
    .doc =
        "y = exp(x - max x) / sum exp(x - max x) over `axes`; multiplied by the reciprocal of the sum.\n"
        "`%y = softmax %x {axes=[1]} : f32[2,3]`.",
    .attrs = kAxes,
    .constraints = {{"c1", "axes are distinct and in [0, rank)"}, {"c2", "x is of floats"}},
    .infer = infer_same,
    .body = R"(func softmax(%x) -> (%y) {
  %m = reduce.max %x {axes=$axes}
  %mb = broadcast %m {shape=$shape(x), dims=$others(x, axes)}
  %c = map.sub %x, %mb
  %e = map.exp %c
  %s = reduce.sum %e {axes=$axes}
  %r = map.div 1, %s
  %rb = broadcast %r {shape=$shape(x), dims=$others(x, axes)}
  %y = map.mul %e, %rb
})",
    .gradient_body = R"(func softmax_gradient(%x, %y, %dy) -> (%dx) {
  %p = map.mul %dy, %y
  %s = reduce.sum %p {axes=$axes}
  %sb = broadcast %s {shape=$shape(x), dims=$others(x, axes)}
  %c = map.sub %dy, %sb
  %dx = map.mul %c, %y
})",
    .samples = {"func f(%x: f32[batch,10]) -> (%y) { %y = softmax %x {axes=[1]} }",
                "func f(%x: f32[2,3,4]) -> (%y) { %y = softmax %x {axes=[1,2]} }"},
};

extern const OpDef kLogSoftmax;
const OpDef kLogSoftmax = {
    .name = "log_softmax",
    .doc = "y = x - max x - log(sum exp(x - max x)) over `axes`.",
    .attrs = kAxes,
    .constraints = {{"c1", "axes are distinct and in [0, rank)"}, {"c2", "x is of floats"}},
    .infer = infer_same,
    .body = R"(func log_softmax(%x) -> (%y) {
  %m = reduce.max %x {axes=$axes}
  %mb = broadcast %m {shape=$shape(x), dims=$others(x, axes)}
  %c = map.sub %x, %mb
  %e = map.exp %c
  %s = reduce.sum %e {axes=$axes}
  %l = map.log %s
  %lb = broadcast %l {shape=$shape(x), dims=$others(x, axes)}
  %y = map.sub %c, %lb
})",
    .gradient_body = R"(func log_softmax_gradient(%x, %y, %dy) -> (%dx) {
  %s = reduce.sum %dy {axes=$axes}
  %sb = broadcast %s {shape=$shape(x), dims=$others(x, axes)}
  %e = map.exp %y
  %p = map.mul %e, %sb
  %dx = map.sub %dy, %p
})",
    .samples = {"func f(%x: f32[batch,10]) -> (%y) { %y = log_softmax %x {axes=[1]} }",
                "func f(%x: f32[3,4]) -> (%y) { %y = log_softmax %x {axes=[0]} }"},
};

extern const OpDef kLogSumExp;
const OpDef kLogSumExp = {
    .name = "logsumexp",
    .doc =
        "y = log(sum exp x) over `axes`, which are dropped. The largest element is taken out of the sum if it is "
        "finite, so "
        "that sums of nothing but -inf, and with an inf, are right.",
    .attrs = kAxes,
    .body = R"(func logsumexp(%x) -> (%y) {
  %m = reduce.max %x {axes=$axes}
  %a = map.abs %m
  %finite = map.lt %a, inf
  %f = map.select %finite, %m, 0
  %fb = broadcast %f {shape=$shape(x), dims=$others(x, axes)}
  %c = map.sub %x, %fb
  %e = map.exp %c
  %s = reduce.sum %e {axes=$axes}
  %l = map.log %s
  %y = map.add %l, %f
})",
    .gradient_body = R"(func logsumexp_gradient(%x, %y, %dy) -> (%dx) {
  %yb = broadcast %y {shape=$shape(x), dims=$others(x, axes)}
  %dyb = broadcast %dy {shape=$shape(x), dims=$others(x, axes)}
  %c = map.sub %x, %yb
  %e = map.exp %c
  %dx = map.mul %e, %dyb
})",
    .samples = {"func f(%x: f32[batch,7]) -> (%y) { %y = logsumexp %x {axes=[1]} }",
                "func f(%x: f32[3,4]) -> (%y) { %y = logsumexp %x {axes=[0,1]} }"},
};

extern const OpDef kGelu;
const OpDef kGelu = {
    .name = "gelu",
    .doc = "y = x/2 * (1 + erf(x / sqrt 2)), or with `approximate` x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))).",
    .attrs = {{"approximate", AttrSpec::Kind::flag, false, "by tanh"}},
    .body = R"(func gelu(%x) -> (%y) {
  $if(approximate)
    %xx = map.mul %x, %x
    %p = map.fma %xx, 0.035677408136300125, 0.7978845608028654
    %u = map.mul %x, %p
    %t = map.tanh %u
  $else
    %u = map.mul %x, 0.7071067811865476
    %t = map.erf %u
  $end
  %c = map.fma %t, 0.5, 0.5
  %y = map.mul %x, %c
})",
    .gradient_body = R"(func gelu_gradient(%x, %y, %dy) -> (%dx) {
  %xx = map.mul %x, %x
  $if(approximate)
    %p = map.fma %xx, 0.035677408136300125, 0.7978845608028654
    %u = map.mul %x, %p
    %t = map.tanh %u
    %du = map.fma %xx, 0.10703222440890037, 0.7978845608028654
    %tt = map.mul %t, %t
    %dt = map.sub 1, %tt
    %g = map.mul %du, %dt
    %h = map.mul %g, 0.5
  $else
    %u = map.mul %x, 0.7071067811865476
    %t = map.erf %u
    %v = map.mul %xx, -0.5
    %e = map.exp %v
    %h = map.mul %e, 0.3989422804014327
  $end
  %c = map.fma %t, 0.5, 0.5
  %f = map.fma %x, %h, %c
  %dx = map.mul %dy, %f
})",
    .samples = {"func f(%x: f32[batch,5]) -> (%y) { %y = gelu %x }",
                "func f(%x: f32[7]) -> (%y) { %y = gelu %x {approximate=true} }"},
};

extern const OpDef kSilu;
const OpDef kSilu = {
    .name = "silu",
    .doc = "y = x * sigmoid(x), also called swish.",
    .body = R"(func silu(%x) -> (%y) {
  %s = map.sigmoid %x
  %y = map.mul %x, %s
})",
    .gradient_body = R"(func silu_gradient(%x, %y, %dy) -> (%dx) {
  %s = map.sigmoid %x
  %r = map.sub 1, %s
  %f = map.fma %y, %r, %s
  %dx = map.mul %dy, %f
})",
    .samples = {"func f(%x: f32[batch,5]) -> (%y) { %y = silu %x }"},
};

extern const OpDef kSoftplus;
const OpDef kSoftplus = {
    .name = "softplus",
    .doc = "y = log(1 + exp x), as max(x, 0) + log1p(exp -|x|): large x do not overflow.",
    .body = R"(func softplus(%x) -> (%y) {
  %a = map.abs %x
  %n = map.neg %a
  %e = map.exp %n
  %l = map.log1p %e
  %p = map.relu %x
  %y = map.add %p, %l
})",
    .gradient_body = R"(func softplus_gradient(%x, %y, %dy) -> (%dx) {
  %s = map.sigmoid %x
  %dx = map.mul %dy, %s
})",
    .samples = {"func f(%x: f32[batch,5]) -> (%y) { %y = softplus %x }"},
};

extern const OpDef kBatchMoments;
const OpDef kBatchMoments = {
    .name = "batch_moments",
    .doc =
        "(mean, variance) of x over `axes`, which are dropped; the variance is that of the population, from the "
        "differences to "
        "the mean. Over axis 0 and others it is computed sample by sample and merged: x is read once per sample that "
        "fits a cache, and large means cancel in no sum. With m_n, q_n the mean and the squared differences of sample "
        "n, "
        "S their number of elements: m = mean m_n, v = (sum q_n + S * sum (m_n - m)^2) / (N * S).",
    .attrs = kAxes,
    .body = R"(func batch_moments(%x) -> (%mean, %variance) {
  $if(per_sample)
    %s = reduce.sum %x {axes=$inner}
    %m = map.div %s, $size(x, inner)
    %mb = broadcast %m {shape=$shape(x), dims=$others(x, inner)}
    %c = map.sub %x, %mb
    %cc = map.mul %c, %c
    %q = reduce.sum %cc {axes=$inner}
    %ms = reduce.sum %m {axes=[0]}
    %mean = map.div %ms, $size(x, samples)
    %meanb = broadcast %mean {shape=$kept, dims=$behind}
    %d = map.sub %m, %meanb
    %dd = map.mul %d, %d
    %ds = reduce.sum %dd {axes=[0]}
    %qs = reduce.sum %q {axes=[0]}
    %t = map.fma %ds, $size(x, inner), %qs
  $else
    %s = reduce.sum %x {axes=$axes}
    %mean = map.div %s, $size(x, axes)
    %mb = broadcast %mean {shape=$shape(x), dims=$others(x, axes)}
    %c = map.sub %x, %mb
    %cc = map.mul %c, %c
    %t = reduce.sum %cc {axes=$axes}
  $end
  %variance = map.div %t, $size(x, axes)
})",
    // The variance does not change with the mean to first order.
    .gradient_body = R"(func batch_moments_gradient(%x, %mean, %variance, %dmean, %dvariance) -> (%dx) {
  %m = map.div %dmean, $size(x, axes)
  %v = map.div %dvariance, $size(x, axes)
  %vv = map.mul %v, 2
  %db = broadcast %m {shape=$shape(x), dims=$others(x, axes)}
  %vb = broadcast %vv {shape=$shape(x), dims=$others(x, axes)}
  %mb = broadcast %mean {shape=$shape(x), dims=$others(x, axes)}
  %c = map.sub %x, %mb
  %dx = map.fma %c, %vb, %db
})",
    .derive = derive_moments,
    .samples = {"func f(%x: f32[batch,4]) -> (%m, %v) { %m, %v = batch_moments %x {axes=[0]} }",
                "func f(%x: f32[batch,3,3,2]) -> (%m, %v) { %m, %v = batch_moments %x {axes=[0,1,2]} }",
                "func f(%x: f32[batch,2,5]) -> (%m, %v) { %m, %v = batch_moments %x {axes=[0,2]} }",
                "func f(%x: f32[batch,6]) -> (%m, %v) { %m, %v = batch_moments %x {axes=[1]} }"},
};

extern const OpDef kNormalize;
const OpDef kNormalize = {
    .name = "normalize",
    .doc =
        "y = (x - mean) / sqrt(variance + epsilon) * gamma + beta. mean and variance vary along `axes` of x, gamma and "
        "beta "
        "along `scale_axes`. Either of these may be left out or, to keep its place, be the number 1 or 0.\n"
        "BatchNormalization: `normalize %x, %m, %v, @gamma, @beta {axes=[3], scale_axes=[3], epsilon=0.001}`; "
        "LayerNormalization: axes=[0,1], scale_axes=[2].",
    .min_operands = 3,
    .max_operands = 5,
    .attrs = {{"axes", AttrSpec::Kind::ints, {}, "of x that mean and variance have"},
              {"scale_axes", AttrSpec::Kind::ints, Ints{}, "of x that gamma and beta have"},
              {"epsilon", AttrSpec::Kind::number, kernel::literal_of(1e-3), "is added to the variance"}},
    .body = R"(func normalize(%x, %mean, %variance, %gamma, %beta) -> (%y) {
  %v = map.add %variance, $epsilon
  %r = map.rsqrt %v
  %mb = broadcast %mean {shape=$shape(x), dims=$axes}
  %c = map.sub %x, %mb
  $if(together) %f = map.mul %r, %gamma $end
  %fb = broadcast $if(together) %f $else %r $end {shape=$shape(x), dims=$axes}
  $if(beta) %bb = broadcast %beta {shape=$shape(x), dims=$scale_axes} $end
  $if(apart)
    %n = map.mul %c, %fb
    %gb = broadcast %gamma {shape=$shape(x), dims=$scale_axes}
    $if(beta) %y = map.fma %n, %gb, %bb $else %y = map.mul %n, %gb $end
  $else
    $if(beta) %y = map.fma %c, %fb, %bb $else %y = map.mul %c, %fb $end
  $end
})",
    .gradient_body = R"(func normalize_gradient(%x, %mean, %variance, %gamma, %beta, %y, %dy)
    -> (x = %dx, mean = %dmean, variance = %dvariance,
        gamma = $if(gamma) %dgamma $else 0 $end, beta = $if(beta) %dbeta $else 0 $end) {
  %v = map.add %variance, $epsilon
  %r = map.rsqrt %v
  %mb = broadcast %mean {shape=$shape(x), dims=$axes}
  %c = map.sub %x, %mb
  $if(apart)
    %gb = broadcast %gamma {shape=$shape(x), dims=$scale_axes}
    %dn = map.mul %dy, %gb
  $end
  $if(together) %f = map.mul %r, %gamma $end
  %fb = broadcast $if(together) %f $else %r $end {shape=$shape(x), dims=$axes}
  %dx = map.mul $if(apart) %dn $else %dy $end, %fb
  %s = reduce.sum %dx {axes=$others(x, axes)}
  %dmean = map.neg %s
  %p = map.mul %dx, %c
  %q = reduce.sum %p {axes=$others(x, axes)}
  %w = map.div %q, %v
  %dvariance = map.mul %w, -0.5
  $if(gamma)
    %rb = broadcast %r {shape=$shape(x), dims=$axes}
    %n = map.mul %c, %rb
    %g = map.mul %dy, %n
    %dgamma = reduce.sum %g {axes=$others(x, scale_axes)}
  $end
  $if(beta) %dbeta = reduce.sum %dy {axes=$others(x, scale_axes)} $end
})",
    .derive = derive_normalize,
    .samples =
        {"func f(%x: f32[batch,4], %m: f32[4], %v: f32[4]) -> (%y) { %w = map.mul %v, %v  %y = normalize %x, %m, %w "
         "{axes=[1]} }",
         "func f(%x: f32[batch,2,2,3], %m: f32[3], %v: f32[3], %g: f32[3], %b: f32[3]) -> (%y) { %w = map.mul %v, %v  "
         "%y = normalize %x, %m, %w, %g, %b {axes=[3], scale_axes=[3], epsilon=0.01} }",
         "func f(%x: f32[batch,3,4], %m: f32[batch,3], %v: f32[batch,3], %g: f32[4], %b: f32[4]) -> (%y) { %w = "
         "map.mul %v, %v  "
         "%y = normalize %x, %m, %w, %g, %b {axes=[0,1], scale_axes=[2]} }",
         "func f(%x: f32[batch,4], %m: f32[4], %v: f32[4], %b: f32[4]) -> (%y) { %w = map.mul %v, %v  "
         "%y = normalize %x, %m, %w, 1, %b {axes=[1], scale_axes=[1]} }",
         "func f(%x: f32[batch,4], %m: f32[batch], %v: f32[batch], %g: f32[4]) -> (%y) { %w = map.mul %v, %v  "
         "%y = normalize %x, %m, %w, %g {axes=[0], scale_axes=[1]} }"},
};

}  // namespace tusk::graph
