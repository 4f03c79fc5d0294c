#include "ir/graph/reader.hpp"

#include <fmt/format.h>

#include "ir/graph/print.hpp"
#include "ir/text/count.hpp"
#include "ir/text/suggest.hpp"

namespace tusk::graph {

using text::kMostElements;
using text::Token;

namespace {

// `random(seed)`: splitmix64, the top 24 bits as a number in [-1, 1); integers get 0..15.
Array random_array(DType type, const std::vector<std::int64_t>& shape, std::uint64_t state) {
  Array out(type, shape);
  for (std::int64_t i = 0; i < out.size(); ++i) {
    std::uint64_t z = (state += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    z ^= z >> 31;
    if (is_float(type)) {
      out.set(i, static_cast<double>(z >> 40) * 0x1p-23 - 1.0);
    } else {
      out.set_int(i, static_cast<std::int64_t>(z >> (type == DType::boolean ? 63 : 60)));
    }
  }
  return out;
}

}  // namespace

Diagnostic Reader::unknown(std::string code, const Token& at, std::string_view what,
                           const std::vector<std::string_view>& known) {
  Diagnostic out = lexer.fail(at, fmt::format("unknown {} `{}`{}", what, at.text, text::suggestion(at.text, known)));
  out.code = std::move(code);
  return out;
}

Expected<std::string> Reader::name(std::string_view what) {
  if (lexer.peek().kind == Token::Kind::string) return lexer.next().text;
  return lexer.expect_word(what);
}

Expected<Literal> Reader::number() {
  // -0 keeps its sign: an integer would lose it.
  if (lexer.at("-") && lexer.peek(1).text == "0") {
    lexer.next();
    lexer.next();
    return kernel::literal_of(-0.0);
  }
  return lexer.expect_number("a number");
}

Expected<Dim> Reader::dim() {
  Token wrong;
  const auto step_of = [&](std::string_view symbol_name) -> std::int64_t {
    if (const Symbol* symbol = module.symbol(symbol_name)) return symbol->step;
    wrong = lexer.peek();
    return 0;
  };
  Expected<Dim> out = lexer.expect_dim(step_of);
  if (out || wrong.text.empty()) return out;
  std::vector<std::string_view> known;
  for (const Symbol& symbol : module.symbols) known.push_back(symbol.name);
  return unknown("symbol-unknown", wrong, "symbol", known);
}

Expected<Shape> Reader::shape() {
  Shape out;
  CHECK(lexer.expect("["));
  while (!lexer.at("]")) {
    TRY(Dim d, dim());
    out.push_back(std::move(d));
    if (!lexer.accept(",")) break;
  }
  CHECK(lexer.expect("]"));
  return out;
}

Expected<DType> Reader::dtype() {
  const Token at = lexer.peek();
  const std::optional<DType> type = dtype_named(at.text);
  if (at.kind != Token::Kind::word || !type || *type == DType::index) return lexer.fail("expected a dtype");
  lexer.next();
  return *type;
}

Expected<Type> Reader::type() {
  Type out;
  TRY(out.dtype, dtype());
  const Token at = lexer.peek();
  TRY(out.shape, shape());
  for (const Dim& d : out.shape) {
    if (d.range(module.ranges()).high < 0) return lexer.fail(at, fmt::format("extent {} is negative", d.str()));
  }
  return out;
}

// A type without symbols, of a size that can be held.
Expected<std::vector<std::int64_t>> Reader::static_shape(const Token& at, const Type& type, std::int64_t most) {
  std::vector<std::int64_t> out;
  std::int64_t count = 1;
  for (const Dim& d : type.shape) {
    if (!d.is_constant()) return lexer.fail(at, fmt::format("{} is not static", str(type)));
    out.push_back(d.constant());
    if (__builtin_mul_overflow(count, d.constant(), &count) || count > most) {
      return lexer.fail(at, fmt::format("{} is too large", str(type)));
    }
  }
  return out;
}

Status Reader::set_element(Array& array, std::int64_t i, const Literal& value, const Token& at) {
  if (is_float(array.dtype())) {
    array.set(i, value.as_double());
    return done();
  }
  if (value.is_integer) array.set_int(i, value.integer);
  if (!value.is_integer || array.int_at(i) != value.integer) {
    return lexer.fail(at, fmt::format("{} does not hold {}", name_of(array.dtype()), str(Attr(value))));
  }
  return done();
}

// Numbers in brackets, nested or flat.
Status Reader::numbers(std::vector<Literal>& out) {
  if (!lexer.accept("[")) {
    TRY(const Literal value, number());
    out.push_back(value);
    return done();
  }
  CHECK(lexer.enter());
  while (!lexer.at("]")) {
    CHECK(numbers(out));
    if (!lexer.accept(",")) break;
  }
  lexer.leave();
  return lexer.expect("]");
}

Expected<Array> Reader::array(DType type, const std::vector<std::int64_t>& shape) {
  const Token at = lexer.peek();
  std::vector<Literal> values;
  CHECK(numbers(values));
  if (static_cast<std::int64_t>(values.size()) != element_count(shape)) {
    return lexer.fail(at, fmt::format("{} for {}", text::count_of(values.size(), "number"),
                                      text::count_of(element_count(shape), "element")));
  }
  Array out(type, shape);
  for (std::size_t i = 0; i < values.size(); ++i) CHECK(set_element(out, static_cast<std::int64_t>(i), values[i], at));
  return out;
}

Status Reader::init(Global& out, const Token& at, std::span<const std::byte> weights) {
  const bool from_file = lexer.at("file") && !weights.empty();
  TRY(const std::vector<std::int64_t> extents, static_shape(at, out.type, from_file ? INT64_MAX / 8 : kMostElements));
  if (lexer.accept("splat")) {
    CHECK(lexer.expect("("));
    TRY(const Literal value, number());
    CHECK(lexer.expect(")"));
    out.text = fmt::format("splat({})", str(Attr(value)));
    out.value = Array(out.type.dtype, extents);
    for (std::int64_t i = 0; i < out.value.size(); ++i) CHECK(set_element(out.value, i, value, at));
  } else if (lexer.accept("random")) {
    CHECK(lexer.expect("("));
    TRY(const std::int64_t seed, lexer.expect_integer("a seed"));
    CHECK(lexer.expect(")"));
    out.text = fmt::format("random({})", seed);
    out.value = random_array(out.type.dtype, extents, static_cast<std::uint64_t>(seed));
  } else if (lexer.accept("iota")) {
    out.text = "iota";
    out.value = Array(out.type.dtype, extents);
    for (std::int64_t i = 0; i < out.value.size(); ++i) out.value.set(i, static_cast<double>(i));
  } else if (lexer.accept("file")) {
    CHECK(lexer.expect("("));
    TRY(const std::int64_t offset, lexer.expect_integer("an offset"));
    CHECK(lexer.expect(")"));
    out.text = fmt::format("file({})", offset);
    if (weights.empty()) {
      out.value = Array(out.type.dtype, extents);
      out.missing = true;
      return done();
    }
    const auto size =
        static_cast<std::size_t>(element_count(extents)) * static_cast<std::size_t>(size_of(out.type.dtype));
    const auto start = static_cast<std::size_t>(offset);
    if (offset < 0 || start > weights.size() || weights.size() - start < size) {
      return lexer.fail(at, fmt::format("`{}` ends behind the {} bytes of weights", out.path, weights.size()));
    }
    out.value = Array::of_bytes(out.type.dtype, extents, weights.subspan(start, size));
  } else {
    TRY(out.value, array(out.type.dtype, extents));
  }
  return done();
}

Expected<Attr> Reader::attr(AttrSpec::Kind kind) {
  switch (kind) {
    case AttrSpec::Kind::flag: {
      if (!lexer.at("true") && !lexer.at("false")) return lexer.fail("expected true or false");
      return Attr(lexer.next().text == "true");
    }
    case AttrSpec::Kind::integer: {
      TRY(const std::int64_t value, lexer.expect_integer("an integer"));
      return Attr(value);
    }
    case AttrSpec::Kind::number: {
      TRY(const Literal value, number());
      return Attr(value);
    }
    case AttrSpec::Kind::text: {
      if (lexer.peek().kind != Token::Kind::string) return lexer.fail("expected a text in quotes");
      return Attr(lexer.next().text);
    }
    case AttrSpec::Kind::ints: {
      std::vector<std::int64_t> values;
      CHECK(lexer.expect("["));
      while (!lexer.at("]")) {
        TRY(const std::int64_t value, lexer.expect_integer("an integer"));
        values.push_back(value);
        if (!lexer.accept(",")) break;
      }
      CHECK(lexer.expect("]"));
      return Attr(std::move(values));
    }
    case AttrSpec::Kind::shape: {
      TRY(Shape value, shape());
      return Attr(std::move(value));
    }
    case AttrSpec::Kind::dtype: {
      TRY(const DType value, dtype());
      return Attr(value);
    }
    case AttrSpec::Kind::array: {
      const Token at = lexer.peek();
      TRY(const Type array_type, type());
      TRY(const std::vector<std::int64_t> extents, static_shape(at, array_type, kMostElements));
      TRY(Array value, array(array_type.dtype, extents));
      return Attr(std::move(value));
    }
    case AttrSpec::Kind::spec:
      break;
  }
  return lexer.fail("the relation of a contract stands in braces of its own");
}

// a[n,h,w,c] b[i,j,c,o] -> y[n,p<14,q<14,o] where h == 2*p + i - 1, ...
Expected<ContractSpec> Reader::contract() {
  ContractSpec out;
  CHECK(tensor("a", out.a, out));
  CHECK(tensor("b", out.b, out));
  CHECK(lexer.expect("->"));
  CHECK(tensor("y", out.y, out));
  if (!lexer.accept("where")) return out;
  do {
    Where w;
    TRY(w.whole, lexer.expect_word("an index"));
    CHECK(lexer.expect("=="));
    CHECK(scaled(w.stride, w.position));
    CHECK(lexer.expect("+"));
    CHECK(scaled(w.dilation, w.tap));
    if (lexer.at("+") || lexer.at("-")) {
      lexer.accept("+");  // a minus belongs to the dim
      TRY(const Dim rest, dim());
      w.offset = Dim(0) - rest;
    }
    out.where.push_back(std::move(w));
  } while (lexer.accept(","));
  return out;
}

Status Reader::tensor(std::string_view tensor_name, std::vector<std::string>& indices, ContractSpec& spec) {
  CHECK(lexer.expect(tensor_name));
  CHECK(lexer.expect("["));
  while (!lexer.at("]")) {
    TRY(std::string index, lexer.expect_word("an index"));
    if (lexer.accept("<")) {
      TRY(Dim extent, dim());
      spec.extents.emplace_back(index, std::move(extent));
    }
    indices.push_back(std::move(index));
    if (!lexer.accept(",")) break;
  }
  return lexer.expect("]");
}

// [factor *] index
Status Reader::scaled(std::int64_t& factor, std::string& index) {
  if (lexer.peek().kind == Token::Kind::number) {
    TRY(factor, lexer.expect_integer("a factor"));
    CHECK(lexer.expect("*"));
  }
  TRY(index, lexer.expect_word("an index"));
  return done();
}

}  // namespace tusk::graph
