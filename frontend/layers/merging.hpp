// Add, Concatenate.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "frontend/model/layer.hpp"

namespace tusk::layers {

/// A layer with any number of inputs.
struct MergeImpl : LayerBase {
  std::size_t max_inputs() const override { return std::size_t{1} << 20; }
};

/// The sum, from the left. Tensors of lower rank get axes of 1 behind the batch, then shapes broadcast.
struct AddImpl : MergeImpl {
  struct Config {
    std::string name = {};
  } config;
  static void fields(auto&, Config&) {}
  std::vector<Tensor> call_all(const std::vector<Tensor>& inputs, const Call& call) override;
};
using Add = LayerOf<AddImpl>;

struct ConcatenateImpl : MergeImpl {
  struct Config {
    std::int64_t axis = -1;
    std::string name = {};
  } config;
  static void fields(auto& f, Config& c) { f("axis", c.axis); }
  std::vector<Tensor> call_all(const std::vector<Tensor>& inputs, const Call& call) override;
};
using Concatenate = LayerOf<ConcatenateImpl>;

/// Keras' functions: a layer, called at once.
inline Tensor add(const std::vector<Tensor>& tensors) { return Add()(tensors); }
inline Tensor concatenate(const std::vector<Tensor>& tensors, ConcatenateImpl::Config config = {}) {
  return Concatenate(std::move(config))(tensors);
}

}  // namespace tusk::layers
