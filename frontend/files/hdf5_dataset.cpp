#include <fmt/format.h>
#include <fmt/ranges.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "frontend/files/hdf5_store.hpp"

namespace tusk {

using hdf5::Cursor;
using hdf5::Datatype;
using hdf5::MessageType;
using hdf5::Object;
using hdf5::Span;
using hdf5::TypeClass;

namespace {

static_assert(std::endian::native == std::endian::little, "arrays are read as they lie in memory");

// Deflate cannot exceed 1032:1.
constexpr std::uint64_t kDeflateLimit = 1032;

/// How stored elements become those of an Array: equal bytes, or two-byte integers widened to four.
struct Element {
  DType dtype;
  std::uint32_t stored_size;
};

std::optional<Element> real_element(const Datatype& type) {
  Cursor cursor(type.properties);
  cursor.skip(2);
  const std::array<std::uint32_t, 6> layout = {cursor.u16(), cursor.u8(), cursor.u8(),
                                               cursor.u8(),  cursor.u8(), cursor.u32()};
  const std::uint32_t sign = type.bits >> 8 & 255U;
  const bool implied_one = (type.bits >> 4 & 3U) == 2;
  if (!cursor.ok() || !implied_one) return std::nullopt;
  struct Known {
    DType dtype;
    std::uint32_t size;
    std::uint32_t sign;
    std::array<std::uint32_t, 6> layout;  // precision, exponent at, exponent bits, mantissa at, mantissa bits, bias
  };
  constexpr std::array kKnown = {
      Known{DType::f32, 4, 31, {32, 23, 8, 0, 23, 127}}, Known{DType::f64, 8, 63, {64, 52, 11, 0, 52, 1023}},
      Known{DType::f16, 2, 15, {16, 10, 5, 0, 10, 15}}, Known{DType::bf16, 2, 15, {16, 7, 8, 0, 7, 127}}};
  for (const Known& known : kKnown) {
    if (type.size == known.size && sign == known.sign && layout == known.layout) return Element{known.dtype, type.size};
  }
  return std::nullopt;
}

std::optional<Element> integer_element(const Datatype& type) {
  Cursor cursor(type.properties);
  const std::uint16_t offset = cursor.u16();
  const std::uint16_t precision = cursor.u16();
  const bool is_signed = (type.bits & 8U) != 0;
  if (!cursor.ok() || offset != 0 || precision != 8 * type.size) return std::nullopt;
  switch (type.size) {
    case 1:
      return Element{is_signed ? DType::i8 : DType::u8, 1};
    case 2:
      return Element{is_signed ? DType::i32 : DType::u32, 2};
    case 4:
      return Element{is_signed ? DType::i32 : DType::u32, 4};
    case 8:
      return is_signed ? std::optional(Element{DType::i64, 8}) : std::nullopt;
    default:
      return std::nullopt;
  }
}

/// h5py's bool: an enumeration of one byte, FALSE = 0 and TRUE = 1.
std::optional<Element> boolean_element(const Datatype& type) {
  const auto base = hdf5::read_datatype(type.properties);
  if (!base || base->kind != TypeClass::integer || type.size != 1 || (type.bits & 0xffffU) != 2) return std::nullopt;
  Cursor cursor(type.properties);
  cursor.skip(12);  // the base type
  for (const std::string_view expected : {"FALSE", "TRUE"}) {
    // Up to version 2, names are filled up to multiples of 8.
    const Span name = cursor.take(type.version < 3 ? 8 : expected.size() + 1);
    if (!text_of(name).starts_with(expected) || name[expected.size()] != std::byte{0}) return std::nullopt;
  }
  if (cursor.u8() != 0 || cursor.u8() != 1 || !cursor.ok()) return std::nullopt;
  return Element{DType::boolean, 1};
}

struct Filters {
  std::vector<std::uint16_t> ids;  // in the order of writing
  bool deflated() const { return std::find(ids.begin(), ids.end(), kDeflate) != ids.end(); }
  static constexpr std::uint16_t kDeflate = 1;
  static constexpr std::uint16_t kShuffle = 2;
};

Expected<Filters> read_filters(const Object& dataset) {
  Filters filters;
  const hdf5::Message* message = dataset.find(MessageType::filters);
  if (message == nullptr) return filters;
  Cursor cursor(message->data);
  const std::uint8_t version = cursor.u8();
  const std::uint8_t count = cursor.u8();
  if (version == 1) cursor.skip(6);
  for (std::uint8_t i = 0; i < count; ++i) {
    const std::uint16_t id = cursor.u16();
    const std::uint16_t name_size = version == 1 || id >= 256 ? cursor.u16() : std::uint16_t{0};
    cursor.skip(2);
    const std::uint16_t values = cursor.u16();
    cursor.skip(version == 1 ? (name_size + 7U) / 8 * 8 : name_size);
    cursor.skip(std::uint64_t{4} * (version == 1 ? (values + 1U) / 2 * 2 : values));
    if (!cursor.ok() || version < 1 || version > 2 || message->shared) return error("hdf5", "its filters are damaged");
    if (id != Filters::kDeflate && id != Filters::kShuffle) {
      return error("hdf5", fmt::format("its filter {} is not supported (only deflate and shuffle)", id));
    }
    // Each may unpack as much as the array has.
    if (std::find(filters.ids.begin(), filters.ids.end(), id) != filters.ids.end()) {
      return error("hdf5", "its filters are damaged");
    }
    filters.ids.push_back(id);
  }
  return filters;
}

struct Chunk {
  std::vector<std::int64_t> start;  // its first element
  Span data;
  std::uint32_t skipped_filters = 0;
};

/// Collects the chunks of a tree.
Status add_chunks(hdf5::Format& format, std::uint64_t tree, std::size_t rank, int parent_level,
                  std::set<std::uint64_t>& seen, std::vector<Chunk>& chunks) {
  if (!seen.insert(tree).second) return hdf5::damaged("tree of chunks", tree);
  Cursor node(format.from(tree));
  if (!node.is("TREE")) return hdf5::damaged("tree of chunks", tree);
  const std::uint8_t type = node.u8();
  const int level = node.u8();
  const std::uint16_t count = node.u16();
  node.skip(16);
  if (!node.ok() || type != 1 || (parent_level >= 0 && level != parent_level - 1)) {
    return hdf5::damaged("tree of chunks", tree);
  }
  for (std::uint16_t i = 0; i < count; ++i) {
    CHECK(format.cost().look(1 + rank));
    const std::uint32_t size = node.u32();
    Chunk chunk;
    chunk.skipped_filters = node.u32();
    for (std::size_t k = 0; k < rank; ++k) chunk.start.push_back(static_cast<std::int64_t>(node.u64()));
    node.skip(8);  // the offset inside of an element
    const std::uint64_t child = node.u64();
    if (!node.ok()) return hdf5::damaged("tree of chunks", tree);
    if (level > 0) {
      CHECK(add_chunks(format, child, rank, level, seen, chunks));
      continue;
    }
    const auto data = format.at(child, size);
    // Nodes that overlap could hold more than the file.
    if (!data || chunks.size() >= format.size() / (24 + 8 * rank)) return hdf5::damaged("chunk", child);
    chunk.data = *data;
    chunks.push_back(std::move(chunk));
  }
  return done();
}

/// Undoes the filters of one chunk; nothing if that does not give exactly `size` bytes.
std::optional<Bytes> unpack(const Chunk& chunk, const Filters& filters, std::uint64_t size, std::uint32_t element) {
  Bytes bytes(chunk.data.begin(), chunk.data.end());
  for (std::size_t i = filters.ids.size(); i-- > 0;) {
    if (i < 32 && (chunk.skipped_filters >> i & 1U) != 0) continue;
    if (filters.ids[i] == Filters::kDeflate) {
      if (size > bytes.size() * kDeflateLimit) return std::nullopt;
      Bytes plain(static_cast<std::size_t>(size));
      auto plain_size = static_cast<uLongf>(plain.size());
      if (uncompress(reinterpret_cast<Bytef*>(plain.data()), &plain_size, reinterpret_cast<const Bytef*>(bytes.data()),
                     static_cast<uLong>(bytes.size())) != Z_OK ||
          plain_size != plain.size()) {
        return std::nullopt;
      }
      bytes = std::move(plain);
    } else {
      // Shuffle stores the first bytes of all elements, then their second bytes, ...
      Bytes plain = bytes;
      const std::size_t count = bytes.size() / element;
      for (std::size_t k = 0; k < count * element; ++k) plain[k % count * element + k / count] = bytes[k];
      bytes = std::move(plain);
    }
  }
  if (bytes.size() != size) return std::nullopt;
  return bytes;
}

/// Copies the part of a chunk that lies inside of the array: one run of the last axis at a time.
void place(const Bytes& chunk, std::span<const std::int64_t> start, std::span<const std::int64_t> chunk_shape,
           std::span<const std::int64_t> shape, std::size_t element, std::span<std::byte> out) {
  struct Axis {
    std::int64_t extent;
    std::int64_t from_stride;
    std::int64_t to_stride;
    std::int64_t index = 0;
  };
  std::vector<Axis> axes;  // those with several steps, the innermost first
  std::int64_t run = 1;
  std::int64_t from = 0;
  std::int64_t to = 0;
  for (std::size_t k = shape.size(), from_stride = 1, to_stride = 1; k-- > 0;) {
    const std::int64_t extent = std::min(chunk_shape[k], shape[k] - start[k]);
    const auto from_step = static_cast<std::int64_t>(from_stride);
    const auto to_step = static_cast<std::int64_t>(to_stride);
    if (k + 1 == shape.size()) {
      run = extent;
    } else if (extent > 1) {
      axes.push_back({extent, from_step, to_step});
    }
    to += start[k] * to_step;
    from_stride *= static_cast<std::size_t>(chunk_shape[k]);
    to_stride *= static_cast<std::size_t>(shape[k]);
  }
  for (std::size_t k = 0; k <= axes.size();) {
    std::memcpy(out.data() + static_cast<std::size_t>(to) * element,
                chunk.data() + static_cast<std::size_t>(from) * element, static_cast<std::size_t>(run) * element);
    for (k = 0; k < axes.size(); ++k) {
      Axis& axis = axes[k];
      from += axis.from_stride;
      to += axis.to_stride;
      if (++axis.index < axis.extent) break;
      from -= axis.extent * axis.from_stride;
      to -= axis.extent * axis.to_stride;
      axis.index = 0;
    }
    if (k == axes.size()) return;
  }
}

/// Where the elements of a dataset lie.
struct Storage {
  Span plain;  // all of them in a row, unless there are chunks
  bool chunked = false;
  std::vector<std::int64_t> chunk_shape;
  std::vector<Chunk> chunks;
  std::uint64_t size = 0;  // bytes
};

Expected<Storage> read_storage(hdf5::Format& format, const Object& dataset, std::uint32_t element) {
  const hdf5::Message& message = *dataset.find(MessageType::layout);
  Cursor cursor(message.data);
  const std::uint8_t version = cursor.u8();
  const std::uint8_t kind = cursor.u8();
  Storage storage;
  if (version < 3 || version > 4 || message.shared) {
    return hdf5::unsupported(fmt::format("version {} of its layout is not supported", version));
  }
  if (kind == 0) {
    storage.plain = cursor.take(cursor.u16());
  } else if (kind == 1) {
    const std::uint64_t address = cursor.u64();
    const std::uint64_t size = cursor.u64();
    if (size != 0 && address != hdf5::kNowhere) {
      const auto bytes = format.at(address, size);
      if (!bytes) return error("hdf5", fmt::format("its {} bytes at {} lie outside of the file", size, address));
      storage.plain = *bytes;
    }
  } else if (kind == 2 && version == 3) {
    storage.chunked = true;
    const std::uint8_t axes = cursor.u8();
    const std::uint64_t tree = cursor.u64();
    for (std::uint8_t k = 0; k + 1 < axes; ++k) storage.chunk_shape.push_back(cursor.u32());
    if (axes == 0 || cursor.u32() != element) return error("hdf5", "its chunks are damaged");
    std::set<std::uint64_t> seen;
    if (tree != hdf5::kNowhere) {
      CHECK(add_chunks(format, tree, storage.chunk_shape.size(), -1, seen, storage.chunks));
    }
    for (const Chunk& chunk : storage.chunks) storage.size += chunk.data.size();
  } else if (kind == 3) {
    return error("hdf5", "it is virtual: its bytes lie in other datasets");
  } else {
    return hdf5::unsupported(fmt::format("its layout {} of version {} is not supported", kind, version));
  }
  if (!cursor.ok()) return error("hdf5", "its layout is damaged");
  if (!storage.chunked) storage.size = storage.plain.size();
  return storage;
}

/// Checks that every chunk of the shape is there once.
Status check_chunks(const Storage& storage, std::span<const std::int64_t> shape) {
  if (shape.empty() || storage.chunk_shape.size() != shape.size())
    return error("hdf5", "its chunks have another rank than its shape");
  std::uint64_t expected = 1;
  for (std::size_t k = 0; k < shape.size(); ++k) {
    if (storage.chunk_shape[k] == 0) return error("hdf5", "its chunks are empty");
    expected *= static_cast<std::uint64_t>((shape[k] - 1) / storage.chunk_shape[k] + 1);
  }
  std::set<std::vector<std::int64_t>> starts;
  for (const Chunk& chunk : storage.chunks) {
    for (std::size_t k = 0; k < shape.size(); ++k) {
      if (chunk.start[k] < 0 || chunk.start[k] >= shape[k] || chunk.start[k] % storage.chunk_shape[k] != 0) {
        return error("hdf5", "a chunk lies outside of its shape");
      }
    }
    if (!starts.insert(chunk.start).second) return error("hdf5", "a chunk is stored twice");
  }
  if (starts.size() != expected) {
    return error("hdf5", fmt::format("{} of its {} chunks are stored", starts.size(), expected));
  }
  return done();
}

}  // namespace

Expected<Array> Hdf5File::array(std::string_view dataset) const try {
  const auto refuse = [&](std::string_view why) { return store_->fail(dataset, why); };
  TRY(const Object object, store_->open(dataset));
  if (!object.is_dataset()) return refuse("it is not a dataset");
  if (object.find(MessageType::external_files) != nullptr) {
    return refuse("its bytes lie in another file, which is never opened");
  }
  const hdf5::Message* type_message = object.find(MessageType::datatype);
  const hdf5::Message* space_message = object.find(MessageType::dataspace);
  if (type_message == nullptr || space_message == nullptr) return refuse("its header is damaged");
  if (type_message->shared || space_message->shared) return refuse("its type is a named type, which is not supported");
  const auto type = hdf5::read_datatype(type_message->data);
  const auto space = hdf5::read_dataspace(space_message->data);
  if (!type || !space || space->null) return refuse("its type or shape is damaged");

  std::optional<Element> element;
  switch (type->kind) {
    case TypeClass::real:
      element = real_element(*type);
      break;
    case TypeClass::integer:
      element = integer_element(*type);
      break;
    case TypeClass::enumeration:
      element = boolean_element(*type);
      break;
    case TypeClass::opaque:
      break;
    default:
      return refuse("its elements are not numbers");
  }
  if (type->size == 2 && (!element || type->kind == TypeClass::integer)) {
    TRY(const auto meant, string_attribute(dataset, "dtype"));
    if (meant == "bfloat16") element = Element{DType::bf16, 2};
  }
  if (!element) return refuse(fmt::format("its element type of {} bytes is not supported", type->size));
  const bool numeric = type->kind == TypeClass::real || type->kind == TypeClass::integer;
  if (numeric && type->size > 1 && (type->bits & 1U) != 0) return refuse("it is big endian");

  // The declared shape must be backed by stored bytes, all before anything is allocated.
  const auto filters = read_filters(object);
  if (!filters) return store_->fail(dataset, filters.problem());
  const auto storage = read_storage(store_->format, object, type->size);
  if (!storage) return store_->fail(dataset, storage.problem());
  const std::vector<std::int64_t>& shape = space->shape;
  const auto size = byte_count(shape, static_cast<int>(element->stored_size));
  const auto array_size = byte_count(shape, size_of(element->dtype));
  if (!size || !array_size) return refuse(fmt::format("shape ({}) is impossible", fmt::join(shape, ", ")));
  const std::uint64_t possible = filters->deflated() ? storage->size * kDeflateLimit : storage->size;
  if (*size > possible) {
    return refuse(
        fmt::format("shape ({}) declares {} bytes, {} are stored", fmt::join(shape, ", "), *size, storage->size));
  }
  const std::uint64_t budget = store_->budget;
  std::uint64_t chunk_size = 0;
  std::uint64_t needed = *array_size;
  if (storage->chunked && *size != 0) {
    if (const Status whole = check_chunks(*storage, shape); !whole) return store_->fail(dataset, whole.problem());
    const auto bytes = byte_count(storage->chunk_shape, static_cast<int>(element->stored_size));
    if (!bytes || *bytes > budget / storage->chunks.size()) {
      return refuse("its chunks are larger than the file can fill");
    }
    chunk_size = *bytes;
    needed = std::max(needed, chunk_size * storage->chunks.size());
  } else if (!filters->ids.empty() && *size != 0) {
    return refuse("it has filters but no chunks");
  }
  if (needed > budget || store_->taken > budget - needed) {
    return refuse(fmt::format("shape ({}) declares {} bytes, too many for a file of {}", fmt::join(shape, ", "), *size,
                              store_->format.size()));
  }
  store_->taken += needed;

  Array array(element->dtype, shape);
  Bytes narrow(*size == *array_size ? 0 : static_cast<std::size_t>(*size));  // 16-bit integers
  const std::span<std::byte> out = *size == *array_size ? array.writable_bytes() : std::span(narrow);
  if (storage->chunked && *size != 0) {
    for (const Chunk& chunk : storage->chunks) {
      const auto plain = unpack(chunk, *filters, chunk_size, element->stored_size);
      if (!plain) return refuse("a chunk is damaged");
      place(*plain, chunk.start, storage->chunk_shape, shape, element->stored_size, out);
    }
  } else if (*size != 0) {
    std::memcpy(out.data(), storage->plain.data(), static_cast<std::size_t>(*size));
  }
  for (std::int64_t i = 0; i < array.size() && !narrow.empty(); ++i) {
    std::uint16_t value = 0;
    std::memcpy(&value, narrow.data() + 2 * i, 2);
    array.set_int(i,
                  element->dtype == DType::u32 ? std::int64_t{value} : std::int64_t{static_cast<std::int16_t>(value)});
  }
  if (element->dtype == DType::boolean) {
    for (std::byte& b : array.writable_bytes()) b = b == std::byte{0} ? std::byte{0} : std::byte{1};
  }
  return array;
} catch (const std::bad_alloc&) {
  return store_->fail(dataset, "not enough memory");
}

}  // namespace tusk
