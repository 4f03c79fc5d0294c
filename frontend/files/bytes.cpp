#include "frontend/files/bytes.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <limits>
#include <memory>
#include <new>
#include <system_error>

namespace tusk {
namespace {

struct Closer {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Closer>;

Diagnostic system_error(std::string_view what, const std::filesystem::path& path, int code) {
  return error("file-access",
               fmt::format("cannot {} {}: {}", what, in_quotes(path.string()), std::generic_category().message(code)));
}

}  // namespace

std::string in_quotes(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::optional<std::uint64_t> byte_count(std::span<const std::int64_t> shape, int element_size) {
  auto total = static_cast<std::uint64_t>(element_size);
  bool empty = false;
  for (const std::int64_t dim : shape) {
    if (dim < 0) return std::nullopt;
    // A zero does not excuse the other dimensions: whoever multiplies them in another order must not overflow.
    const auto size = static_cast<std::uint64_t>(dim == 0 ? 1 : dim);
    empty = empty || dim == 0;
    if (total > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / size) return std::nullopt;
    total *= size;
  }
  return empty ? 0 : total;
}

std::uint64_t plausible_size(std::uint64_t stored) {
  constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
  constexpr std::uint64_t kMaxRatio = 200;
  return 16 * kMiB + kMaxRatio * (stored > kMiB ? stored - kMiB : 0);
}

Expected<Bytes> read_file(const std::filesystem::path& path) {
  std::error_code code;
  const auto kind = std::filesystem::status(path, code).type();
  if (kind == std::filesystem::file_type::not_found) return system_error("read", path, ENOENT);
  if (kind == std::filesystem::file_type::directory) return system_error("read", path, EISDIR);
  // A pipe or a device has no size that could be checked.
  if (kind != std::filesystem::file_type::regular) {
    return error("file-access", fmt::format("cannot read {}: not a regular file", in_quotes(path.string())));
  }
  const std::uintmax_t size = std::filesystem::file_size(path, code);
  if (code) return system_error("read", path, code.value());
  const File file(std::fopen(path.string().c_str(), "rb"));
  if (!file) return system_error("read", path, errno);
  try {
    Bytes bytes(static_cast<std::size_t>(size));
    if (size != 0 && std::fread(bytes.data(), 1, bytes.size(), file.get()) != bytes.size())
      return system_error("read", path, EIO);
    return bytes;
  } catch (const std::bad_alloc&) {
    return system_error("read", path, ENOMEM);
  }
}

Status write_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  std::filesystem::path temporary = path;
  temporary += fmt::format(".{}.part", getpid());  // another process may write the same file
  std::error_code code;
  {
    File file(std::fopen(temporary.string().c_str(), "wb"));
    if (!file) return system_error("write", path, errno);
    // On the disk before its name: else a crash could leave the name with nothing behind it.
    const bool written = (bytes.empty() || std::fwrite(bytes.data(), 1, bytes.size(), file.get()) == bytes.size()) &&
                         std::fflush(file.get()) == 0 &&
                         (fsync(fileno(file.get())) == 0 || errno == EINVAL || errno == ENOTSUP);
    const int failure = written ? 0 : errno;
    // Buffered bytes may fail only when the file is closed.
    if (std::fclose(file.release()) != 0 || !written) {
      const int cause = failure != 0 ? failure : errno;
      std::filesystem::remove(temporary, code);
      return system_error("write", path, cause);
    }
  }
  std::filesystem::rename(temporary, path, code);
  if (code) {
    const int cause = code.value();
    std::filesystem::remove(temporary, code);
    return system_error("write", path, cause);
  }
  return done();
}

}  // namespace tusk
