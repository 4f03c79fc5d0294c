// Dtype policies: what layers compute in and keep their weights in (https://keras.io/api/mixed_precision/policy/).
#pragma once

#include <string>
#include <string_view>

#include "ir/base/dtype.hpp"

namespace tusk {

struct DtypePolicy {
  std::string name = "float32";
  DType compute = DType::f32;   // of inputs (where they are floats), weights as the layer reads them, and results
  DType variable = DType::f32;  // of weights as they are kept

  /// "float32", "float64", "float16", "bfloat16", "mixed_float16" or "mixed_bfloat16" (weights in float32). Throws
  /// [dtype-policy] for any other.
  static DtypePolicy named(std::string_view name);
};

/// The policy of layers to which none is given, float32 at first. Of this thread, since layers are defined in one.
const DtypePolicy& dtype_policy();
/// keras.config.set_dtype_policy
void set_dtype_policy(std::string_view name);

}  // namespace tusk
