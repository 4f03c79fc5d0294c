// A model as a module of the graph IR.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "frontend/model/model.hpp"

namespace tusk {

/// What a symbol may be when the compiled function is called.
struct DimRange {
  std::string symbol;
  std::int64_t low = 1, high = 1, step = 1;
};

struct ModuleOptions {
  std::string function = "predict";
  /// Instead of the defaults: batch in 1..64 (or as an input fixes it), every other symbol in 1..256.
  std::vector<DimRange> dims = {};
};

/// One function with the model's inputs as parameters and its outputs as results, both named as in Keras; the weights
/// are constants @layer/weight. Unknown extents become symbols batch, time, height, ...
Expected<graph::Module> to_module(const Model& model, const ModuleOptions& options = {});

}  // namespace tusk
