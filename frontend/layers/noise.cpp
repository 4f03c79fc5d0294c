#include "frontend/layers/noise.hpp"

namespace tusk::layers {

Tensor TrainingOnlyImpl::call(Tensor x, const Call& how) {
  if (how.training && strength() != 0) {
    fail("layer-training",
         fmt::format("{} is called with training = true, which this release cannot compile", class_name()));
  }
  return x;
}

}  // namespace tusk::layers
