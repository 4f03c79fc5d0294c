// tusk verify: an emitted folder against recorded calls.
#pragma once

#include <optional>
#include <string>

#include "ir/base/expected.hpp"

namespace tusk {

struct VerifyOptions {
  std::string folder;  // what tusk compile wrote
  std::string
      recording;  // .npz with in/ and out/, and set<k>/, call<k>/, case<k>/ of the same form; other keys are ignored
  std::optional<double> rtol;  // of each output's largest value; none: what the folder's manifest says
  std::string model;  // if given, the model's file: where an output differs, the first layer that does is looked for
};

/// Builds, runs every recorded call, prints a line for each output; an error if any is off.
Status verify_folder(const VerifyOptions& options);

}  // namespace tusk
