// Model::predict: the compiled model, called batch by batch.
#include <fmt/format.h>

#include <algorithm>

#include "frontend/model/error.hpp"
#include "frontend/model/model.hpp"
#include "frontend/model/to_module.hpp"
#include "ir/graph/callable.hpp"

namespace tusk {
namespace {

// Rows begin .. end-1 of axis 0.
Array rows(const Array& whole, std::int64_t begin, std::int64_t end) {
  std::vector<std::int64_t> shape = whole.shape();
  const std::size_t row = shape[0] == 0 ? 0 : whole.bytes().size() / static_cast<std::size_t>(shape[0]);
  shape[0] = end - begin;
  return Array::of_bytes(
      whole.dtype(), shape,
      whole.bytes().subspan(static_cast<std::size_t>(begin) * row, static_cast<std::size_t>(end - begin) * row));
}

Array joined(const std::vector<Array>& parts) {
  std::vector<std::int64_t> shape = parts[0].shape();
  shape[0] = 0;
  for (const Array& part : parts) shape[0] += part.shape()[0];
  Array out(parts[0].dtype(), shape);
  std::byte* to = out.writable_bytes().data();
  for (const Array& part : parts) to = std::ranges::copy(part.bytes(), to).out;
  return out;
}

bool begins_with_batch(const graph::Type& type) {
  return !type.shape.empty() && type.shape[0].as_symbol() == std::optional<std::string>("batch");
}

}  // namespace

std::vector<Array> Model::predict(const std::vector<Array>& inputs, const PredictOptions& options) const {
  const auto fail = [&](std::string text) { return Error(error("predict-arrays", name() + ": " + std::move(text))); };
  if (options.batch_size < 1) throw fail(fmt::format("batch_size is at least 1, found {}", options.batch_size));
  graph::Module module = value_or_throw(to_module(*this));
  const graph::Function& function = module.functions[0];
  if (inputs.size() != function.params.size())
    throw fail(fmt::format("expected {} arrays, found {}", function.params.size(), inputs.size()));

  // Sizes that are open are as large as they have to be; the batch is cut.
  std::int64_t count = -1;
  bool is_cut = true;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const graph::Value& param = function.values[static_cast<std::size_t>(function.params[k])];
    const std::vector<std::int64_t>& shape = inputs[k].shape();
    if (shape.size() != param.type.shape.size()) {
      throw fail(fmt::format("input `{}` has shape {}, found ({})", input_names()[k], shape_str(param.type.shape),
                             fmt::join(shape, ", ")));
    }
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
  std::int64_t size = options.batch_size;
  for (graph::Symbol& symbol : module.symbols) {
    if (!is_cut || symbol.name != "batch") continue;
    if (symbol.low == symbol.high) size = symbol.high;  // fixed by an input
    symbol.high = size;
  }
  const auto callable = value_or_throw(graph::make_callable(std::move(module)));
  if (!is_cut) return value_or_throw((*callable)("predict", inputs));
  std::vector<std::vector<Array>> parts(outputs().size());
  for (std::int64_t begin = 0; begin < count; begin += size) {
    const std::int64_t end = std::min(count, begin + size);
    std::vector<Array> batch;
    for (const Array& input : inputs) batch.push_back(rows(input, begin, end));
    std::vector<Array> results = value_or_throw((*callable)("predict", batch));
    for (std::size_t k = 0; k < results.size(); ++k) parts[k].push_back(std::move(results[k]));
  }
  std::vector<Array> out;
  for (const std::vector<Array>& list : parts) out.push_back(joined(list));
  return out;
}

}  // namespace tusk
