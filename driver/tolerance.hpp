// How far two right computations of a model may be apart.
#pragma once

#include "ir/graph/graph.hpp"

namespace tusk {

/// Of each output's largest value: 2e-5, or two units in the last place of the coarsest half that a value of the module
/// has (f16: 2^-9, bf16: 2^-6).
double tolerance_of(const graph::Module& module);

}  // namespace tusk
