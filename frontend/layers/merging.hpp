// Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate, Dot.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "frontend/model/layer.hpp"

namespace tusk::layers {

/// A layer with any number of inputs.
struct MergeImpl : LayerBase {
  std::size_t max_inputs() const override { return std::size_t{1} << 20; }
  /// Where one of the inputs has data, if all have masks.
  Tensor output_mask(const std::vector<Tensor>& inputs, const Call& call) override;
};

/// A row applied from the left. Tensors of lower rank get axes of 1 behind the batch, then shapes broadcast. Where an
/// input has no data (its mask), a product takes it as 1, a maximum or minimum leaves it out.
template <FixedText keras_name, FixedText row>
struct ElementwiseMergeImpl : MergeImpl {
  static constexpr std::string_view class_name = keras_name.view();
  struct Config {
    std::string name = {};
    std::string dtype = {};
  } config;
  static void fields(auto&, Config&) {}
  // Subtract takes two.
  std::size_t min_inputs() const override { return row.view() == "sub" ? 2 : 1; }
  std::size_t max_inputs() const override { return row.view() == "sub" ? 2 : MergeImpl::max_inputs(); }
  std::vector<Tensor> call_all(const std::vector<Tensor>& inputs, const Call& call) override;
  /// None where one input has None.
  std::vector<Shape> written_shapes(const std::vector<Shape>& inputs, std::vector<Shape> results) const override;
};
using Add = LayerOf<ElementwiseMergeImpl<"Add", "add">>;
using Subtract = LayerOf<ElementwiseMergeImpl<"Subtract", "sub">>;
using Multiply = LayerOf<ElementwiseMergeImpl<"Multiply", "mul">>;
using Average = LayerOf<ElementwiseMergeImpl<"Average", "mean">>;
using Maximum = LayerOf<ElementwiseMergeImpl<"Maximum", "max">>;
using Minimum = LayerOf<ElementwiseMergeImpl<"Minimum", "min">>;

struct ConcatenateImpl : MergeImpl {
  struct Config {
    std::int64_t axis = -1;
    std::string name = {};
    std::string dtype = {};
  } config;
  static void fields(auto& f, Config& c) { f("axis", c.axis); }
  Tensor output_mask(const std::vector<Tensor>& inputs, const Call& call) override;
  std::vector<Tensor> call_all(const std::vector<Tensor>& inputs, const Call& call) override;
};
using Concatenate = LayerOf<ConcatenateImpl>;

/// Products of samples, summed over one axis of each of two tensors (`axes`: one number for both, or two; never the
/// batch): what is left of the first, then of the second. normalize: both are divided by their L2 norm first.
struct DotImpl : LayerBase {
  struct Config {
    Axes axes = -1;
    bool normalize = false;
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::axes};
  static void fields(auto& f, Config& c) {
    f("axes", c.axes);
    f("normalize", c.normalize);
  }
  std::size_t min_inputs() const override { return 2; }
  std::size_t max_inputs() const override { return 2; }
  std::vector<Tensor> call_all(const std::vector<Tensor>& inputs, const Call& call) override;
};
using Dot = LayerOf<DotImpl>;

/// Keras' functions: a layer, called at once.
inline Tensor add(const std::vector<Tensor>& tensors) { return Add()(tensors); }
inline Tensor subtract(const std::vector<Tensor>& tensors) { return Subtract()(tensors); }
inline Tensor multiply(const std::vector<Tensor>& tensors) { return Multiply()(tensors); }
inline Tensor average(const std::vector<Tensor>& tensors) { return Average()(tensors); }
inline Tensor maximum(const std::vector<Tensor>& tensors) { return Maximum()(tensors); }
inline Tensor minimum(const std::vector<Tensor>& tensors) { return Minimum()(tensors); }
inline Tensor concatenate(const std::vector<Tensor>& tensors, ConcatenateImpl::Config config = {}) {
  return Concatenate(std::move(config))(tensors);
}
inline Tensor dot(const std::vector<Tensor>& tensors, Axes axes, DotImpl::Config config = {}) {
  return Dot(std::move(axes), std::move(config))(tensors);
}

}  // namespace tusk::layers
