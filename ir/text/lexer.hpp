// Tokens of the three text forms, and errors that point at them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ir/base/dim.hpp"
#include "ir/base/expected.hpp"
#include "ir/kernel/kernel.hpp"

namespace tusk::text {

struct Token {
  enum class Kind : std::uint8_t {
    word,    // [A-Za-z_][A-Za-z0-9_.]*  (no trailing dot); inf and nan are words
    value,   // %name or %"any text": text without the sign and quotes
    global,  // @path or @"any text"
    number,  // decimal or hexadecimal, integer or float, unsigned
    string,  // "text", escapes \" \\ \n \xHH resolved
    punct,   // -> == != <= >= << >> // .. or one character
    end,
  };
  Kind kind = Kind::end;
  std::string text;
  std::size_t at = 0;  // byte offset
};

/// Elements of an array that a text may claim; larger ones only come from a file.
constexpr std::int64_t kMostElements = std::int64_t{1} << 26;

/// The tokens of a text, and the errors at a token. A comment begins with `#` and ends with its line.
class Lexer {
 public:
  Lexer(std::string file, std::string_view text);

  const Token& peek(std::size_t ahead = 0) const;
  Token next();
  /// A text with a lexical error does not end: whoever reads on meets the error.
  bool at_end() const { return peek().kind == Token::Kind::end && problem_.empty(); }
  bool at(std::string_view punct_or_word) const;
  /// Takes the token if it is this punctuation or word.
  bool accept(std::string_view punct_or_word);
  Status expect(std::string_view punct_or_word);
  /// The comma behind an item of a list that `close` ends.
  Status expect_comma(std::string_view close);
  Expected<std::string> expect_word(std::string_view what);
  Expected<std::int64_t> expect_integer(std::string_view what);    // with an optional minus
  Expected<kernel::Literal> expect_number(std::string_view what);  // with an optional minus; inf, nan
  /// A dim: sums, products, `//`, max0(...), parentheses over integers and symbols. `step_of` gives the step of a
  /// declared symbol, or 0 for a name that is none (an error).
  using StepOf = std::function<std::int64_t(std::string_view)>;
  Expected<Dim> expect_dim(const StepOf& step_of);

  /// An error at the current token (or at `token`).
  Diagnostic fail(std::string message) const { return fail(peek(), std::move(message)); }
  Diagnostic fail(const Token& token, std::string message) const;

  /// Nesting guard: parsers call it on the way down; past 200 it fails.
  Status enter();
  void leave() { --depth_; }

 private:
  Status lex();
  Expected<Dim> dim_term(const StepOf& step_of);
  Expected<Dim> dim_factor(const StepOf& step_of);

  std::string file_;
  std::string text_;
  std::vector<Token> tokens_;
  std::size_t position_ = 0;
  int depth_ = 0;
  std::string problem_;  // a lexical error: the token `end` stands at its place, and every error there is this one
};

/// %name, quoted where needed. `sign` is '%' or '@'.
std::string sigil_name(char sign, std::string_view name);
std::string quoted(std::string_view text);
/// Reads a number token's text (decimal or hex float, integer).
Expected<kernel::Literal> number_of(std::string_view text);

}  // namespace tusk::text
