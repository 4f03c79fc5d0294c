// ZIP archives: read with bounds, written with the same bytes each time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/files/bytes.hpp"
#include "ir/base/expected.hpp"

namespace tusk {

struct ZipMember {
  std::string name;
  std::uint64_t size = 0;    // as claimed
  std::uint64_t stored = 0;  // bytes in the archive
};

/// An archive in memory. Members may be stored or deflated, in any order.
class ZipReader {
 public:
  static constexpr std::uint64_t kMaxMember = std::uint64_t{2} << 30;

  static Expected<ZipReader> open(const std::filesystem::path& path);
  /// `name` stands for the archive in messages. `bytes` are shared, not copied.
  static Expected<ZipReader> from_bytes(std::shared_ptr<const Bytes> bytes, std::string name);

  const std::string& name() const { return name_; }
  const std::vector<ZipMember>& members() const { return members_; }
  bool has(std::string_view member) const { return index_.contains(member); }
  /// The bytes of one member; refused before any allocation if its claims are implausible, afterwards if its size or
  /// checksum differs from them.
  Expected<Bytes> read(std::string_view member, std::uint64_t max_size = kMaxMember) const;

 private:
  struct Archive;
  ZipReader() = default;

  std::string name_;
  std::vector<ZipMember> members_;
  std::map<std::string, std::size_t, std::less<>> index_;  // of members, by name
  std::shared_ptr<Archive> archive_;
};

/// True if the bytes begin as a ZIP archive does (with a member, or empty).
bool looks_like_zip(std::span<const std::byte> bytes);

struct ZipEntry {
  std::string name;
  Bytes bytes;
};
enum class ZipMethod { store, deflate };

/// The archive with these members, in this order; time stamps are fixed.
Expected<Bytes> zip_bytes(const std::vector<ZipEntry>& entries, ZipMethod method);
Status write_zip(const std::filesystem::path& path, const std::vector<ZipEntry>& entries, ZipMethod method);

}  // namespace tusk
