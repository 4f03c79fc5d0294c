#include "frontend/files/npy.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <new>
#include <optional>
#include <utility>
#include <vector>

namespace tusk {
namespace {

static_assert(std::endian::native == std::endian::little, "arrays are read and written as they lie in memory");

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxNpyRank = 32;  // NumPy's own limit (64 in NumPy 2, which no Keras array needs)

struct TypeName {
  std::string_view name;
  DType type;
};
constexpr std::array kTypes = {TypeName{"f4", DType::f32}, TypeName{"f8", DType::f64}, TypeName{"f2", DType::f16},
                               TypeName{"i1", DType::i8},  TypeName{"u1", DType::u8},  TypeName{"i4", DType::i32},
                               TypeName{"u4", DType::u32}, TypeName{"i8", DType::i64}, TypeName{"b1", DType::boolean}};

/// The header is a Python dictionary of three entries, written by repr(): {'descr': '<f4', 'fortran_order': False,
/// 'shape': (3, 4), }. Only what repr() writes is read.
struct Header {
  std::string descr;
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
};

class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : rest_(text) {}

  std::optional<Header> read() {
    Header header;
    std::array<bool, 3> seen{};
    if (!take('{')) return std::nullopt;
    while (!take('}')) {
      const auto key = string();
      if (!key || !take(':')) return std::nullopt;
      std::size_t which = 0;
      if (*key == "descr") {
        const auto value = string();
        if (!value) return std::nullopt;
        header.descr = *value;
      } else if (*key == "fortran_order") {
        which = 1;
        header.fortran_order = word("True");
        if (!header.fortran_order && !word("False")) return std::nullopt;
      } else if (*key == "shape") {
        which = 2;
        if (!tuple(header.shape)) return std::nullopt;
      } else {
        return std::nullopt;
      }
      if (std::exchange(seen[which], true)) return std::nullopt;
      if (!take(',') && !peek('}')) return std::nullopt;
    }
    skip();
    if (!rest_.empty() || !seen[0] || !seen[1] || !seen[2]) return std::nullopt;
    return header;
  }

 private:
  void skip() {
    const std::size_t at = rest_.find_first_not_of(" \n");
    rest_.remove_prefix(at == std::string_view::npos ? rest_.size() : at);
  }
  bool peek(char c) {
    skip();
    return !rest_.empty() && rest_.front() == c;
  }
  bool take(char c) {
    if (!peek(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool word(std::string_view expected) {
    skip();
    if (!rest_.starts_with(expected)) return false;
    rest_.remove_prefix(expected.size());
    return true;
  }
  std::optional<std::string> string() {
    skip();
    if (rest_.empty() || (rest_.front() != '\'' && rest_.front() != '"')) return std::nullopt;
    const std::size_t end = rest_.find(rest_.front(), 1);
    if (end == std::string_view::npos) return std::nullopt;
    std::string text(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return text;
  }
  bool tuple(std::vector<std::int64_t>& shape) {
    if (!take('(')) return false;
    while (!take(')')) {
      skip();
      std::int64_t dim = 0;
      const auto [end, code] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), dim);
      if (code != std::errc() || dim < 0 || shape.size() == kMaxNpyRank) return false;
      shape.push_back(dim);
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      take('L');  // Python 2 wrote (3L, 4L)
      if (!take(',') && !peek(')')) return false;
    }
    return true;
  }

  std::string_view rest_;
};

/// Fortran order is the C order of the reversed shape: element (i0, i1, ...) stands at i0 + d0 * (i1 + d1 * ...).
void copy_from_fortran(std::span<const std::byte> from, Array& to) {
  const auto element = static_cast<std::size_t>(size_of(to.dtype()));
  const auto& shape = to.shape();
  std::vector<std::size_t> stride(shape.size(), 1);
  for (std::size_t k = 1; k < shape.size(); ++k) stride[k] = stride[k - 1] * static_cast<std::size_t>(shape[k - 1]);
  std::vector<std::int64_t> index(shape.size(), 0);
  std::span<std::byte> out = to.writable_bytes();
  std::size_t source = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(to.size()); ++i) {
    std::memcpy(out.data() + i * element, from.data() + source * element, element);
    for (std::size_t k = shape.size(); k-- > 0;) {
      source += stride[k];
      if (++index[k] < shape[k]) break;
      source -= stride[k] * static_cast<std::size_t>(shape[k]);
      index[k] = 0;
    }
  }
}

}  // namespace

Expected<Array> read_npy(std::span<const std::byte> bytes, std::string_view name) {
  const auto refuse = [&](std::string_view why) {
    return error("npy-format", fmt::format("cannot read {}: {}", in_quotes(name), why));
  };
  if (!text_of(bytes).starts_with(kMagic) || bytes.size() < 10) return refuse("not a .npy array");
  const auto byte_at = [&](std::size_t i) { return std::to_integer<std::size_t>(bytes[i]); };
  const std::size_t version = byte_at(6);
  if (version < 1 || version > 3) return refuse(fmt::format(".npy format version {}", version));
  const std::size_t start = version == 1 ? 10 : 12;
  if (bytes.size() < start) return refuse("it is cut short");
  std::size_t length = byte_at(8) | byte_at(9) << 8;
  if (version > 1) length |= byte_at(10) << 16 | byte_at(11) << 24;
  if (length > bytes.size() - start) return refuse("it is cut short");
  const auto header = HeaderReader(text_of(bytes.subspan(start, length))).read();
  if (!header) return refuse("its header is not that of a plain array");

  const std::string_view descr = header->descr;
  if (descr.starts_with('>'))
    return refuse(fmt::format("dtype {} is big endian; save it with little endian", in_quotes(descr)));
  if (descr.starts_with("|O")) return refuse("it holds Python objects (a pickle), which are never read");
  std::optional<DType> type;
  for (const TypeName& known : kTypes) {
    if (descr.size() == 3 && (descr[0] == '<' || descr[0] == '|' || descr[0] == '=') && descr.substr(1) == known.name) {
      type = known.type;
    }
  }
  if (!type)
    return refuse(fmt::format("dtype {} is not supported; convert it to int32, int64 or float32", in_quotes(descr)));

  const std::span<const std::byte> data = bytes.subspan(start + length);
  const auto declared = byte_count(header->shape, size_of(*type));
  if (!declared || *declared != data.size()) {
    return refuse(fmt::format("shape ({}) of {} does not fit the {} bytes that are there",
                              fmt::join(header->shape, ", "), name_of(*type), data.size()));
  }
  try {
    Array array(*type, header->shape);
    if (header->fortran_order && header->shape.size() > 1) {
      copy_from_fortran(data, array);
    } else if (!data.empty()) {
      std::memcpy(array.writable_bytes().data(), data.data(), data.size());
    }
    if (*type == DType::boolean) {
      for (std::byte& b : array.writable_bytes()) b = b == std::byte{0} ? std::byte{0} : std::byte{1};
    }
    return array;
  } catch (const std::bad_alloc&) {
    return refuse(fmt::format("no memory for {} bytes", data.size()));
  }
}

Expected<Bytes> npy_bytes(const Array& array) {
  std::string_view code;
  for (const TypeName& known : kTypes) {
    if (known.type == array.dtype()) code = known.name;
  }
  if (code.empty()) {
    return error("npy-format", fmt::format("{} has no NumPy type; convert it to f32 first", name_of(array.dtype())));
  }
  const char order = size_of(array.dtype()) == 1 ? '|' : '<';
  std::string header = fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}{}), }}", order, code,
                                   fmt::join(array.shape(), ", "), array.shape().size() == 1 ? "," : "");
  // The data begin at a multiple of 64, as NumPy writes them.
  constexpr std::size_t kPrefix = 10;
  header.append(63 - (kPrefix + header.size()) % 64, ' ');
  header += '\n';
  std::string head(kMagic);
  head += {'\x01', '\x00', static_cast<char>(header.size() & 255U), static_cast<char>(header.size() >> 8)};
  head += header;
  const auto bytes = bytes_of(head);
  Bytes out(bytes.begin(), bytes.end());
  out.insert(out.end(), array.bytes().begin(), array.bytes().end());
  return out;
}

Expected<std::map<std::string, Array>> read_npz(const std::filesystem::path& path) {
  TRY(const ZipReader zip, ZipReader::open(path));
  return read_npz(zip);
}

Expected<std::map<std::string, Array>> read_npz(const ZipReader& zip) {
  std::map<std::string, Array> arrays;
  for (const ZipMember& member : zip.members()) {
    std::string_view key = member.name;
    if (!key.ends_with(".npy")) {
      return error("npy-format", fmt::format("{} of {} is not a .npy array", in_quotes(key), in_quotes(zip.name())));
    }
    key.remove_suffix(4);
    TRY(const Bytes bytes, zip.read(member.name));
    TRY(Array array, read_npy(bytes, fmt::format("{}: {}", zip.name(), key)));
    arrays.emplace(key, std::move(array));
  }
  return arrays;
}

Status write_npz(const std::filesystem::path& path, const std::map<std::string, Array>& arrays, ZipMethod method) {
  std::vector<ZipEntry> entries;
  for (const auto& [key, array] : arrays) {
    TRY(Bytes bytes, npy_bytes(array));
    entries.push_back({key + ".npy", std::move(bytes)});
  }
  return write_zip(path, entries, method);
}

}  // namespace tusk
