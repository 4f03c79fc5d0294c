// The oldest form of the format, in which h5py writes, too: object headers of version 1. Only groups have the newer
// form, a list of links in the header itself, which needs no tree and no heap.
#include "frontend/files/hdf5_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <utility>
#include <vector>

#include "frontend/files/hdf5_format.hpp"

namespace tusk {
namespace {

using hdf5::kNowhere;
using hdf5::MessageType;

constexpr std::size_t kSuperblock = 96;
constexpr std::size_t kMaxLinks = 65000;  // 16 bits count the messages of a header
constexpr std::size_t kMaxName = 60000;   // and the bytes of a message
constexpr std::size_t kMaxList = 4000;    // of 16 bytes each, which a message has to hold with their name
// Heaps of texts: the library makes none that are smaller, and 16 bits number what lies in one.
constexpr std::size_t kHeap = 4096;
constexpr std::size_t kMaxTexts = 65000;

/// Little-endian numbers, one behind the other.
class Block {
 public:
  void number(std::uint64_t value, int size) {
    for (int k = 0; k < size; ++k) bytes_.push_back(static_cast<std::byte>(k < 8 ? value >> (8 * k) & 255U : 0U));
  }
  void numbers(int size, std::initializer_list<std::uint64_t> values) {
    for (const std::uint64_t value : values) number(value, size);
  }
  void append(std::span<const std::byte> more) { bytes_.insert(bytes_.end(), more.begin(), more.end()); }
  void text(std::string_view more) { append(bytes_of(more)); }
  void align() { bytes_.resize((bytes_.size() + 7) / 8 * 8); }

  std::uint64_t size() const { return bytes_.size(); }
  Bytes& bytes() { return bytes_; }
  const Bytes& bytes() const { return bytes_; }

 private:
  Bytes bytes_;
};

struct FloatFormat {
  DType type;
  std::uint64_t exponent_bits, mantissa_bits, bias;
};
constexpr FloatFormat kFloats[] = {{DType::f16, 5, 10, 15}, {DType::f32, 8, 23, 127}, {DType::f64, 11, 52, 1023}};

bool is_signed(DType type) { return type == DType::i8 || type == DType::i32 || type == DType::i64; }

/// An integer: class 0 in version 1.
void put_integer(Block& out, int size, bool sign) {
  out.number(0x10, 1);
  out.number(sign ? 8 : 0, 3);
  out.number(static_cast<std::uint64_t>(size), 4);
  out.numbers(2, {0, static_cast<std::uint64_t>(8 * size)});
}

Block datatype(DType type) {
  Block out;
  const int size = size_of(type);
  for (const FloatFormat& format : kFloats) {
    if (format.type != type) continue;
    const std::uint64_t bits = 8 * static_cast<std::uint64_t>(size);
    out.numbers(1, {0x11, 0x20, bits - 1, 0});  // the leading 1 is implied; where the sign is
    out.number(static_cast<std::uint64_t>(size), 4);
    out.numbers(2, {0, bits});
    out.numbers(1, {format.mantissa_bits, format.exponent_bits, 0, format.mantissa_bits});
    out.number(format.bias, 4);
    return out;
  }
  if (type == DType::bf16) {
    out.number(0x15, 4);
    out.number(2, 4);
  } else if (type == DType::boolean) {
    out.number(0x18, 1);
    out.number(2, 3);  // names
    out.number(1, 4);
    put_integer(out, 1, true);
    out.text(std::string_view("FALSE\0\0\0TRUE\0\0\0\0\0\1", 18));
  } else {
    put_integer(out, size, is_signed(type));
  }
  return out;
}

class Writer {
 public:
  Expected<Bytes> file(const Hdf5Tree& root) {
    out_.bytes().resize(kSuperblock);
    put_texts(root);
    put_heap();
    TRY(const std::uint64_t at, object(root, ""));
    Block head;
    head.text("\x89HDF\r\n\x1a\n");
    head.numbers(1, {0, 0, 0, 0, 0, 8, 8, 0});
    head.numbers(2, {4, 16});
    head.number(0, 4);
    head.numbers(8, {0, kNowhere, out_.size(), kNowhere});
    head.numbers(8, {0, at, 0, 0, 0});  // the root: no name, its header
    std::copy(head.bytes().begin(), head.bytes().end(), out_.bytes().begin());
    return std::move(out_.bytes());
  }

 private:
  struct Text {
    std::uint64_t heap;
    std::uint64_t index;
  };

  static std::map<std::string, std::string> attributes_of(const Hdf5Tree& tree) {
    std::map<std::string, std::string> all = tree.attributes;
    if (tree.array && tree.array->dtype() == DType::bf16) all["dtype"] = "bfloat16";
    return all;
  }

  // Texts come first: whatever has one says where it lies.
  void put_texts(const Hdf5Tree& tree) {
    for (const auto& [name, text] : attributes_of(tree)) put_text(text);
    for (const auto& [name, list] : tree.lists) {
      for (const std::string& text : list) put_text(text);
    }
    for (const auto& [name, child] : tree.children) put_texts(child);
  }

  void put_text(const std::string& text) {
    if (heap_texts_ == kMaxTexts) put_heap();
    const auto index = static_cast<std::uint64_t>(++heap_texts_);
    heap_.numbers(2, {index, 0, 0, 0});
    heap_.number(text.size(), 8);
    heap_.text(text);
    heap_.align();
    texts_.push_back({out_.size(), index});
  }

  void put_heap() {
    if (heap_texts_ == 0) return;
    constexpr std::uint64_t kHeader = 16;
    const std::uint64_t size = (kHeader + heap_.size() + kHeader + kHeap - 1) / kHeap * kHeap;
    const std::uint64_t free = size - kHeader - heap_.size();
    out_.text("GCOL");
    out_.numbers(1, {1, 0, 0, 0});
    out_.number(size, 8);
    out_.append(heap_.bytes());
    out_.numbers(8, {0, free});  // the free space counts its own header
    out_.bytes().resize(out_.size() + free - kHeader);
    heap_ = Block();
    heap_texts_ = 0;
  }

  static Block dataspace(const std::vector<std::int64_t>& shape) {
    Block out;
    out.numbers(1, {1, shape.size(), 0, 0, 0, 0, 0, 0});
    for (const std::int64_t extent : shape) out.number(static_cast<std::uint64_t>(extent), 8);
    return out;
  }

  void message(Block& header, std::uint16_t& count, MessageType type, Block body) {
    body.align();
    header.numbers(2, {static_cast<std::uint64_t>(type), body.size()});
    header.number(0, 4);
    header.append(body.bytes());
    ++count;
  }

  static Block text_type() {
    Block out;
    out.numbers(1, {0x19, 1, 1, 0});  // of variable length, a string, UTF-8
    out.number(16, 4);
    put_integer(out, 1, false);
    return out;
  }

  /// Of all texts of a list, or of the one.
  Block attribute(const std::string& name, std::span<const std::string> texts, bool is_list) {
    Block out;
    out.numbers(1, {1, 0});
    const Block space =
        dataspace(is_list ? std::vector{static_cast<std::int64_t>(texts.size())} : std::vector<std::int64_t>{});
    const Block type = texts.empty() ? datatype(DType::f64) : text_type();
    out.numbers(2, {name.size() + 1, type.size(), space.size()});
    out.text(name);
    out.number(0, 1);
    out.align();
    out.append(type.bytes());
    out.align();
    out.append(space.bytes());
    for (const std::string& text : texts) {
      const Text where = texts_[next_text_++];
      out.number(text.size(), 4);
      out.number(text.empty() ? 0 : where.heap, 8);
      out.number(text.empty() ? 0 : where.index, 4);
    }
    return out;
  }

  static Diagnostic too_long(const std::string& path) {
    return error("hdf5-write", fmt::format("a name in group {} has more than {} bytes", in_quotes(path), kMaxName));
  }

  static Block link(const std::string& name, std::uint64_t address) {
    Block out;
    out.numbers(1, {1, 0x11});  // the length in 2 bytes; the encoding follows
    out.number(1, 1);           // UTF-8
    out.number(name.size(), 2);
    out.text(name);
    out.number(address, 8);
    return out;
  }

  /// What it links to comes before it. Gives the address of its header.
  Expected<std::uint64_t> object(const Hdf5Tree& tree, const std::string& path) {
    Block header;
    std::uint16_t count = 0;
    const auto attributes = attributes_of(tree);
    if (tree.children.size() + attributes.size() + tree.lists.size() > kMaxLinks)
      return error("hdf5-write", fmt::format("{} members of group {}, expected at most {}", tree.children.size(),
                                             in_quotes(path), kMaxLinks));
    for (const auto& [name, text] : attributes) {
      if (name.size() > kMaxName) return too_long(path);
      message(header, count, MessageType::attribute, attribute(name, {&text, 1}, false));
    }
    for (const auto& [name, list] : tree.lists) {
      if (name.size() > kMaxName / 100 || list.size() > kMaxList)
        return error("hdf5-write", fmt::format("the list {} of group {} has {} texts, expected at most {}",
                                               in_quotes(name), in_quotes(path), list.size(), kMaxList));
      message(header, count, MessageType::attribute, attribute(name, list, true));
    }
    if (tree.array) {
      const Array& array = *tree.array;
      message(header, count, MessageType::dataspace, dataspace(array.shape()));
      message(header, count, MessageType::datatype, datatype(array.dtype()));
      Block fill;
      fill.numbers(1, {2, 2, 2, 1});  // space when data come, the default value
      fill.number(0, 4);
      message(header, count, MessageType::fill_value, std::move(fill));
      Block layout;
      layout.numbers(1, {3, 1});  // contiguous
      layout.number(array.size() == 0 ? kNowhere : out_.size(), 8);
      layout.number(array.bytes().size(), 8);
      message(header, count, MessageType::layout, std::move(layout));
      out_.append(array.bytes());
      out_.align();
    } else {
      Block links;
      links.numbers(1, {0, 0});
      links.numbers(8, {kNowhere, kNowhere});  // neither a heap nor an index: they follow
      message(header, count, MessageType::link_info, std::move(links));
      Block group;
      group.numbers(1, {0, 0});
      message(header, count, MessageType::group_info, std::move(group));
      for (const auto& [name, child] : tree.children) {
        if (name.size() > kMaxName) return too_long(path);
        TRY(const std::uint64_t address, object(child, path.empty() ? name : path + "/" + name));
        message(header, count, MessageType::link, link(name, address));
      }
    }
    const std::uint64_t at = out_.size();
    out_.numbers(1, {1, 0});
    out_.number(count, 2);
    out_.numbers(4, {1, header.size(), 0});
    out_.append(header.bytes());
    return at;
  }

  Block out_;
  Block heap_;  // the texts of one heap
  std::size_t heap_texts_ = 0;
  std::vector<Text> texts_;  // in the order in which the tree has them
  std::size_t next_text_ = 0;
};

}  // namespace

Hdf5Tree& Hdf5Tree::at(std::string_view path) {
  if (path.empty()) return *this;
  const std::size_t end = std::min(path.find('/'), path.size());
  return children[std::string(path.substr(0, end))].at(path.substr(std::min(end + 1, path.size())));
}

Expected<Bytes> hdf5_bytes(const Hdf5Tree& root) { return Writer().file(root); }

}  // namespace tusk
