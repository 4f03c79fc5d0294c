#include "frontend/layers/activations.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <vector>

#include "frontend/model/emit.hpp"
#include "frontend/model/error.hpp"
#include "frontend/model/layer.hpp"
#include "frontend/ops/ops.hpp"
#include "ir/text/suggest.hpp"

namespace tusk {
namespace activations {
namespace {

using emit::map;

/// While a model is defined an activation is an operation of it; `body` sees a traced tensor of floats.
template <class Body>
Tensor function(std::string_view class_name, const Tensor& x, Body body) {
  return ops::apply(class_name, {x}, [body](const std::vector<Tensor>& in) { return body(emit::to_floatx(in[0])); });
}

/// The same for those that leave integers what they are.
template <class Body>
Tensor function_of_numbers(std::string_view class_name, const Tensor& x, Body body) {
  return ops::apply(class_name, {x}, [body](const std::vector<Tensor>& in) {
    return body(in[0].dtype() == DType::boolean ? emit::to_floatx(in[0]) : in[0]);
  });
}

Tensor composite(std::string_view name, const Tensor& x) { return emit::op(name, {x}); }

Tensor clip(const Tensor& x, double low, double high) { return map("min", {map("max", {x, low}), high}); }

// expm1 of the negative part only: where it is not chosen it must not overflow, or its gradient would be NaN.
Tensor negative_expm1(const Tensor& x) { return map("expm1", {map("min", {x, 0.0})}); }

}  // namespace

Tensor linear(const Tensor& x) { return x; }

Tensor relu(const Tensor& x, const ReluOptions& options) {
  return function_of_numbers("Relu", x, [options](const Tensor& number) {
    auto [slope, max_value, threshold] = options;
    const Tensor in = slope == 0 ? number : emit::to_floatx(number);
    if (is_integer(in.dtype())) {  // Keras casts them to the dtype of x
      max_value = std::trunc(max_value);
      threshold = std::trunc(threshold);
    }
    Tensor y = threshold == 0 ? map("relu", {in}) : map("select", {map("gt", {in, threshold}), in, 0.0});
    if (max_value < std::numeric_limits<double>::infinity()) y = map("min", {y, max_value});
    if (slope == 0) return y;
    return map("sub", {y, map("mul", {map("relu", {map("sub", {threshold, in})}), slope})});
  });
}

Tensor leaky_relu(const Tensor& x, double negative_slope) {
  return function("LeakyRelu", x, [negative_slope = static_cast<float>(negative_slope)](const Tensor& in) {
    return map("select", {map("gt", {in, 0.0}), in, map("mul", {in, negative_slope})});
  });
}

Tensor relu6(const Tensor& x) {
  return function_of_numbers("Relu6", x, [](const Tensor& in) { return map("min", {map("relu", {in}), 6.0}); });
}

Tensor softmax(const Tensor& x, const AxisOptions& options) {
  return function("Softmax", x, [options](const Tensor& in) {
    return emit::op("softmax", {in}, {{{"axes", emit::Ints{emit::axis_of(in, options.axis)}}}});
  });
}

Tensor log_softmax(const Tensor& x, const AxisOptions& options) {
  return function("LogSoftmax", x, [options](const Tensor& in) {
    return emit::op("log_softmax", {in}, {{{"axes", emit::Ints{emit::axis_of(in, options.axis)}}}});
  });
}

// Meant is the projection on the simplex: with z sorted downwards and s_k = z_1 + ... + z_k, the support is every k
// with 1 + k z_k > s_k, and tau = (the last s_k of the support - 1) / its size is taken off. Keras (up to 3.15 at
// least) takes the sum of all s_k of the support instead of the last one, and so do we: a row with one element in its
// support is right, others are not. The running sums are a product with a triangle of ones.
Tensor sparsemax(const Tensor& x, const AxisOptions& options) {
  return function("Sparsemax", x, [options](const Tensor& in) {
    const std::int64_t axis = emit::axis_of(in, options.axis);
    const std::int64_t n = in.dim(axis);
    Array ones(emit::compute_dtype(), {n, n});
    Array ranks(emit::compute_dtype(), {n});
    for (std::int64_t row = 0; row < n; ++row) {
      ranks.set(row, static_cast<double>(row + 1));
      for (std::int64_t column = row; column < n; ++column) ones.set(row * n + column, 1);
    }
    const Tensor sorted = emit::op("sort", {in}, {{{"axis", axis}, {"descending", true}}});
    graph::ContractSpec spec;
    for (std::int64_t i = 0; i < in.rank(); ++i) spec.a.push_back(i == axis ? "k" : fmt::format("n{}", i));
    spec.b = {"k", "j"};
    spec.y = spec.a;
    spec.y[static_cast<std::size_t>(axis)] = "j";
    const Tensor sums = emit::contract(sorted, emit::constant("triangle", ones), std::nullopt, spec);
    const Tensor rank = emit::broadcast(emit::constant("ranks", ranks), in.shape(), {axis});
    const Tensor supports =
        emit::cast(map("gt", {map("add", {map("mul", {rank, sorted}), 1.0}), sums}), emit::compute_dtype());
    const Tensor count = emit::reduce("sum", supports, {axis});
    const Tensor total = emit::reduce("sum", map("mul", {supports, sums}), {axis});
    const Tensor tau = map("div", {map("sub", {total, 1.0}), count});
    emit::Ints others;
    for (std::int64_t i = 0; i < in.rank(); ++i) {
      if (i != axis) others.push_back(i);
    }
    return map("relu", {map("sub", {in, emit::broadcast(tau, in.shape(), others)})});
  });
}

Tensor celu(const Tensor& x, const AlphaOptions& options) {
  return function("Celu", x, [alpha = options.alpha](const Tensor& in) {
    // Both parts have a slope at 0, as in TensorFlow.
    const Tensor positive = map("select", {map("lt", {in, 0.0}), 0.0, in});
    if (alpha == 1) return map("add", {positive, negative_expm1(in)});
    return map("add", {positive, map("mul", {negative_expm1(map("div", {in, alpha})), alpha})});
  });
}

Tensor elu(const Tensor& x, const AlphaOptions& options) {
  return function("Elu", x, [alpha = options.alpha](const Tensor& in) {
    const Tensor negative = negative_expm1(in);
    return map("select", {map("gt", {in, 0.0}), in, alpha == 1 ? negative : map("mul", {negative, alpha})});
  });
}

Tensor selu(const Tensor& x) {
  return function("Selu", x, [](const Tensor& in) {
    // At 0 the slope is that of the right side.
    const Tensor negative = map("mul", {negative_expm1(in), 1.6732632423543772});
    return map("mul", {map("select", {map("ge", {in, 0.0}), in, negative}), 1.0507009873554805});
  });
}

Tensor softplus(const Tensor& x) {
  return function("Softplus", x, [](const Tensor& in) { return composite("softplus", in); });
}

Tensor softsign(const Tensor& x) {
  return function("Softsign", x, [](const Tensor& in) {
    return map("div", {in, map("add", {map("abs", {in}), 1.0})});
  });
}

Tensor squareplus(const Tensor& x, double b) {
  return function("Squareplus", x, [b](const Tensor& in) {
    const Tensor root = map("sqrt", {map("add", {map("mul", {in, in}), b})});
    return map("mul", {map("add", {in, root}), 0.5});
  });
}

Tensor soft_shrink(const Tensor& x, double threshold) {
  return function("SoftShrink", x, [threshold](const Tensor& in) {
    const Tensor low = map("select", {map("lt", {in, -threshold}), map("add", {in, threshold}), 0.0});
    return map("select", {map("gt", {in, threshold}), map("sub", {in, threshold}), low});
  });
}

Tensor hard_shrink(const Tensor& x, double threshold) {
  return function("HardShrink", x, [threshold](const Tensor& in) {
    return map("select", {map("gt", {map("abs", {in}), threshold}), in, 0.0});
  });
}

Tensor tanh_shrink(const Tensor& x) {
  return function("TanhShrink", x, [](const Tensor& in) { return map("sub", {in, map("tanh", {in})}); });
}

Tensor threshold(const Tensor& x, double limit, double default_value) {
  return function("Threshold", x, [limit, default_value](const Tensor& in) {
    return map("select", {map("gt", {in, limit}), in, default_value});
  });
}

Tensor sparse_plus(const Tensor& x) {
  return function("SparsePlus", x, [](const Tensor& in) {
    const Tensor above = map("add", {in, 1.0});
    const Tensor middle = map("mul", {map("mul", {above, above}), 0.25});
    const Tensor right = map("select", {map("lt", {in, 1.0}), middle, in});
    return map("select", {map("le", {in, -1.0}), 0.0, right});
  });
}

Tensor sparse_sigmoid(const Tensor& x) {
  return function("SparseSigmoid", x, [](const Tensor& in) {
    return clip(map("mul", {map("add", {in, 1.0}), 0.5}), 0, 1);
  });
}

Tensor silu(const Tensor& x) {
  return function("Silu", x, [](const Tensor& in) { return composite("silu", in); });
}

Tensor gelu(const Tensor& x, const GeluOptions& options) {
  return function("Gelu", x, [approximate = options.approximate](const Tensor& in) {
    return emit::op("gelu", {in}, approximate ? graph::Attrs{{{"approximate", true}}} : graph::Attrs());
  });
}

Tensor glu(const Tensor& x, const AxisOptions& options) {
  return function("Glu", x, [options](const Tensor& in) {
    const auto axis = static_cast<std::size_t>(emit::axis_of(in, options.axis));
    const std::int64_t n = in.dim(options.axis);
    if (n % 2 != 0)
      throw Error(error("glu-axis", fmt::format("glu halves axis {} of {}, whose extent is odd", options.axis,
                                                keras_shape(in.shape()))));
    const auto half = [&](std::int64_t from) {
      Shape start(in.shape().size(), Dim(0));
      Shape limit = in.shape();
      start[axis] = Dim(from);
      limit[axis] = Dim(from + n / 2);
      return emit::op("slice", {in}, {{{"start", start}, {"limit", limit}, {"step", emit::Ints(start.size(), 1)}}});
    };
    const Tensor first = half(0);
    return map("mul", {first, map("sigmoid", {half(n / 2)})});
  });
}

Tensor tanh(const Tensor& x) {
  return function("Tanh", x, [](const Tensor& in) { return map("tanh", {in}); });
}

Tensor sigmoid(const Tensor& x) {
  return function("Sigmoid", x, [](const Tensor& in) { return map("sigmoid", {in}); });
}

Tensor log_sigmoid(const Tensor& x) {
  return function("LogSigmoid", x,
                  [](const Tensor& in) { return map("neg", {composite("softplus", map("neg", {in}))}); });
}

Tensor exponential(const Tensor& x) {
  return function("Exp", x, [](const Tensor& in) { return map("exp", {in}); });
}

Tensor hard_sigmoid(const Tensor& x) {
  return function("HardSigmoid", x, [](const Tensor& in) {
    return map("div", {map("min", {map("relu", {map("add", {in, 3.0})}), 6.0}), 6.0});
  });
}

Tensor hard_sigmoid_keras2(const Tensor& x) {
  return function("HardSigmoid", x, [](const Tensor& in) {
    return clip(map("add", {map("mul", {in, 0.2}), 0.5}), 0, 1);
  });
}

Tensor hard_silu(const Tensor& x) {
  return function("HardSilu", x, [](const Tensor& in) { return map("mul", {in, hard_sigmoid(in)}); });
}

Tensor hard_tanh(const Tensor& x) {
  return function("HardTanh", x, [](const Tensor& in) { return clip(in, -1, 1); });
}

Tensor mish(const Tensor& x) {
  return function("Mish", x, [](const Tensor& in) {
    return map("mul", {in, map("tanh", {composite("softplus", in)})});
  });
}

}  // namespace activations

Activation Activation::named(std::string_view name) {
  Activation activation;
  activation.named_ = find(name);
  if (activation.named_ != nullptr) return activation;
  std::vector<std::string_view> names;
  for (const activations::Named& row : activations::kAll) names.push_back(row.name);
  throw Error(
      error("activation-name", fmt::format("no activation is named `{}`{}", name, text::suggestion(name, names))));
}

Activation::Activation(const Layer& layer) : layer_(new Layer(layer)) {}
const Layer* Activation::copied(const Layer* layer) { return new Layer(*layer); }
void Activation::release(const Layer* layer) { delete layer; }

Tensor Activation::operator()(const Tensor& x) const {
  if (layer_ == nullptr) return custom_ != nullptr ? custom_(x) : named_->function(x);
  const Tensor y = (*layer_)(x);
  if (!layer_->weights().empty()) {
    throw Error(error("layer-config", fmt::format("the activation is layer `{}`, which has weights", layer_->name()))
                    .note("put it behind as a layer of its own"));
  }
  return y;
}

}  // namespace tusk
