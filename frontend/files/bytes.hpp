// Whole files in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/base/expected.hpp"

namespace tusk {

using Bytes = std::vector<std::byte>;

/// The bytes of a regular file.
Expected<Bytes> read_file(const std::filesystem::path& path);

/// Writes to PATH.part and renames it when it is on the disk: whatever happens at whatever moment, there is the old
/// file or the new one, never a half.
Status write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

inline std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

/// Bytes of an array's elements, or nothing if a dimension is negative or a product of dimensions leaves 63 bits.
std::optional<std::uint64_t> byte_count(std::span<const std::int64_t> shape, int element_size);

/// How many bytes may come out of a file of `stored` bytes, all told: 16 MiB out of any, more only out of one above a
/// MiB, and as many as weights that are nearly all zero come to. A file that claims more would fill the memory.
std::uint64_t plausible_size(std::uint64_t stored);

/// "a file" in quotes for a message; control characters are shown as \xNN, since names may come from hostile files.
std::string in_quotes(std::string_view name);

}  // namespace tusk
