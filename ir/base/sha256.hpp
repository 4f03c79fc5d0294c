// SHA-256 (FIPS 180-4): names the exact file that a model came from.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace tusk {

/// The digest as 64 lower-case hexadecimal digits.
std::string sha256_hex(std::span<const std::byte> bytes);

}  // namespace tusk
