#include "frontend/files/bytes.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
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

namespace {

/// A file to write to, and the lock on it: two writers of one path take turns, and what a killed one has left is
/// overwritten by the next.
class PartFile {
 public:
  /// 0, or what went wrong.
  int open(const std::filesystem::path& path) {
    for (;;) {
      close();
      file_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
      if (file_ < 0 || ::flock(file_, LOCK_EX) != 0) return errno;
      // While this one waited for the lock, the other may have renamed the file.
      struct stat held {
      }, named{};
      if (::fstat(file_, &held) != 0) return errno;
      if (::stat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino && held.st_dev == named.st_dev) break;
    }
    return ::ftruncate(file_, 0) == 0 ? 0 : errno;
  }
  int write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::write(file_, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return errno;
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    return ::fsync(file_) == 0 || errno == EINVAL || errno == ENOTSUP ? 0 : errno;
  }
  void close() {
    if (file_ >= 0) ::close(file_);
    file_ = -1;
  }
  ~PartFile() { close(); }

 private:
  int file_ = -1;
};

/// A renamed file is safe when its folder is. Some file systems cannot: then nothing more can be done.
void sync_folder(const std::filesystem::path& folder) {
  const int handle = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (handle < 0) return;
  ::fsync(handle);
  ::close(handle);
}

}  // namespace

Status write_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  std::filesystem::path temporary = path;
  temporary += ".part";
  PartFile file;
  if (const int cause = file.open(temporary); cause != 0) return system_error("write", path, cause);
  std::error_code code;
  int cause = file.write(bytes);
  if (cause == 0) {
    std::filesystem::rename(temporary, path, code);
    cause = code.value();
  }
  if (cause != 0) {
    std::filesystem::remove(temporary, code);
    return system_error("write", path, cause);
  }
  sync_folder(path.parent_path());
  return done();
}

}  // namespace tusk
