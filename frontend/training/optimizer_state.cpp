#include "frontend/training/optimizer_state.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "frontend/model/error.hpp"
#include "frontend/model/keras_paths.hpp"
#include "frontend/model/to_module.hpp"

namespace tusk {

std::vector<TrainedWeight> trained_weights(const Model& model) {
  std::vector<TrainedWeight> out;
  traced_module(model, {}, Trace::Weights::described, [&](Trace& trace, const std::vector<Tensor>& inputs) {
    for (const Tensor& output : model.functional().call_all(inputs, {}))
      trace.function.results.push_back(trace.operand(output));
    trace.function.result_names = model.output_names();
    out.clear();
    const auto keras_paths = tusk::keras_paths(model);
    for (const Variable& variable : model.base().trainable_weights())
      out.push_back({variable, trace.path_of(variable), keras_paths.at(variable)});
  });
  return out;
}

bool is_unbuilt_state(const std::vector<Array>& values) {
  return values.size() <= 4 && std::ranges::all_of(values, [](const Array& value) { return value.shape().empty(); });
}

bool fits_optimizer(const Optimizer& optimizer, const Model& model, const std::vector<Array>& values) {
  if (optimizer.variables().empty()) optimizer.base().build(trained_weights(model));
  return std::ranges::equal(optimizer.variables(), values, {}, &Variable::shape, &Array::shape);
}

void set_optimizer_state(const Optimizer& optimizer, const Model& model, const std::vector<Array>& values) {
  if (optimizer.variables().empty()) optimizer.base().build(trained_weights(model));
  std::vector<Variable> variables = optimizer.variables();
  if (variables.size() != values.size())
    throw Error(error("optimizer-state", fmt::format("{} of the model {} has {} variables, {} are given",
                                                     optimizer.name(), model.name(), variables.size(), values.size())));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (variables[i].shape() == values[i].shape()) continue;
    throw Error(error("optimizer-state",
                      fmt::format("{} has shape ({}), ({}) is given", variables[i].name(),
                                  fmt::join(variables[i].shape(), ", "), fmt::join(values[i].shape(), ", "))));
  }
  for (std::size_t i = 0; i < values.size(); ++i) variables[i].assign(values[i]);
}

}  // namespace tusk
