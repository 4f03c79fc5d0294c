// What the fuzz targets share. A target is one function of libFuzzer's form; replay.cpp runs it on files without
// libFuzzer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "frontend/files/bytes.hpp"
#include "ir/base/expected.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace tusk_fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// A copy, as readers of whole files take it.
inline tusk::Bytes bytes_of(const std::uint8_t* data, std::size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  return {bytes, bytes + size};
}

/// Stops with a text that broke a law.
[[noreturn]] inline void broken(const char* what, std::string_view text, std::string_view other) {
  std::fprintf(stderr, "%s\n---- first\n%.*s\n---- then\n%.*s\n", what, static_cast<int>(text.size()), text.data(),
               static_cast<int>(other.size()), other.data());
  std::abort();
}

/// A refusal is fine if it says why.
inline void refused(const tusk::Diagnostic& problem) {
  if (problem.message.empty()) broken("a refusal without a message", problem.str(), "");
}

inline void equal(std::string_view first, std::string_view second) {
  if (first != second) broken("print differs after parse", first, second);
}

}  // namespace tusk_fuzz
