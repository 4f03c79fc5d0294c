// The small parts of graph text, from tokens: names, numbers, dims, types, arrays, attributes. parse.cpp puts them
// together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph/op.hpp"
#include "ir/text/lexer.hpp"

namespace tusk::graph {

struct Reader {
  const Module& module;  // its symbols are known
  text::Lexer lexer;

  /// "unknown WHAT `x`; did you mean ...?" at a token.
  Diagnostic unknown(std::string code, const text::Token& at, std::string_view what,
                     const std::vector<std::string_view>& known);

  Expected<std::string> name(std::string_view what);  // a word, or text in quotes
  Expected<Literal> number();
  Expected<Dim> dim();
  Expected<Shape> shape();
  Expected<DType> dtype();
  Expected<Type> type();
  /// The shape of a type without symbols, of at most so many elements.
  Expected<std::vector<std::int64_t>> static_shape(const text::Token& at, const Type& type, std::int64_t most);

  /// Numbers in brackets, nested or flat: as many as the shape has elements.
  Expected<Array> array(DType type, const std::vector<std::int64_t>& shape);
  /// Fails where an integer dtype does not hold the value.
  Status set_element(Array& array, std::int64_t i, const Literal& value, const text::Token& at);

  /// The value of a state or const whose type is set: splat(0), random(7), iota, file(64), or numbers.
  Status init(Global& out, const text::Token& at, std::span<const std::byte> weights);

  Expected<Attr> attr(AttrSpec::Kind kind);
  /// a[n,h,w,c] b[i,j,c,o] -> y[n,p<14,q<14,o] where h == 2*p + i - 1, ...
  Expected<ContractSpec> contract();

  // Pieces of these.
  Status numbers(std::vector<Literal>& out);
  Status tensor(std::string_view tensor_name, std::vector<std::string>& indices, ContractSpec& spec);
  Status scaled(std::int64_t& factor, std::string& index);
};

}  // namespace tusk::graph
