#include "frontend/ops/operation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace tusk::ops {
namespace {

std::array<std::span<const OperationDef>, 11> tables() {
  return {elementwise_operations(), reduction_operations(), statistics_operations(), shaping_operations(),
          matrix_operations(),      indexing_operations(),  update_operations(),     product_operations(),
          neural_operations(),      image_operations(),     signal_operations()};
}

}  // namespace

const OperationDef* operation_named(std::string_view class_name) {
  for (const std::span<const OperationDef> table : tables()) {
    const auto it = std::ranges::find(table, class_name, &OperationDef::name);
    if (it != table.end()) return &*it;
  }
  return nullptr;
}

std::vector<std::string_view> operation_names() {
  std::vector<std::string_view> names;
  for (const std::span<const OperationDef> table : tables()) {
    for (const OperationDef& def : table) names.push_back(def.name);
  }
  std::ranges::sort(names);
  return names;
}

std::vector<std::pair<std::string_view, const Argument*>> in_order(const OperationDef& def,
                                                                   const Arguments& arguments) {
  std::vector<std::pair<std::string_view, const Argument*>> out;
  for (const auto& [name, argument] : arguments.given()) out.emplace_back(name, &argument);
  std::ranges::stable_sort(out, {}, [&](const auto& entry) {
    const std::string words = fmt::format(" {} ", def.parameters);
    const std::size_t at = words.find(fmt::format(" {} ", entry.first));
    return at == std::string::npos ? words.find(fmt::format("*{} ", entry.first)) : at;
  });
  return out;
}

OperationImpl::OperationImpl(const OperationDef& def, Arguments arguments, std::string name)
    : def_(def), arguments_(std::move(arguments)) {
  set_identity(def.name, std::move(name));
}

std::vector<Tensor> OperationImpl::call_all(const std::vector<Tensor>& inputs, const Call&) {
  Arguments arguments = arguments_;
  std::size_t next = 0;
  for (const auto& [name, _] : in_order(def_, arguments_))
    arguments.given()[name].each_tensor([&](Tensor& x) { x = inputs.at(next++); });
  return def_.run(arguments);
}

std::vector<Tensor> call_all(std::string_view class_name, Arguments arguments) {
  const OperationDef& def = *operation_named(class_name);
  std::vector<Tensor> inputs;
  for (const auto& [name, _] : in_order(def, arguments))
    arguments.given()[name].each_tensor([&](Tensor& x) { inputs.push_back(x); });
  const bool defining = std::ranges::any_of(inputs, [](const Tensor& x) { return x.result() != nullptr; });
  if (!defining) return def.run(arguments);
  return std::make_shared<OperationImpl>(def, std::move(arguments))->apply(inputs, {});
}

Tensor call(std::string_view class_name, Arguments arguments) {
  return call_all(class_name, std::move(arguments)).front();
}

}  // namespace tusk::ops
