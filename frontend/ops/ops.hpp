// Functions on tensors (keras.ops): while a model is defined each call is an operation of it, inside of a layer's call
// they are computed on the spot. Shapes are those of the whole tensor, with the batch.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

#include "frontend/ops/operation.hpp"

namespace tusk {

namespace ops {

/// A tensor, a variable, an array or a number.
using Term = Argument;

using Function = std::function<Tensor(const std::vector<Tensor>&)>;
/// An operation of one's own: `function` gets traced tensors. `class_name` gives automatic names.
Tensor apply(std::string_view class_name, const std::vector<Tensor>& inputs, const Function& function);

struct Reduction {
  std::vector<std::int64_t> axis = {};  // empty: all
  bool keepdims = false;
};
struct ArgReduction {
  std::optional<std::int64_t> axis = {};  // none: of all elements in a row
  bool keepdims = false;
};

#define TUSK_UNARY(function, Class) \
  inline Tensor function(const Term& x) { return call(#Class, {{"x", x}}); }
#define TUSK_BINARY(function, Class) \
  inline Tensor function(const Term& a, const Term& b) { return call(#Class, {{"x1", a}, {"x2", b}}); }
#define TUSK_REDUCTION(function, Class)                            \
  inline Tensor function(const Term& x, const Reduction& r = {}) { \
    Arguments arguments{{"x", x}, {"keepdims", r.keepdims}};       \
    if (!r.axis.empty()) arguments.set("axis", r.axis);            \
    return call(#Class, std::move(arguments));                     \
  }

TUSK_BINARY(add, Add)
TUSK_BINARY(subtract, Subtract)
TUSK_BINARY(multiply, Multiply)
TUSK_BINARY(divide, TrueDivide)
TUSK_BINARY(true_divide, TrueDivide)
TUSK_BINARY(divide_no_nan, DivideNoNan)
TUSK_BINARY(floor_divide, FloorDivide)
TUSK_BINARY(mod, Mod)
TUSK_BINARY(power, Power)
TUSK_BINARY(maximum, Maximum)
TUSK_BINARY(minimum, Minimum)
TUSK_BINARY(arctan2, Arctan2)
TUSK_BINARY(hypot, Hypot)
TUSK_BINARY(logaddexp, Logaddexp)
TUSK_BINARY(equal, Equal)
TUSK_BINARY(not_equal, NotEqual)
TUSK_BINARY(less, Less)
TUSK_BINARY(less_equal, LessEqual)
TUSK_BINARY(greater, Greater)
TUSK_BINARY(greater_equal, GreaterEqual)
TUSK_BINARY(logical_and, LogicalAnd)
TUSK_BINARY(logical_or, LogicalOr)
TUSK_BINARY(logical_xor, LogicalXor)
TUSK_BINARY(isclose, Isclose)
TUSK_BINARY(matmul, Matmul)
TUSK_BINARY(dot, Dot)
TUSK_BINARY(inner, Inner)
TUSK_BINARY(vdot, Vdot)
TUSK_BINARY(outer, Outer)
TUSK_BINARY(kron, Kron)
TUSK_BINARY(cross, Cross)
TUSK_BINARY(fmax, Fmax)
TUSK_BINARY(fmin, Fmin)
TUSK_BINARY(fmod, Fmod)
TUSK_BINARY(heaviside, Heaviside)
TUSK_BINARY(ldexp, Ldexp)
TUSK_BINARY(logaddexp2, Logaddexp2)
TUSK_BINARY(isin, IsIn)

TUSK_UNARY(logical_not, LogicalNot)
TUSK_UNARY(isnan, Isnan)
TUSK_UNARY(isinf, Isinf)
TUSK_UNARY(isfinite, Isfinite)
TUSK_UNARY(nan_to_num, NanToNum)
TUSK_UNARY(negative, Negative)
TUSK_UNARY(abs, Absolute)
TUSK_UNARY(sign, Sign)
TUSK_UNARY(square, Square)
TUSK_UNARY(floor, Floor)
TUSK_UNARY(ceil, Ceil)
TUSK_UNARY(trunc, Trunc)
TUSK_UNARY(reciprocal, Reciprocal)
TUSK_UNARY(sqrt, Sqrt)
TUSK_UNARY(rsqrt, Rsqrt)
TUSK_UNARY(exp, Exp)
TUSK_UNARY(exp2, Exp2)
TUSK_UNARY(expm1, Expm1)
TUSK_UNARY(log, Log)
TUSK_UNARY(log2, Log2)
TUSK_UNARY(log10, Log10)
TUSK_UNARY(log1p, Log1p)
TUSK_UNARY(sin, Sin)
TUSK_UNARY(cos, Cos)
TUSK_UNARY(tan, Tan)
TUSK_UNARY(arcsin, Arcsin)
TUSK_UNARY(arccos, Arccos)
TUSK_UNARY(arctan, Arctan)
TUSK_UNARY(sinh, Sinh)
TUSK_UNARY(cosh, Cosh)
TUSK_UNARY(tanh, Tanh)
TUSK_UNARY(arcsinh, Arcsinh)
TUSK_UNARY(arccosh, Arccosh)
TUSK_UNARY(arctanh, Arctanh)
TUSK_UNARY(erf, Erf)
TUSK_UNARY(erfinv, Erfinv)
TUSK_UNARY(erfc, Erfc)
TUSK_UNARY(cbrt, Cbrt)
TUSK_UNARY(fabs, Fabs)
TUSK_UNARY(sinc, Sinc)
TUSK_UNARY(signbit, Signbit)
TUSK_UNARY(isposinf, Isposinf)
TUSK_UNARY(isneginf, Isneginf)
TUSK_UNARY(deg2rad, Deg2rad)
TUSK_UNARY(rad2deg, Rad2deg)
TUSK_UNARY(bitwise_not, BitwiseNot)
TUSK_UNARY(fliplr, Fliplr)
TUSK_UNARY(flipud, Flipud)
TUSK_UNARY(corrcoef, Corrcoef)
TUSK_UNARY(ones_like, OnesLike)
TUSK_UNARY(zeros_like, ZerosLike)
TUSK_UNARY(ravel, Ravel)
TUSK_UNARY(relu, Relu)
TUSK_UNARY(relu6, Relu6)
TUSK_UNARY(sigmoid, Sigmoid)
TUSK_UNARY(softplus, Softplus)
TUSK_UNARY(softsign, Softsign)
TUSK_UNARY(silu, Silu)
TUSK_UNARY(log_sigmoid, LogSigmoid)
TUSK_UNARY(hard_sigmoid, HardSigmoid)
TUSK_UNARY(hard_silu, HardSilu)
TUSK_UNARY(selu, Selu)

TUSK_REDUCTION(sum, Sum)
TUSK_REDUCTION(prod, Prod)
TUSK_REDUCTION(mean, Mean)
TUSK_REDUCTION(max, Max)
TUSK_REDUCTION(min, Min)
TUSK_REDUCTION(var, Var)
TUSK_REDUCTION(std, Std)
TUSK_REDUCTION(all, All)
TUSK_REDUCTION(any, Any)
TUSK_REDUCTION(logsumexp, Logsumexp)
TUSK_REDUCTION(norm, Norm)
TUSK_REDUCTION(median, Median)
TUSK_REDUCTION(ptp, Ptp)
TUSK_REDUCTION(nansum, Nansum)
TUSK_REDUCTION(nanprod, Nanprod)
TUSK_REDUCTION(nanmean, Nanmean)
TUSK_REDUCTION(nanvar, Nanvar)
TUSK_REDUCTION(nanstd, Nanstd)
TUSK_REDUCTION(nanmax, Nanmax)
TUSK_REDUCTION(nanmin, Nanmin)

#define TUSK_PAIR(function, Class) \
  inline Tensor function(const Term& a, const Term& b) { return call(#Class, {{"x", a}, {"y", b}}); }
TUSK_PAIR(bitwise_and, BitwiseAnd)
TUSK_PAIR(bitwise_or, BitwiseOr)
TUSK_PAIR(bitwise_xor, BitwiseXor)
TUSK_PAIR(left_shift, LeftShift)
TUSK_PAIR(right_shift, RightShift)
TUSK_PAIR(cdist, CDist)

#undef TUSK_PAIR
#undef TUSK_UNARY
#undef TUSK_BINARY
#undef TUSK_REDUCTION

inline Tensor argmax(const Term& x, const ArgReduction& r = {}) {
  return call("Argmax", {{"x", x}, {"axis", r.axis}, {"keepdims", r.keepdims}});
}
inline Tensor argmin(const Term& x, const ArgReduction& r = {}) {
  return call("Argmin", {{"x", x}, {"axis", r.axis}, {"keepdims", r.keepdims}});
}
inline Tensor sort(const Term& x, std::int64_t axis = -1) { return call("Sort", {{"x", x}, {"axis", axis}}); }
inline Tensor argsort(const Term& x, std::int64_t axis = -1) { return call("Argsort", {{"x", x}, {"axis", axis}}); }
/// The k largest elements along the last axis, and where they are.
inline std::vector<Tensor> top_k(const Term& x, std::int64_t k) { return call_all("TopK", {{"x", x}, {"k", k}}); }
inline Tensor cumsum(const Term& x, std::optional<std::int64_t> axis = {}) {
  return call("Cumsum", {{"x", x}, {"axis", axis}});
}
inline Tensor cumprod(const Term& x, std::optional<std::int64_t> axis = {}) {
  return call("Cumprod", {{"x", x}, {"axis", axis}});
}

/// q: one number or a list of them, 0 to 1, which then come first; no axis: of all elements.
inline Tensor quantile(const Term& x, const Term& q, const Reduction& r = {}) {
  Arguments arguments{{"x", x}, {"q", q}, {"keepdims", r.keepdims}};
  if (!r.axis.empty()) arguments.set("axis", r.axis);
  return call("Quantile", std::move(arguments));
}

/// dtype: "float32", "int32", "bool", ...
inline Tensor cast(const Term& x, std::string_view dtype) {
  return call("Cast", {{"x", x}, {"dtype", std::string(dtype)}});
}
inline Tensor where(const Term& condition, const Term& a, const Term& b) {
  return call("Where", {{"condition", condition}, {"x1", a}, {"x2", b}});
}
inline Tensor clip(const Term& x, const Term& low, const Term& high) {
  return call("Clip", {{"x", x}, {"x_min", low}, {"x_max", high}});
}
inline Tensor round(const Term& x, std::int64_t decimals = 0) {
  return call("Round", {{"x", x}, {"decimals", decimals}});
}
inline Tensor stop_gradient(const Tensor& x) { return call("StopGradient", {{"variable", x}}); }

/// One extent may be -1.
inline Tensor reshape(const Term& x, const std::vector<std::int64_t>& shape) {
  return call("Reshape", {{"x", x}, {"newshape", shape}});
}
/// Without axes, the order of all is reversed.
inline Tensor transpose(const Term& x, const std::optional<std::vector<std::int64_t>>& axes = {}) {
  return call("Transpose", {{"x", x}, {"axes", axes}});
}
inline Tensor moveaxis(const Term& x, std::int64_t source, std::int64_t destination) {
  return call("Moveaxis", {{"x", x}, {"source", source}, {"destination", destination}});
}
inline Tensor swapaxes(const Term& x, std::int64_t axis1, std::int64_t axis2) {
  return call("Swapaxes", {{"x", x}, {"axis1", axis1}, {"axis2", axis2}});
}
inline Tensor expand_dims(const Term& x, std::int64_t axis) { return call("ExpandDims", {{"x", x}, {"axis", axis}}); }
inline Tensor squeeze(const Term& x, std::optional<std::int64_t> axis = {}) {
  return call("Squeeze", {{"x", x}, {"axis", axis}});
}
inline Tensor concatenate(const std::vector<Tensor>& tensors, std::int64_t axis = 0) {
  return call("Concatenate", {{"xs", tensors}, {"axis", axis}});
}
inline Tensor stack(const std::vector<Tensor>& tensors, std::int64_t axis = 0) {
  return call("Stack", {{"x", tensors}, {"axis", axis}});
}
/// Parts of equal extent.
inline std::vector<Tensor> split(const Term& x, std::int64_t sections, std::int64_t axis = 0) {
  return call_all("Split", {{"x", x}, {"indices_or_sections", sections}, {"axis", axis}});
}
inline Tensor repeat(const Term& x, std::int64_t repeats, std::optional<std::int64_t> axis = {}) {
  return call("Repeat", {{"x", x}, {"repeats", repeats}, {"axis", axis}});
}
inline Tensor tile(const Term& x, const std::vector<std::int64_t>& repeats) {
  return call("Tile", {{"x", x}, {"repeats", repeats}});
}
inline Tensor broadcast_to(const Term& x, const std::vector<std::int64_t>& shape) {
  return call("BroadcastTo", {{"x", x}, {"shape", shape}});
}
inline Tensor flip(const Term& x, std::optional<std::int64_t> axis = {}) {
  return call("Flip", {{"x", x}, {"axis", axis}});
}
inline Tensor roll(const Term& x, std::int64_t shift, std::optional<std::int64_t> axis = {}) {
  return call("Roll", {{"x", x}, {"shift", shift}, {"axis", axis}});
}
/// Numbers before and behind for each axis; mode: constant, reflect, symmetric or edge.
inline Tensor pad(const Term& x, const std::vector<std::vector<std::int64_t>>& widths,
                  std::string_view mode = "constant", double constant_values = 0) {
  return call("Pad",
              {{"x", x}, {"pad_width", widths}, {"mode", std::string(mode)}, {"constant_values", constant_values}});
}
inline Tensor tril(const Term& x, std::int64_t k = 0) { return call("Tril", {{"x", x}, {"k", k}}); }
inline Tensor triu(const Term& x, std::int64_t k = 0) { return call("Triu", {{"x", x}, {"k", k}}); }

inline Tensor take(const Term& x, const Term& indices, std::optional<std::int64_t> axis = {}) {
  return call("Take", {{"x", x}, {"indices", indices}, {"axis", axis}});
}
inline Tensor take_along_axis(const Term& x, const Term& indices, std::optional<std::int64_t> axis = {}) {
  return call("TakeAlongAxis", {{"x", x}, {"indices", indices}, {"axis", axis}});
}
inline Tensor one_hot(const Term& x, std::int64_t num_classes, std::int64_t axis = -1) {
  return call("OneHot", {{"x", x}, {"num_classes", num_classes}, {"axis", axis}});
}
inline Tensor einsum(std::string_view subscripts, const std::vector<Tensor>& operands) {
  return call("Einsum", {{"subscripts", std::string(subscripts)}, {"operands", operands}});
}
inline Tensor tensordot(const Term& a, const Term& b, std::int64_t axes = 2) {
  return call("Tensordot", {{"x1", a}, {"x2", b}, {"axes", axes}});
}

/// A part of a tensor: where it starts along each axis (numbers, or a tensor of them), and its extents.
inline Tensor slice(const Term& x, const Term& start_indices, const std::vector<std::int64_t>& shape) {
  return call("Slice", {{"inputs", x}, {"start_indices", start_indices}, {"shape", shape}});
}
/// x with a part of it replaced.
inline Tensor slice_update(const Term& x, const Term& start_indices, const Term& updates) {
  return call("SliceUpdate", {{"inputs", x}, {"start_indices", start_indices}, {"updates", updates}});
}
/// Rows of `indices` are places in x. reduction: none, "add", "max" or "min".
inline Tensor scatter_update(const Term& x, const Term& indices, const Term& updates,
                             const std::optional<std::string>& reduction = {}) {
  return call("ScatterUpdate", {{"inputs", x}, {"indices", indices}, {"updates", updates}, {"reduction", reduction}});
}
/// Sums of the rows that have one id.
inline Tensor segment_sum(const Term& data, const Term& segment_ids, std::int64_t num_segments) {
  return call("SegmentSum", {{"data", data}, {"segment_ids", segment_ids}, {"num_segments", num_segments}});
}
inline Tensor segment_max(const Term& data, const Term& segment_ids, std::int64_t num_segments) {
  return call("SegmentMax", {{"data", data}, {"segment_ids", segment_ids}, {"num_segments", num_segments}});
}

inline Tensor softmax(const Term& x, std::int64_t axis = -1) { return call("Softmax", {{"x", x}, {"axis", axis}}); }
inline Tensor log_softmax(const Term& x, std::int64_t axis = -1) {
  return call("LogSoftmax", {{"x", x}, {"axis", axis}});
}
inline Tensor leaky_relu(const Term& x, double negative_slope = 0.2) {
  return call("LeakyRelu", {{"x", x}, {"negative_slope", negative_slope}});
}
inline Tensor elu(const Term& x, double alpha = 1) { return call("Elu", {{"x", x}, {"alpha", alpha}}); }
inline Tensor gelu(const Term& x, bool approximate = true) {
  return call("Gelu", {{"x", x}, {"approximate", approximate}});
}

}  // namespace ops

/// The whole axis in an index: x[{all, 3, all}].
inline constexpr struct AllType {
} all;

/// An entry of an index: a number, a slice of Python ({1, none, 2}), `all`, or None for a new axis.
class Index {
 public:
  template <std::integral Number>
  Index(Number at) : argument_(static_cast<std::int64_t>(at)) {}  // NOLINT: x[{all, 3}]
  Index(ops::Slice slice) : argument_(slice) {}                   // NOLINT
  Index(AllType) : argument_(ops::Slice()) {}                     // NOLINT
  Index(NoneType) {}                                              // NOLINT
  const ops::Argument& argument() const { return argument_; }

 private:
  ops::Argument argument_;
};

template <class A, class B>
concept TermAndTensor = (std::same_as<std::remove_cvref_t<A>, Tensor> ||
                         std::same_as<std::remove_cvref_t<A>, Variable> ||
                         std::same_as<std::remove_cvref_t<B>, Tensor> ||
                         std::same_as<std::remove_cvref_t<B>,
                                      Variable>)&&std::convertible_to<A, ops::Term>&& std::convertible_to<B, ops::Term>;

template <class A, class B>
requires TermAndTensor<A, B> Tensor operator+(const A& a, const B& b) { return ops::add(a, b); }
template <class A, class B>
requires TermAndTensor<A, B> Tensor operator-(const A& a, const B& b) { return ops::subtract(a, b); }
template <class A, class B>
requires TermAndTensor<A, B> Tensor operator*(const A& a, const B& b) { return ops::multiply(a, b); }
template <class A, class B>
requires TermAndTensor<A, B> Tensor operator/(const A& a, const B& b) { return ops::divide(a, b); }
inline Tensor operator-(const Tensor& x) { return ops::negative(x); }

}  // namespace tusk
