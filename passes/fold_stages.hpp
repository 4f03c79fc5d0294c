// Stages that only constants reach are computed now.
#pragma once

#include "ir/base/expected.hpp"
#include "ir/kernel/program.hpp"

namespace tusk {

/// A stage at root that reads constants alone, in every call of its kernel, becomes a constant itself: weights that a
/// schedule wants in another layout (panels, lanes side by side) are kept in that layout. Constants that nothing reads
/// any more are dropped. Requires: memory is not planned.
Expected<kernel::Program> fold_stages(kernel::Program program);

}  // namespace tusk
