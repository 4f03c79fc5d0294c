#include "ir/text/lexer.hpp"

#include <fmt/format.h>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>

#include "ir/base/utf8.hpp"

namespace tusk::text {
namespace {

bool starts_word(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool in_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool in_sigil_name(char c) { return in_word(c) || c == '.' || c == '/' || c == '$'; }

constexpr int kDeepest = 200;

}  // namespace

Lexer::Lexer(std::string file, std::string_view text) : file_(std::move(file)), text_(text) {
  if (Status ok = lex(); !ok) {
    problem_ = ok.problem().message;
  } else {
    tokens_.push_back({Token::Kind::end, "", text_.size()});
  }
}

Status Lexer::lex() {
  std::size_t i = 0;
  const auto push = [&](Token::Kind kind, std::string text, std::size_t at) {
    tokens_.push_back({kind, std::move(text), at});
  };
  // Reads a string whose opening quote is at i; leaves i behind the closing quote.
  const auto string_at = [&](std::string& out) -> bool {
    for (++i; i < text_.size() && text_[i] != '"'; ++i) {
      if (text_[i] == '\n') return false;
      if (text_[i] != '\\') {
        out += text_[i];
        continue;
      }
      if (++i >= text_.size()) return false;
      if (text_[i] == 'n') {
        out += '\n';
      } else if (text_[i] == 'x' && i + 2 < text_.size()) {
        unsigned byte = 0;
        const auto [end, fault] = std::from_chars(&text_[i + 1], &text_[i + 1] + 2, byte, 16);
        if (fault != std::errc{} || end != &text_[i + 1] + 2) return false;
        out += static_cast<char>(byte);
        i += 2;
      } else {
        out += text_[i];
      }
    }
    if (i >= text_.size()) return false;
    ++i;
    return true;
  };
  while (i < text_.size()) {
    const char c = text_[i];
    const std::size_t at = i;
    if (std::isspace(static_cast<unsigned char>(c)) != 0) {
      ++i;
    } else if (c == '#') {
      while (i < text_.size() && text_[i] != '\n') ++i;
    } else if (c == '%' || c == '@') {
      std::string name;
      ++i;
      if (i < text_.size() && text_[i] == '"') {
        if (!string_at(name)) {
          push(Token::Kind::end, "", at);
          return error("", "a quoted name does not end on its line");
        }
      } else {
        while (i < text_.size() && in_sigil_name(text_[i])) name += text_[i++];
      }
      if (name.empty()) {
        push(Token::Kind::punct, std::string(1, c), at);  // the operator %
      } else {
        push(c == '%' ? Token::Kind::value : Token::Kind::global, name, at);
      }
    } else if (c == '"') {
      std::string value;
      if (!string_at(value)) {
        push(Token::Kind::end, "", at);
        return error("", "a string does not end on its line");
      }
      push(Token::Kind::string, value, at);
    } else if (starts_word(c)) {
      while (i < text_.size() &&
             (in_word(text_[i]) || (text_[i] == '.' && i + 1 < text_.size() && starts_word(text_[i + 1]))))
        ++i;
      push(Token::Kind::word, text_.substr(at, i - at), at);
    } else if (std::isdigit(static_cast<unsigned char>(c)) != 0 ||
               (c == '.' && i + 1 < text_.size() && std::isdigit(static_cast<unsigned char>(text_[i + 1])) != 0)) {
      const bool hex = c == '0' && i + 1 < text_.size() && (text_[i + 1] == 'x' || text_[i + 1] == 'X');
      while (i < text_.size()) {
        const char d = text_[i];
        const char before = i > at ? text_[i - 1] : '\0';
        const bool exponent_sign =
            (d == '+' || d == '-') && (hex ? (before == 'p' || before == 'P') : (before == 'e' || before == 'E'));
        const bool range_dots = d == '.' && i + 1 < text_.size() && text_[i + 1] == '.';
        if (range_dots || !(in_word(d) || d == '.' || exponent_sign)) break;
        ++i;
      }
      push(Token::Kind::number, text_.substr(at, i - at), at);
    } else {
      static constexpr std::string_view kPairs[] = {"->", "==", "!=", "<=", ">=", "<<", ">>", "//", ".."};
      std::string symbol(1, c);
      for (std::string_view pair : kPairs) {
        if (text_.compare(i, 2, pair) == 0) symbol = pair;
      }
      i += symbol.size();
      for (; i < text_.size() && continues_code_point(text_[i]); ++i) symbol += text_[i];
      push(Token::Kind::punct, symbol, at);
    }
  }
  return done();
}

const Token& Lexer::peek(std::size_t ahead) const {
  const std::size_t i = position_ + ahead;
  return i < tokens_.size() ? tokens_[i] : tokens_.back();
}

Token Lexer::next() {
  const Token& token = peek();
  if (token.kind != Token::Kind::end) ++position_;
  return token;
}

bool Lexer::at(std::string_view text) const {
  const Token& token = peek();
  return (token.kind == Token::Kind::punct || token.kind == Token::Kind::word) && token.text == text;
}

bool Lexer::accept(std::string_view text) {
  if (!at(text)) return false;
  ++position_;
  return true;
}

Status Lexer::expect(std::string_view text) {
  if (accept(text)) return done();
  return fail(fmt::format("expected `{}`", text));
}

Status Lexer::expect_comma(std::string_view close) {
  if (accept(",")) return done();
  return fail(fmt::format("expected `,` or `{}`", close));
}

Expected<std::string> Lexer::expect_word(std::string_view what) {
  if (peek().kind != Token::Kind::word) return fail(fmt::format("expected {}", what));
  return next().text;
}

Expected<std::int64_t> Lexer::expect_integer(std::string_view what) {
  const bool negative = accept("-");
  if (peek().kind != Token::Kind::number) return fail(fmt::format("expected {}", what));
  const Expected<kernel::Literal> read = number_of(peek().text);
  if (!read) return fail(read.problem().message);
  const kernel::Literal number = *read;
  if (!number.is_integer) {
    const bool said = what.find("integer") != std::string_view::npos;
    return fail(fmt::format("expected {}{}", what, said ? "" : ", an integer"));
  }
  const bool least = negative && number.integer == std::numeric_limits<std::int64_t>::min();
  if (number.integer < 0 && !least) return fail(fmt::format("`{}` is not a signed number of 64 bits", peek().text));
  next();
  return negative && !least ? -number.integer : number.integer;
}

Expected<kernel::Literal> Lexer::expect_number(std::string_view what) {
  const bool negative = accept("-");
  kernel::Literal number;
  if (accept("inf")) {
    number = kernel::literal_of(std::numeric_limits<double>::infinity());
  } else if (accept("nan")) {
    number = kernel::literal_of(std::numeric_limits<double>::quiet_NaN());
  } else if (accept("true")) {
    number = kernel::literal_of_int(1);
  } else if (accept("false")) {
    number = kernel::literal_of_int(0);
  } else if (peek().kind == Token::Kind::number) {
    Expected<kernel::Literal> read = number_of(peek().text);
    if (!read) return fail(read.problem().message);
    number = *read;
    next();
  } else {
    return fail(fmt::format("expected {}", what));
  }
  if (negative) {
    number.real = -number.real;
    number.integer = static_cast<std::int64_t>(0ULL - static_cast<std::uint64_t>(number.integer));
  }
  return number;
}

Expected<Dim> Lexer::dim_factor(const StepOf& step_of) {
  if (accept("-")) {
    CHECK(enter());
    TRY(const Dim inner, dim_factor(step_of));
    leave();
    return inner * Dim(-1);
  }
  Dim out;
  if (accept("(")) {
    CHECK(enter());
    TRY(out, expect_dim(step_of));
    leave();
    CHECK(expect(")"));
  } else if (accept("max0")) {
    CHECK(enter());
    CHECK(expect("("));
    TRY(const Dim inner, expect_dim(step_of));
    leave();
    CHECK(expect(")"));
    out = inner.max0();
  } else if (peek().kind == Token::Kind::number) {
    TRY(const std::int64_t number, expect_integer("an integer"));
    out = Dim(number);
  } else if (peek().kind == Token::Kind::word) {
    const std::int64_t step = step_of(peek().text);
    if (step == 0) return fail(fmt::format("`{}` is not a declared symbol", peek().text));
    out = Dim::symbol(next().text, step);
  } else {
    return fail("expected a dimension");
  }
  while (at("//")) {
    next();
    TRY(const std::int64_t divisor, expect_integer("a divisor"));
    if (divisor <= 0) return fail("a divisor must be positive");
    out = out.floor_div(divisor);
  }
  return out;
}

Expected<Dim> Lexer::dim_term(const StepOf& step_of) {
  TRY(Dim out, dim_factor(step_of));
  while (accept("*")) {
    TRY(const Dim factor, dim_factor(step_of));
    out *= factor;
  }
  return out;
}

Expected<Dim> Lexer::expect_dim(const StepOf& step_of) {
  TRY(Dim out, dim_term(step_of));
  while (at("+") || at("-")) {
    const bool minus = next().text == "-";
    TRY(const Dim term, dim_term(step_of));
    out = minus ? out - term : out + term;
  }
  return out;
}

Diagnostic Lexer::fail(const Token& token, std::string message) const {
  SourceSpot spot;
  spot.file = file_;
  spot.line = 1;
  std::size_t line_start = 0;
  for (std::size_t i = 0; i < token.at && i < text_.size(); ++i) {
    if (text_[i] == '\n') {
      ++spot.line;
      line_start = i + 1;
    }
  }
  spot.column = static_cast<int>(code_points(std::string_view(text_).substr(line_start, token.at - line_start))) + 1;
  spot.text = text_.substr(line_start, text_.find('\n', line_start) - line_start);
  if (token.kind == Token::Kind::end && !problem_.empty()) {
    message = problem_;
  } else if (token.kind == Token::Kind::end) {
    message += ", found the end of the text";
  } else if (message.starts_with("expected")) {
    message += fmt::format(", found `{}`", token.text);
  }
  Diagnostic out = error("syntax", std::move(message));
  out.spot = std::move(spot);
  return out;
}

Status Lexer::enter() {
  if (++depth_ > kDeepest) return fail("nesting is too deep");
  return done();
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string sigil_name(char sign, std::string_view name) {
  bool plain = !name.empty();
  for (const char c : name) plain = plain && in_sigil_name(c);
  return plain ? sign + std::string(name) : sign + quoted(name);
}

Expected<kernel::Literal> number_of(std::string_view text) {
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  const std::string_view digits = hex ? text.substr(2) : text;
  const bool floating =
      digits.find('.') != std::string_view::npos || digits.find_first_of(hex ? "pP" : "eE") != std::string_view::npos;
  const char* end = digits.data() + digits.size();
  if (!floating) {
    std::uint64_t value = 0;
    const auto [stop, fault] = std::from_chars(digits.data(), end, value, hex ? 16 : 10);
    if (fault != std::errc{} || stop != end)
      return error("syntax", fmt::format("`{}` is not a number of 64 bits", text));
    return kernel::literal_of_int(static_cast<std::int64_t>(value));
  }
  double value = 0;
  const auto [stop, fault] =
      std::from_chars(digits.data(), end, value, hex ? std::chars_format::hex : std::chars_format::general);
  if (stop != end || (fault != std::errc{} && fault != std::errc::result_out_of_range)) {
    return error("syntax", fmt::format("`{}` is not a number", text));
  }
  if (fault == std::errc::result_out_of_range) {
    return error("syntax", fmt::format("`{}` is out of the range of a double", text));
  }
  return kernel::literal_of(value);
}

}  // namespace tusk::text
