// Text of others on a terminal.
#pragma once

#include <string>
#include <string_view>

namespace tusk {

/// With control characters (those of C0 and C1, DEL, and what turns the direction of text) as escapes: \n, \t, \x1b,
/// \u202e. Backslashes stay: this is for reading, not for parsing.
std::string printable(std::string_view text);

}  // namespace tusk
