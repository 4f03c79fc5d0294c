// Types of configuration fields: strings that are checked when the program is compiled, sizes for each axis.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "frontend/model/error.hpp"
#include "ir/text/suggest.hpp"

namespace tusk {

/// A string as a template argument.
template <std::size_t size>
struct FixedText {
  char characters[size] = {};
  constexpr FixedText(const char (&text)[size]) {  // NOLINT: a literal is a text
    for (std::size_t i = 0; i < size; ++i) characters[i] = text[i];
  }
  constexpr std::string_view view() const { return {characters, size - 1}; }
};

/// One of a few words. A literal that is none of them does not compile; `named` takes words that are known at run time.
template <FixedText... words>
class OneOf {
 public:
  static constexpr std::array<std::string_view, sizeof...(words)> kWords = {words.view()...};

  template <std::size_t size>                                           // an array, since 0 is a pointer, too
  consteval OneOf(const char (&word)[size]) : index_(index_of(word)) {  // NOLINT: strings where Keras has strings
    if (index_ == kWords.size()) throw "this word is not one of those that the field takes";
  }
  static OneOf named(std::string_view word) {
    const std::size_t index = index_of(word);
    if (index < kWords.size()) return OneOf(index);
    Diagnostic problem = error("field-word", fmt::format("`{}` is unknown{}", word, text::suggestion(word, kWords)));
    std::string all;
    for (const std::string_view known : kWords) all += fmt::format("{}`{}`", all.empty() ? "" : ", ", known);
    throw Error(problem.note("expected one of " + all));
  }

  constexpr std::string_view str() const { return kWords[index_]; }
  friend constexpr bool operator==(OneOf a, std::string_view b) { return a.str() == b; }

 private:
  constexpr explicit OneOf(std::size_t index) : index_(index) {}
  static constexpr std::size_t index_of(std::string_view word) {
    std::size_t i = 0;
    while (i < kWords.size() && kWords[i] != word) ++i;
    return i;
  }

  std::size_t index_;
};

/// A number for each of several axes; one number stands for all: 3 is {3, 3}.
template <std::size_t axes>
class PerAxis {
 public:
  PerAxis(std::int64_t all) { values_.fill(all); }  // NOLINT: Keras takes either
  PerAxis(std::initializer_list<std::int64_t> list) : PerAxis(list.begin(), list.size()) {}
  PerAxis(const std::int64_t* values, std::size_t count) {
    if (count != axes) {
      throw Error(error("field-axes", fmt::format("{} numbers are given for {} axes", count, axes)));
    }
    for (std::size_t i = 0; i < axes; ++i) values_[i] = values[i];
  }

  std::int64_t operator[](std::size_t axis) const { return values_[axis]; }
  auto begin() const { return values_.begin(); }
  auto end() const { return values_.end(); }

 private:
  std::array<std::int64_t, axes> values_;
};

/// One axis or several; negative ones count from the end.
class Axes {
 public:
  Axes(std::int64_t axis) : list_{axis} {}                         // NOLINT: Keras takes either
  Axes(std::initializer_list<std::int64_t> list) : list_(list) {}  // NOLINT
  explicit Axes(std::vector<std::int64_t> list) : list_(std::move(list)) {}
  const std::vector<std::int64_t>& list() const { return list_; }

 private:
  std::vector<std::int64_t> list_;
};

/// The first field of a Config whose next one takes a list: from {.axis = {1, 2}} alone GCC 12 would also make a handle
/// to copy.
struct DesignatedOnly {
  explicit DesignatedOnly() = default;
};

using DataFormat = OneOf<"channels_last", "channels_first">;

}  // namespace tusk
