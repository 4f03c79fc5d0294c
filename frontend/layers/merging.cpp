#include "frontend/layers/merging.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "frontend/model/emit.hpp"

namespace tusk::layers {

namespace {

// Keras 2: data where all inputs that have a mask are data.
Tensor joined_keras2(const std::vector<Tensor>& masks) {
  Tensor all;
  for (const Tensor& mask : masks) {
    if (!mask) continue;
    const std::vector<Tensor> both = all ? emit::broadcast_together({all, mask}) : std::vector<Tensor>();
    all = all ? emit::map("and", {both[0], both[1]}) : mask;
  }
  return all;
}

}  // namespace

Tensor MergeImpl::output_mask(const std::vector<Tensor>&, const Call& call) {
  const std::vector<Tensor>& masks = call.mask.list;
  if (is_keras2()) return joined_keras2(masks);
  if (!std::ranges::all_of(masks, [](const Tensor& mask) { return static_cast<bool>(mask); })) return {};
  Tensor all = masks.front();
  for (std::size_t i = 1; i < masks.size(); ++i) {
    const std::vector<Tensor> both = emit::broadcast_together({all, masks[i]});
    all = emit::map("or", {both[0], both[1]});
  }
  return all;
}

namespace {

/// What a division of integers computes in, whatever the layer's policy: NumPy's rule, as TensorFlow has it.
Tensor quotient_float(const Tensor& x) {
  if (is_float(x.dtype())) return x;
  return emit::cast(x, size_of(x.dtype()) == 1 ? DType::f32 : DType::f64);
}

/// The fold of products, maxima or minima of which some have masks, of the rank of their inputs less one.
Tensor masked_fold(std::string_view row, const std::vector<Tensor>& inputs, const std::vector<Tensor>& masks) {
  const bool is_product = row == "mul";
  const auto wide = [&](std::size_t i) { return emit::leading(masks[i], inputs[i].shape()); };
  Tensor result;
  Tensor where;  // the result is data
  bool all = true;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    Tensor x = inputs[i];
    const Tensor mask = masks[i] ? wide(i) : Tensor();
    if (is_product && mask) x = emit::map("select", {mask, x, 1});
    if (!result) {
      result = x;
      where = mask;
      all = static_cast<bool>(mask);
      continue;
    }
    if (!is_product && mask) x = emit::map("select", {mask, x, result});
    if (!is_product && where) result = emit::map("select", {where, result, x});
    all = all && mask;
    where = all ? emit::map("or", {where, mask}) : Tensor();
    result = emit::map(row, {result, x});
  }
  return is_product && all ? emit::map("select", {where, result, 0}) : result;
}

}  // namespace

template <FixedText keras_name, FixedText row>
std::vector<Tensor> ElementwiseMergeImpl<keras_name, row>::call_all(const std::vector<Tensor>& inputs,
                                                                    const Call& call) {
  std::size_t rank = 0;
  for (const Tensor& input : inputs) rank = std::max(rank, input.shape().size());
  std::vector<Tensor> aligned = inputs;
  std::vector<Tensor> masks = call.mask.list;
  for (std::size_t i = 0; i < aligned.size(); ++i) {
    Tensor& x = aligned[i];
    if (x.shape().size() == rank) continue;
    masks[i] = Tensor();  // lost, as in Keras
    Shape shape = x.shape();
    shape.insert(shape.begin() + 1, rank - shape.size(), Dim(1));
    x = emit::reshape(x, std::move(shape));
  }
  aligned = emit::broadcast_together(std::move(aligned));
  constexpr bool is_mean = row.view() == "mean";
  constexpr bool heeds_masks = row.view() == "mul" || row.view() == "max" || row.view() == "min";
  if (heeds_masks && !this->is_keras2() &&
      std::ranges::any_of(masks, [](const Tensor& mask) { return static_cast<bool>(mask); }))
    return {masked_fold(row.view(), aligned, masks)};
  Tensor result = aligned.front();
  for (std::size_t i = 1; i < aligned.size(); ++i) {
    result = emit::map(is_mean ? "add" : row.view(), {result, aligned[i]});
  }
  if (is_mean) result = emit::map("div", {quotient_float(result), static_cast<double>(aligned.size())});
  return {result};
}

template <FixedText keras_name, FixedText row>
std::vector<Shape> ElementwiseMergeImpl<keras_name, row>::written_shapes(const std::vector<Shape>& inputs,
                                                                         std::vector<Shape> results) const {
  Shape& shape = results.front();
  for (const Shape& input : inputs) {
    for (std::size_t i = 0; input.size() == shape.size() && i < shape.size(); ++i) {
      if (!input[i].is_constant()) shape[i] = input[i];
    }
  }
  return results;
}

template struct ElementwiseMergeImpl<"Add", "add">;
template struct ElementwiseMergeImpl<"Subtract", "sub">;
template struct ElementwiseMergeImpl<"Multiply", "mul">;
template struct ElementwiseMergeImpl<"Average", "mean">;
template struct ElementwiseMergeImpl<"Maximum", "max">;
template struct ElementwiseMergeImpl<"Minimum", "min">;

std::vector<Tensor> ConcatenateImpl::call_all(const std::vector<Tensor>& inputs, const Call&) {
  const std::int64_t axis = emit::axis_of(inputs.front(), config.axis);
  if (axis == 0)
    fail("field-value",
         fmt::format("axis is {}, which is the batch of {}", config.axis, keras_shape(inputs.front().shape())));
  const std::vector<Tensor> cast = emit::with_one_dtype(inputs);
  std::vector<emit::Arg> parts;
  for (const Tensor& input : cast) {
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
    parts.emplace_back(input);
  }
  if (parts.size() == 1) return {inputs.front()};
  return {emit::op("concat", parts, {{{"axis", axis}}})};
}

// An input without a mask is all data. The masks are joined as the inputs are; then any (Keras 2: all) along the
// last axis.
Tensor ConcatenateImpl::output_mask(const std::vector<Tensor>& inputs, const Call& call) {
  const std::vector<Tensor>& masks = call.mask.list;
  if (std::ranges::none_of(masks, [](const Tensor& mask) { return static_cast<bool>(mask); })) return {};
  std::vector<emit::Arg> parts;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Shape& shape = inputs[i].shape();
    if (masks[i]) {
      parts.emplace_back(emit::leading(masks[i], shape));
    } else {
      parts.emplace_back(emit::filled("mask", DType::boolean, shape, 1));
    }
  }
  const std::int64_t axis = emit::axis_of(inputs.front(), config.axis);
  const Tensor joined = parts.size() == 1 ? *parts.front().tensor() : emit::op("concat", parts, {{{"axis", axis}}});
  return emit::reduce(is_keras2() ? "all" : "any", joined, {joined.rank() - 1});
}

std::vector<Tensor> DotImpl::call_all(const std::vector<Tensor>& inputs, const Call&) {
  const std::vector<std::int64_t>& axes = config.axes.list();
  if (axes.empty() || axes.size() > 2)
    fail("field-value", fmt::format("axes has {} numbers, expected one or two", axes.size()));
  Tensor x[2];
  std::int64_t axis[2];
  for (std::size_t i = 0; i < 2; ++i) {
    x[i] = emit::to_float(inputs[i]);
    if (x[i].rank() < 2 || x[i].rank() > 5)
      fail("layer-rank", fmt::format("Dot needs ranks of 2 to 5, found {}", keras_shape(x[i].shape())));
    axis[i] = emit::axis_of(x[i], axes[axes.size() == 1 ? 0 : i]);
    if (axis[i] == 0)
      fail("field-value", fmt::format("axes has {}, which is the batch of {}", axes[axes.size() == 1 ? 0 : i],
                                      keras_shape(x[i].shape())));
    if (config.normalize) x[i] = emit::normalized(x[i], {axis[i]}, 1e-7);
  }
  const Dim& left = x[0].shape()[static_cast<std::size_t>(axis[0])];
  const Dim& right = x[1].shape()[static_cast<std::size_t>(axis[1])];
  if (left.is_constant() && right.is_constant() && !(left == right)) {
    fail("dot-shapes", fmt::format("axis {} of {} and axis {} of {} differ", axis[0], keras_shape(x[0].shape()),
                                   axis[1], keras_shape(x[1].shape())));
  }
  graph::ContractSpec spec;
  spec.y = {"n"};
  for (std::size_t i = 0; i < 2; ++i) {
    std::vector<std::string>& names = i == 0 ? spec.a : spec.b;
    for (std::int64_t k = 0; k < x[i].rank(); ++k) {
      names.push_back(k == 0 ? "n" : k == axis[i] ? "k" : fmt::format("{}{}", i == 0 ? "p" : "q", k));
      if (k != 0 && k != axis[i]) spec.y.push_back(names.back());
    }
  }
  const Tensor y = emit::contract(x[0], x[1], std::nullopt, std::move(spec));
  return {y.rank() == 1 ? emit::reshape(y, {y.shape()[0], Dim(1)}) : y};
}

}  // namespace tusk::layers
