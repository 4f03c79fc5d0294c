#include "frontend/files/hdf5_format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace tusk::hdf5 {
namespace {

constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
constexpr std::size_t kMaxRank = 32;
constexpr std::size_t kMaxBlocks = 4096;  // of one header

std::string_view until_nul(std::string_view text) { return text.substr(0, text.find('\0')); }

/// A length that is written in 1, 2, 4 or 8 bytes, by two bits of a flag.
std::size_t width_of(std::uint32_t flags) { return std::size_t{1} << (flags & 3U); }

}  // namespace

Diagnostic damaged(std::string_view what, std::uint64_t address) {
  return error("hdf5", fmt::format("the {} at byte {} is damaged", what, address));
}

Diagnostic unsupported(std::string what) {
  return error("hdf5", std::move(what))
      .note("h5py writes it only when asked to; save the model again with Keras' own settings");
}

Status Cost::take(std::uint64_t count, std::uint64_t& left) {
  if (count > left) return error("hdf5", "the file leads to the same bytes again and again");
  left -= count;
  return done();
}

std::uint64_t Cursor::number(std::size_t size) {
  std::uint64_t value = 0;
  const Span digits = take(size);
  for (std::size_t k = digits.size(); k-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(digits[k]);
  return value;
}

Span Cursor::take(std::uint64_t size) {
  if (size > bytes_.size()) {
    ok_ = false;
    bytes_ = {};
    return {};
  }
  const Span taken = bytes_.first(static_cast<std::size_t>(size));
  bytes_ = bytes_.subspan(taken.size());
  at_ += taken.size();
  return taken;
}

void Cursor::align() {
  // The padding behind a last element may be left out.
  skip(std::min<std::size_t>((8 - at_ % 8) % 8, bytes_.size()));
}

const Message* Object::find(MessageType type) const {
  const auto found = std::find_if(messages.begin(), messages.end(), [&](const Message& m) { return m.type == type; });
  return found == messages.end() ? nullptr : &*found;
}

bool Object::is_group() const {
  return find(MessageType::symbol_table) != nullptr || find(MessageType::link_info) != nullptr ||
         find(MessageType::link) != nullptr;
}

std::optional<Span> Format::at(std::uint64_t address, std::uint64_t size) const {
  if (address > bytes_.size() || size > bytes_.size() - address) return std::nullopt;
  return bytes_.subspan(static_cast<std::size_t>(address), static_cast<std::size_t>(size));
}

Expected<std::uint64_t> Format::root() const {
  Cursor cursor(bytes_);
  if (!cursor.is(kSignature)) return error("hdf5", "not an HDF5 file");
  const std::uint8_t version = cursor.u8();
  if (version > 3) return error("hdf5", fmt::format("version {} of the format is not known", version));
  if (version < 2) cursor.skip(4);
  const std::uint8_t offset_size = cursor.u8();
  const std::uint8_t length_size = cursor.u8();
  if (offset_size != 8 || length_size != 8) return damaged("superblock", 0);
  cursor.skip(version == 0 ? 9 : version == 1 ? 13 : 1);
  const std::uint64_t base = cursor.u64();
  cursor.skip(8);
  const std::uint64_t end = cursor.u64();
  // The driver block and the name of the root group come first in the older versions.
  if (version < 2) cursor.skip(16);
  const std::uint64_t root = cursor.u64();
  if (!cursor.ok()) return error("hdf5-cut", "its superblock is not whole");
  if (base != 0) return unsupported("its addresses do not count from its first byte");
  if (end > bytes_.size()) {
    return error("hdf5-cut", fmt::format("{} bytes are there, {} are declared", bytes_.size(), end));
  }
  return root;
}

Status Format::add_messages(Cursor block, bool old_style, bool with_order, Object& object, std::vector<Span>& more) {
  const std::size_t header = old_style ? 8 : with_order ? 6 : 4;
  while (block.left() >= header) {
    const auto type = static_cast<MessageType>(old_style ? block.u16() : block.u8());
    const std::uint16_t size = block.u16();
    const std::uint8_t flags = block.u8();
    block.skip(old_style ? 3 : with_order ? 2 : 0);
    const Span data = block.take(size);
    if (!block.ok()) return error("hdf5", "an object header is damaged");
    CHECK(cost_.look(1));
    if (type == MessageType::continuation) {
      Cursor place(data);
      const std::uint64_t address = place.u64();
      const std::uint64_t length = place.u64();
      const auto next = at(address, length);
      if (!place.ok() || !next) return damaged("object header", address);
      // Blocks of one header never overlap, so all of them fit into the file; those of a loop would not.
      std::uint64_t total = length;
      for (const Span& known : more) total += known.size();
      if (total > bytes_.size() || more.size() == kMaxBlocks) return damaged("object header", address);
      more.push_back(*next);
    } else {
      object.messages.push_back({type, (flags & 2U) != 0, data});
    }
  }
  return done();
}

Expected<Object> Format::object(std::uint64_t address) {
  CHECK(cost_.look(1));
  Object object;
  std::vector<Span> more;
  Cursor cursor(from(address));
  const bool old_style = from(address).size() >= 4 && text_of(from(address).first(4)) != "OHDR";
  bool with_order = false;
  std::uint64_t size = 0;
  if (old_style) {
    const std::uint8_t version = cursor.u8();
    cursor.skip(7);
    size = cursor.u32();
    cursor.skip(4);
    if (version != 1) return damaged("object header", address);
  } else {
    cursor.skip(4);
    const std::uint8_t version = cursor.u8();
    const std::uint8_t flags = cursor.u8();
    if ((flags & 0x20U) != 0) cursor.skip(16);
    if ((flags & 0x10U) != 0) cursor.skip(4);
    with_order = (flags & 4U) != 0;
    size = cursor.number(width_of(flags));
    if (version != 2) return damaged("object header", address);
  }
  const Span first = cursor.take(size);
  if (!cursor.ok()) return damaged("object header", address);
  CHECK(add_messages(Cursor(first), old_style, with_order, object, more));
  for (std::size_t i = 0; i < more.size(); ++i) {
    Span block = more[i];
    if (!old_style) {
      // A signature before, a checksum behind.
      if (block.size() < 8 || text_of(block.first(4)) != "OCHK") return damaged("object header", address);
      block = block.subspan(4, block.size() - 8);
    }
    CHECK(add_messages(Cursor(block), old_style, with_order, object, more));
  }
  return object;
}

Status Format::add_symbols(std::uint64_t tree, Span names, int parent_level, std::set<std::uint64_t>& seen,
                           Links& links) {
  if (!seen.insert(tree).second) return damaged("group tree", tree);
  Cursor node(from(tree));
  if (!node.is("TREE")) return damaged("group tree", tree);
  const std::uint8_t type = node.u8();
  const int level = node.u8();
  const std::uint16_t count = node.u16();
  node.skip(16);
  if (!node.ok() || type != 0 || (parent_level >= 0 && level != parent_level - 1)) return damaged("group tree", tree);
  for (std::uint16_t i = 0; i < count; ++i) {
    node.skip(8);
    const std::uint64_t child = node.u64();
    if (!node.ok()) return damaged("group tree", tree);
    if (level > 0) {
      CHECK(add_symbols(child, names, level, seen, links));
      continue;
    }
    if (!seen.insert(child).second) return damaged("group node", child);
    Cursor symbols(from(child));
    if (!symbols.is("SNOD") || symbols.u8() != 1) return damaged("group node", child);
    symbols.skip(1);
    const std::uint16_t symbol_count = symbols.u16();
    for (std::uint16_t k = 0; k < symbol_count; ++k) {
      const std::uint64_t name_at = symbols.u64();
      const std::uint64_t header = symbols.u64();
      const std::uint32_t cache = symbols.u32();
      symbols.skip(20);
      if (!symbols.ok() || name_at >= names.size()) return damaged("group node", child);
      const std::string_view rest = text_of(names.subspan(static_cast<std::size_t>(name_at)));
      const std::string_view name = until_nul(rest);
      if (name.size() == rest.size() || name.empty()) return damaged("group node", child);
      CHECK(cost_.look(1, name.size()));
      CHECK(cost_.keep_link(name));
      const auto kind = cache == 2 ? Link::Kind::soft : Link::Kind::hard;
      if (!links.emplace(name, Link{kind, header}).second) return damaged("group node", child);
    }
  }
  return done();
}

Status Format::add_link(const Message& message, Links& links) {
  Cursor data(message.data);
  const std::uint8_t version = data.u8();
  const std::uint8_t flags = data.u8();
  const std::uint8_t type = (flags & 8U) != 0 ? data.u8() : 0;
  if ((flags & 4U) != 0) data.skip(8);
  if ((flags & 16U) != 0) data.skip(1);
  const std::uint64_t length = data.number(width_of(flags));
  const std::string_view name = text_of(data.take(length));
  Link link;
  link.kind = type == 0    ? Link::Kind::hard
              : type == 1  ? Link::Kind::soft
              : type == 64 ? Link::Kind::external
                           : Link::Kind::other;
  if (link.kind == Link::Kind::hard) link.address = data.u64();
  CHECK(cost_.look(1, name.size()));
  CHECK(cost_.keep_link(name));
  if (!data.ok() || message.shared || version != 1 || name.empty() || name.find('\0') != std::string_view::npos ||
      !links.emplace(name, link).second) {
    return error("hdf5", "a link is damaged");
  }
  return done();
}

Expected<Links> Format::links(const Object& group) {
  Links links;
  for (const Message& message : group.messages) {
    Cursor data(message.data);
    if (message.type == MessageType::symbol_table) {
      const std::uint64_t tree = data.u64();
      const std::uint64_t heap = data.u64();
      Cursor header(from(heap));
      if (!data.ok() || !header.is("HEAP")) return damaged("heap of names", heap);
      header.skip(4);
      const std::uint64_t size = header.u64();
      header.skip(8);
      const std::uint64_t address = header.u64();
      const auto names = at(address, size);
      if (!header.ok() || !names) return damaged("heap of names", heap);
      std::set<std::uint64_t> seen;
      CHECK(add_symbols(tree, *names, -1, seen, links));
    } else if (message.type == MessageType::link_info) {
      data.skip(1);
      if ((data.u8() & 1U) != 0) data.skip(8);
      const std::uint64_t heap = data.u64();
      const std::uint64_t tree = data.u64();
      if (!data.ok()) return error("hdf5", "a link is damaged");
      if (heap == kNowhere) continue;
      // A record is a hash of the name and the identifier.
      TRY(const std::vector<Span> entries, heap_entries(heap, tree, 4));
      for (const Span& entry : entries) CHECK(add_link({MessageType::link, false, entry}, links));
    } else if (message.type == MessageType::link) {
      CHECK(add_link(message, links));
    }
  }
  return links;
}

Expected<Span> Format::heap_object(std::uint64_t address, std::uint32_t index) {
  CHECK(cost_.look(1));
  auto heap = heaps_.find(address);
  if (heap == heaps_.end()) {
    Cursor header(from(address));
    if (!header.is("GCOL") || header.u8() != 1) return damaged("heap of strings", address);
    header.skip(3);
    const std::uint64_t size = header.u64();
    if (!header.ok() || size < 16 || size > from(address).size()) return damaged("heap of strings", address);
    // Heaps that overlap could hold more than the file.
    const auto after = heaps_.upper_bound(address);
    const bool apart = after == heaps_.end() || after->first >= address + size;
    if (!apart || (after != heaps_.begin() && std::prev(after)->second.end > address)) {
      return damaged("heap of strings", address);
    }
    heap = heaps_.emplace(address, Heap{address + size, {}}).first;
    Cursor objects(from(address).subspan(16, static_cast<std::size_t>(size) - 16));
    while (objects.left() >= 16) {
      const std::uint16_t number = objects.u16();
      objects.skip(6);
      const std::uint64_t length = objects.u64();
      if (number == 0) break;  // the free space
      const Span data = objects.take(length);
      objects.align();
      if (!objects.ok()) return damaged("heap of strings", address);
      CHECK(cost_.look(1));
      heap->second.objects.emplace(number, data);
    }
  }
  const auto found = heap->second.objects.find(index);
  if (found == heap->second.objects.end()) return damaged("heap of strings", address);
  return found->second;
}

std::optional<Datatype> read_datatype(Span bytes) {
  Cursor cursor(bytes);
  Datatype type;
  const std::uint8_t first = cursor.u8();
  type.kind = static_cast<TypeClass>(first & 15U);
  type.version = first >> 4;
  type.bits = static_cast<std::uint32_t>(cursor.number(3));
  type.size = cursor.u32();
  if (!cursor.ok() || type.size == 0) return std::nullopt;
  type.properties = cursor.take(cursor.left());
  return type;
}

std::optional<Dataspace> read_dataspace(Span bytes) {
  Cursor cursor(bytes);
  Dataspace space;
  const std::uint8_t version = cursor.u8();
  const std::uint8_t rank = cursor.u8();
  cursor.skip(1);
  if (version == 1) {
    cursor.skip(5);
  } else if (version == 2) {
    space.null = cursor.u8() == 2;
  } else {
    return std::nullopt;
  }
  if (rank > kMaxRank) return std::nullopt;
  for (std::uint8_t i = 0; i < rank; ++i) space.shape.push_back(static_cast<std::int64_t>(cursor.u64()));
  // The product of the dimensions is formed in several places; none may overflow.
  if (!cursor.ok() || !byte_count(space.shape, 16)) return std::nullopt;
  return space;
}

namespace {

std::optional<Attribute> read_attribute(Span bytes, bool shared) {
  Cursor cursor(bytes);
  const std::uint8_t version = cursor.u8();
  const std::uint8_t flags = cursor.u8();
  if (version < 1 || version > 3 || shared || (version > 1 && flags != 0)) return std::nullopt;
  const std::uint16_t name_size = cursor.u16();
  const std::uint16_t type_size = cursor.u16();
  const std::uint16_t space_size = cursor.u16();
  if (version == 3) cursor.skip(1);
  const auto part = [&](std::uint16_t size) {
    const Span taken = cursor.take(size);
    if (version == 1) cursor.align();
    return taken;
  };
  Attribute attribute;
  attribute.name = until_nul(text_of(part(name_size)));
  const auto type = read_datatype(part(type_size));
  const auto space = read_dataspace(part(space_size));
  if (!cursor.ok() || !type || !space) return std::nullopt;
  attribute.type = *type;
  attribute.space = *space;
  attribute.data = cursor.take(cursor.left());
  return attribute;
}

}  // namespace

Expected<std::vector<Attribute>> Format::attributes(const Object& object) {
  std::vector<Attribute> attributes;
  for (const Message& message : object.messages) {
    std::vector<Span> entries;
    if (message.type == MessageType::attribute) {
      entries.push_back(message.data);
    } else if (message.type == MessageType::attribute_info) {
      Cursor info(message.data);
      info.skip(1);
      if ((info.u8() & 1U) != 0) info.skip(2);
      const std::uint64_t heap = info.u64();
      const std::uint64_t tree = info.u64();
      if (!info.ok()) return error("hdf5", "an attribute is damaged");
      if (heap == kNowhere) continue;
      TRY(entries, heap_entries(heap, tree, 0));
    }
    for (const Span& entry : entries) {
      auto attribute = read_attribute(entry, message.shared);
      CHECK(cost_.look(1, attribute ? attribute->name.size() : 0));
      if (!attribute) return error("hdf5", "an attribute is damaged");
      attributes.push_back(*std::move(attribute));
    }
  }
  return attributes;
}

}  // namespace tusk::hdf5
