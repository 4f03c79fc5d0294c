// Model::predict: the compiled model, called batch by batch.
#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include "frontend/model/arrays.hpp"
#include "frontend/model/error.hpp"
#include "frontend/model/to_module.hpp"
#include "frontend/training/callbacks.hpp"
#include "frontend/training/progress_bar.hpp"
#include "frontend/training/trainer.hpp"
#include "ir/graph/callable.hpp"

namespace tusk {

/// The function predict of a model that was not trained. Its weights are constants, so it serves as long as they are
/// what they were.
struct Predictor {
  std::vector<graph::Type> inputs, outputs;
  std::vector<graph::Symbol> symbols;  // each as large as it had to be so far
  std::shared_ptr<graph::Callable> compiled;
  ValuesThen weights;
};

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
    for (const Array& input : inputs) batch.push_back(input.rows(step * size, std::min(count, (step + 1) * size)));
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

Predictor described(const graph::Module& module) {
  const graph::Function& function = module.functions[0];
  Predictor out;
  for (const int param : function.params) out.inputs.push_back(function.values[static_cast<std::size_t>(param)].type);
  for (const graph::Operand& result : function.results) out.outputs.push_back(graph::type_of(module, function, result));
  out.symbols = module.symbols;
  return out;
}

bool serves(const Predictor& predictor, const std::vector<graph::Symbol>& symbols) {
  return predictor.compiled && are_unchanged(predictor.weights) &&
         std::ranges::equal(predictor.symbols, symbols, {}, &graph::Symbol::high, &graph::Symbol::high);
}

void renew(Predictor& predictor, const Model& model, graph::Module module, std::vector<graph::Symbol> symbols) {
  module.symbols = symbols;
  ValuesThen weights;
  for (const Variable& variable : model.weights()) weights.emplace_back(variable, variable.value());
  predictor.compiled = value_or_throw(graph::make_callable(std::move(module)));
  predictor.weights = std::move(weights);
  predictor.symbols = std::move(symbols);
}

}  // namespace

std::vector<Array> Model::predict(const Data& given, const PredictOptions& options) const {
  const auto fail = [&](std::string text) { return Error(error("model-arrays", name() + ": " + std::move(text))); };
  if (options.batch_size < 1) throw fail(fmt::format("batch_size is at least 1, found {}", options.batch_size));
  const std::vector<Array> inputs = input_arrays(*this, given);
  // Threads may call at the same time; the first one compiles.
  std::unique_lock lock(functional().predicting);
  std::optional<graph::Module> module;
  std::shared_ptr<Predictor>& predictor = functional().predictor;
  if (!predictor) {
    module = value_or_throw(to_module(*this));
    predictor = std::make_shared<Predictor>(described(*module));
  }

  // Sizes that are open are as large as they have to be; the batch is cut.
  std::vector<graph::Symbol> symbols = predictor->symbols;
  std::int64_t count = -1;
  bool is_cut = true;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const graph::Type& type = predictor->inputs[k];
    const std::vector<std::int64_t>& shape = inputs[k].shape();
    is_cut = is_cut && begins_with_batch(type);
    if (is_cut && count >= 0 && shape[0] != count)
      throw fail(fmt::format("inputs have different numbers of samples: {} and {}", count, shape[0]));
    if (is_cut) count = shape[0];
    for (std::size_t axis = is_cut ? 1 : 0; axis < shape.size(); ++axis) {
      for (graph::Symbol& symbol : symbols) {
        if (type.shape[axis].as_symbol() == std::optional<std::string>(symbol.name))
          symbol.high = std::max(symbol.high, shape[axis]);
      }
    }
  }
  is_cut = is_cut && std::ranges::all_of(predictor->outputs, begins_with_batch);
  if (is_cut && count == 0) throw fail("there are no samples");
  std::int64_t size = is_cut ? batch_for(options.batch_size, count) : options.batch_size;
  if (const auto trained = is_cut ? predictor_of(*this, inputs, size) : nullptr) {
    lock.unlock();
    return in_batches(*this, *trained, inputs, size, options);
  }
  for (graph::Symbol& symbol : symbols) {
    if (!is_cut || symbol.name != kBatch) continue;
    if (symbol.low == symbol.high) size = symbol.high;  // fixed by an input
    symbol.high = std::max(size, predictor->compiled ? symbol.high : symbol.low);
  }
  if (!serves(*predictor, symbols)) {
    if (!module) module = value_or_throw(to_module(*this));
    renew(*predictor, *this, *std::move(module), std::move(symbols));
  }
  const std::shared_ptr<graph::Callable> compiled = predictor->compiled;
  lock.unlock();
  if (!is_cut) return value_or_throw((*compiled)("predict", inputs));
  return in_batches(*this, *compiled, inputs, size, options);
}

}  // namespace tusk
