// Lengths of UTF-8 text as an editor shows them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace tusk {

/// Whether the byte is not the first one of its code point.
inline bool continues_code_point(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; }

inline std::size_t code_points(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !continues_code_point(c); }));
}

}  // namespace tusk
