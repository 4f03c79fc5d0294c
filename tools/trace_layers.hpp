// Where an emitted folder leaves its model.
#pragma once

#include <string>
#include <vector>

#include "ir/base/array.hpp"
#include "ir/base/expected.hpp"
#include "tools/verify.hpp"

namespace tusk {

/// In a sentence: the first line of the folder that is not what its model compiles to; else the first layer whose
/// compiled value differs from that of the double interpreter by more than options.rtol; else that none does.
Expected<std::string> first_difference(const VerifyOptions& options, const std::vector<Array>& inputs);

}  // namespace tusk
