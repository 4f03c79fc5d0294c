// Names and texts of a user's model, made fit for C and C++ source.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>

namespace tusk::cpp {

/// An identifier for any text, the same on every run:
///   letters, digits and `_` stay; `/ . - : space` and other ASCII become one `_` ("dense/kernel" -> dense_kernel);
///   a character beyond ASCII becomes `uXXXX`, its code point in hex ("größe" -> gr_u00f6_u00df_e); a byte that is not
///   UTF-8 becomes `xXX`; runs of `_` are one `_` (two are reserved), and none stands at the start or end, so neither
///   `_A` nor `a__b` occurs; a digit in front gets an `n` ("2fast" -> n2fast); text without any of these becomes
///   `unnamed`; a keyword of C or C++, a name that headers define as a macro (errno, assert, I, linux), any name of
///   capitals alone (EOF, X1: the ground of macros), and a name of ours (tusk, std) gets a `_` behind it.
/// Different texts may meet in one identifier; `Names` keeps them apart.
std::string identifier(std::string_view text);

/// An identifier which may also stand at namespace scope beside the C library and as a CMake target: `exp`, `read`,
/// `test` become `exp_model`, `read_model`, `test_model`.
std::string global_identifier(std::string_view text);

/// The identifiers of one scope. Two equal wishes get different names.
class Names {
 public:
  /// identifier(wish), with the first of _2, _3, ... that makes it new.
  std::string unique(std::string_view wish);
  /// Forbids a name to `unique`.
  void reserve(std::string_view name) { taken_.emplace(name); }

 private:
  std::unordered_set<std::string> taken_;
};

/// One line of text for a // or /* */ comment: UTF-8 stays; a control character, a byte that is not UTF-8, and the
/// characters that change the direction or break of a line become `<XX>`; `*/` and `/*` are pulled apart, as is `??` (a
/// trigraph), and a backslash at the end gets a dot, so that the next line is not swallowed.
std::string comment_text(std::string_view text);

/// The inside of a C string literal: printable ASCII stays but for " \ and ?, all else is escaped in octal, three
/// digits.
std::string string_literal_text(std::string_view bytes);

/// The inside of a JSON string. Bytes that are not UTF-8 become U+FFFD.
std::string json_text(std::string_view text);

}  // namespace tusk::cpp
