#include "frontend/training/sample_weights.hpp"

#include <fmt/format.h>

#include "frontend/model/error.hpp"

namespace tusk {
namespace {

// Whether the weights can be spread over the values. An open batch is none of the other extents; other open ones may
// turn out to be what stands there.
bool fits(const Tensor& weight, const Tensor& values, const Dim& batch) {
  if (weight.rank() > values.rank()) return false;
  for (std::int64_t i = 1; i <= weight.rank(); ++i) {
    const Dim& w = weight.shape()[static_cast<std::size_t>(weight.rank() - i)];
    const Dim& v = values.shape()[static_cast<std::size_t>(values.rank() - i)];
    if (w == Dim(1) || w == v) continue;
    const bool is_open_batch = !batch.is_constant() && (w == batch || v == batch);
    if (v == Dim(1) || is_open_batch || (w.is_constant() && v.is_constant())) return false;
  }
  return true;
}

}  // namespace

void check_weights(const Tensor& weights, const Tensor& values) {
  const Dim batch = values.rank() == 0 ? Dim(1) : values.shape().front();
  if (fits(weights, values, batch) || fits(values, weights, batch)) return;
  throw Error(error("sample-weight", fmt::format("sample_weight has shape {}, the losses have {}",
                                                 keras_shape(weights.shape()), keras_shape(values.shape())))
                  .note("expected a weight for each of them, or extents of 1"));
}

}  // namespace tusk
