// Files of a cache: what is not whole counts as not there. (In a header, for the plug-in links nothing of Tusk.)
#pragma once

#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "ir/base/checksum.hpp"

namespace tusk {

/// FILE.PID.N, another one at each call: for what is written before it gets its name, so that nobody sees half of it.
inline std::filesystem::path unique_beside(const std::filesystem::path& file) {
  static std::atomic<unsigned> number = 0;
  return file.string() + "." + std::to_string(getpid()) + "." + std::to_string(++number);
}

inline std::uint64_t checksum_of(std::string_view bytes) {
  std::string tail(bytes.substr(bytes.size() / 8 * 8));
  tail.resize(8);
  return checksum_of_words(tail, checksum_of_words(bytes, bytes.size()));
}

inline constexpr std::string_view kKeptMark = "TUSKKEPT";  // behind the bytes, and in front of their checksum

/// What write_kept has written.
inline std::optional<std::string> read_kept(const std::filesystem::path& file) {
  std::error_code problem;
  if (!std::filesystem::is_regular_file(file, problem)) return std::nullopt;
  std::ifstream in(file, std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(in), {});
  if (!in || bytes.size() < kKeptMark.size() + 8) return std::nullopt;
  std::uint64_t sum = 0;
  std::memcpy(&sum, bytes.data() + bytes.size() - 8, 8);
  bytes.resize(bytes.size() - 8);
  const std::size_t size = bytes.size() - kKeptMark.size();
  if (!std::string_view(bytes).ends_with(kKeptMark)) return std::nullopt;
  bytes.resize(size);
  return sum == checksum_of(bytes) ? std::optional(std::move(bytes)) : std::nullopt;
}

/// What cannot be written is not kept.
inline void write_kept(const std::filesystem::path& file, std::string_view bytes) {
  std::error_code problem;
  const std::filesystem::path part = unique_beside(file);
  {
    std::ofstream out(part, std::ios::binary);
    const std::uint64_t sum = checksum_of(bytes);
    out << bytes << kKeptMark;
    out.write(reinterpret_cast<const char*>(&sum), 8);
    if (!out.flush()) {
      std::filesystem::remove(part, problem);
      return;
    }
  }
  std::filesystem::rename(part, file, problem);
  if (problem) std::filesystem::remove(part, problem);
}

}  // namespace tusk
