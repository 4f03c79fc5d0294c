// What was built is kept from one program to the next.
#pragma once

#include <filesystem>

namespace tusk {

/// $TUSK_CACHE (empty: none), else tusk/ of $XDG_CACHE_HOME or ~/.cache; made if needed. Empty where there is none.
std::filesystem::path cache_folder();

}  // namespace tusk
