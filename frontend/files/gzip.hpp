// Files that gzip has packed.
#pragma once

#include <span>
#include <string_view>

#include "frontend/files/bytes.hpp"
#include "ir/base/expected.hpp"

namespace tusk {

/// True if the bytes begin as a gzip file does.
bool looks_like_gzip(std::span<const std::byte> bytes);

/// What is packed in a gzip file; several members follow each other, as gzip has it. Refused if it is damaged, cut, or
/// unpacks to more than is plausible. `name` stands for the file in messages.
Expected<Bytes> gunzip(std::span<const std::byte> bytes, std::string_view name);

/// The bytes of a file, unpacked if it is packed.
Expected<Bytes> read_unpacked(const std::filesystem::path& path);

}  // namespace tusk
