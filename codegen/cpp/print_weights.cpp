// The weights: as an array in C++, or as a file.
#include <fmt/format.h>
#include <array>
#include <cstring>

#include "codegen/cpp/names.hpp"
#include "codegen/cpp/package_parts.hpp"
#include "ir/base/checksum.hpp"

namespace tusk::cpp {
namespace {

// Below, words in hex: every compiler reads them. Above, string literals: GCC compiles 8 MB of them in 0.6 s, of words
// in 10 s; MSVC takes no literal of more than 64 KB, for it there is the weights file.
constexpr std::int64_t kMostWords = std::int64_t{1} << 16;

std::string constant_comment(const PackedConstant& c) {
  std::string shape;
  for (const std::int64_t extent : c.constant->value.shape())
    shape += fmt::format("{}{}", shape.empty() ? "" : ",", extent);
  return fmt::format("{}: {} [{}] at {}", comment_text(c.constant->path), name_of(c.constant->value.dtype()), shape,
                     c.offset);
}

std::string bytes_of(const PackedConstant& c) {
  const std::span<const std::byte> bytes = c.constant->value.bytes();
  std::string out(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  out.resize((out.size() + 63) / 64 * 64, '\0');
  return out;
}

void append_words(std::string& out, const std::string& bytes) {
  for (std::size_t i = 0; i < bytes.size(); i += 4) {
    std::uint32_t word = 0;
    std::memcpy(&word, &bytes[i], 4);
    out += fmt::format("{}0x{:08x},", i % 32 == 0 ? "    " : " ", word);
    if (i % 32 == 28) out += "\n";
  }
}

// A byte within a string literal. Escapes are short where no digit follows: half of a float file are escapes.
std::string in_literal(unsigned byte, bool digit_follows) {
  if (byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\' && byte != '?') return {static_cast<char>(byte)};
  return digit_follows ? fmt::format("\\{:03o}", byte) : fmt::format("\\{:o}", byte);
}

void append_strings(std::string& out, const std::string& bytes) {
  static const auto texts = [] {
    std::array<std::array<std::string, 256>, 2> table;
    for (const bool digit : {false, true}) {
      for (unsigned byte = 0; byte < 256; ++byte) table[digit ? 1 : 0][byte] = in_literal(byte, digit);
    }
    return table;
  }();
  for (std::size_t i = 0; i < bytes.size(); i += 64) {
    out += "    \"";
    for (std::size_t k = i; k < i + 64; ++k) {
      const bool digit = k + 1 < i + 64 && bytes[k + 1] >= '0' && bytes[k + 1] <= '7';
      out += texts[digit ? 1 : 0][static_cast<unsigned char>(bytes[k])];
    }
    out += "\"\n";
  }
}

}  // namespace

std::string print_embedded_weights(const Parts& parts) {
  const bool words = parts.weight_bytes <= kMostWords;
  std::string out =
      file_head(parts, fmt::format("{}_{}.cpp", parts.name, weights_name(parts)), "the weights, little endian");
  out += fmt::format("#include \"{0}.hpp\"\n\nnamespace {0} {{\nnamespace {{\n\n", parts.name);
  out += "// clang-format off\n";
  out += fmt::format("alignas(64) constexpr {} data[] ={}\n", words ? "std::uint32_t" : "unsigned char",
                     words ? " {" : "");
  for (const auto* list : {&parts.constants, &parts.initial}) {
    for (const auto& [index, c] : *list) {
      out += fmt::format("    // {}\n", constant_comment(c));
      const std::string bytes = bytes_of(c);
      words ? append_words(out, bytes) : append_strings(out, bytes);
    }
  }
  if (parts.weight_bytes == 0) out += "    0,\n";  // an array has an element
  if (!words) out.pop_back();
  out += words ? "};\n" : ";\n";
  out += "// clang-format on\n\n}  // namespace\n\n";
  const std::string function = weights_name(parts);
  if (function != "weights") out += fmt::format("Weights {}() noexcept;\n", function);
  out += fmt::format("Weights {}() noexcept {{ return {{{}, {}}}; }}\n\n}}  // namespace {}\n", function,
                     words ? "reinterpret_cast<const unsigned char*>(data)" : "data", parts.weight_bytes, parts.name);
  return out;
}

std::string embedded_bytes(const Parts& parts) {
  std::string out;
  for (const auto* list : {&parts.constants, &parts.initial}) {
    for (const auto& [index, c] : *list) out += bytes_of(c);
  }
  return out;
}

std::string weights_file(const Parts& parts) {
  std::string data;
  for (const auto& [index, c] : parts.constants) data += bytes_of(c);
  std::string out("TUSKWT1\0", 8);
  for (std::size_t i = 0; i < 64; i += 2) {
    out += static_cast<char>(std::stoi(parts.layout_sha256.substr(i, 2), nullptr, 16));
  }
  for (const std::uint64_t word : {static_cast<std::uint64_t>(data.size()), checksum_of_words(data)}) {
    char bytes[8];
    std::memcpy(bytes, &word, 8);
    out.append(bytes, 8);
  }
  out.resize(static_cast<std::size_t>(kWeightsHeader), '\0');
  return out + data;
}

}  // namespace tusk::cpp
