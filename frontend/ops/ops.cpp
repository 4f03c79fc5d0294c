#include "frontend/ops/ops.hpp"

#include <algorithm>
#include <memory>

namespace tusk {
namespace ops {
namespace {

/// A function as a layer without configuration.
struct FunctionImpl : LayerBase {
  explicit FunctionImpl(Function f) : function(std::move(f)) {}
  std::size_t max_inputs() const override { return std::size_t{1} << 20; }
  bool is_operation() const override { return true; }
  std::vector<Tensor> call_all(const std::vector<Tensor>& inputs, const Call&) override { return {function(inputs)}; }
  Function function;
};

}  // namespace

Tensor apply(std::string_view class_name, const std::vector<Tensor>& inputs, const Function& function) {
  const bool defining = std::ranges::any_of(inputs, [](const Tensor& x) { return x.result() != nullptr; });
  if (!defining) return function(inputs);
  const auto layer = std::make_shared<FunctionImpl>(function);
  layer->set_identity(class_name, {});
  return layer->apply(inputs, {}).front();
}

}  // namespace ops

Tensor Tensor::operator[](std::initializer_list<Index> index) const {
  ops::Argument::List key;
  for (const Index& entry : index) key.push_back(entry.argument());
  return ops::call("GetItem", {{"x", *this}, {"key", key}});
}

}  // namespace tusk
