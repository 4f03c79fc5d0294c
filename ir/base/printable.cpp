#include "ir/base/printable.hpp"

#include <fmt/format.h>

#include <cstdint>

#include "ir/base/utf8.hpp"

namespace tusk {
namespace {

// Those of C0 and C1, and what turns the direction of text.
bool is_control(char32_t code) {
  return code < 0x20 || (code >= 0x7F && code <= 0x9F) || code == 0x200E || code == 0x200F ||
         (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

std::string escaped(char32_t code) {
  const auto number = static_cast<std::uint32_t>(code);
  return code < 0x100 ? fmt::format("\\x{:02x}", number) : fmt::format("\\u{:04x}", number);
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const CodePoint next = first_code_point(text);
    if (!next.value) {
      out += escaped(static_cast<unsigned char>(text[0]));
    } else if (*next.value == '\n') {
      out += "\\n";
    } else if (*next.value == '\t') {
      out += "\\t";
    } else if (is_control(*next.value)) {
      out += escaped(*next.value);
    } else {
      out += text.substr(0, next.bytes);
    }
    text.remove_prefix(next.bytes);
  }
  return out;
}

}  // namespace tusk
