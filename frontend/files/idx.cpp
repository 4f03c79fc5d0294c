#include "frontend/files/idx.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <new>
#include <vector>

namespace tusk {
namespace {

struct TypeCode {
  unsigned code;
  DType type;
};
constexpr std::array kTypeCodes = {TypeCode{0x08, DType::u8}, TypeCode{0x09, DType::i8}, TypeCode{0x0c, DType::i32},
                                   TypeCode{0x0d, DType::f32}, TypeCode{0x0e, DType::f64}};

}  // namespace

Expected<Array> read_idx(std::span<const std::byte> bytes, std::string_view name) {
  const auto refuse = [&](std::string_view why) {
    return error("idx-format", fmt::format("cannot read {}: {}", in_quotes(name), why));
  };
  const auto byte_at = [&](std::size_t i) { return std::to_integer<unsigned>(bytes[i]); };
  // Two zeros, the type, the rank; then sizes and elements, the highest byte first.
  if (bytes.size() < 4 || byte_at(0) != 0 || byte_at(1) != 0) return refuse("it is no IDX file: no two zeros in front");
  const auto* known = std::ranges::find(kTypeCodes, byte_at(2), &TypeCode::code);
  if (known == kTypeCodes.end()) {
    return refuse(
        fmt::format("element type 0x{:02x} is none of u8 0x08, i8 0x09, i32 0x0c, f32 0x0d, f64 0x0e", byte_at(2)));
  }
  const std::size_t rank = byte_at(3);
  const std::size_t start = 4 + 4 * rank;
  if (bytes.size() < start)
    return refuse(fmt::format("it is cut short: {} bytes, the sizes of {} axes take {}", bytes.size(), rank, start));
  std::vector<std::int64_t> shape;
  for (std::size_t at = 4; at < start; at += 4) {
    shape.push_back(std::int64_t{byte_at(at)} << 24 | byte_at(at + 1) << 16 | byte_at(at + 2) << 8 | byte_at(at + 3));
  }
  const std::span<const std::byte> data = bytes.subspan(start);
  const auto declared = byte_count(shape, size_of(known->type));
  if (!declared || *declared != data.size()) {
    return refuse(fmt::format("shape ({}) of {} does not fit the {} bytes that are there", fmt::join(shape, ", "),
                              name_of(known->type), data.size()));
  }
  try {
    Array array(known->type, shape);
    const std::span<std::byte> out = array.writable_bytes();
    const auto element = static_cast<std::size_t>(size_of(known->type));
    std::ranges::copy(data, out.begin());
    if (element > 1) {
      for (std::size_t at = 0; at < out.size(); at += element) std::ranges::reverse(out.subspan(at, element));
    }
    return array;
  } catch (const std::bad_alloc&) {
    return refuse(fmt::format("no memory for {} bytes", data.size()));
  }
}

}  // namespace tusk
