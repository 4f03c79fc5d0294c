// Operations on elements: keras.ops.numpy's functions and comparisons, keras.ops.core's casts.
#include <fmt/format.h>

#include <cmath>
#include <numbers>
#include <utility>

#include "frontend/model/error.hpp"
#include "frontend/ops/operation.hpp"
#include "frontend/ops/ranges.hpp"

namespace tusk::ops {
namespace {

using Results = std::vector<Tensor>;

// A row of floats; integers become floats.
template <FixedText row>
Results unary(const Arguments& a) {
  return {emit::map(row.view(), {a.floats("x")})};
}

// A row that keeps the type of numbers.
template <FixedText row>
Results same_type(const Arguments& a) {
  const Tensor x = a.tensor("x");
  if (x.dtype() == DType::boolean) return {emit::map(row.view(), {emit::cast(x, DType::i32)})};
  return {emit::map(row.view(), {x})};
}

// floor and ceil give floats; trunc leaves integers what they are.
template <FixedText row>
Results rounding(const Arguments& a) {
  const Tensor x = a.tensor("x");
  if (is_float(x.dtype())) return {emit::map(row.view(), {x})};
  return {row.view() == "trunc" ? x : emit::to_float(x)};
}

void refuse_bools(const std::vector<emit::Arg>& operands) {
  for (const emit::Arg& operand : operands) {
    if (operand.tensor() != nullptr && operand.tensor()->dtype() == DType::boolean)
      throw Error(error("ops-argument", "both operands are bools; cast them first"));
  }
}

template <FixedText row, Numbers numbers = Numbers::weak>
Results binary(const Arguments& a) {
  const std::vector<emit::Arg> x = together({a.at("x1"), a.at("x2")}, false, numbers);
  refuse_bools(x);
  return {emit::map(row.view(), x)};
}

template <FixedText row, Numbers numbers = Numbers::weak>
Results binary_of_floats(const Arguments& a) {
  return {emit::map(row.view(), together({a.at("x1"), a.at("x2")}, true, numbers))};
}

template <FixedText row>
Results comparison(const Arguments& a) {
  std::vector<emit::Arg> x = together({a.at("x1"), a.at("x2")}, false, Numbers::typed);
  if (row.view() != "eq" && row.view() != "ne") refuse_bools(x);
  return {emit::map(row.view(), x)};
}

Tensor as_bool(const Tensor& x) { return emit::cast(x, DType::boolean); }

template <FixedText row>
Results logical(const Arguments& a) {
  std::vector<Tensor> x;
  for (const char* name : {"x1", "x2"}) x.push_back(as_bool(a.tensor(name)));
  x = emit::broadcast_together(std::move(x));
  return {emit::map(row.view(), {x[0], x[1]})};
}

// By squaring, for every bit of the exponent from the lowest: integers wrap as their products do.
Tensor power_of_integers(Tensor base, const Tensor& exponent) {
  Tensor y = emit::filled("one", base.dtype(), base.shape(), 1);
  const int bits = 8 * size_of(exponent.dtype()) - (is_signed(exponent.dtype()) ? 1 : 0);
  for (int bit = 0; bit < bits; ++bit) {
    if (bit > 0) base = emit::map("mul", {base, base});
    const Tensor is_set = emit::map("and", {emit::map("shr", {exponent, bit}), 1});
    y = emit::map("select", {emit::map("ne", {is_set, 0}), emit::map("mul", {y, base}), y});
  }
  return y;
}

// Integers keep their type only for whole exponents, which must not be negative.
Results power(const Arguments& a) {
  const std::vector<emit::Arg> x = together({a.at("x1"), a.at("x2")});
  refuse_bools(x);
  const std::optional<double> exponent = a.at("x2").number();
  const bool squares = exponent && *exponent == 2 && x[0].tensor() != nullptr;
  if (squares) return {emit::map("mul", {x[0], x[0]})};
  const std::vector<Tensor> both = tensors_together({a.at("x1"), a.at("x2")});
  if (is_float(both[0].dtype())) return {emit::map("pow", x)};
  if (exponent && *exponent < 0) a.refuse("x2", "0 or more as a power of integers; cast them to float32 first");
  return {power_of_integers(both[0], both[1])};
}

Results square(const Arguments& a) {
  const Tensor x = a.tensor("x");
  const Tensor number = x.dtype() == DType::boolean ? emit::cast(x, DType::i32) : x;
  return {emit::map("mul", {number, number})};
}

Results clip(const Arguments& a) {
  const std::vector<emit::Arg> x = together({a.at("x"), a.at("x_min"), a.at("x_max")});
  return {emit::map("max", {emit::map("min", {x[0], x[2]}), x[1]})};
}

Results where(const Arguments& a) {
  if (!a.has("x1") || !a.has("x2"))
    throw Error(error("ops-argument", "where without values: how many there are is not known before it runs"));
  std::vector<Tensor> values = tensors_together({a.at("x1"), a.at("x2")});
  Tensor condition = as_bool(a.tensor("condition"));
  // All three broadcast; bools beside floats would become floats.
  Shape shape = values[0].shape();
  std::vector<Tensor> shapes =
      emit::broadcast_together({emit::cast(condition, DType::i32), emit::filled("one", DType::i32, shape, 1)});
  shape = shapes[0].shape();
  const auto to = [&](const Tensor& x) {
    if (x.shape() == shape) return x;
    emit::Ints dims;
    const auto shift = static_cast<std::int64_t>(shape.size()) - x.rank();
    for (std::int64_t i = 0; i < x.rank(); ++i) dims.push_back(i + shift);
    return emit::broadcast(x, shape, std::move(dims));
  };
  return {emit::map("select", {to(condition), to(values[0]), to(values[1])})};
}

Results cast(const Arguments& a) {
  const Tensor x = a.tensor("x");
  const DType to = a.dtype("dtype", x.dtype());
  return {emit::cast(x, to)};
}

// round(x * 10^d) / 10^d
Results round(const Arguments& a) {
  const Tensor x = a.tensor("x");
  const std::int64_t decimals = a.integer("decimals", 0);
  if (!is_float(x.dtype())) {
    if (decimals < 0) throw Error(error("ops-argument", "round of integers to tens"));
    return {x};
  }
  if (decimals == 0) return {emit::map("rint", {x})};
  const double factor = std::pow(10.0, static_cast<double>(decimals));
  return {emit::map("div", {emit::map("rint", {emit::map("mul", {x, factor})}), factor})};
}

Results ones_like(const Arguments& a) {
  const Tensor x = a.tensor("x");
  return {emit::filled("value", a.dtype("dtype", x.dtype()), x.shape(), 1)};
}

Results zeros_like(const Arguments& a) {
  const Tensor x = a.tensor("x");
  return {emit::filled("value", a.dtype("dtype", x.dtype()), x.shape(), 0)};
}

Results full_like(const Arguments& a) {
  const Tensor x = a.tensor("x");
  return {emit::filled("value", a.dtype("dtype", x.dtype()), x.shape(), a.number("fill_value"))};
}

Results isnan(const Arguments& a) {
  const Tensor x = a.floats("x");
  return {emit::map("ne", {x, x})};
}
Results isinf(const Arguments& a) { return {emit::map("eq", {emit::map("abs", {a.floats("x")}), kInfinity})}; }
Results isfinite(const Arguments& a) { return {emit::map("lt", {emit::map("abs", {a.floats("x")}), kInfinity})}; }

Results isclose(const Arguments& a) {
  // As Keras' backends have it: integers are compared, and no infinity is close to itself.
  const std::vector<Tensor> x = tensors_together({a.at("x1"), a.at("x2")}, false, Numbers::typed);
  if (!is_float(x[0].dtype())) return {emit::map("eq", {x[0], x[1]})};
  const Tensor apart = emit::map("abs", {emit::map("sub", {x[0], x[1]})});
  const Tensor bound =
      emit::map("add", {emit::map("mul", {emit::map("abs", {x[1]}), a.number("rtol", 1e-5)}), a.number("atol", 1e-8)});
  Tensor close = emit::map("le", {apart, bound});
  if (a.flag("equal_nan", false))
    close = emit::map("or", {close, emit::map("and", {emit::map("ne", {x[0], x[0]}), emit::map("ne", {x[1], x[1]})})});
  return {close};
}

Results nan_to_num(const Arguments& a) {
  Tensor x = a.tensor("x");
  if (!is_float(x.dtype())) return {x};
  const double largest = range_of(x.dtype()).second;
  x = emit::map("select", {emit::map("ne", {x, x}), a.number("nan", 0), x});
  x = emit::map("select", {emit::map("eq", {x, kInfinity}), a.number("posinf", largest), x});
  return {emit::map("select", {emit::map("eq", {x, -kInfinity}), a.number("neginf", -largest), x})};
}

// log(exp x1 + exp x2)
Results logaddexp(const Arguments& a) {
  const std::vector<Tensor> x = tensors_together({a.at("x1"), a.at("x2")}, true, Numbers::typed);
  const Tensor apart = emit::map("abs", {emit::map("sub", {x[0], x[1]})});
  const Tensor rest = emit::map("log1p", {emit::map("exp", {emit::map("neg", {apart})})});
  return {emit::map("add", {emit::map("max", {x[0], x[1]}), rest})};
}

Results hypot(const Arguments& a) {
  const std::vector<Tensor> x = tensors_together({a.at("x1"), a.at("x2")}, true);
  // By the larger side, whose square may be no float.
  const Tensor a_side = emit::map("abs", {x[0]});
  const Tensor b_side = emit::map("abs", {x[1]});
  const Tensor longer = emit::map("max", {a_side, b_side});
  const Tensor quotient = emit::map("div", {emit::map("min", {a_side, b_side}), longer});
  const Tensor ratio = emit::map("select", {emit::map("eq", {longer, 0.0}), 0.0, quotient});
  const Tensor root = emit::map("sqrt", {emit::map("add", {emit::map("mul", {ratio, ratio}), 1.0})});
  return {emit::map("mul", {longer, root})};
}

Results divide_no_nan(const Arguments& a) {
  const std::vector<Tensor> x = tensors_together({a.at("x1"), a.at("x2")}, true);
  return {emit::map("select", {emit::map("eq", {x[1], 0}), 0, emit::map("div", {x[0], x[1]})})};
}

// Of the other, where one of them is NaN.
template <FixedText row>
Results extremum_of_numbers(const Arguments& a) {
  const std::vector<Tensor> x = tensors_together({a.at("x1"), a.at("x2")});
  const Tensor y = emit::map(row.view(), {x[0], x[1]});
  if (!is_float(y.dtype())) return {y};
  const auto is_nan = [](const Tensor& of) { return emit::map("ne", {of, of}); };
  return {emit::map("select", {is_nan(x[0]), x[1], emit::map("select", {is_nan(x[1]), x[0], y})})};
}

// The remainder has the sign of x1.
Results fmod(const Arguments& a) {
  std::vector<Tensor> x = tensors_together({a.at("x1"), a.at("x2")});
  for (Tensor& of : x) of = of.dtype() == DType::boolean ? emit::cast(of, DType::i32) : of;
  if (!is_float(x[0].dtype()) && !is_signed(x[0].dtype())) return {emit::map("mod", {x[0], x[1]})};
  const Tensor rest = emit::map("mod", {emit::map("abs", {x[0]}), emit::map("abs", {x[1]})});
  return {emit::map("mul", {emit::map("sign", {x[0]}), rest})};
}

Results heaviside(const Arguments& a) {
  const std::vector<Tensor> x = tensors_together({a.at("x1"), a.at("x2")}, true);
  const Tensor above = emit::map("select", {emit::map("gt", {x[0], 0}), 1, x[1]});
  return {emit::map("select", {emit::map("lt", {x[0], 0}), 0, above})};
}

// x1 * 2^x2
Results ldexp(const Arguments& a) {
  const Tensor exponent = a.tensor("x2");
  if (!is_integer(exponent.dtype())) a.refuse("x2", "integers");
  const std::vector<Tensor> x = emit::broadcast_together({a.floats("x1"), emit::to_float(exponent)});
  const Tensor y = emit::map("mul", {x[0], emit::map("exp2", {x[1]})});
  const Tensor stays =
      emit::map("or", {emit::map("eq", {x[0], 0}), emit::map("eq", {emit::map("abs", {x[0]}), kInfinity})});
  return {emit::map("select", {stays, x[0], y})};
}

// log2(2^x1 + 2^x2)
Results logaddexp2(const Arguments& a) {
  const std::vector<Tensor> x = tensors_together({a.at("x1"), a.at("x2")}, true);
  const Tensor apart = emit::map("sub", {x[0], x[1]});
  const Tensor share = emit::map("exp", {emit::map("mul", {emit::map("abs", {apart}), -std::numbers::ln2})});
  const Tensor rest = emit::map("div", {emit::map("log1p", {share}), std::numbers::ln2});
  const Tensor y = emit::map("add", {emit::map("max", {x[0], x[1]}), rest});
  return {emit::map("select", {emit::map("ne", {apart, apart}), emit::map("add", {x[0], x[1]}), y})};
}

// sin(pi x) / (pi x)
Results sinc(const Arguments& a) {
  const Tensor x = a.floats("x");
  const Tensor angle = emit::map("mul", {x, std::numbers::pi});
  return {emit::map("select", {emit::map("eq", {x, 0}), 1, emit::map("div", {emit::map("sin", {angle}), angle})})};
}

Results cbrt(const Arguments& a) {
  const Tensor x = a.floats("x");
  const Tensor root = emit::map("pow", {emit::map("abs", {x}), 1.0 / 3});
  return {emit::map("mul", {emit::map("sign", {x}), root})};
}

// Minus 0 has a sign, and is told by what divides 1.
Results signbit(const Arguments& a) {
  const Tensor x = a.tensor("x");
  if (x.dtype() == DType::boolean) return {emit::filled("value", DType::boolean, x.shape(), 0)};
  if (!is_float(x.dtype())) return {emit::map("lt", {x, 0})};
  return {emit::map("lt", {emit::map("select", {emit::map("eq", {x, 0}), emit::map("div", {1, x}), x}), 0})};
}

template <int sign>
Results is_infinity(const Arguments& a) {
  return {emit::map("eq", {a.floats("x"), sign * kInfinity})};
}

Results deg2rad(const Arguments& a) { return {emit::map("mul", {a.floats("x"), std::numbers::pi / 180})}; }
Results rad2deg(const Arguments& a) { return {emit::map("mul", {a.floats("x"), 180 / std::numbers::pi})}; }

Results fabs(const Arguments& a) { return {emit::map("abs", {a.floats("x")})}; }

std::vector<Tensor> integers(const Arguments& a) {
  const std::vector<Tensor> x = tensors_together({a.at("x"), a.at("y")});
  if (is_float(x[0].dtype())) throw Error(error("ops-argument", "bits of floats; cast them to integers first"));
  return x;
}

template <FixedText row>
Results bitwise(const Arguments& a) {
  const std::vector<Tensor> x = integers(a);
  return {emit::map(row.view(), {x[0], x[1]})};
}

// By 0 to all bits but one, as TensorFlow does it.
template <FixedText row>
Results shift(const Arguments& a) {
  const std::vector<Tensor> x = integers(a);
  if (x[0].dtype() == DType::boolean)
    throw Error(error("ops-argument", "a shift of bools; cast them to integers first"));
  const double most = 8 * size_of(x[0].dtype()) - 1;
  const Tensor count = emit::map("min", {emit::map("max", {x[1], 0}), most});
  return {emit::map(row.view(), {x[0], count})};
}

Results bitwise_not(const Arguments& a) {
  const Tensor x = a.tensor("x");
  if (is_float(x.dtype())) a.refuse("x", "integers or bools");
  if (x.dtype() == DType::boolean) return {emit::map("not", {x})};
  return {emit::map("xor", {x, is_signed(x.dtype()) ? -1 : range_of(x.dtype()).second})};
}

// What lies beyond the ends of the type becomes the end, infinities too. NaN stays NaN, and as an integer is 0.
Results saturate_cast(const Arguments& a) {
  const Tensor x = a.tensor("x");
  const DType to = a.dtype("dtype", x.dtype());
  if (x.dtype() == DType::boolean) return {emit::cast(x, to)};
  const auto [low, high] = to == DType::boolean ? std::pair(0.0, 1.0) : range_of(to);
  const auto [least, most] = is_float(x.dtype()) ? std::pair(-kInfinity, kInfinity) : range_of(x.dtype());
  // Casts of floats to 32 bits and more end there by themselves; their largest integer is no float.
  const bool by_cast = is_float(x.dtype()) && is_integer(to) && size_of(to) > 1;
  Tensor y = x;
  if (!by_cast && low > least) y = emit::map("max", {y, low});
  if (!by_cast && high < most) y = emit::map("min", {y, high});
  if (is_float(x.dtype())) y = emit::map("select", {emit::map("ne", {x, x}), x, y});
  return {emit::cast(y, to)};
}

// The first choice whose condition holds.
Results select(const Arguments& a) {
  const std::vector<Tensor> conditions = a.tensors("condlist");
  const Argument::List* choices = a.at("choicelist").get<Argument::List>();
  if (choices == nullptr || choices->size() != conditions.size())
    a.refuse("choicelist", fmt::format("a list of {} choices, as many as conditions", conditions.size()));
  Argument y = a.has("default") ? a.at("default") : Argument(0);
  for (std::size_t i = conditions.size(); i-- > 0;)
    y = call("Where", {{"condition", conditions[i]}, {"x1", (*choices)[i]}, {"x2", y}});
  return {*y.get<Tensor>()};
}

Results all_close(const Arguments& a) {
  // Unlike isclose, an infinity is close to itself.
  const Tensor equal = call("Equal", {{"x1", a.at("x1")}, {"x2", a.at("x2")}});
  return {call("All", {{"x", emit::map("or", {equal, call("Isclose", a)})}})};
}

Results reciprocal(const Arguments& a) { return {emit::map("div", {1, a.floats("x")})}; }
Results logical_not(const Arguments& a) { return {emit::map("not", {as_bool(a.tensor("x"))})}; }
Results copy(const Arguments& a) { return {a.tensor("x")}; }
Results stop_gradient(const Arguments& a) { return {emit::op("stop_gradient", {a.tensor("variable")})}; }

constexpr OperationDef kElementwiseTable[] = {
    {"Add", "x1 x2", binary<"add">},
    {"Subtract", "x1 x2", binary<"sub">},
    {"Multiply", "x1 x2", binary<"mul">},
    {"Divide", "x1 x2", binary_of_floats<"div">},
    {"TrueDivide", "x1 x2", binary_of_floats<"div">},
    {"DivideNoNan", "x1 x2", divide_no_nan},
    {"FloorDivide", "x1 x2", binary<"floordiv">},
    {"Mod", "x1 x2", binary<"mod", Numbers::typed>},
    {"Power", "x1 x2", power},
    {"Maximum", "x1 x2", binary<"max">},
    {"Minimum", "x1 x2", binary<"min">},
    {"Arctan2", "x1 x2", binary_of_floats<"atan2", Numbers::typed>},
    {"Hypot", "x1 x2", hypot},
    {"Logaddexp", "x1 x2", logaddexp},
    {"Equal", "x1 x2", comparison<"eq">},
    {"NotEqual", "x1 x2", comparison<"ne">},
    {"Less", "x1 x2", comparison<"lt">},
    {"LessEqual", "x1 x2", comparison<"le">},
    {"Greater", "x1 x2", comparison<"gt">},
    {"GreaterEqual", "x1 x2", comparison<"ge">},
    {"LogicalAnd", "x1 x2", logical<"and">},
    {"LogicalOr", "x1 x2", logical<"or">},
    {"LogicalXor", "x1 x2", logical<"xor">},
    {"LogicalNot", "x", logical_not},
    {"Isclose", "x1 x2 rtol atol | equal_nan", isclose},
    {"Where", "condition x1 x2", where},
    {"Clip", "x | x_min x_max", clip},
    {"Cast", "x | dtype", cast},
    {"StopGradient", "variable", stop_gradient},
    {"Copy", "x", copy},
    {"ConvertToTensor", "x | dtype sparse ragged", cast},
    {"OnesLike", "x | dtype", ones_like},
    {"ZerosLike", "x | dtype", zeros_like},
    {"EmptyLike", "x | dtype", zeros_like},
    {"FullLike", "x fill_value | dtype", full_like},
    {"Isnan", "x", isnan},
    {"Isinf", "x", isinf},
    {"Isfinite", "x", isfinite},
    {"NanToNum", "x | nan posinf neginf", nan_to_num},
    {"Negative", "x", same_type<"neg">},
    {"Absolute", "x", same_type<"abs">},
    {"Abs", "x", same_type<"abs">},
    {"Sign", "x", same_type<"sign">},
    {"Square", "x", square},
    {"Floor", "x", rounding<"floor">},
    {"Ceil", "x", rounding<"ceil">},
    {"Trunc", "x", rounding<"trunc">},
    {"Round", "x | decimals", round},
    {"Reciprocal", "x", reciprocal},
    {"Sqrt", "x", unary<"sqrt">},
    {"Rsqrt", "x", unary<"rsqrt">},
    {"Exp", "x", unary<"exp">},
    {"Exp2", "x", unary<"exp2">},
    {"Expm1", "x", unary<"expm1">},
    {"Log", "x", unary<"log">},
    {"Log2", "x", unary<"log2">},
    {"Log10", "x", unary<"log10">},
    {"Log1p", "x", unary<"log1p">},
    {"Sin", "x", unary<"sin">},
    {"Cos", "x", unary<"cos">},
    {"Tan", "x", unary<"tan">},
    {"Arcsin", "x", unary<"asin">},
    {"Arccos", "x", unary<"acos">},
    {"Arctan", "x", unary<"atan">},
    {"Sinh", "x", unary<"sinh">},
    {"Cosh", "x", unary<"cosh">},
    {"Tanh", "x", unary<"tanh">},
    {"Arcsinh", "x", unary<"asinh">},
    {"Arccosh", "x", unary<"acosh">},
    {"Arctanh", "x", unary<"atanh">},
    {"Erf", "x", unary<"erf">},
    {"Erfinv", "x", unary<"erfinv">},
    {"Erfc", "x", unary<"erfc">},
    {"Cbrt", "x", cbrt},
    {"Fabs", "x", fabs},
    {"Sinc", "x", sinc},
    {"Signbit", "x", signbit},
    {"Isposinf", "x", is_infinity<1>},
    {"Isneginf", "x", is_infinity<-1>},
    {"Deg2rad", "x", deg2rad},
    {"Rad2deg", "x", rad2deg},
    {"Fmax", "x1 x2", extremum_of_numbers<"max">},
    {"Fmin", "x1 x2", extremum_of_numbers<"min">},
    {"Fmod", "x1 x2", fmod},
    {"Heaviside", "x1 x2", heaviside},
    {"Ldexp", "x1 x2", ldexp},
    {"Logaddexp2", "x1 x2", logaddexp2},
    {"AllClose", "x1 x2 | rtol atol equal_nan", all_close},
    {"Select", "condlist choicelist default", select},
    {"SaturateCast", "x | dtype", saturate_cast},
    {"BitwiseAnd", "x y", bitwise<"and">},
    {"BitwiseOr", "x y", bitwise<"or">},
    {"BitwiseXor", "x y", bitwise<"xor">},
    {"BitwiseNot", "x", bitwise_not},
    {"BitwiseInvert", "x", bitwise_not},
    {"BitwiseLeftShift", "x y", shift<"shl">},
    {"BitwiseRightShift", "x y", shift<"shr">},
    {"LeftShift", "x y", shift<"shl">},
    {"RightShift", "x y", shift<"shr">},
};

}  // namespace

std::span<const OperationDef> elementwise_operations() { return kElementwiseTable; }

}  // namespace tusk::ops
