// Operations on elements: keras.ops.numpy's functions and comparisons, keras.ops.core's casts.
#include <cmath>
#include <limits>

#include "frontend/model/error.hpp"
#include "frontend/ops/operation.hpp"

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

// Integers to floating exponents and whole bases: floats; integers keep their type only for whole exponents >= 0.
Results power(const Arguments& a) {
  const std::vector<emit::Arg> x = together({a.at("x1"), a.at("x2")});
  refuse_bools(x);
  const bool floats = x[0].tensor() != nullptr ? is_float(x[0].tensor()->dtype()) : is_float(x[1].tensor()->dtype());
  const std::optional<double> exponent = a.at("x2").number();
  const bool squares = exponent && *exponent == 2 && x[0].tensor() != nullptr;
  if (squares) return {emit::map("mul", {x[0], x[0]})};
  if (!floats && exponent && x[0].tensor() != nullptr && *exponent >= 0 && *exponent <= 64 &&
      *exponent == std::floor(*exponent)) {
    Tensor y = emit::filled("one", x[0].tensor()->dtype(), x[0].tensor()->shape(), 1);
    for (int i = 0; i < static_cast<int>(*exponent); ++i) y = emit::map("mul", {y, x[0]});
    return {y};
  }
  if (!floats) throw Error(error("ops-argument", "power of integers; cast them to float32 first"));
  return {emit::map("pow", x)};
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

double largest_of(DType type) {
  switch (type) {
    case DType::f16:
      return 65504;
    case DType::bf16:
      return 0x1.FEp127;
    case DType::f32:
      return std::numeric_limits<float>::max();
    default:
      return std::numeric_limits<double>::max();
  }
}

Results nan_to_num(const Arguments& a) {
  Tensor x = a.tensor("x");
  if (!is_float(x.dtype())) return {x};
  const double largest = largest_of(x.dtype());
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

Results reciprocal(const Arguments& a) { return {emit::map("div", {1, a.floats("x")})}; }
Results logical_not(const Arguments& a) { return {emit::map("not", {as_bool(a.tensor("x"))})}; }
Results copy(const Arguments& a) { return {a.tensor("x")}; }
Results stop_gradient(const Arguments& a) { return {emit::op("stop_gradient", {a.tensor("variable")})}; }

constexpr OperationDef kTable[] = {
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
    {"Isclose", "x1 x2 rtol atol equal_nan", isclose},
    {"Where", "condition x1 x2", where},
    {"Clip", "x x_min x_max", clip},
    {"Cast", "x dtype", cast},
    {"StopGradient", "variable", stop_gradient},
    {"Copy", "x", copy},
    {"ConvertToTensor", "x dtype sparse ragged", cast},
    {"OnesLike", "x dtype", ones_like},
    {"ZerosLike", "x dtype", zeros_like},
    {"EmptyLike", "x dtype", zeros_like},
    {"FullLike", "x fill_value dtype", full_like},
    {"Isnan", "x", isnan},
    {"Isinf", "x", isinf},
    {"Isfinite", "x", isfinite},
    {"NanToNum", "x nan posinf neginf", nan_to_num},
    {"Negative", "x", same_type<"neg">},
    {"Absolute", "x", same_type<"abs">},
    {"Abs", "x", same_type<"abs">},
    {"Sign", "x", same_type<"sign">},
    {"Square", "x", square},
    {"Floor", "x", rounding<"floor">},
    {"Ceil", "x", rounding<"ceil">},
    {"Trunc", "x", rounding<"trunc">},
    {"Round", "x decimals", round},
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
};

}  // namespace

std::span<const OperationDef> elementwise_operations() { return kTable; }

}  // namespace tusk::ops
