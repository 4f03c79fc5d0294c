#include "frontend/data/arrays.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "frontend/files/npy.hpp"
#include "frontend/model/arrays.hpp"
#include "frontend/model/error.hpp"

namespace tusk {
namespace {

Error refused(std::string message) { return Error(error("array-shape", std::move(message))); }

std::string written(const std::vector<std::int64_t>& shape) { return fmt::format("({})", fmt::join(shape, ", ")); }

/// An array of the shape, if its bytes can be counted.
Array array_of(DType type, std::vector<std::int64_t> shape) {
  if (!byte_count(shape, size_of(type)))
    throw refused(fmt::format("an array of shape {} is too large", written(shape)));
  return {type, std::move(shape)};
}

Array hot(const Array& labels, std::vector<std::int64_t> shape, std::int64_t classes, bool all_inside) {
  shape.push_back(classes);
  Array out = array_of(DType::f32, std::move(shape));
  const std::span<float> to = out.as_writable<float>();
  for (std::int64_t i = 0; i < labels.size(); ++i) {
    const std::int64_t label = labels.int_at(i);
    if (label >= 0 && label < classes) {
      to[static_cast<std::size_t>(i * classes + label)] = 1;
    } else if (all_inside) {
      throw Error(error("array-labels", fmt::format("label {} is {}, outside of 0 .. {}", i, label, classes - 1)));
    }
  }
  return out;
}

template <class From, class To>
void quotients(const Array& x, Array& out, double divisor) {
  const auto by = static_cast<To>(divisor);
  std::ranges::transform(x.as<From>(), out.as_writable<To>().begin(), [by](From v) { return static_cast<To>(v) / by; });
}

}  // namespace

Array reshape(const Array& x, std::vector<std::int64_t> shape) {
  std::optional<std::size_t> open;
  std::vector<std::int64_t> known;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] < -1 || (shape[i] == -1 && open))
      throw refused(fmt::format("cannot reshape to {}: one size may be -1, the others are sizes", written(shape)));
    if (shape[i] == -1) {
      open = i;
    } else {
      known.push_back(shape[i]);
    }
  }
  const std::optional<std::uint64_t> count = byte_count(known, 1);
  const auto size = static_cast<std::uint64_t>(x.size());
  const bool fits = count && (open ? *count != 0 && size % *count == 0 : *count == size);
  if (!fits)
    throw refused(fmt::format("cannot reshape {}, {} elements, to {}", written(x.shape()), x.size(), written(shape)));
  if (open) shape[*open] = static_cast<std::int64_t>(size / *count);
  return x.reshaped(std::move(shape));
}

Array cast(const Array& x, DType type) {
  if (size_of(type) == 0)
    throw Error(error("array-shape", fmt::format("no array has elements of type {}", name_of(type))));
  if (x.dtype() != DType::u8 || type != DType::f32) return x.converted(type);
  Array out(type, x.shape());  // pictures are large: a tenth of the time
  std::ranges::copy(x.as<std::uint8_t>(), out.as_writable<float>().begin());
  return out;
}

Array operator/(const Array& x, double divisor) {
  switch (x.dtype()) {
    case DType::f32: {
      Array out(DType::f32, x.shape());
      quotients<float, float>(x, out, divisor);
      return out;
    }
    case DType::u8: {
      Array out(DType::f64, x.shape());
      quotients<std::uint8_t, double>(x, out, divisor);
      return out;
    }
    case DType::f16:
    case DType::bf16:
      return cast(cast(x, DType::f32) / divisor, x.dtype());
    default: {
      const Array from = cast(x, DType::f64);
      Array out(DType::f64, x.shape());
      quotients<double, double>(from, out, divisor);
      return out;
    }
  }
}

Array slice(const Array& x, std::int64_t begin, std::int64_t end) {
  if (x.shape().empty()) throw refused("cannot slice an array without axes");
  const std::int64_t count = x.shape()[0];
  const auto place = [&](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + count : at, 0, count); };
  const std::int64_t from = place(begin);
  const std::int64_t rows = std::max<std::int64_t>(place(end) - from, 0);
  std::vector<std::int64_t> shape = x.shape();
  shape[0] = rows;
  const std::size_t row = count == 0 ? 0 : x.bytes().size() / static_cast<std::size_t>(count);
  return Array::of_bytes(x.dtype(), std::move(shape),
                         x.bytes().subspan(static_cast<std::size_t>(from) * row, static_cast<std::size_t>(rows) * row));
}

Array concatenate(const std::vector<Array>& arrays) {
  if (arrays.empty()) throw refused("there is nothing to concatenate");
  const std::vector<std::int64_t>& shape = arrays[0].shape();
  if (shape.empty()) throw refused("cannot concatenate arrays without axes");
  for (const Array& array : arrays) {
    const auto& other = array.shape();
    if (array.dtype() != arrays[0].dtype() || other.size() != shape.size() ||
        !std::equal(shape.begin() + 1, shape.end(), other.begin() + 1)) {
      throw refused(fmt::format("cannot concatenate {} {} and {} {} along axis 0", name_of(arrays[0].dtype()),
                                written(shape), name_of(array.dtype()), written(other)));
    }
  }
  return joined(arrays);
}

Array to_categorical(const Array& labels, std::int64_t num_classes) {
  std::vector<std::int64_t> shape = labels.shape();
  if (shape.size() > 1 && shape.back() == 1) shape.pop_back();
  if (num_classes < 0) throw refused(fmt::format("{} classes; expected at least 1", num_classes));
  if (num_classes == 0) {
    if (labels.size() == 0) throw refused("the number of classes cannot be taken from labels that are none; give it");
    std::int64_t largest = labels.int_at(0);
    for (std::int64_t i = 1; i < labels.size(); ++i) largest = std::max(largest, labels.int_at(i));
    // Labels may come from a file: one wild number must not fill the memory, nor may the count overflow.
    if (largest < 0 || largest == std::numeric_limits<std::int64_t>::max()) {
      throw Error(error("array-labels", fmt::format("the largest label is {}; labels count from 0", largest)));
    }
    num_classes = largest + 1;
  }
  return hot(labels, std::move(shape), num_classes, true);
}

Array one_hot(const Array& labels, std::int64_t num_classes) {
  if (num_classes < 1) throw refused(fmt::format("{} classes; expected at least 1", num_classes));
  return hot(labels, labels.shape(), num_classes, false);
}

Array load_npy(const std::filesystem::path& path) {
  const Bytes bytes = value_or_throw(read_file(path));
  return value_or_throw(read_npy(bytes, path.string()));
}

void save_npy(const std::filesystem::path& path, const Array& array) {
  value_or_throw(write_file(path, value_or_throw(npy_bytes(array))));
}

std::map<std::string, Array> load_npz(const std::filesystem::path& path) { return value_or_throw(read_npz(path)); }

void save_npz(const std::filesystem::path& path, const std::map<std::string, Array>& arrays) {
  value_or_throw(write_npz(path, arrays, ZipMethod::store));
}

}  // namespace tusk
