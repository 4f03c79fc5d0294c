// Names of C++ functions in object files (Itanium C++ ABI, chapter 5.1).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tusk::mlir {

/// Of a function in the namespace `space`; parameters are "Arena&", "const Predict&", "int64", "size", "int", "void*",
/// "const void*", "const tusk::Threads*". Integers have other names where words have 32 bits, and there again on wasm.
std::string mangled(std::string_view space, std::string_view function, const std::vector<std::string>& parameters,
                    std::string_view triple);

}  // namespace tusk::mlir
