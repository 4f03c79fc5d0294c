// Small helpers that several ops share: index loops of the reference, attribute checks, index names of stages.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ir/graph/op.hpp"

namespace tusk::graph {

using Ints = std::vector<std::int64_t>;

/// Row-major strides of a static shape.
inline Ints strides_of(const Ints& shape) {
  Ints strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

/// Calls visit(index) for every index of the shape, the last axis fastest; once for a scalar.
template <class Visit>
void for_each_index(const Ints& shape, Visit visit) {
  for (const std::int64_t extent : shape) {
    if (extent <= 0) return;
  }
  Ints index(shape.size(), 0);
  while (true) {
    visit(static_cast<const Ints&>(index));
    std::size_t axis = shape.size();
    while (axis > 0 && ++index[axis - 1] == shape[axis - 1]) index[--axis] = 0;
    if (axis == 0) return;
  }
}

inline std::int64_t dot(const Ints& index, const Ints& strides) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < index.size(); ++i) sum += index[i] * strides[i];
  return sum;
}

/// Axes must be distinct and lie in [0, rank).
Status check_axes(const InferContext& c, const Ints& axes, std::size_t rank, std::string_view label);
/// One axis in [0, rank).
Status check_axis(const InferContext& c, std::int64_t axis, std::size_t rank, std::string_view label);

/// `count` names for reduce indices that differ from those of `taken`: i j k l m, then r5, r6, ...
std::vector<std::string> reduce_names(const std::vector<kernel::Index>& taken, std::size_t count);

/// Index arithmetic on kernel expressions of type index, folded where trivial.
kernel::ExprRef index_constant(std::int64_t value);
kernel::ExprRef plus(kernel::ExprRef a, kernel::ExprRef b);
kernel::ExprRef plus(kernel::ExprRef a, const Dim& b);
kernel::ExprRef times(kernel::ExprRef a, std::int64_t factor);
kernel::ExprRef times(kernel::ExprRef a, const Dim& factor);

/// The identity of a reducer as a number of the type: 0, 1, -inf or the least integer, ...
Literal identity_of(kernel::Reducer reducer, DType type);

/// Stage y<i>[indices] : type = expr
kernel::Stage pointwise(std::string name, std::vector<kernel::Index> indices, DType type, kernel::ExprRef expr);

/// Lanes and block by N4 on a finished stage.
kernel::Stage ordered(kernel::Stage stage);

/// The sum of several gradients is built by the differentiate pass; rules give each contribution once.
inline Attrs attrs_of(std::vector<std::pair<std::string, Attr>> list) { return Attrs{std::move(list)}; }

/// 0, 1, ..., n-1
Ints counting(std::size_t n);
/// All axes of 0..rank-1 that are not in `axes`.
Ints other_axes(std::size_t rank, const Ints& axes);

}  // namespace tusk::graph
