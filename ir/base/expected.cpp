#include "ir/base/expected.hpp"

#include <fmt/format.h>

#include "ir/base/utf8.hpp"

namespace tusk {

std::string Diagnostic::str() const {
  std::string out;
  if (spot && spot->line == 0) out += spot->file + ": ";
  if (spot && spot->line > 0) out += fmt::format("{}:{}:{}: ", spot->file, spot->line, spot->column);
  out += "error: " + message;
  if (!code.empty()) out += " [" + code + "]";
  out += "\n";
  if (spot && !spot->text.empty()) {
    std::string caret;
    for (const char c : spot->text) {
      if (static_cast<int>(caret.size()) + 1 >= spot->column) break;
      if (!continues_code_point(c)) caret += c == '\t' ? '\t' : ' ';
    }
    out += fmt::format("  {}\n  {}^\n", spot->text, caret);
  }
  if (!layer.empty()) out += fmt::format("  at layer `{}`\n", layer);
  for (const std::string& line : notes) out += "  " + line + "\n";
  return out;
}

}  // namespace tusk
