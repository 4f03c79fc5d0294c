// Lengths of UTF-8 text as an editor shows them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string_view>

namespace tusk {

/// Whether the byte is not the first one of its code point.
inline bool continues_code_point(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; }

inline std::size_t code_points(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !continues_code_point(c); }));
}

/// A character of a text; a byte that begins none stands for itself and has no value.
struct CodePoint {
  std::size_t bytes = 1;
  std::optional<char32_t> value;
};

/// The first one of a text that is not empty.
inline CodePoint first_code_point(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {1, lead};
  const std::size_t bytes = lead < 0xC2 || lead > 0xF4 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (bytes == 1 || bytes > text.size()) return {};
  char32_t value = lead & (0x7FU >> bytes);
  for (const char c : text.substr(1, bytes - 1)) {
    if (!continues_code_point(c)) return {};
    value = value << 6U | (static_cast<unsigned char>(c) & 0x3FU);
  }
  return {bytes, value};
}

}  // namespace tusk
