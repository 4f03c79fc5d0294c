// Numbers of things in messages.
#pragma once

#include <fmt/format.h>
#include <string>
#include <string_view>

namespace tusk::text {

/// "1 operand", "2 operands", "0 entries".
template <class Number>
std::string count_of(Number number, std::string_view noun) {
  if (number == Number{1}) return fmt::format("1 {}", noun);
  if (noun.ends_with('y')) return fmt::format("{} {}ies", number, noun.substr(0, noun.size() - 1));
  return fmt::format("{} {}{}", number, noun == "index" ? "indic" : noun, noun == "index" ? "es" : "s");
}

}  // namespace tusk::text
