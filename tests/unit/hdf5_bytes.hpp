// Small HDF5 files, byte by byte, so that tests can write what no library would.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "frontend/files/bytes.hpp"

namespace tusk::test {

inline void put(Bytes& out, std::uint64_t value, int size) {
  for (int k = 0; k < size; ++k) out.push_back(static_cast<std::byte>(k < 8 ? value >> (8 * k) & 255U : 0U));
}
inline void put(Bytes& out, std::string_view text) {
  for (const char c : text) out.push_back(static_cast<std::byte>(c));
}
inline void put(Bytes& out, const Bytes& bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }
inline void poke(Bytes& out, std::size_t at, std::uint64_t value, int size) {
  for (int k = 0; k < size; ++k)
    out[at + static_cast<std::size_t>(k)] = static_cast<std::byte>(value >> (8 * k) & 255U);
}

inline Bytes f32_type() {
  Bytes type;
  put(type, 0x11, 1);
  put(type, 31 << 8 | 0x20, 3);  // little endian, implied one, sign in bit 31
  put(type, 4, 4);
  for (const auto& [value, size] : {std::pair{0, 2}, {32, 2}, {23, 1}, {8, 1}, {0, 1}, {23, 1}, {127, 4}}) {
    put(type, static_cast<std::uint64_t>(value), size);
  }
  return type;
}
inline Bytes integer_type(int size, bool is_signed, bool big_endian = false) {
  Bytes type;
  put(type, 0x10, 1);
  put(type, (is_signed ? 8U : 0U) | (big_endian ? 1U : 0U), 3);
  put(type, static_cast<std::uint64_t>(size), 4);
  put(type, 0, 2);
  put(type, static_cast<std::uint64_t>(8 * size), 2);
  return type;
}
inline Bytes dataspace(const std::vector<std::uint64_t>& shape) {
  Bytes space;
  put(space, 1, 1);
  put(space, shape.size(), 1);
  put(space, 0, 6);
  for (const std::uint64_t dim : shape) put(space, dim, 8);
  return space;
}
inline Bytes bytes_of_floats(const std::vector<float>& values) {
  Bytes bytes(values.size() * 4);
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

/// Writes objects one behind the other; a group comes after what it links to.
class Hdf5Bytes {
 public:
  static constexpr std::uint64_t kNowhere = ~std::uint64_t{0};
  using Message = std::pair<int, Bytes>;

  Hdf5Bytes() : bytes_(48) {}

  std::uint64_t end() const { return bytes_.size(); }
  std::uint64_t data(const Bytes& bytes) {
    const std::uint64_t at = end();
    put(bytes_, bytes);
    while (end() % 8 != 0) bytes_.push_back(std::byte{0});
    return at;
  }
  std::uint64_t object(const std::vector<Message>& messages) {
    Bytes body;
    for (const auto& [type, message] : messages) {
      const std::size_t padded = (message.size() + 7) / 8 * 8;
      put(body, static_cast<std::uint64_t>(type), 2);
      put(body, padded, 2);
      put(body, 0, 4);
      put(body, message);
      body.resize(body.size() + padded - message.size());
    }
    Bytes header;
    put(header, 1, 2);
    put(header, messages.size(), 2);
    put(header, 1, 4);
    put(header, body.size(), 8);
    put(header, body);
    return data(header);
  }

  static Message link(std::string_view name, std::uint64_t address) {
    Bytes message = link_start(name, 0);
    put(message, address, 8);
    return {0x6, message};
  }
  static Message soft_link(std::string_view name, std::string_view target, int type = 1) {
    Bytes message = link_start(name, type);
    put(message, target.size(), 2);
    put(message, target);
    return {0x6, message};
  }
  /// A group needs one message that makes it one, even if it has no links.
  static Message no_heap() {
    Bytes message;
    put(message, 0, 2);
    put(message, kNowhere, 8);
    put(message, kNowhere, 8);
    return {0x2, message};
  }
  static Message attribute(std::string_view name, const Bytes& type, const Bytes& space, const Bytes& value) {
    Bytes message;
    put(message, 3, 2);
    put(message, name.size() + 1, 2);
    put(message, type.size(), 2);
    put(message, space.size(), 2);
    put(message, 0, 1);
    put(message, name);
    put(message, 0, 1);
    put(message, type);
    put(message, space);
    put(message, value);
    return {0xc, message};
  }
  /// Strings of fixed length, filled up with zeros.
  static Message strings(std::string_view name, const std::vector<std::string>& values, bool scalar = false) {
    std::size_t size = 1;
    for (const std::string& value : values) size = std::max(size, value.size());
    Bytes type;
    put(type, 0x13, 1);
    put(type, 1, 3);
    put(type, size, 4);
    Bytes value;
    for (const std::string& text : values) {
      put(value, text);
      value.resize(value.size() + size - text.size());
    }
    return attribute(name, type, dataspace(scalar ? std::vector<std::uint64_t>() : std::vector{values.size()}), value);
  }
  /// Strings of variable length, in a heap; each is said to be `extra` longer than it is.
  Message heap_strings(std::string_view name, const std::vector<std::string>& values, std::uint64_t extra = 0) {
    Bytes heap;
    put(heap, "GCOL");
    put(heap, 1, 4);
    put(heap, 0, 8);
    for (std::size_t i = 0; i < values.size(); ++i) {
      put(heap, i + 1, 2);
      put(heap, 1, 6);
      put(heap, values[i].size(), 8);
      put(heap, values[i]);
      heap.resize((heap.size() + 7) / 8 * 8);
    }
    poke(heap, 8, heap.size(), 8);
    const std::uint64_t at = data(heap);
    Bytes type;
    put(type, 0x19, 1);
    put(type, 1, 3);
    put(type, 16, 4);
    put(type, 0x13, 4);
    put(type, 1, 4);
    Bytes value;
    for (std::size_t i = 0; i < values.size(); ++i) {
      put(value, values[i].size() + extra, 4);
      put(value, at, 8);
      put(value, i + 1, 4);
    }
    return attribute(name, type, dataspace({values.size()}), value);
  }

  std::uint64_t dataset(const Bytes& type, const std::vector<std::uint64_t>& shape, const Bytes& values,
                        std::vector<Message> more = {}) {
    Bytes layout;
    put(layout, 0x0103, 2);
    put(layout, values.empty() ? kNowhere : data(values), 8);
    put(layout, values.size(), 8);
    more.insert(more.end(), {{0x1, dataspace(shape)}, {0x3, type}, {0x8, layout}});
    return object(more);
  }
  std::uint64_t floats(const std::vector<std::uint64_t>& shape, const std::vector<float>& values) {
    return dataset(f32_type(), shape, bytes_of_floats(values));
  }
  std::uint64_t group(std::vector<Message> messages) {
    messages.push_back(no_heap());
    return object(messages);
  }

  /// The whole file.
  Bytes file(std::uint64_t root) const {
    Bytes bytes = bytes_;
    Bytes head;
    put(head, "\x89HDF\r\n\x1a\n");
    put(head, 2, 1);
    put(head, 0x0808, 3);
    put(head, 0, 8);
    put(head, kNowhere, 8);
    put(head, bytes.size(), 8);
    put(head, root, 8);
    std::copy(head.begin(), head.end(), bytes.begin());
    return bytes;
  }

 private:
  static Bytes link_start(std::string_view name, int type) {
    Bytes message;
    put(message, 1, 1);
    put(message, 8, 1);
    put(message, static_cast<std::uint64_t>(type), 1);
    put(message, name.size(), 1);
    put(message, name);
    return message;
  }

  Bytes bytes_;
};

}  // namespace tusk::test
