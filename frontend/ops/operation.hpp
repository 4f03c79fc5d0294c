// Operations (keras.ops): records in tables, one for each class of nodes that a model may have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "frontend/model/layer.hpp"
#include "frontend/ops/argument.hpp"

namespace tusk::ops {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// An axis, which counts from the front, as an index.
inline std::size_t at(std::int64_t axis) { return static_cast<std::size_t>(axis); }

/// An operation by Keras' class name.
struct OperationDef {
  std::string_view name;  // "Sum"
  /// In Keras' order, "x | axis keepdims": what a call takes, then what makes the operation. "*x" takes what is left.
  std::string_view parameters;
  /// Runs on traced tensors.
  std::vector<Tensor> (*run)(const Arguments&) = nullptr;
};

/// The arguments given in the order of the operation's parameters, which is that of the tensors that its node reads.
std::vector<std::pair<std::string_view, const Argument*>> in_order(const OperationDef& def, const Arguments& arguments);

/// keras.ops.numpy, .math, .nn, .linalg, .image and .core by subject.
std::span<const OperationDef> elementwise_operations();
std::span<const OperationDef> reduction_operations();
std::span<const OperationDef> statistics_operations();
std::span<const OperationDef> shaping_operations();
std::span<const OperationDef> matrix_operations();
std::span<const OperationDef> indexing_operations();
std::span<const OperationDef> update_operations();
std::span<const OperationDef> product_operations();
std::span<const OperationDef> neural_operations();
std::span<const OperationDef> image_operations();
std::span<const OperationDef> signal_operations();

/// Null if there is none.
const OperationDef* operation_named(std::string_view class_name);
std::vector<std::string_view> operation_names();

/// An operation as a layer. Its arguments hold the tensors of its call; running it puts others in their place.
class OperationImpl : public LayerBase {
 public:
  OperationImpl(const OperationDef& def, Arguments arguments, std::string name = {});
  std::size_t min_inputs() const override { return 0; }
  std::size_t max_inputs() const override { return std::size_t{1} << 20; }
  bool is_operation() const override { return true; }
  void build_all(const std::vector<Shape>&) override {}
  std::vector<Tensor> call_all(const std::vector<Tensor>& inputs, const Call& call) override;

  const OperationDef& def() const { return def_; }
  const Arguments& arguments() const { return arguments_; }

 private:
  const OperationDef& def_;
  Arguments arguments_;
};

/// Calls an operation: while a model is defined it becomes a node, inside of the call of a layer it runs on the spot.
std::vector<Tensor> call_all(std::string_view class_name, Arguments arguments);
/// The same with one result.
Tensor call(std::string_view class_name, Arguments arguments);

}  // namespace tusk::ops
