// Text by the cells of a terminal that it takes: most characters take one, ideographs and emoji two, marks none.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tusk {

/// Of UTF-8.
std::int64_t cells_of(std::string_view text);

/// The first cells of a text, with a blank where the last character would need one more.
std::string first_cells(std::string_view text, std::int64_t count);

}  // namespace tusk
