#include "ir/base/expected.hpp"

#include <fmt/format.h>

namespace tusk {

std::string Diagnostic::str() const {
  std::string out;
  if (spot) out += fmt::format("{}:{}:{}: ", spot->file, spot->line, spot->column);
  out += "error: " + message;
  if (!code.empty()) out += " [" + code + "]";
  out += "\n";
  if (spot && !spot->text.empty()) {
    std::string caret(static_cast<std::size_t>(spot->column > 0 ? spot->column - 1 : 0), ' ');
    for (std::size_t i = 0; i < caret.size() && i < spot->text.size(); ++i) {
      if (spot->text[i] == '\t') caret[i] = '\t';
    }
    out += fmt::format("  {}\n  {}^\n", spot->text, caret);
  }
  if (!layer.empty()) out += fmt::format("  at layer `{}`\n", layer);
  for (const std::string& line : notes) out += "  " + line + "\n";
  return out;
}

}  // namespace tusk
