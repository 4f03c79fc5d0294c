// Where an emitted folder leaves its model.
#pragma once

#include <string>
#include <vector>

#include "ir/base/array.hpp"
#include "ir/base/expected.hpp"
#include "tools/verify.hpp"

namespace tusk {

/// Empty, or in a sentence that options.model is not the file that the folder was compiled from, by its SHA-256.
Expected<std::string> other_model(const VerifyOptions& options);

/// In a sentence: the first line of the folder that is not what its model compiles to; else the first layer whose
/// compiled value differs from that of the double interpreter by more than options.rtol; else that none does.
Expected<std::string> first_difference(const VerifyOptions& options, const std::vector<Array>& inputs);

}  // namespace tusk
