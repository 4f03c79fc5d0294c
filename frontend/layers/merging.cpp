#include "frontend/layers/merging.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "frontend/model/trace.hpp"

namespace tusk::layers {

std::vector<Tensor> AddImpl::call_all(const std::vector<Tensor>& inputs, const Call&) {
  std::size_t rank = 0;
  for (const Tensor& input : inputs) rank = std::max(rank, input.shape().size());
  std::vector<Tensor> aligned = inputs;
  for (Tensor& x : aligned) {
    if (x.shape().size() == rank) continue;
    Shape shape = x.shape();
    shape.insert(shape.begin() + 1, rank - shape.size(), Dim(1));
    x = emit::reshape(x, std::move(shape));
  }
  aligned = emit::broadcast_together(std::move(aligned));
  Tensor sum = aligned.front();
  for (std::size_t i = 1; i < aligned.size(); ++i) sum = emit::map("add", {sum, aligned[i]});
  return {sum};
}

std::vector<Tensor> ConcatenateImpl::call_all(const std::vector<Tensor>& inputs, const Call&) {
  const std::int64_t axis = emit::axis_of(inputs.front(), config.axis);
  if (axis == 0) fail("field-value", fmt::format("axis is {}, which is the batch", config.axis));
  const bool any_float = std::ranges::any_of(inputs, [](const Tensor& x) { return is_float(x.dtype()); });
  std::vector<emit::Arg> parts;
  for (const Tensor& input : inputs) {
    const Shape& first = inputs.front().shape();
    const Shape& shape = input.shape();
    bool fits = shape.size() == first.size();
    for (std::size_t i = 0; fits && i < shape.size(); ++i) {
      fits = static_cast<std::int64_t>(i) == axis || shape[i] == first[i] || !shape[i].is_constant() ||
             !first[i].is_constant();
    }
    if (!fits) {
      fail("concatenate-shapes",
           fmt::format("{} and {} differ beside axis {}", keras_shape(first), keras_shape(shape), axis));
    }
    parts.emplace_back(any_float ? emit::to_float(input) : input);
  }
  if (parts.size() == 1) return {inputs.front()};
  return {emit::op("concat", parts, {{{"axis", axis}}})};
}

}  // namespace tusk::layers
