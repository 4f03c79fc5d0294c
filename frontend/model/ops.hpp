// Functions on tensors (keras.ops): while a model is defined each call is an operation of it, inside of a layer's call
// they are computed on the spot.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "frontend/model/tensor.hpp"

namespace tusk {

/// A tensor or a number.
class Term {
 public:
  Term(Tensor tensor) : is_(std::move(tensor)) {}            // NOLINT
  Term(const Variable& variable) : is_(Tensor(variable)) {}  // NOLINT
  template <class Number>
  requires std::is_arithmetic_v<Number> Term(Number number) : is_(static_cast<double>(number)) {}  // NOLINT
  const Tensor* tensor() const { return std::get_if<Tensor>(&is_); }
  double number() const { return std::get<double>(is_); }

 private:
  std::variant<Tensor, double> is_;
};

namespace ops {

using Function = std::function<Tensor(const std::vector<Tensor>&)>;
/// An operation of one's own: `function` gets traced tensors. `class_name` gives automatic names.
Tensor apply(std::string_view class_name, const std::vector<Tensor>& inputs, const Function& function);

Tensor add(const Term& a, const Term& b);
Tensor subtract(const Term& a, const Term& b);
Tensor multiply(const Term& a, const Term& b);
Tensor divide(const Term& a, const Term& b);
Tensor maximum(const Term& a, const Term& b);
Tensor minimum(const Term& a, const Term& b);

Tensor negative(const Tensor& x);
Tensor abs(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor square(const Tensor& x);
Tensor relu(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor softmax(const Tensor& x, std::int64_t axis = -1);

struct Reduction {
  std::vector<std::int64_t> axis = {};  // empty: all
  bool keepdims = false;
};
Tensor sum(const Tensor& x, const Reduction& reduction = {});
Tensor mean(const Tensor& x, const Reduction& reduction = {});
Tensor max(const Tensor& x, const Reduction& reduction = {});
Tensor min(const Tensor& x, const Reduction& reduction = {});

/// NumPy's matmul: over the last axis of a and the last but one of b, which is a matrix or has the rank of a.
Tensor matmul(const Tensor& a, const Tensor& b);
/// One extent may be -1.
Tensor reshape(const Tensor& x, const std::vector<std::int64_t>& shape_without_batch);
Tensor transpose(const Tensor& x, const std::vector<std::int64_t>& axes);
Tensor concatenate(const std::vector<Tensor>& tensors, std::int64_t axis = -1);

}  // namespace ops

inline Tensor operator+(const Term& a, const Term& b) { return ops::add(a, b); }
inline Tensor operator-(const Term& a, const Term& b) { return ops::subtract(a, b); }
inline Tensor operator*(const Term& a, const Term& b) { return ops::multiply(a, b); }
inline Tensor operator/(const Term& a, const Term& b) { return ops::divide(a, b); }
inline Tensor operator-(const Tensor& x) { return ops::negative(x); }

}  // namespace tusk
