#include "codegen/mlir/support.hpp"

#include <fmt/format.h>
#include <charconv>

#include "ir/loop/parse.hpp"
#include "ir/loop/rows.hpp"

namespace tusk::mlir {
namespace {

constexpr std::string_view kSupport =
#include "codegen/mlir/support.inc"
    ;

}  // namespace

Expected<loop::Func> support_function(std::string_view name) {
  TRY(const loop::Module module, loop::parse(std::string(kSupport), "codegen/mlir/support.inc"));
  const std::size_t end = name.rfind(".x");
  int lanes = 1;
  if (end != std::string_view::npos) std::from_chars(name.data() + end + 2, name.data() + name.size(), lanes);
  const loop::Func* func = module.func(name.substr(0, end));
  if (func == nullptr) return error("codegen-mlir", fmt::format("there is no support function {}", name));
  loop::Func out = loop::widened(*func, lanes);
  out.name = name;
  return out;
}

}  // namespace tusk::mlir
