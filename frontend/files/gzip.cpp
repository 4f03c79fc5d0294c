#include "frontend/files/gzip.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <limits>
#include <new>

namespace tusk {
namespace {

constexpr int kGzipOnly = 16 + MAX_WBITS;
constexpr std::size_t kFirstSize = 1 << 16;

struct Inflater {
  z_stream stream{};
  bool ready = inflateInit2(&stream, kGzipOnly) == Z_OK;
  Inflater() = default;
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() {
    if (ready) inflateEnd(&stream);
  }
};

uInt piece(std::size_t size) {
  return static_cast<uInt>(std::min<std::size_t>(size, std::numeric_limits<uInt>::max()));
}

}  // namespace

bool looks_like_gzip(std::span<const std::byte> bytes) {
  return text_of(bytes.first(std::min<std::size_t>(bytes.size(), 2))) == "\x1f\x8b";
}

Expected<Bytes> gunzip(std::span<const std::byte> bytes, std::string_view name) {
  const auto refuse = [&](std::string_view why) {
    return error("gzip-format", fmt::format("cannot unpack {}: {}", in_quotes(name), why));
  };
  if (!looks_like_gzip(bytes)) return refuse("it is no gzip file");
  const std::uint64_t limit = plausible_size(bytes.size());
  Inflater inflater;
  if (!inflater.ready) return refuse("no memory");
  z_stream& stream = inflater.stream;
  std::span<const std::byte> rest = bytes;
  try {
    Bytes out(kFirstSize);
    std::size_t filled = 0;
    while (true) {
      if (filled == out.size()) {
        if (filled >= limit) {
          return refuse(fmt::format("more than {} bytes come out of {}, which is not plausible", limit, bytes.size()))
              .note("if it is known to be good, unpack it with gunzip");
        }
        out.resize(static_cast<std::size_t>(std::min<std::uint64_t>(limit, std::uint64_t{2} * filled)));
      }
      const uInt given = piece(rest.size());
      const uInt room = piece(out.size() - filled);
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(rest.data()));  // zlib only reads it
      stream.avail_in = given;
      stream.next_out = reinterpret_cast<Bytef*>(out.data() + filled);
      stream.avail_out = room;
      const int code = inflate(&stream, Z_NO_FLUSH);
      rest = rest.subspan(given - stream.avail_in);
      filled += room - stream.avail_out;
      if (code == Z_STREAM_END) {
        // Blocks of tapes are filled up with zeros.
        if (std::ranges::all_of(rest, [](std::byte b) { return b == std::byte{0}; })) break;
        if (!looks_like_gzip(rest)) return refuse("something else follows behind its end");
        inflateReset(&stream);
        continue;
      }
      if (code == Z_MEM_ERROR) return refuse("no memory");
      if (code != Z_OK && code != Z_BUF_ERROR) {
        return refuse(fmt::format("it is damaged ({})", stream.msg != nullptr ? stream.msg : "zlib"));
      }
      if (rest.empty() && stream.avail_out != 0) return refuse("it is cut short");
    }
    out.resize(filled);
    return out;
  } catch (const std::bad_alloc&) {
    return refuse("no memory");
  }
}

Expected<Bytes> read_unpacked(const std::filesystem::path& path) {
  TRY(Bytes bytes, read_file(path));
  if (!looks_like_gzip(bytes)) return bytes;
  return gunzip(bytes, path.string());
}

}  // namespace tusk
