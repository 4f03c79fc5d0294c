#include "codegen/mlir/mangle.hpp"

#include <fmt/format.h>

namespace tusk::mlir {
namespace {

std::string counted(std::string_view name) { return fmt::format("{}{}", name.size(), name); }

}  // namespace

std::string mangled(std::string_view space, std::string_view function, const std::vector<std::string>& parameters,
                    std::string_view triple) {
  const bool is_wasm = triple.starts_with("wasm");
  const bool is_64_bit = !is_wasm && !triple.starts_with("thumb");
  std::string out = fmt::format("_ZN{}{}E", counted(space), counted(function));
  if (parameters.empty()) out += "v";
  for (const std::string& parameter : parameters) {
    std::string_view text = parameter;
    if (text == "int64") {
      out += is_64_bit ? "l" : "x";
    } else if (text == "size") {
      out += is_64_bit || is_wasm ? "m" : "j";
    } else if (text == "int") {
      out += "i";
    } else {
      out += text.ends_with('&') ? "R" : "P";
      text.remove_suffix(1);
      if (text.starts_with("const ")) {
        out += "K";
        text.remove_prefix(6);
      }
      if (text == "void") {
        out += "v";
        continue;
      }
      // The namespace of the function stands for itself by S_.
      const bool is_tusk = text.starts_with("tusk::");
      if (is_tusk) text.remove_prefix(6);
      out += fmt::format("N{}{}E", is_tusk && space != "tusk" ? counted("tusk") : "S_", counted(text));
    }
  }
  return out;
}

}  // namespace tusk::mlir
