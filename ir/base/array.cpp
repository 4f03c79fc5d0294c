#include "ir/base/array.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string_view>

#include "ir/base/convert.hpp"
#include "ir/base/error.hpp"

namespace tusk {

std::int64_t element_count(std::span<const std::int64_t> shape) {
  std::int64_t n = 1;
  for (std::int64_t d : shape) n *= d;
  return n;
}

namespace {

// Of the elements; throws where they are more than memory can hold, or fewer than none.
std::size_t checked_bytes(DType type, const std::vector<std::int64_t>& shape) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const auto refuse = [&](std::string_view why) {
    throw Error(error("memory", fmt::format("an array of {} ({}) {}", name_of(type), fmt::join(shape, ", "), why)));
  };
  if (std::ranges::any_of(shape, [](std::int64_t extent) { return extent < 0; })) refuse("has a negative extent");
  std::int64_t bytes = size_of(type);
  for (const std::int64_t extent : shape) {
    if (extent != 0 && bytes > kMost / extent) refuse("is larger than memory can be");
    bytes *= extent;
  }
  return static_cast<std::size_t>(bytes);
}

}  // namespace

Array::Array(DType type, std::vector<std::int64_t> shape) : type_(type), shape_(std::move(shape)) {
  const std::size_t bytes = checked_bytes(type_, shape_);
  size_ = element_count(shape_);
  try {
    bytes_ = std::make_shared<Bytes>(bytes);
  } catch (const std::exception&) {
    throw Error(error("memory", fmt::format("out of memory: an array of {} ({}) has {} bytes", name_of(type_),
                                            fmt::join(shape_, ", "), bytes)));
  }
}

Array Array::of_bytes(DType type, std::vector<std::int64_t> shape, std::span<const std::byte> bytes) {
  Array out(type, std::move(shape));
  if (bytes.size() == out.bytes_->size() && !bytes.empty()) std::memcpy(out.bytes_->data(), bytes.data(), bytes.size());
  return out;
}

Array Array::splat(DType type, std::vector<std::int64_t> shape, double value) {
  Array out(type, std::move(shape));
  for (std::int64_t i = 0; i < out.size(); ++i) out.set(i, value);
  return out;
}

std::span<std::byte> Array::writable_bytes() {
  if (bytes_.use_count() > 1 || bytes_->size() != byte_count()) {
    const std::span<const std::byte> own = bytes();
    bytes_ = std::make_shared<Bytes>(own.begin(), own.end());
    offset_ = 0;
  }
  return {bytes_->data(), bytes_->size()};
}

double Array::at(std::int64_t i) const {
  const auto k = static_cast<std::size_t>(i);
  switch (type_) {
    case DType::f32:
      return static_cast<double>(as<float>()[k]);
    case DType::f64:
      return as<double>()[k];
    case DType::f16:
      return static_cast<double>(f16_value(as<std::uint16_t>()[k]));
    case DType::bf16:
      return static_cast<double>(bf16_value(as<std::uint16_t>()[k]));
    default:
      return static_cast<double>(int_at(i));
  }
}

void Array::set(std::int64_t i, double value) {
  const auto k = static_cast<std::size_t>(i);
  switch (type_) {
    case DType::f32:
      as_writable<float>()[k] = static_cast<float>(value);
      break;
    case DType::f64:
      as_writable<double>()[k] = value;
      break;
    case DType::f16:
      as_writable<std::uint16_t>()[k] = f16_bits(static_cast<float>(value));
      break;
    case DType::bf16:
      as_writable<std::uint16_t>()[k] = bf16_bits(static_cast<float>(value));
      break;
    case DType::boolean:
      set_int(i, value != 0 ? 1 : 0);
      break;
    case DType::u32:
      set_int(i, saturate<std::uint32_t>(value));
      break;
    case DType::i64:
      set_int(i, saturate<std::int64_t>(value));
      break;
    default:
      set_int(i, saturate<std::int32_t>(value));
      break;  // i8 and u8 then wrap
  }
}

std::int64_t Array::int_at(std::int64_t i) const {
  const auto k = static_cast<std::size_t>(i);
  switch (type_) {
    case DType::i8:
      return as<std::int8_t>()[k];
    case DType::u8:
      return as<std::uint8_t>()[k];
    case DType::i32:
      return as<std::int32_t>()[k];
    case DType::u32:
      return as<std::uint32_t>()[k];
    case DType::i64:
      return as<std::int64_t>()[k];
    case DType::boolean:
      return as<std::uint8_t>()[k] != 0 ? 1 : 0;
    default:
      return saturate<std::int64_t>(at(i));
  }
}

void Array::set_int(std::int64_t i, std::int64_t value) {
  const auto k = static_cast<std::size_t>(i);
  switch (type_) {
    case DType::i8:
      as_writable<std::int8_t>()[k] = static_cast<std::int8_t>(value);
      break;
    case DType::u8:
      as_writable<std::uint8_t>()[k] = static_cast<std::uint8_t>(value);
      break;
    case DType::i32:
      as_writable<std::int32_t>()[k] = static_cast<std::int32_t>(value);
      break;
    case DType::u32:
      as_writable<std::uint32_t>()[k] = static_cast<std::uint32_t>(value);
      break;
    case DType::i64:
      as_writable<std::int64_t>()[k] = value;
      break;
    case DType::boolean:
      as_writable<std::uint8_t>()[k] = value != 0 ? 1 : 0;
      break;
    default:
      set(i, static_cast<double>(value));
      break;
  }
}

Array Array::rows(std::int64_t begin, std::int64_t end) const {
  Array out = *this;
  const std::int64_t row = shape_[0] == 0 ? 0 : size_ / shape_[0];
  out.shape_[0] = end - begin;
  out.size_ = row * (end - begin);
  out.offset_ += static_cast<std::size_t>(row * begin) * static_cast<std::size_t>(size_of(type_));
  return out;
}

Array Array::reshaped(std::vector<std::int64_t> shape) const {
  Array out = *this;
  out.shape_ = std::move(shape);
  return out;
}

Array Array::converted(DType type) const {
  if (type == type_) return *this;
  Array out(type, shape_);
  const bool exact_integer = !is_float(type_) && !is_float(type);
  for (std::int64_t i = 0; i < size_; ++i) {
    if (exact_integer) {
      out.set_int(i, int_at(i));
    } else {
      out.set(i, at(i));
    }
  }
  return out;
}

std::uint16_t f16_bits(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) return static_cast<std::uint16_t>(sign | 0x7e00U);
  if (magnitude >= 0x477ff000U) return static_cast<std::uint16_t>(sign | 0x7c00U);  // rounds to 65536 or more
  if (magnitude < 0x38800000U) {
    // Denormal halves: adding 0.5 aligns the unit of the sum with the half's last place, so the hardware rounds.
    const float aligned = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(aligned) - 0x3f000000U));
  }
  const std::uint32_t rounded = magnitude + 0xfffU + ((magnitude >> 13) & 1U);
  return static_cast<std::uint16_t>(sign | ((rounded - 0x38000000U) >> 13));
}

float f16_value(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16;
  const std::uint32_t rest = half & 0x7fffU;
  if (rest >= 0x7c00U) return std::bit_cast<float>(sign | 0x7f800000U | ((rest & 0x3ffU) << 13));
  if (rest >= 0x400U) return std::bit_cast<float>(sign | ((rest << 13) + 0x38000000U));
  const float small = static_cast<float>(rest) * 0x1p-24F;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(small));
}

std::uint16_t bf16_bits(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

float bf16_value(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

}  // namespace tusk
