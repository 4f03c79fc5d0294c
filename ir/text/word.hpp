// What may be a name in the texts.
#pragma once

#include <algorithm>
#include <string_view>

namespace tusk::text {

/// Letters, digits and _ of ASCII, whatever the locale; no digit first.
inline bool is_word(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace tusk::text
