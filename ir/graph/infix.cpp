#include "ir/graph/infix.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>

#include "ir/row/row.hpp"
#include "ir/text/lexer.hpp"

namespace tusk::graph {
namespace {

/// A row applied to arguments, or a leaf (row empty).
struct Formula {
  std::string row;
  std::vector<Formula> args;
  Operand leaf;

  bool is_number(double value) const {
    return row.empty() && leaf.kind == Operand::Kind::literal && leaf.literal.as_double() == value;
  }
};

// A number or dim as a dim, if it is a whole number.
std::optional<Dim> as_dim(const Formula& f) {
  if (!f.row.empty()) return std::nullopt;
  if (f.leaf.kind == Operand::Kind::dim) return f.leaf.dim;
  if (f.leaf.kind != Operand::Kind::literal) return std::nullopt;
  const double value = f.leaf.literal.as_double();
  if (value != std::floor(value) || std::abs(value) > 0x1p31) return std::nullopt;
  return Dim(static_cast<std::int64_t>(value));
}

Formula call(std::string row, std::vector<Formula> args) {
  const auto number = [&](std::size_t i) { return args[i].row.empty() && args[i].leaf.kind == Operand::Kind::literal; };
  const auto value = [&](std::size_t i) { return args[i].leaf.literal.as_double(); };
  // A select between numbers is folded by its condition alone, or its other branch would be emitted for nothing.
  if (row == "select" && args.size() == 3 && number(0)) return value(0) != 0 ? args[1] : args[2];
  const Row* known = row_named(row);
  bool numbers =
      known != nullptr && known->reference != nullptr && args.size() == static_cast<std::size_t>(known->arity);
  double x[3] = {0, 0, 0};
  for (std::size_t i = 0; i < args.size() && numbers; ++i) {
    numbers = number(i);
    if (numbers) x[i] = value(i);
  }
  if (numbers) return {{}, {}, Operand::number(known->reference(x[0], x[1], x[2]))};
  if (args.size() == 2 && (row == "add" || row == "sub" || row == "mul")) {
    const std::optional<Dim> left = as_dim(args[0]), right = as_dim(args[1]);
    if (left && right)
      return {{}, {}, Operand::of(row == "add" ? *left + *right : row == "sub" ? *left - *right : *left * *right)};
  }
  return {std::move(row), std::move(args), {}};
}

class FormulaParser {
 public:
  FormulaParser(std::string_view text, const Names& names) : lexer_("formula", text), names_(names) {}

  Expected<Formula> parse() {
    TRY(Formula out, comparison());
    if (!lexer_.at_end()) return lexer_.fail("expected the end of the formula");
    return out;
  }

 private:
  Expected<Formula> comparison() {
    static constexpr std::pair<std::string_view, const char*> kRows[] = {{"==", "eq"}, {"!=", "ne"}, {"<", "lt"},
                                                                         {"<=", "le"}, {">", "gt"},  {">=", "ge"}};
    CHECK(lexer_.enter());
    TRY(Formula left, sum());
    for (const auto& [sign, row] : kRows) {
      if (!lexer_.accept(sign)) continue;
      TRY(Formula right, sum());
      left = call(row, {std::move(left), std::move(right)});
      break;
    }
    lexer_.leave();
    return left;
  }

  Expected<Formula> sum() {
    TRY(Formula left, product());
    while (lexer_.at("+") || lexer_.at("-")) {
      const bool plus = lexer_.next().text == "+";
      TRY(Formula right, product());
      left = call(plus ? "add" : "sub", {std::move(left), std::move(right)});
    }
    return left;
  }

  Expected<Formula> product() {
    TRY(Formula left, unary());
    while (lexer_.at("*") || lexer_.at("/")) {
      const bool times = lexer_.next().text == "*";
      TRY(Formula right, unary());
      left = call(times ? "mul" : "div", {std::move(left), std::move(right)});
    }
    return left;
  }

  Expected<Formula> unary() {
    if (!lexer_.accept("-")) return primary();
    TRY(Formula inner, unary());
    return call("neg", {std::move(inner)});
  }

  Expected<Formula> primary() {
    if (lexer_.accept("(")) {
      TRY(Formula inner, comparison());
      CHECK(lexer_.expect(")"));
      return inner;
    }
    if (lexer_.peek().kind == text::Token::Kind::word && lexer_.peek(1).text == "(") {
      const std::string row = lexer_.next().text;
      lexer_.next();
      std::vector<Formula> args;
      do {
        TRY(Formula arg, comparison());
        args.push_back(std::move(arg));
      } while (lexer_.accept(","));
      CHECK(lexer_.expect(")"));
      return call(row, std::move(args));
    }
    if (const auto it = names_.find(lexer_.peek().text); it != names_.end()) {
      lexer_.next();
      return Formula{{}, {}, it->second};
    }
    TRY(const Literal number, lexer_.expect_number("a number or a name"));
    return Formula{{}, {}, Operand::number(number)};
  }

  text::Lexer lexer_;
  const Names& names_;
};

// Where all operands that decide the type of a row are numbers, the first of them is spread over the shape of `like`.
Operand emit(Builder& b, const Formula& f, const std::optional<Type>& like = {}) {
  if (f.row.empty()) return f.leaf;
  std::vector<Operand> operands;
  for (const Formula& arg : f.args) operands.push_back(emit(b, arg, like));
  const auto is_number = [](const Operand& x) {
    return x.kind == Operand::Kind::literal || x.kind == Operand::Kind::dim;
  };
  const auto deciding = operands.begin() + (f.row == "select" ? 1 : 0);
  if (like && std::all_of(deciding, operands.end(), is_number)) *deciding = b.map("add", {b.fill(*like, 0), *deciding});
  return b.map(f.row, std::move(operands));
}

std::optional<Operand> times(Builder& b, const Operand& dy, const Formula& f) {
  if (f.is_number(0)) return std::nullopt;
  if (f.is_number(1)) return dy;
  if (f.is_number(-1)) return b.map("neg", {dy});
  if (f.row == "neg") {
    const std::optional<Operand> inner = times(b, dy, f.args[0]);
    return inner ? std::optional(b.map("neg", {*inner})) : std::nullopt;
  }
  if (f.row == "mul") {
    const std::optional<Operand> left = times(b, dy, f.args[0]);
    return left ? times(b, *left, f.args[1]) : std::nullopt;
  }
  if (f.row == "div") {
    const std::optional<Operand> left = times(b, dy, f.args[0]);
    return left ? std::optional(b.map("div", {*left, emit(b, f.args[1], b.type(dy))})) : std::nullopt;
  }
  if (f.row == "select") {
    const std::optional<Operand> yes = times(b, dy, f.args[1]);
    const std::optional<Operand> no = times(b, dy, f.args[2]);
    if (!yes && !no) return std::nullopt;
    const Operand zero = Operand::number(0.0);
    return b.map("select", {emit(b, f.args[0], b.type(dy)), yes.value_or(zero), no.value_or(zero)});
  }
  return b.map("mul", {dy, emit(b, f, b.type(dy))});
}

}  // namespace

Expected<Operand> emit_infix(Builder& b, std::string_view formula, const Names& names) {
  TRY(const Formula f, FormulaParser(formula, names).parse());
  return emit(b, f);
}

std::optional<Operand> row_gradient(Builder& b, const Row& row, std::size_t i, const std::vector<Operand>& operands,
                                    const Operand& result, const Operand& dy) {
  Names names{{"y", result}};
  static constexpr const char* kOperands[] = {"a", "b", "c"};
  for (std::size_t k = 0; k < operands.size() && k < 3; ++k) names.emplace(kOperands[k], operands[k]);
  Expected<Formula> f = FormulaParser(row.derivative[i], names).parse();
  if (f) return times(b, dy, *f);
  if (!b.problem) b.problem = f.problem().note(fmt::format("in the derivative of row {} by operand {}", row.name, i));
  return std::nullopt;
}

}  // namespace tusk::graph
