#include "frontend/model/arrays.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>

#include "frontend/files/bytes.hpp"
#include "frontend/model/error.hpp"
#include "ir/graph/callable.hpp"

namespace tusk {
namespace {

std::size_t row_bytes(const Array& array) {
  return array.shape()[0] == 0 ? 0 : array.bytes().size() / static_cast<std::size_t>(array.shape()[0]);
}

}  // namespace

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return fmt::format("({}{})", fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
}

Array with_rank(const Array& array, std::size_t rank) {
  std::vector<std::int64_t> shape = array.shape();
  if (shape.size() + 1 == rank) {
    shape.push_back(1);
  } else if (shape.size() == rank + 1 && shape.back() == 1) {
    shape.pop_back();
  }
  return shape.size() == rank ? array.reshaped(shape) : array;
}

std::vector<Array> input_arrays(const Model& model, const Data& given) {
  const auto fail = [&](std::string text) { return Error(error("model-arrays", model.name() + ": " + text)); };
  const std::vector<std::string>& names = model.input_names();
  std::vector<Array> out;
  if (given.form == Form::dict) {
    for (const std::string& name : names) {
      const auto found = std::ranges::find(given.names, name);
      if (found == given.names.end())
        throw Error(
            error("model-arrays", fmt::format("{}: there is no array for the input {}", model.name(), in_quotes(name)))
                .note(fmt::format("the dict has {}, the model wants {}", fmt::join(given.names, ", "),
                                  fmt::join(names, ", "))));
      out.push_back(given.items[static_cast<std::size_t>(found - given.names.begin())]);
    }
  } else {
    if (given.items.size() != names.size())
      throw fail(fmt::format("expected {} arrays, found {}", names.size(), given.items.size()));
    out = given.items;
  }
  for (std::size_t k = 0; k < out.size(); ++k) {
    const Shape& wanted = model.inputs()[k].shape();
    // An axis of 1 is added only where the input has one.
    if (out[k].shape().size() + 1 != wanted.size() || wanted.back() == Dim(1))
      out[k] = with_rank(out[k], wanted.size());
    bool fits = out[k].shape().size() == wanted.size();
    for (std::size_t axis = 1; fits && axis < wanted.size(); ++axis)
      fits = !wanted[axis].is_constant() || wanted[axis].constant() == out[k].shape()[axis];
    if (!fits)
      throw fail(fmt::format("input `{}` has shape {}, found {}", names[k], keras_shape(wanted),
                             shape_text(given.form == Form::dict ? out[k].shape() : given.items[k].shape())));
  }
  return out;
}

std::int64_t batch_for(std::int64_t batch_size, std::int64_t samples) {
  // Powers of two, so that the next call with a few samples more finds code that is large enough.
  constexpr std::uint64_t kLeast = 32;
  const auto enough = std::bit_ceil(std::max(kLeast, static_cast<std::uint64_t>(samples)));
  return std::min(batch_size, static_cast<std::int64_t>(enough));
}

void copy_rows(const Array& whole, std::span<const std::int64_t> which, Array& out) {
  const auto is_next = [](std::int64_t a, std::int64_t b) { return b == a + 1; };
  if (!which.empty() && std::ranges::adjacent_find(which, std::not_fn(is_next)) == which.end()) {
    out = whole.rows(which.front(), which.back() + 1);
    return;
  }
  std::vector<std::int64_t> shape = whole.shape();
  shape[0] = static_cast<std::int64_t>(which.size());
  if (out.dtype() != whole.dtype() || out.shape() != shape) out = Array(whole.dtype(), shape);
  const std::size_t row = row_bytes(whole);
  if (row == 0) return;
  const std::byte* from = whole.bytes().data();
  std::byte* to = out.writable_bytes().data();
  constexpr std::size_t kLeast = 1 << 15;  // bytes that are worth a thread
  const auto copy = [&](std::int64_t begin, std::int64_t end) {
    for (auto k = static_cast<std::size_t>(begin); k < static_cast<std::size_t>(end); ++k)
      std::memcpy(to + k * row, from + static_cast<std::size_t>(which[k]) * row, row);
  };
  graph::share_turns(static_cast<std::int64_t>(which.size()), static_cast<std::int64_t>(kLeast / row + 1), copy);
}

Array joined(const std::vector<Array>& parts) {
  std::vector<std::int64_t> shape = parts[0].shape();
  shape[0] = 0;
  for (const Array& part : parts) shape[0] += part.shape()[0];
  Array out(parts[0].dtype(), shape);
  std::byte* to = out.writable_bytes().data();
  for (const Array& part : parts) to = std::ranges::copy(part.bytes(), to).out;
  return out;
}

}  // namespace tusk
