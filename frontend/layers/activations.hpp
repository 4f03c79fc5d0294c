// keras.activations: functions on tensors, and the field type of layers that take one by name.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "frontend/model/tensor.hpp"

namespace tusk {

class Layer;

namespace activations {

struct ReluOptions {
  double negative_slope = 0;
  double max_value = std::numeric_limits<double>::infinity();
  double threshold = 0;
};
struct AlphaOptions {
  double alpha = 1;
};
struct AxisOptions {
  std::int64_t axis = -1;
};
struct GeluOptions {
  bool approximate = false;
};

Tensor relu(const Tensor& x, const ReluOptions& options = {});
Tensor leaky_relu(const Tensor& x, double negative_slope = 0.2);
Tensor relu6(const Tensor& x);
Tensor softmax(const Tensor& x, const AxisOptions& options = {});
Tensor log_softmax(const Tensor& x, const AxisOptions& options = {});
Tensor sparsemax(const Tensor& x, const AxisOptions& options = {});
Tensor celu(const Tensor& x, const AlphaOptions& options = {});
Tensor elu(const Tensor& x, const AlphaOptions& options = {});
Tensor selu(const Tensor& x);
Tensor softplus(const Tensor& x);
Tensor softsign(const Tensor& x);
Tensor squareplus(const Tensor& x, double b = 4);
Tensor soft_shrink(const Tensor& x, double threshold = 0.5);
Tensor hard_shrink(const Tensor& x, double threshold = 0.5);
Tensor tanh_shrink(const Tensor& x);
Tensor threshold(const Tensor& x, double threshold, double default_value);
Tensor sparse_plus(const Tensor& x);
Tensor sparse_sigmoid(const Tensor& x);
Tensor silu(const Tensor& x);
Tensor gelu(const Tensor& x, const GeluOptions& options = {});
Tensor glu(const Tensor& x, const AxisOptions& options = {});
Tensor tanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor log_sigmoid(const Tensor& x);
Tensor exponential(const Tensor& x);
/// relu6(x + 3) / 6, as Keras 3 has it; 0.2x + 0.5, clipped, as Keras 1 and 2 had it.
Tensor hard_sigmoid(const Tensor& x);
Tensor hard_sigmoid_keras2(const Tensor& x);
Tensor hard_silu(const Tensor& x);
Tensor hard_tanh(const Tensor& x);
Tensor mish(const Tensor& x);
Tensor linear(const Tensor& x);

struct Named {
  std::string_view name;
  Tensor (*function)(const Tensor&);
};

/// Every name that a layer takes; Keras' aliases stand behind the name proper. `threshold` needs arguments, so it has
/// no name here, as in Keras.
inline constexpr Named kAll[] = {
    {"linear", linear},
    {"relu", [](const Tensor& x) { return relu(x); }},
    {"leaky_relu", [](const Tensor& x) { return leaky_relu(x); }},
    {"relu6", relu6},
    {"softmax", [](const Tensor& x) { return softmax(x); }},
    {"log_softmax", [](const Tensor& x) { return log_softmax(x); }},
    {"sparsemax", [](const Tensor& x) { return sparsemax(x); }},
    {"celu", [](const Tensor& x) { return celu(x); }},
    {"elu", [](const Tensor& x) { return elu(x); }},
    {"selu", selu},
    {"softplus", softplus},
    {"softsign", softsign},
    {"squareplus", [](const Tensor& x) { return squareplus(x); }},
    {"soft_shrink", [](const Tensor& x) { return soft_shrink(x); }},
    {"hard_shrink", [](const Tensor& x) { return hard_shrink(x); }},
    {"tanh_shrink", tanh_shrink},
    {"sparse_plus", sparse_plus},
    {"sparse_sigmoid", sparse_sigmoid},
    {"silu", silu},
    {"swish", silu},
    {"gelu", [](const Tensor& x) { return gelu(x); }},
    {"glu", [](const Tensor& x) { return glu(x); }},
    {"tanh", tanh},
    {"sigmoid", sigmoid},
    {"log_sigmoid", log_sigmoid},
    {"exponential", exponential},
    {"hard_sigmoid", hard_sigmoid},
    {"hard_sigmoid_keras2", hard_sigmoid_keras2},
    {"hard_silu", hard_silu},
    {"hard_swish", hard_silu},
    {"hard_tanh", hard_tanh},
    {"mish", mish},
};

}  // namespace activations

/// `.activation = "relu"`, checked when the program is compiled, or a function of one's own on tensors (a lambda
/// without captures). Nothing given is linear.
class Activation {
 public:
  constexpr Activation() = default;
  consteval Activation(const char* name) : named_(find(name)) {  // NOLINT: strings where Keras has strings
    if (named_ == nullptr) throw "no activation has this name";
  }
  template <class Function>
  requires std::is_convertible_v<Function, Tensor (*)(const Tensor&)>
  constexpr Activation(Function function) : custom_(function) {}  // NOLINT: a lambda is an activation
  /// A layer without weights, LeakyReLU(0.1): Keras takes one where it takes a name.
  explicit Activation(const Layer& layer);
  constexpr Activation(const Activation& other) : named_(other.named_), custom_(other.custom_) {
    if (other.layer_ != nullptr) layer_ = copied(other.layer_);
  }
  constexpr Activation& operator=(Activation other) {
    std::swap(named_, other.named_);
    std::swap(custom_, other.custom_);
    std::swap(layer_, other.layer_);
    return *this;
  }
  constexpr ~Activation() {
    if (layer_ != nullptr) release(layer_);
  }
  /// A name that is known at run time.
  static Activation named(std::string_view name);

  Tensor operator()(const Tensor& x) const;
  /// The layer that it is, or null.
  constexpr const Layer* layer() const { return layer_; }
  /// "linear", "relu", ...; "" for a function of one's own or a layer.
  constexpr std::string_view name() const {
    return custom_ == nullptr && layer_ == nullptr ? named_->name : std::string_view();
  }

 private:
  static constexpr const activations::Named* find(std::string_view name) {
    for (const activations::Named& row : activations::kAll) {
      if (row.name == name) return &row;
    }
    return nullptr;
  }

  // A smart pointer would not be constexpr, as the check of names wants it.
  static const Layer* copied(const Layer* layer);
  static void release(const Layer* layer);

  const activations::Named* named_ = &activations::kAll[0];
  Tensor (*custom_)(const Tensor&) = nullptr;
  const Layer* layer_ = nullptr;
};

}  // namespace tusk
