// Recorded calls of a model in a .npz: in/NAME (or in/NUMBER) and out/NUMBER (or out/NAME), as they are or under
// set<k>/, call<k>/, case<k>/. Other keys are ignored.
#pragma once

#include <string>
#include <vector>

#include "ir/base/array.hpp"
#include "ir/base/expected.hpp"

namespace tusk {

struct RecordedCall {
  std::string prefix;  // "", "set1/", ...
  std::vector<Array> inputs;
  std::vector<Array> outputs;
};

/// The calls of a file, for a model with inputs and outputs of these names. A call without inputs of its own has those
/// that stand in the file without a prefix.
Expected<std::vector<RecordedCall>> recorded_calls(const std::string& file, const std::vector<std::string>& inputs,
                                                   const std::vector<std::string>& outputs);

}  // namespace tusk
