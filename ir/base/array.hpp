// A dense host array: constants of a module, inputs and outputs of the interpreters, files.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ir/base/aligned.hpp"
#include "ir/base/dtype.hpp"
#include "ir/base/expected.hpp"

namespace tusk {

/// Row-major data with a dtype and a shape. Copies share the bytes; writing detaches (copy on write).
class Array {
 public:
  Array() : Array(DType::f32, {0}) {}
  /// Zero-filled. Throws [memory] where extents are negative or memory is too small.
  Array(DType type, std::vector<std::int64_t> shape);
  static Array of_bytes(DType type, std::vector<std::int64_t> shape, std::span<const std::byte> bytes);
  /// Every element is `value`, rounded to `type`.
  static Array splat(DType type, std::vector<std::int64_t> shape, double value);

  DType dtype() const { return type_; }
  const std::vector<std::int64_t>& shape() const { return shape_; }
  std::int64_t size() const { return size_; }
  std::span<const std::byte> bytes() const { return {bytes_->data() + offset_, byte_count()}; }
  std::span<std::byte> writable_bytes();

  template <class T>
  std::span<const T> as() const {
    return {reinterpret_cast<const T*>(bytes().data()), static_cast<std::size_t>(size_)};
  }
  template <class T>
  std::span<T> as_writable() {
    return {reinterpret_cast<T*>(writable_bytes().data()), static_cast<std::size_t>(size_)};
  }

  /// Element i as a double (exact except for large i64), and the inverse, which rounds to the dtype.
  double at(std::int64_t i) const;
  void set(std::int64_t i, double value);
  /// Element i of an integer or bool array.
  std::int64_t int_at(std::int64_t i) const;
  void set_int(std::int64_t i, std::int64_t value);

  /// Rows begin .. end-1 of axis 0, which share the bytes.
  Array rows(std::int64_t begin, std::int64_t end) const;
  /// The same bytes with another shape of equal size.
  Array reshaped(std::vector<std::int64_t> shape) const;
  Array converted(DType type) const;

 private:
  using Bytes = std::vector<std::byte, AlignedAllocator<std::byte>>;

  std::size_t byte_count() const { return static_cast<std::size_t>(size_) * static_cast<std::size_t>(size_of(type_)); }

  DType type_;
  std::vector<std::int64_t> shape_;
  std::int64_t size_ = 0;
  std::shared_ptr<Bytes> bytes_;
  std::size_t offset_ = 0;  // of the first element in them
};

std::int64_t element_count(std::span<const std::int64_t> shape);

/// Round to nearest even to the 16-bit formats and back (used by every engine, so they agree by construction).
std::uint16_t f16_bits(float value);
float f16_value(std::uint16_t bits);
std::uint16_t bf16_bits(float value);
float bf16_value(std::uint16_t bits);

}  // namespace tusk
