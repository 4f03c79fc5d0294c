#include "ir/base/expected.hpp"

#include <fmt/format.h>

#include <string_view>

#include "ir/base/printable.hpp"
#include "ir/base/utf8.hpp"

namespace tusk {
namespace {

// A caret below the line's column: the line may have tabs, and names in it characters that are escaped.
std::string with_caret(const SourceSpot& spot) {
  std::size_t before = 0;  // bytes; the column counts characters
  for (int column = 1; before < spot.text.size() && column < spot.column; ++column) {
    ++before;
    while (before < spot.text.size() && continues_code_point(spot.text[before])) ++before;
  }
  const auto shown = [](std::string_view text) {
    std::string out;
    for (std::size_t tab = 0; (tab = text.find('\t')) != std::string_view::npos; text.remove_prefix(tab + 1))
      out += printable(text.substr(0, tab)) + "\t";
    return out + printable(text);
  };
  const std::string_view line = spot.text;
  const std::string left = shown(line.substr(0, before));
  std::string caret;
  for (const char c : left) {
    if (!continues_code_point(c)) caret += c == '\t' ? '\t' : ' ';
  }
  return fmt::format("  {}{}\n  {}^\n", left, shown(line.substr(before)), caret);
}

}  // namespace

// What comes from a file does not reach the terminal as it is: it could clear the screen, or look like another message.
std::string Diagnostic::str() const {
  std::string out;
  if (spot && spot->line == 0) out += printable(spot->file) + ": ";
  if (spot && spot->line > 0) out += fmt::format("{}:{}:{}: ", printable(spot->file), spot->line, spot->column);
  out += "error: " + printable(message);
  if (!code.empty()) out += " [" + code + "]";
  out += "\n";
  if (spot && !spot->text.empty()) out += with_caret(*spot);
  if (!layer.empty()) out += fmt::format("  at layer `{}`\n", printable(layer));
  for (const std::string& line : notes) out += "  " + printable(line) + "\n";
  return out;
}

}  // namespace tusk
