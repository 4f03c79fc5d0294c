// The structures of an HDF5 file as they lie in its bytes. Only hdf5*.cpp include this.
//
// Why not the HDF5 library: it trusts what it reads. Of 8,000 files with a few changed bytes, version 1.10.8 crashed on
// 18, inside the process that asked, and nothing outside of the library can prevent that. What h5py writes for Keras is
// a small part of the format; here every read is checked against the bytes that are there.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/files/bytes.hpp"
#include "ir/base/expected.hpp"

namespace tusk::hdf5 {

using Span = std::span<const std::byte>;

/// An address that leads nowhere.
inline constexpr std::uint64_t kNowhere = ~std::uint64_t{0};

/// Reads little-endian numbers. Behind the end everything is zero and ok() false, so it is asked once, at the end.
class Cursor {
 public:
  explicit Cursor(Span bytes) : bytes_(bytes) {}

  std::uint64_t number(std::size_t size);
  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u64() { return number(8); }
  Span take(std::uint64_t size);
  void skip(std::uint64_t size) { take(size); }
  /// Steps to the next multiple of 8 from the start.
  void align();
  /// Takes the four letters of a signature.
  bool is(std::string_view signature) { return text_of(take(signature.size())) == signature; }

  std::size_t left() const { return bytes_.size(); }
  bool ok() const { return ok_; }

 private:
  Span bytes_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

enum class MessageType : std::uint16_t {
  dataspace = 0x1,
  link_info = 0x2,
  datatype = 0x3,
  fill_value = 0x5,
  link = 0x6,
  external_files = 0x7,
  layout = 0x8,
  group_info = 0xa,
  filters = 0xb,
  attribute = 0xc,
  continuation = 0x10,
  symbol_table = 0x11,
  attribute_info = 0x15,
};

/// One entry of an object's header.
struct Message {
  MessageType type;
  bool shared = false;  // the data stand elsewhere
  Span data;
};

/// A group, dataset or named type.
struct Object {
  std::vector<Message> messages;

  const Message* find(MessageType type) const;
  bool is_group() const;
  bool is_dataset() const { return find(MessageType::layout) != nullptr; }
};

struct Link {
  enum class Kind { hard, soft, external, other } kind = Kind::hard;
  std::uint64_t address = kNowhere;  // of the object's header, for hard links
};
using Links = std::map<std::string, Link, std::less<>>;

enum class TypeClass : std::uint8_t { integer = 0, real = 1, string = 3, opaque = 5, enumeration = 8, variable = 9 };

struct Datatype {
  TypeClass kind = TypeClass::integer;
  std::uint8_t version = 0;
  std::uint32_t bits = 0;  // flags, by class
  std::uint32_t size = 0;
  Span properties;
};

struct Dataspace {
  bool null = false;  // no elements at all
  std::vector<std::int64_t> shape;
};

/// An attribute, its elements as they are stored.
struct Attribute {
  std::string name;
  Datatype type;
  Dataspace space;
  Span data;
};

std::optional<Datatype> read_datatype(Span bytes);
std::optional<Dataspace> read_dataspace(Span bytes);

/// What reading has cost. Structures may be reached again and again, and lie on top of each other: a file of a MiB
/// could keep its reader busy for hours and fill the memory. Written as h5py does it, no two things share their bytes.
class Cost {
 public:
  explicit Cost(std::uint64_t file_size) : steps_(kFewSteps + kSteps * file_size), links_(file_size) {}

  /// Counts a look at something: a message, a record, an object of a heap, with the bytes that were copied of it.
  Status look(std::uint64_t count, std::uint64_t bytes = 0) { return take(count + bytes, steps_); }
  /// Counts a link that is kept.
  Status keep_link(std::string_view name) { return take(kLink + name.size(), links_); }

 private:
  // The files of models take up to 0.4 steps for each of their bytes.
  static constexpr std::uint64_t kFewSteps = std::uint64_t{1} << 18;
  static constexpr std::uint64_t kSteps = 2;
  static constexpr std::uint64_t kLink = 12;  // no form of a link is smaller

  static Status take(std::uint64_t count, std::uint64_t& left);

  std::uint64_t steps_;
  std::uint64_t links_;
};

/// The file itself. Problems say what is damaged or not supported and where; the caller adds the names.
class Format {
 public:
  Format() : Format(Span()) {}
  explicit Format(Span bytes) : bytes_(bytes), cost_(bytes.size()) {}

  /// Checks the superblock; gives the address of the root group.
  Expected<std::uint64_t> root() const;
  Expected<Object> object(std::uint64_t address);
  /// The links of a group.
  Expected<Links> links(const Object& group);
  /// The attributes of an object.
  Expected<std::vector<Attribute>> attributes(const Object& object);
  /// Object `index` of the heap of variable-length data at an address.
  Expected<Span> heap_object(std::uint64_t address, std::uint32_t index);
  /// `size` bytes at an address; nothing if they are not all in the file.
  std::optional<Span> at(std::uint64_t address, std::uint64_t size) const;
  /// All bytes from an address on.
  Span from(std::uint64_t address) const { return address < bytes_.size() ? bytes_.subspan(address) : Span(); }
  std::uint64_t size() const { return bytes_.size(); }
  Cost& cost() { return cost_; }

 private:
  /// What a fractal heap holds, in the order of the tree of its identifiers, which stand at `id_at` in each record.
  Expected<std::vector<Span>> heap_entries(std::uint64_t heap, std::uint64_t tree, std::size_t id_at);
  Status add_link(const Message& message, Links& links);
  Status add_messages(Cursor block, bool old_style, bool with_order, Object& object, std::vector<Span>& more);
  Status add_symbols(std::uint64_t tree, Span names, int parent_level, std::set<std::uint64_t>& seen, Links& links);

  struct Heap {
    std::uint64_t end = 0;
    std::map<std::uint32_t, Span> objects;
  };

  Span bytes_;
  Cost cost_;
  std::map<std::uint64_t, Heap> heaps_;
};

/// "the group tree at byte 1234 is damaged".
Diagnostic damaged(std::string_view what, std::uint64_t address);
Diagnostic unsupported(std::string what);

}  // namespace tusk::hdf5
