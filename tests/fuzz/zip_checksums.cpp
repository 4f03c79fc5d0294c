#include "tests/fuzz/zip_checksums.hpp"

#include <zlib.h>

#include <cstdint>
#include <optional>

namespace tusk_fuzz {
namespace {

using tusk::Bytes;
using Span = std::span<const std::byte>;

/// A little-endian number; nothing behind the end.
std::optional<std::uint32_t> number(Span bytes, std::size_t at, std::size_t size) {
  if (at > bytes.size() || size > bytes.size() - at) return std::nullopt;
  std::uint32_t value = 0;
  for (std::size_t k = size; k-- > 0;) value = value << 8 | std::to_integer<std::uint32_t>(bytes[at + k]);
  return value;
}

/// The checksum of what a deflated member unpacks to, as far as `budget` goes.
std::uint32_t checksum_of_deflated(Span bytes, std::size_t& budget) {
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return 0;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  uLong sum = crc32(0, nullptr, 0);
  Bytef part[1 << 14];
  int result = Z_OK;
  while (result == Z_OK && budget > sizeof part) {
    stream.next_out = part;
    stream.avail_out = sizeof part;
    result = inflate(&stream, Z_NO_FLUSH);
    const auto got = static_cast<uInt>(sizeof part - stream.avail_out);
    sum = crc32(sum, part, got);
    budget -= got;
  }
  inflateEnd(&stream);
  return static_cast<std::uint32_t>(sum);
}

}  // namespace

Bytes with_checksums(Bytes bytes) {
  const std::size_t end = tusk::text_of(bytes).rfind("PK\x05\x06");
  if (end == std::string_view::npos) return bytes;
  std::size_t at = number(bytes, end + 16, 4).value_or(0);
  std::size_t budget = std::size_t{16} << 20;  // of all members: they may lie on top of each other
  while (number(bytes, at, 4) == 0x02014b50U && at + 46 <= bytes.size()) {
    const std::uint32_t method = *number(bytes, at + 10, 2);
    const std::size_t stored = *number(bytes, at + 20, 4);
    const std::size_t local = *number(bytes, at + 42, 4);
    const std::size_t data =
        local + 30 + number(bytes, local + 26, 2).value_or(0) + number(bytes, local + 28, 2).value_or(0);
    if (data <= bytes.size() && stored <= bytes.size() - data && stored < budget) {
      budget -= stored;
      const Span member = Span(bytes).subspan(data, stored);
      const std::uint32_t sum = method == 8
                                    ? checksum_of_deflated(member, budget)
                                    : static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(member.data()),
                                                                       static_cast<uInt>(member.size())));
      for (std::size_t k = 0; k < 4; ++k) bytes[at + 16 + k] = static_cast<std::byte>(sum >> (8 * k) & 255U);
    }
    at += 46 + *number(bytes, at + 28, 2) + *number(bytes, at + 30, 2) + *number(bytes, at + 32, 2);
  }
  return bytes;
}

}  // namespace tusk_fuzz
