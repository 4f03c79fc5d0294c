// Model::predict: the compiled model, called batch by batch.
#include <fmt/format.h>

#include <algorithm>

#include "frontend/model/arrays.hpp"
#include "frontend/model/error.hpp"
#include "frontend/model/to_module.hpp"
#include "frontend/training/callbacks.hpp"
#include "frontend/training/progress_bar.hpp"
#include "frontend/training/trainer.hpp"
#include "ir/graph/callable.hpp"

namespace tusk {
namespace {

bool begins_with_batch(const graph::Type& type) {
  return !type.shape.empty() && type.shape[0].as_symbol() == std::optional<std::string>(kBatch);
}

// All rows, in batches of this size.
std::vector<Array> in_batches(const Model& model, graph::Callable& compiled, const std::vector<Array>& inputs,
                              std::int64_t size, const PredictOptions& options) {
  const std::int64_t count = inputs[0].shape()[0];
  const std::int64_t steps = (count + size - 1) / size;
  ProgressLogger progress({.verbose = options.verbose.level(), .steps = steps});
  Logs none;
  for (const auto& callback : options.callbacks) callback->set_up(model, {options.verbose.level(), 1, steps});
  for (const auto& callback : options.callbacks) callback->on_predict_begin(none);
  progress.begin();
  std::vector<std::vector<Array>> parts(model.outputs().size());
  for (std::int64_t step = 0; step < steps; ++step) {
    for (const auto& callback : options.callbacks) callback->on_predict_batch_begin(step, none);
    std::vector<Array> batch;
    for (const Array& input : inputs) batch.push_back(rows(input, step * size, std::min(count, (step + 1) * size)));
    std::vector<Array> results = value_or_throw(compiled("predict", batch));
    for (std::size_t k = 0; k < results.size(); ++k) parts[k].push_back(std::move(results[k]));
    for (const auto& callback : options.callbacks) callback->on_predict_batch_end(step, none);
    progress.step(step);
  }
  for (const auto& callback : options.callbacks) callback->on_predict_end(none);
  progress.end();
  std::vector<Array> out;
  for (const std::vector<Array>& list : parts) out.push_back(joined(list));
  return out;
}

}  // namespace

std::vector<Array> Model::predict(const Data& given, const PredictOptions& options) const {
  const auto fail = [&](std::string text) { return Error(error("model-arrays", name() + ": " + std::move(text))); };
  if (options.batch_size < 1) throw fail(fmt::format("batch_size is at least 1, found {}", options.batch_size));
  const std::vector<Array> inputs = input_arrays(*this, given);
  graph::Module module = value_or_throw(to_module(*this));
  const graph::Function& function = module.functions[0];

  // Sizes that are open are as large as they have to be; the batch is cut.
  std::int64_t count = -1;
  bool is_cut = true;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const graph::Value& param = function.values[static_cast<std::size_t>(function.params[k])];
    const std::vector<std::int64_t>& shape = inputs[k].shape();
    is_cut = is_cut && begins_with_batch(param.type);
    if (is_cut && count >= 0 && shape[0] != count)
      throw fail(fmt::format("inputs have different numbers of samples: {} and {}", count, shape[0]));
    if (is_cut) count = shape[0];
    for (std::size_t axis = is_cut ? 1 : 0; axis < shape.size(); ++axis) {
      for (graph::Symbol& symbol : module.symbols) {
        if (param.type.shape[axis].as_symbol() == std::optional<std::string>(symbol.name))
          symbol.high = std::max(symbol.high, shape[axis]);
      }
    }
  }
  for (const graph::Operand& result : function.results)
    is_cut = is_cut && begins_with_batch(graph::type_of(module, function, result));
  if (is_cut && count == 0) throw fail("there are no samples");
  if (const auto trained = is_cut ? predictor_of(*this, inputs, options.batch_size) : nullptr)
    return in_batches(*this, *trained, inputs, options.batch_size, options);
  std::int64_t size = options.batch_size;
  for (graph::Symbol& symbol : module.symbols) {
    if (!is_cut || symbol.name != kBatch) continue;
    if (symbol.low == symbol.high) size = symbol.high;  // fixed by an input
    symbol.high = size;
  }
  const auto callable = value_or_throw(graph::make_callable(std::move(module)));
  if (!is_cut) return value_or_throw((*callable)("predict", inputs));
  return in_batches(*this, *callable, inputs, size, options);
}

}  // namespace tusk
