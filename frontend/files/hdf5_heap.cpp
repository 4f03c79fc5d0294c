// The newer form of groups and of many attributes: entries lie in a fractal heap, found by a tree of version 2. A group
// of h5py turns into it when a link has a name that is not ASCII.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "frontend/files/hdf5_format.hpp"

namespace tusk::hdf5 {
namespace {

/// Bytes that hold every number up to `limit`.
std::size_t encoded_size(std::uint64_t limit) { return limit == 0 ? 1 : (std::bit_width(limit) - 1U) / 8 + 1; }

/// A heap whose objects are named by their offset in one growing space. The space is made of blocks in rows of `width`;
/// the blocks of rows 0 and 1 have the starting size, those of each further row twice the size of the row before.
class FractalHeap {
 public:
  FractalHeap(const Format& format, std::uint64_t address) : format_(format), address_(address) {}

  Status open() {
    Cursor header(format_.from(address_));
    if (!header.is("FRHP") || header.u8() != 0) return damaged("fractal heap", address_);
    header.skip(2);
    if (header.u16() != 0) return unsupported("a fractal heap is compressed");
    checksums_ = (header.u8() & 2U) != 0;
    const std::uint32_t max_object = header.u32();
    header.skip(12 * 8);
    width_ = header.u16();
    start_size_ = header.u64();
    max_direct_ = header.u64();
    const std::uint16_t bits = header.u16();
    header.skip(2);
    root_ = header.u64();
    root_rows_ = header.u16();
    if (!header.ok() || width_ == 0 || bits == 0 || bits > 64 || !std::has_single_bit(start_size_) ||
        !std::has_single_bit(max_direct_) || start_size_ > max_direct_ || max_direct_ > std::uint64_t{1} << 32) {
      return damaged("fractal heap", address_);
    }
    offset_size_ = (bits + 7U) / 8;
    length_size_ = encoded_size(std::min<std::uint64_t>(max_direct_, max_object));
    direct_rows_ = static_cast<std::size_t>(std::countr_zero(max_direct_) - std::countr_zero(start_size_)) + 2;
    return done();
  }

  /// The object of an identifier.
  Expected<Span> object(Cursor id) const {
    if ((id.u8() & 0xf0U) != 0) return unsupported("an object of a fractal heap lies outside of its blocks");
    const std::uint64_t offset = id.number(offset_size_);
    const std::uint64_t length = id.number(length_size_);
    if (!id.ok()) return damaged("fractal heap", address_);
    if (root_rows_ == 0) return in_block(root_, start_size_, offset, length);
    return in_rows(root_, root_rows_, offset, length, 0);
  }

 private:
  /// 0 for a row that no file reaches.
  std::uint64_t row_size(std::size_t row) const {
    if (row < 2) return start_size_;
    return row + static_cast<std::size_t>(std::countr_zero(start_size_)) < 48 ? start_size_ << (row - 1) : 0;
  }

  Expected<Span> in_block(std::uint64_t block, std::uint64_t size, std::uint64_t offset, std::uint64_t length) const {
    const auto bytes = format_.at(block, size);
    // Offsets count from the head of the block.
    const std::uint64_t head = 13 + offset_size_ + (checksums_ ? 4U : 0U);
    if (!bytes || text_of(bytes->first(std::min<std::size_t>(bytes->size(), 4))) != "FHDB" || offset < head ||
        offset > size || length > size - offset) {
      return damaged("fractal heap", block);
    }
    return bytes->subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(length));
  }

  Expected<Span> in_rows(std::uint64_t block, std::size_t rows, std::uint64_t offset, std::uint64_t length,
                         int depth) const {
    Cursor cursor(format_.from(block));
    if (!cursor.is("FHIB") || depth > 8) return damaged("fractal heap", block);
    cursor.skip(9 + offset_size_);
    for (std::size_t row = 0; row < rows; ++row) {
      const std::uint64_t size = row_size(row);
      if (size == 0) return damaged("fractal heap", block);
      if (offset >= size * width_) {
        offset -= size * width_;
        cursor.skip(std::uint64_t{8} * width_);
        continue;
      }
      cursor.skip(8 * (offset / size));
      const std::uint64_t child = cursor.u64();
      if (!cursor.ok()) break;
      offset %= size;
      if (row < direct_rows_) return in_block(child, size, offset, length);
      // An inner block of rows spans as much as one block of this row.
      std::size_t inner_rows = 1;
      while (inner_rows < row && row_size(inner_rows) * width_ < size) ++inner_rows;
      return in_rows(child, inner_rows, offset, length, depth + 1);
    }
    return damaged("fractal heap", block);
  }

  const Format& format_;
  std::uint64_t address_;
  bool checksums_ = false;
  std::uint16_t width_ = 0;
  std::uint64_t start_size_ = 0;
  std::uint64_t max_direct_ = 0;
  std::uint64_t root_ = 0;
  std::size_t root_rows_ = 0;  // 0: the root is a block of objects itself
  std::size_t direct_rows_ = 0;
  std::size_t offset_size_ = 0;
  std::size_t length_size_ = 0;
};

/// The records of a tree of version 2, in order.
class Records {
 public:
  Records(const Format& format, std::uint64_t address) : format_(format), address_(address) {}

  Status read(Cost& cost, std::vector<Span>& records) {
    Cursor header(format_.from(address_));
    if (!header.is("BTHD") || header.u8() != 0) return damaged("tree", address_);
    header.skip(1);
    node_size_ = header.u32();
    record_size_ = header.u16();
    const std::uint16_t depth = header.u16();
    header.skip(2);
    const std::uint64_t root = header.u64();
    const std::uint16_t count = header.u16();
    if (!header.ok() || record_size_ == 0 || node_size_ < 64 || depth > 8) return damaged("tree", address_);
    // How large a pointer to a child is follows from how many records fit below it.
    const std::uint64_t leaf = (node_size_ - 10) / record_size_;
    count_size_ = encoded_size(leaf);
    total_sizes_ = {0};
    std::uint64_t total = leaf;
    for (int level = 1; level <= depth; ++level) {
      const std::uint64_t pointer = pointer_size(level);
      if (node_size_ < 10 + pointer || total > std::uint64_t{1} << 40) return damaged("tree", address_);
      const std::uint64_t fit = (node_size_ - 10 - pointer) / (record_size_ + pointer);
      total = (fit + 1) * total + fit;
      total_sizes_.push_back(encoded_size(total));
    }
    if (root == kNowhere) return done();
    return node(root, depth, count, cost, records);
  }

 private:
  std::uint64_t pointer_size(int level) const {
    return 8 + count_size_ + (level > 1 ? total_sizes_[static_cast<std::size_t>(level) - 1] : 0);
  }

  Status node(std::uint64_t address, int level, std::uint64_t count, Cost& cost, std::vector<Span>& records) {
    if (!seen_.insert(address).second) return damaged("tree", address);
    Cursor cursor(format_.from(address));
    if (!cursor.is(level == 0 ? "BTLF" : "BTIN")) return damaged("tree", address);
    cursor.skip(2);
    for (std::uint64_t i = 0; i < count && cursor.ok(); ++i) {
      // Nodes that overlap could hold more than the file.
      if (records.size() >= format_.size() / record_size_) return damaged("tree", address);
      CHECK(cost.look(1));
      records.push_back(cursor.take(record_size_));
    }
    for (std::uint64_t i = 0; level > 0 && i <= count; ++i) {
      const std::uint64_t child = cursor.u64();
      const std::uint64_t child_count = cursor.number(count_size_);
      cursor.skip(pointer_size(level) - 8 - count_size_);
      if (!cursor.ok()) break;
      CHECK(node(child, level - 1, child_count, cost, records));
    }
    if (!cursor.ok()) return damaged("tree", address);
    return done();
  }

  const Format& format_;
  std::uint64_t address_;
  std::uint32_t node_size_ = 0;
  std::uint16_t record_size_ = 0;
  std::size_t count_size_ = 0;
  std::vector<std::size_t> total_sizes_;  // by level
  std::set<std::uint64_t> seen_;
};

}  // namespace

Expected<std::vector<Span>> Format::heap_entries(std::uint64_t heap, std::uint64_t tree, std::size_t id_at) {
  FractalHeap fractal(*this, heap);
  CHECK(fractal.open());
  std::vector<Span> records;
  CHECK(Records(*this, tree).read(cost_, records));
  std::vector<Span> entries;
  std::uint64_t total = 0;
  for (const Span& record : records) {
    if (record.size() < id_at) return damaged("tree", tree);
    TRY(const Span entry, fractal.object(Cursor(record.subspan(id_at))));
    // Objects that overlap, likewise.
    total += entry.size();
    if (total > size()) return damaged("fractal heap", heap);
    entries.push_back(entry);
  }
  return entries;
}

}  // namespace tusk::hdf5
