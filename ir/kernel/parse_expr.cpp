// Expressions of kernels: infix text to typed expressions.
#include <fmt/format.h>
#include <algorithm>
#include <limits>

#include "ir/kernel/parser.hpp"
#include "ir/text/count.hpp"
#include "ir/text/suggest.hpp"

namespace tusk::kernel {
namespace {

using text::Token;

struct Operator {
  std::string_view symbol;
  std::string_view row;
  int strength;  // larger binds tighter; 0 does not chain
};

constexpr Operator kOperators[] = {
    {"==", "eq", 0}, {"!=", "ne", 0}, {"<", "lt", 0},  {"<=", "le", 0},  {">", "gt", 0},   {">=", "ge", 0},
    {"|", "or", 1},  {"^", "xor", 2}, {"&", "and", 3}, {"<<", "shl", 4}, {">>", "shr", 4}, {"+", "add", 5},
    {"-", "sub", 5}, {"*", "mul", 6}, {"/", "div", 6}, {"//", "div", 6}, {"%", "rem", 6}};

// The type that operands give each other: an index makes all of them indices.
std::optional<DType> shared(std::span<const Syntax> operands, std::optional<DType> expected) {
  std::optional<DType> first;
  for (const Syntax& operand : operands) {
    if (operand.own == DType::index) return DType::index;
    if (!first) first = operand.own;
  }
  return expected == DType::index || !first ? expected : first;
}

std::optional<DType> own_type(const Row& row, std::span<const Syntax> operands) {
  switch (row.typing) {
    case Typing::same:
      return shared(operands, std::nullopt);
    case Typing::compare:
      return DType::boolean;
    case Typing::select:
      return shared(operands.subspan(1), std::nullopt);
    case Typing::shift:
      return operands[0].own;
    case Typing::convert:
      return register_type(row.target);
    case Typing::bitcast:
      return row.target;
  }
  return std::nullopt;
}

std::string types_text(const std::vector<ExprRef>& operands) {
  std::vector<std::string_view> out;
  for (const ExprRef& operand : operands) out.push_back(name_of(operand->type));
  return fmt::format("{}", fmt::join(out, ", "));
}

Syntax leaf(const Token& at, ExprRef expr) {
  Syntax out;
  out.at = at;
  out.own = expr->type;
  out.leaf = std::move(expr);
  return out;
}

}  // namespace

Expected<ExprRef> Parser::expression(std::optional<DType> expected) {
  TRY(const Syntax syntax, infix(0));
  return typed(syntax, expected);
}

Expected<Syntax> Parser::infix(int strength) {
  CHECK(in_.enter());
  int entered = 1;
  TRY(Syntax left, operand());
  while (in_.peek().kind == Token::Kind::punct) {
    const Token at = in_.peek();
    const auto* op = std::find_if(std::begin(kOperators), std::end(kOperators),
                                  [&](const Operator& candidate) { return candidate.symbol == at.text; });
    if (op == std::end(kOperators) || op->strength < strength) break;
    in_.next();
    CHECK(in_.enter());  // a chain is as deep as it is long
    ++entered;
    TRY(Syntax right, infix(op->strength + 1));
    Syntax both;
    both.at = at;
    both.row = row_named(op->row);
    both.operands.push_back(std::move(left));
    both.operands.push_back(std::move(right));
    both.own = own_type(*both.row, both.operands);
    left = std::move(both);
    if (op->strength == 0) strength = 1;
  }
  for (; entered > 0; --entered) in_.leave();
  return left;
}

Expected<Syntax> Parser::operand() {
  const Token at = in_.peek();
  const auto is_number = [](const Token& token) {
    return token.kind == Token::Kind::number || token.text == "inf" || token.text == "nan";
  };
  if (is_number(at) || (at.text == "-" && is_number(in_.peek(1)))) {
    Syntax out;
    out.at = at;
    TRY(out.number, in_.expect_number("a number"));
    return out;
  }
  if (in_.accept("-")) {
    CHECK(in_.enter());
    Syntax out;
    out.at = at;
    TRY(Syntax inner, operand());
    in_.leave();
    const bool is_index = inner.own == DType::index;
    out.own = inner.own;
    out.row = row_named(is_index ? "sub" : "neg");  // on an index: 0 - x
    if (is_index) out.operands.push_back(leaf(at, dim_value(Dim(0))));
    out.operands.push_back(std::move(inner));
    return out;
  }
  if (in_.accept("(")) {
    TRY(Syntax inner, infix(0));
    CHECK(in_.expect(")"));
    return inner;
  }
  return word();
}

Expected<Syntax> Parser::word() {
  const Token at = in_.peek();
  if (at.kind != Token::Kind::word) return in_.fail("expected a value");
  in_.next();
  if (at.text == "true" || at.text == "false") {
    return leaf(at, literal(DType::boolean, literal_of_int(at.text == "true" ? 1 : 0)));
  }
  if (in_.at("(")) return call(at);
  if (in_.at("[")) {
    const std::optional<TensorType> type = tensor(at.text);
    if (!type)
      return in_.fail(at, fmt::format("there is no parameter or earlier stage `{}`{}", at.text, nearest(at.text)));
    TRY(const ExprRef load, read(at, type->type, type->rank));
    return leaf(at, load);
  }
  if (indices_.contains(at.text)) return leaf(at, index(at.text));
  if (const std::optional<TensorType> type = tensor(at.text)) {
    if (type->rank == 0) return leaf(at, load(at.text, type->type, {}));
    return in_.fail(at, fmt::format("`{}` is a tensor of rank {}; write {}[...]", at.text, type->rank, at.text));
  }
  const auto symbol = steps_.find(at.text);
  if (symbol != steps_.end()) return leaf(at, dim_value(Dim::symbol(at.text, symbol->second)));
  if (in_where_) {
    indices_.insert(at.text);
    return leaf(at, index(at.text));
  }
  if (open_) return leaf(at, dim_value(Dim::symbol(at.text)));
  return in_.fail(at, fmt::format("`{}` is no index, scalar or symbol here{}", at.text, nearest(at.text)));
}

// at "(" ... ")": a row, a conversion, or max0 of a dim.
Expected<Syntax> Parser::call(const Token& at) {
  const Row* row = row_named(at.text);
  if (row == nullptr && at.text != "max0") {
    std::vector<std::string_view> names;
    for (const Row& candidate : rows()) names.push_back(candidate.name);
    return in_.fail(at, fmt::format("there is no row `{}`{}", at.text, text::suggestion(at.text, names)));
  }
  CHECK(in_.expect("("));
  Syntax out;
  out.at = at;
  out.row = row;
  while (!in_.at(")")) {
    if (!out.operands.empty()) CHECK(in_.expect_comma(")"));
    TRY(Syntax next, infix(0));
    out.operands.push_back(std::move(next));
  }
  CHECK(in_.expect(")"));
  const auto wanted = static_cast<std::size_t>(row != nullptr ? row->arity : 1);
  if (out.operands.size() != wanted) {
    return in_.fail(
        at, fmt::format("`{}` takes {}, found {}", at.text, text::count_of(wanted, "operand"), out.operands.size()));
  }
  if (row != nullptr) {
    out.own = own_type(*row, out.operands);
    return out;
  }
  TRY(const ExprRef inner, typed(out.operands[0], DType::index));
  if (inner->kind != Expr::Kind::dim && inner->kind != Expr::Kind::literal)
    return in_.fail(at, "max0 is of a dimension");
  return leaf(at, dim_value(inner->kind == Expr::Kind::dim ? inner->dim.max0() : Dim(inner->value.integer).max0()));
}

// name "[" [index {"," index} ["else" number]] "]"
Expected<ExprRef> Parser::read(const Token& at, DType type, std::size_t rank) {
  CHECK(in_.expect("["));
  std::vector<ExprRef> indices;
  std::optional<Literal> otherwise;
  while (!in_.at("]") && !otherwise) {
    if (!indices.empty()) CHECK(in_.expect_comma("]"));
    CHECK(in_.enter());
    TRY(ExprRef next, expression(DType::index));
    in_.leave();
    indices.push_back(std::move(next));
    if (!in_.accept("else")) continue;
    const Token number_at = in_.peek();
    TRY(const Literal number, in_.expect_number("a number"));
    TRY(otherwise, fitting(number, register_type(type), number_at));
  }
  CHECK(in_.expect("]"));
  if (indices.size() != rank) {
    return in_.fail(at,
                    fmt::format("`{}` has rank {}, found {}", at.text, rank, text::count_of(indices.size(), "index")));
  }
  if (otherwise) return load_else(at.text, type, std::move(indices), *otherwise);
  return load(at.text, type, std::move(indices));
}

Expected<ExprRef> Parser::typed(const Syntax& syntax, std::optional<DType> expected) {
  ExprRef out = syntax.leaf;
  if (out && expected == DType::index && out->kind == Expr::Kind::load && is_integer(out->type)) {
    out = apply(convert_row(DType::index), {out});
  }
  if (!out && syntax.row == nullptr) {
    if (!expected) return in_.fail(syntax.at, fmt::format("the number {} needs a type: f32(...)", syntax.at.text));
    TRY(const Literal number, fitting(syntax.number, *expected, syntax.at));
    return literal(*expected, number);
  }
  if (!out) {
    TRY(out, typed_row(syntax, expected));
  }
  if (expected && out->type != *expected) {
    return in_.fail(syntax.at, fmt::format("this is {}, wanted is {}", name_of(out->type), name_of(*expected)));
  }
  return out;
}

Expected<ExprRef> Parser::typed_row(const Syntax& syntax, std::optional<DType> expected) {
  const Row& row = *syntax.row;
  const std::span<const Syntax> x = syntax.operands;
  std::vector<std::optional<DType>> wanted(x.size());
  switch (row.typing) {
    case Typing::same:
      wanted.assign(x.size(), shared(x, expected));
      break;
    case Typing::compare:
      wanted.assign(x.size(), shared(x, std::nullopt));
      break;
    case Typing::select: {
      const std::optional<DType> type = shared(x.subspan(1), expected);
      wanted = {DType::boolean, type, type};
      break;
    }
    case Typing::shift: {
      const std::optional<DType> type = x[0].own ? x[0].own : expected;
      wanted = {type, x[1].own ? x[1].own : type};
      break;
    }
    case Typing::convert:
      // A number takes the type that it is converted to.
      if (!x[0].leaf && x[0].row == nullptr) {
        if (is_storage_only(row.target)) {
          return in_.fail(syntax.at, fmt::format("the number needs a type: {}({}(...))", row.name,
                                                 name_of(register_type(row.target))));
        }
        return typed(x[0], row.target);
      }
      break;
    case Typing::bitcast:
      break;
  }
  std::vector<ExprRef> operands;
  std::vector<DType> types;
  for (std::size_t i = 0; i < x.size(); ++i) {
    TRY(ExprRef next, typed(x[i], wanted[i]));
    types.push_back(next->type);
    operands.push_back(std::move(next));
  }
  if (!row_type(row, types)) {
    return in_.fail(syntax.at, fmt::format("`{}` does not take {}", row.name, types_text(operands)));
  }
  const bool is_index = types[0] == DType::index && (row.basic == Basic::div || row.basic == Basic::rem);
  if (is_index && (operands[1]->kind != Expr::Kind::literal || operands[1]->value.integer <= 0)) {
    return in_.fail(syntax.at, "an index is divided by a positive number");
  }
  if (syntax.at.text == "/" && is_index) return in_.fail(syntax.at, "the division of indices is written //");
  if (syntax.at.text == "//" && !is_index) return in_.fail(syntax.at, "// divides indices; numbers are divided by /");
  return apply(row, std::move(operands));
}

Expected<Literal> Parser::fitting(Literal number, DType type, const Token& at) {
  if (is_float(type)) return number;
  if (!number.is_integer) return in_.fail(at, fmt::format("{} is not {}", number.real, name_of(type)));
  const auto outside = [&](std::int64_t low, std::int64_t high) {
    return number.integer < low || number.integer > high;
  };
  using I32 = std::numeric_limits<std::int32_t>;
  using U32 = std::numeric_limits<std::uint32_t>;
  if ((type == DType::boolean && outside(0, 1)) || (type == DType::i32 && outside(I32::min(), I32::max())) ||
      (type == DType::u32 && outside(0, U32::max()))) {
    return in_.fail(at, fmt::format("{} is out of the range of {}", number.integer, name_of(type)));
  }
  return number;
}

std::optional<Parser::TensorType> Parser::tensor(std::string_view name) const {
  if (const Stage* stage = kernel_.stage(name)) return TensorType{stage->type, stage->indices.size()};
  if (const Param* param = kernel_.param(name)) return TensorType{param->type, param->shape.size()};
  return std::nullopt;
}

std::string Parser::nearest(std::string_view name) const {
  std::vector<std::string_view> names(indices_.begin(), indices_.end());
  for (const Param& param : kernel_.params) names.push_back(param.name);
  for (const Stage& stage : kernel_.stages) names.push_back(stage.name);
  for (const auto& [symbol, step] : steps_) names.push_back(symbol);
  return text::suggestion(name, names);
}

}  // namespace tusk::kernel
