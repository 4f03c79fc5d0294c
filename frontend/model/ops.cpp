#include "frontend/model/ops.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "frontend/model/layer.hpp"
#include "frontend/model/trace.hpp"

namespace tusk::ops {
namespace {

/// A function as a layer without configuration.
struct OperationImpl : LayerBase {
  explicit OperationImpl(Function f) : function(std::move(f)) {}
  std::size_t max_inputs() const override { return std::size_t{1} << 20; }
  std::vector<Tensor> call_all(const std::vector<Tensor>& inputs, const Call&) override { return {function(inputs)}; }
  Function function;
};

Tensor binary(std::string_view class_name, std::string_view row, const Term& a, const Term& b) {
  if (a.tensor() != nullptr && b.tensor() != nullptr) {
    return apply(class_name, {*a.tensor(), *b.tensor()}, [row](const std::vector<Tensor>& x) {
      const std::vector<Tensor> terms = emit::broadcast_together(x);
      return emit::map(row, {terms[0], terms[1]});
    });
  }
  if (a.tensor() != nullptr) {
    return apply(class_name, {*a.tensor()}, [row, number = b.number()](const std::vector<Tensor>& x) {
      return emit::map(row, {emit::to_float(x[0]), number});
    });
  }
  if (b.tensor() == nullptr) throw Error(error("ops-numbers", "both operands are numbers"));
  return apply(class_name, {*b.tensor()}, [row, number = a.number()](const std::vector<Tensor>& x) {
    return emit::map(row, {number, emit::to_float(x[0])});
  });
}

Tensor unary(std::string_view class_name, std::string_view row, const Tensor& x) {
  return apply(class_name, {x},
               [row](const std::vector<Tensor>& in) { return emit::map(row, {emit::to_float(in[0])}); });
}

Tensor reduced(std::string_view class_name, std::string_view kind, const Tensor& x, const Reduction& how) {
  return apply(class_name, {x}, [kind, how](const std::vector<Tensor>& in) {
    const Tensor& of = in[0];
    emit::Ints axes;
    for (const std::int64_t axis : how.axis) axes.push_back(emit::axis_of(of, axis));
    if (how.axis.empty()) {
      for (std::int64_t axis = 0; axis < of.rank(); ++axis) axes.push_back(axis);
    }
    const bool is_mean = kind == "mean";
    Tensor y = emit::reduce(is_mean ? "sum" : kind, is_mean ? emit::to_float(of) : of, axes);
    Shape shape = of.shape();
    Dim count(1);
    for (const std::int64_t axis : axes) {
      count *= shape[static_cast<std::size_t>(axis)];
      shape[static_cast<std::size_t>(axis)] = Dim(1);
    }
    if (is_mean) y = emit::map("div", {y, count});
    return how.keepdims ? emit::reshape(y, shape) : y;
  });
}

}  // namespace

Tensor apply(std::string_view class_name, const std::vector<Tensor>& inputs, const Function& function) {
  const bool defining = std::ranges::any_of(inputs, [](const Tensor& x) { return x.result() != nullptr; });
  if (!defining) return function(inputs);
  const auto layer = std::make_shared<OperationImpl>(function);
  layer->set_identity(class_name, {});
  return layer->apply(inputs, {}).front();
}

Tensor add(const Term& a, const Term& b) { return binary("Add", "add", a, b); }
Tensor subtract(const Term& a, const Term& b) { return binary("Subtract", "sub", a, b); }
Tensor multiply(const Term& a, const Term& b) { return binary("Multiply", "mul", a, b); }
Tensor divide(const Term& a, const Term& b) { return binary("TrueDivide", "div", a, b); }
Tensor maximum(const Term& a, const Term& b) { return binary("Maximum", "max", a, b); }
Tensor minimum(const Term& a, const Term& b) { return binary("Minimum", "min", a, b); }

Tensor negative(const Tensor& x) { return unary("Negative", "neg", x); }
Tensor abs(const Tensor& x) { return unary("Absolute", "abs", x); }
Tensor exp(const Tensor& x) { return unary("Exp", "exp", x); }
Tensor log(const Tensor& x) { return unary("Log", "log", x); }
Tensor sqrt(const Tensor& x) { return unary("Sqrt", "sqrt", x); }
Tensor relu(const Tensor& x) { return unary("Relu", "relu", x); }
Tensor sigmoid(const Tensor& x) { return unary("Sigmoid", "sigmoid", x); }
Tensor tanh(const Tensor& x) { return unary("Tanh", "tanh", x); }

Tensor square(const Tensor& x) {
  return apply("Square", {x}, [](const std::vector<Tensor>& in) { return emit::map("mul", {in[0], in[0]}); });
}

Tensor softmax(const Tensor& x, std::int64_t axis) {
  return apply("Softmax", {x}, [axis](const std::vector<Tensor>& in) {
    return emit::op("softmax", {in[0]}, {{{"axes", emit::Ints{emit::axis_of(in[0], axis)}}}});
  });
}

Tensor sum(const Tensor& x, const Reduction& how) { return reduced("Sum", "sum", x, how); }
Tensor mean(const Tensor& x, const Reduction& how) { return reduced("Mean", "mean", x, how); }
Tensor max(const Tensor& x, const Reduction& how) { return reduced("Max", "max", x, how); }
Tensor min(const Tensor& x, const Reduction& how) { return reduced("Min", "min", x, how); }

Tensor matmul(const Tensor& a, const Tensor& b) {
  return apply("Matmul", {a, b}, [](const std::vector<Tensor>& x) {
    const std::size_t rank = x[0].shape().size();
    const std::size_t other = x[1].shape().size();
    if (rank < 2 || other < 2 || (other > 2 && other != rank)) {
      throw Error(error("matmul-shapes",
                        fmt::format("matmul of {} and {}", keras_shape(x[0].shape()), keras_shape(x[1].shape()))));
    }
    graph::ContractSpec spec;
    for (std::size_t i = 0; i + 2 < rank; ++i) {
      spec.a.push_back(fmt::format("n{}", i));
      if (other > 2) spec.b.push_back(spec.a.back());
    }
    spec.y = spec.a;
    for (const char* name : {"m", "k"}) spec.a.emplace_back(name);
    for (const char* name : {"k", "o"}) spec.b.emplace_back(name);
    for (const char* name : {"m", "o"}) spec.y.emplace_back(name);
    return emit::contract(emit::to_float(x[0]), emit::to_float(x[1]), std::nullopt, std::move(spec));
  });
}

Tensor reshape(const Tensor& x, const std::vector<std::int64_t>& target) {
  return apply("Reshape", {x}, [target](const std::vector<Tensor>& in) {
    return emit::reshape(in[0], emit::reshaped(in[0].shape(), target));
  });
}

Tensor transpose(const Tensor& x, const std::vector<std::int64_t>& axes) {
  return apply("Transpose", {x}, [axes](const std::vector<Tensor>& in) { return emit::transpose(in[0], axes); });
}

Tensor concatenate(const std::vector<Tensor>& tensors, std::int64_t axis) {
  return apply("Concatenate", tensors, [axis](const std::vector<Tensor>& in) {
    return emit::op("concat", {in.begin(), in.end()}, {{{"axis", emit::axis_of(in[0], axis)}}});
  });
}

}  // namespace tusk::ops
