#include "driver/tolerance.hpp"

#include <algorithm>

namespace tusk {

double tolerance_of(const graph::Module& module) {
  double tolerance = 2e-5;
  for (const graph::Function& function : module.functions) {
    for (const graph::Value& value : function.values) {
      if (value.type.dtype == DType::f16) tolerance = std::max(tolerance, 0x1p-9);
      if (value.type.dtype == DType::bf16) tolerance = std::max(tolerance, 0x1p-6);
    }
  }
  return tolerance;
}

}  // namespace tusk
