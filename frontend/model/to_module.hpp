// A model as a module of the graph IR.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "frontend/model/model.hpp"
#include "frontend/model/trace.hpp"

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

/// What runs on the model's inputs, and gives the function its results.
using TraceBody = std::function<void(Trace& trace, const std::vector<Tensor>& inputs)>;

/// The same for a function of one's own around the model. Extents that it requires to be equal become one, and ranges
/// begin where it can work: the body runs again with what has been found. Throws.
graph::Module traced_module(const Model& model, const ModuleOptions& options, Trace::Weights weights,
                            const TraceBody& body);

}  // namespace tusk
