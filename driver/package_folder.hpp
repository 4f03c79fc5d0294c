// The folder that a package is written to: what Tusk wrote there before may be replaced, and nothing else.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ir/base/expected.hpp"

namespace tusk {

/// Writes the files, as write_files does. Refuses to replace one that Tusk has not written, which its beginning tells.
/// Gives the names of files of other packages in the folder, which stay.
Expected<std::vector<std::string>> write_package(const std::string& folder,
                                                 const std::map<std::string, std::string>& files);

}  // namespace tusk
