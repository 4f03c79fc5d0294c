#include "ir/loop/parse.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "ir/text/count.hpp"
#include "ir/text/lexer.hpp"
#include "ir/text/suggest.hpp"

namespace tusk::loop {
namespace {

using text::Lexer;
using text::Token;

constexpr int kMostLanes = 1024;

// A number in text takes its type from its siblings. Until they are known, it and what is built on it are open: lanes
// is 0, or minus the lanes of a splat.
bool is_open(const ValueRef& value) { return value->type.lanes <= 0; }

ValueRef open_value(Value value, int lanes = 0) {
  value.type = {DType::index, -lanes};
  return std::make_shared<const Value>(std::move(value));
}

struct Operator {
  std::string_view symbol;
  std::string_view row;
  int strength;  // larger binds tighter; 0 does not chain
};

constexpr Operator kOperators[] = {{"==", "eq", 0}, {"!=", "ne", 0},  {"<", "lt", 0},   {"<=", "le", 0},
                                   {">", "gt", 0},  {">=", "ge", 0},  {"|", "or", 1},   {"^", "xor", 2},
                                   {"&", "and", 3}, {"<<", "shl", 4}, {">>", "shr", 4}, {"+", "add", 5},
                                   {"-", "sub", 5}, {"*", "mul", 6},  {"/", "div", 6}};

constexpr std::string_view kReserved[] = {"loop",  "row",   "store",   "for",   "parallel", "if",     "else",
                                          "call",  "let",   "barrier", "note",  "yield",    "return", "load",
                                          "splat", "ramp",  "tree",    "first", "mask",     "to",     "step",
                                          "carry", "const", "align",   "inf",   "nan",      "true",   "false"};

std::optional<Type> type_named(std::string_view word) {
  if (const auto element = dtype_named(word)) return Type{*element, 1};
  const std::size_t x = word.rfind('x');
  if (x == std::string_view::npos) return std::nullopt;
  const auto element = dtype_named(word.substr(0, x));
  int lanes = 0;
  const auto [end, fault] = std::from_chars(word.data() + x + 1, word.data() + word.size(), lanes);
  if (!element || fault != std::errc{} || end != word.data() + word.size() || lanes < 2 || lanes > kMostLanes) {
    return std::nullopt;
  }
  return Type{*element, lanes};
}

class Parser {
 public:
  Parser(std::string file, std::string_view text) : in_(std::move(file), text) {}

  Expected<Module> module() {
    Module out;
    while (!in_.at_end()) {
      TRY(Func next, func());
      out.funcs.push_back(std::move(next));
    }
    return out;
  }

 private:
  // Functions.

  Expected<Func> func() {
    Func out;
    types_.clear();
    buffers_.clear();
    ever_.clear();
    while (in_.accept("note")) {
      TRY(std::string comment, string());
      out.comments.push_back(std::move(comment));
    }
    const bool scalar = in_.at("row");
    if (!in_.accept("row")) CHECK(in_.expect("loop"));
    TRY(out.name, in_.expect_word("the name of a function"));
    CHECK(in_.expect("("));
    while (!in_.at(")")) {
      if (!out.buffers.empty() || !out.scalars.empty()) CHECK(in_.expect_comma(")"));
      CHECK(param(out, scalar));
    }
    CHECK(in_.expect(")"));
    if (scalar) {
      CHECK(in_.expect("->"));
      TRY(out.result_type, type());
    }
    CHECK(in_.expect("{"));
    TRY(out.body, statements());
    if (scalar) {
      CHECK(in_.expect("return"));
      TRY(out.result, value(out.result_type));
    }
    CHECK(in_.expect("}"));
    return out;
  }

  Status param(Func& out, bool scalar) {
    const Token at = in_.peek();
    TRY(const std::string name, new_name());
    CHECK(in_.expect(":"));
    const Token type_at = in_.peek();
    TRY(const Type type, any_type());
    if (!in_.accept("*")) {
      if (is_storage_only(type.element)) return no_register_type(type_at, type);
      out.scalars.push_back({name, type});
      types_[name] = type;
      return done();
    }
    if (scalar) return in_.fail(at, "a row has no buffers");
    if (!out.scalars.empty()) return in_.fail(at, "buffers come before scalars");
    Buffer buffer{name, type.element, in_.accept("const"), 0, {}};
    if (type.lanes != 1 || type.element == DType::index) return in_.fail(type_at, "a buffer has elements of memory");
    if (in_.accept("align")) {
      TRY(buffer.align, in_.expect_integer("an alignment"));
    }
    if (in_.peek().kind == Token::Kind::string) {
      TRY(buffer.note, string());
    }
    buffers_[name] = buffer.type;
    out.buffers.push_back(std::move(buffer));
    return done();
  }

  // Statements.

  Expected<Block> statements() {
    Block out;
    while (!in_.at("}") && !in_.at("yield") && !in_.at("return")) {
      TRY(Stmt next, statement());
      out.push_back(std::move(next));
    }
    return out;
  }

  // { statements [yield values] }. The types that are wanted, or nothing where the values decide.
  Status block(Block& body, std::vector<ValueRef>& yields, const std::vector<Carry>* wanted) {
    CHECK(in_.enter());
    CHECK(in_.expect("{"));
    const std::size_t outside = scope_.size();
    TRY(body, statements());
    if (in_.accept("yield")) {
      do {
        const std::size_t i = yields.size();
        const bool typed = wanted != nullptr && i < wanted->size();
        TRY(ValueRef next, value(typed ? std::optional((*wanted)[i].type) : std::nullopt));
        yields.push_back(std::move(next));
      } while (in_.accept(","));
    }
    if (wanted != nullptr && yields.size() != wanted->size()) {
      return in_.fail(fmt::format("{} yielded, {} carried", yields.size(), wanted->size()));
    }
    CHECK(in_.expect("}"));
    for (; scope_.size() > outside; scope_.pop_back()) {
      types_.erase(scope_.back());
      buffers_.erase(scope_.back());
    }
    in_.leave();
    return done();
  }

  Expected<Stmt> statement() {
    Stmt out;
    if (in_.accept("store")) {
      out.kind = Stmt::Kind::store;
      TRY(const DType element, buffer(out.base));
      CHECK(in_.expect("["));
      TRY(out.address, value(kIndex));
      CHECK(in_.expect("]"));
      CHECK(in_.expect(","));
      const Token at = in_.peek();
      TRY(const ValueRef stored, expression());
      TRY(out.value, closed(stored, Type{register_type(element), 1}, at));
      if (in_.accept("mask")) {
        TRY(out.mask, value(Type{DType::boolean, out.value->type.lanes}));
      }
      return out;
    }
    if (in_.accept("let")) return let_buffer();
    if (in_.accept("call")) return call();
    if (in_.accept("barrier")) {
      out.kind = Stmt::Kind::barrier;
      return out;
    }
    if (in_.accept("note")) {
      out.kind = Stmt::Kind::comment;
      TRY(out.name, string());
      return out;
    }
    const Token at = in_.peek();
    std::vector<std::string> results;
    if (!in_.at("for") && !in_.at("parallel") && !in_.at("if")) {
      do {
        TRY(std::string result, new_name());
        results.push_back(std::move(result));
      } while (in_.accept(","));
      CHECK(in_.expect("="));
    }
    if (in_.at("for") || in_.at("parallel")) {
      CHECK(loop(out, results));
    } else if (in_.accept("if")) {
      CHECK(branch(out, results));
    } else {
      if (results.size() != 1) return in_.fail(at, "only a loop or an if has several results");
      out.name = results[0];
      TRY(out.value, value());
      out.type = out.value->type;
      bind(out.name, out.type);
      return out;
    }
    if (results.size() != out.carries.size()) {
      return in_.fail(at, fmt::format("{} for {}", text::count_of(results.size(), "result"),
                                      text::count_of(out.carries.size(), "value")));
    }
    for (const Carry& carry : out.carries) bind(carry.result, carry.type);
    return out;
  }

  Status loop(Stmt& out, const std::vector<std::string>& results) {
    out.kind = Stmt::Kind::loop;
    if (in_.accept("parallel")) {
      out.parallel = 1;
      if (!in_.at("for")) {
        TRY(out.parallel, in_.expect_integer("for, or how many turns a thread takes at least"));
      }
      if (out.parallel < 1) return in_.fail(in_.peek(), "a thread takes at least 1 turn of a loop");
    }
    CHECK(in_.expect("for"));
    TRY(out.name, new_name());
    CHECK(in_.expect("="));
    TRY(out.low, value(kIndex));
    CHECK(in_.expect("to"));
    TRY(out.high, value(kIndex));
    CHECK(in_.expect("step"));
    TRY(out.step, in_.expect_integer("a step"));
    if (in_.accept("carry")) {
      CHECK(in_.expect("("));
      do {
        Carry carry;
        TRY(carry.name, new_name());
        CHECK(in_.expect("="));
        TRY(carry.init, value());
        carry.type = carry.init->type;
        if (out.carries.size() < results.size()) carry.result = results[out.carries.size()];
        out.carries.push_back(std::move(carry));
      } while (in_.accept(","));
      CHECK(in_.expect(")"));
    }
    // Bound in front of the block, so that they end with it.
    const std::size_t outside = scope_.size();
    bind(out.name, kIndex);
    for (const Carry& carry : out.carries) bind(carry.name, carry.type);
    CHECK(block(out.body, out.yields, &out.carries));
    for (; scope_.size() > outside; scope_.pop_back()) types_.erase(scope_.back());
    return done();
  }

  Status branch(Stmt& out, const std::vector<std::string>& results) {
    out.kind = Stmt::Kind::branch;
    TRY(out.value, value(Type{DType::boolean, 1}));
    CHECK(block(out.body, out.yields, nullptr));
    for (std::size_t i = 0; i < out.yields.size(); ++i) {
      out.carries.push_back({{}, i < results.size() ? results[i] : "", out.yields[i]->type, nullptr});
    }
    if (in_.accept("else")) CHECK(block(out.other, out.other_yields, &out.carries));
    if (out.other_yields.size() != out.yields.size()) return in_.fail("an if with results has an else");
    return done();
  }

  Expected<Stmt> let_buffer() {
    Stmt out;
    out.kind = Stmt::Kind::buffer;
    TRY(out.name, new_name());
    CHECK(in_.expect(":"));
    const Token at = in_.peek();
    TRY(out.type, any_type());
    if (out.type.lanes != 1 || out.type.element == DType::index) return in_.fail(at, "a buffer has elements of memory");
    CHECK(in_.expect("*"));
    CHECK(in_.expect("="));
    CHECK(buffer(out.base));
    CHECK(in_.expect("+"));
    TRY(out.address, value(kIndex));
    buffers_[out.name] = out.type.element;
    scope_.push_back(out.name);
    return out;
  }

  Expected<Stmt> call() {
    Stmt out;
    out.kind = Stmt::Kind::call;
    TRY(out.name, in_.expect_word("the name of a function"));
    CHECK(in_.expect("("));
    while (!in_.at(")")) {
      if (!out.arguments.empty()) CHECK(in_.expect_comma(")"));
      const auto it = buffers_.find(in_.peek().text);
      if (in_.peek().kind == Token::Kind::word && it != buffers_.end()) {
        out.arguments.push_back(name(in_.next().text, {it->second, 1}));
        continue;
      }
      TRY(ValueRef argument, value());
      out.arguments.push_back(std::move(argument));
    }
    CHECK(in_.expect(")"));
    return out;
  }

  // Values.

  // A whole value. An open number takes the expected type, or is an index; anything else has to have this type.
  Expected<ValueRef> value(std::optional<Type> expected = std::nullopt) {
    const Token at = in_.peek();
    TRY(const ValueRef read, expression());
    TRY(const ValueRef out, closed(read, expected ? *expected : kIndex, at));
    if (expected && out->type != *expected) {
      return in_.fail(at, fmt::format("this is {}, wanted is {}", str(out->type), str(*expected)));
    }
    return out;
  }

  Expected<ValueRef> expression(int strength = 0) {
    CHECK(in_.enter());
    int entered = 1;
    TRY(ValueRef left, operand());
    while (in_.peek().kind == Token::Kind::punct) {
      const Token at = in_.peek();
      const auto* op = std::find_if(std::begin(kOperators), std::end(kOperators),
                                    [&](const Operator& o) { return o.symbol == at.text; });
      if (op == std::end(kOperators) || op->strength < strength) break;
      in_.next();
      CHECK(in_.enter());  // a chain is as deep as it is long
      ++entered;
      TRY(const ValueRef right, expression(op->strength + 1));
      TRY(left, applied(*row_named(op->row), {left, right}, at));
      if (op->strength == 0) strength = 1;
    }
    for (; entered > 0; --entered) in_.leave();
    return left;
  }

  Expected<ValueRef> operand() {
    const Token at = in_.peek();
    if (at.kind == Token::Kind::number || at.text == "inf" || at.text == "nan" || at.text == "true" ||
        at.text == "false") {
      return number();
    }
    if (in_.at("-")) {
      const Token& next = in_.peek(1);
      if (next.kind == Token::Kind::number || next.text == "inf" || next.text == "nan") return number();
      in_.next();
      CHECK(in_.enter());
      TRY(const ValueRef x, operand());
      in_.leave();
      return applied(*row_named("neg"), {x}, at);
    }
    if (in_.accept("(")) {
      TRY(const ValueRef inner, expression());
      CHECK(in_.expect(")"));
      return inner;
    }
    if (at.kind != Token::Kind::word) return in_.fail("expected a value");
    if (in_.accept("load")) return load_value();
    if (in_.accept("splat")) {
      TRY(const int lanes, lane_count());
      CHECK(in_.enter());
      TRY(const ValueRef scalar, operand());
      in_.leave();
      if (is_open(scalar)) return open_value({.kind = Value::Kind::splat, .operands = {scalar}}, lanes);
      if (scalar->type.lanes != 1) return in_.fail(at, fmt::format("splat of a vector, {}", str(scalar->type)));
      return splat(lanes, scalar);
    }
    if (in_.accept("ramp")) {
      TRY(const int lanes, lane_count());
      return ramp(lanes);
    }
    if (in_.accept("tree")) return tree_value();
    in_.next();
    if (in_.at("(")) return call_value(at);
    const auto it = types_.find(at.text);
    if (it != types_.end()) return name(at.text, it->second);
    if (buffers_.contains(at.text))
      return in_.fail(at, fmt::format("`{}` is a buffer; write load {}[...]", at.text, at.text));
    return in_.fail(at, fmt::format("`{}` is not defined here{}", at.text, nearest(at.text, types_)));
  }

  Expected<ValueRef> number() {
    const Token at = in_.peek();
    const bool truth = at.text == "true" || at.text == "false";
    TRY(const Literal number, in_.expect_number("a number"));
    if (truth) return literal({DType::boolean, 1}, number);
    return open_value({.kind = Value::Kind::literal, .literal = number});
  }

  Expected<ValueRef> load_value() {
    Type type;
    const bool vector = in_.peek(1).kind == Token::Kind::word;
    const Token type_at = in_.peek();
    if (vector) {
      TRY(type, this->type());
    }
    std::string base;
    const Token at = in_.peek();
    TRY(const DType element, buffer(base));
    const Type scalar{register_type(element), 1};
    if (!vector) type = scalar;
    if (type.element != scalar.element) {
      return in_.fail(type_at, fmt::format("a load of {} from a buffer of {} gives {}", str(type), name_of(element),
                                           name_of(scalar.element)));
    }
    CHECK(in_.expect("["));
    TRY(const ValueRef address, value(kIndex));
    CHECK(in_.expect("]"));
    if (!in_.accept("mask")) return load(base, type, address);
    const Token mask_at = in_.peek();
    TRY(const ValueRef mask, expression());
    if (mask->type != Type{DType::boolean, type.lanes}) {
      return in_.fail(mask_at, fmt::format("the mask is {}, wanted is {}", is_open(mask) ? "a number" : str(mask->type),
                                           str({DType::boolean, type.lanes})));
    }
    CHECK(in_.expect("else"));
    const Token else_at = in_.peek();
    TRY(const ValueRef otherwise, number());
    TRY(const ValueRef rounded, closed(otherwise, scalar, else_at));
    return load_masked(base, type, address, mask, rounded->literal);
  }

  Expected<ValueRef> tree_value() {
    const Token at = in_.peek();
    TRY(const Row* row, this->row());
    CHECK(in_.expect("("));
    const Token vector_at = in_.peek();
    TRY(const ValueRef vector, value());
    CHECK(in_.expect(")"));
    const int lanes = vector->type.lanes;
    if (lanes < 2 || (lanes & (lanes - 1)) != 0) {
      return in_.fail(vector_at,
                      fmt::format("a tree combines a vector of 2, 4, 8, ... lanes, this is {}", str(vector->type)));
    }
    const DType pair[] = {vector->type.element, vector->type.element};
    if (row->typing != Typing::same || !row_type(*row, pair)) {
      return in_.fail(at, fmt::format("`{}` does not combine two {}", row->name, name_of(pair[0])));
    }
    return tree(*row, vector);
  }

  // at "(" ... ")": a row, a conversion, or first.
  Expected<ValueRef> call_value(const Token& at) {
    const Row* row = nullptr;
    if (at.text != "first") {
      row = row_named(at.text);
      if (row == nullptr) return unknown_row(at);
    }
    CHECK(in_.expect("("));
    std::vector<ValueRef> operands;
    while (!in_.at(")")) {
      if (!operands.empty()) CHECK(in_.expect_comma(")"));
      TRY(ValueRef next, expression());
      operands.push_back(std::move(next));
    }
    CHECK(in_.expect(")"));
    return row != nullptr ? applied(*row, std::move(operands), at) : first_value(std::move(operands), at);
  }

  Expected<ValueRef> first_value(std::vector<ValueRef> x, const Token& at) {
    if (x.size() != 3) return in_.fail(at, fmt::format("first takes 3 operands, found {}", x.size()));
    TRY(x[0], closed(x[0], kIndex, at));
    CHECK(share_type(std::span(x).subspan(1), at));
    if (is_open(x[1])) return open_value({.kind = Value::Kind::first, .operands = std::move(x)});
    if (x[0]->type != kIndex || x[1]->type != x[2]->type) {
      return in_.fail(at, fmt::format("first takes an index and two values of one type, found {}", types_text(x)));
    }
    return first(x[0], x[1], x[2]);
  }

  // A row on operands, of which some may be open.
  Expected<ValueRef> applied(const Row& row, std::vector<ValueRef> x, const Token& at) {
    if (x.size() != static_cast<std::size_t>(row.arity)) {
      return in_.fail(at, fmt::format("`{}` takes {} operand{}, found {}", row.name, row.arity,
                                      row.arity == 1 ? "" : "s", x.size()));
    }
    bool still_open = false;
    switch (row.typing) {
      case Typing::same:
        CHECK(share_type(x, at));
        still_open = is_open(x[0]);
        break;
      case Typing::compare:
        CHECK(share_type(x, at));
        for (ValueRef& operand : x) {
          TRY(operand, closed(operand, kIndex, at));
        }
        break;
      case Typing::select:
        if (is_open(x[0])) return in_.fail(at, "the condition of a select is a bool");
        CHECK(share_type(std::span(x).subspan(1), at));
        still_open = is_open(x[1]);
        break;
      case Typing::shift:
        still_open = is_open(x[0]);
        if (!still_open) {
          TRY(x[1], closed(x[1], x[0]->type, at));
        }
        break;
      case Typing::convert:
        if (x[0]->kind == Value::Kind::literal && is_open(x[0])) {
          if (!is_storage_only(row.target)) return closed(x[0], Type{row.target, 1}, at);
          return in_.fail(
              at, fmt::format("the number needs a type: {}({}(...))", row.name, name_of(register_type(row.target))));
        }
        [[fallthrough]];
      case Typing::bitcast: {
        TRY(x[0], closed(x[0], kIndex, at));
        break;
      }
    }
    if (still_open) return open_value({.kind = Value::Kind::row, .row = &row, .operands = std::move(x)});
    std::vector<DType> elements;
    bool same_lanes = true;
    for (const ValueRef& operand : x) {
      elements.push_back(operand->type.element);
      same_lanes = same_lanes && operand->type.lanes == x[0]->type.lanes;
    }
    if (!same_lanes || !row_type(row, elements)) {
      Diagnostic problem = in_.fail(at, fmt::format("`{}` does not take {}", row.name, types_text(x)));
      if (!same_lanes) problem.note("scalars become vectors by `splat LANES x`");
      return problem;
    }
    return apply(row, std::move(x));
  }

  // Gives the type of the first operand that has one to those that have none.
  Status share_type(std::span<ValueRef> operands, const Token& at) {
    const auto known = std::find_if(operands.begin(), operands.end(), [](const ValueRef& o) { return !is_open(o); });
    if (known == operands.end()) return done();
    const Type type = (*known)->type;
    for (ValueRef& operand : operands) {
      TRY(operand, closed(operand, type, at));
    }
    return done();
  }

  // An open value with its type; any other value as it is.
  Expected<ValueRef> closed(const ValueRef& value, Type type, const Token& at) {
    if (!is_open(value)) return value;
    std::vector<ValueRef> x = value->operands;
    switch (value->kind) {
      case Value::Kind::literal:
        return typed_number(value->literal, type, at);
      case Value::Kind::splat: {
        TRY(const ValueRef scalar, closed(x[0], Type{type.element, 1}, at));
        if (scalar->type.lanes != 1) return in_.fail(at, fmt::format("splat of a vector, {}", str(scalar->type)));
        return splat(-value->type.lanes, scalar);
      }
      case Value::Kind::first:
        for (const std::size_t i : {1U, 2U}) {
          TRY(x[i], closed(x[i], type, at));
        }
        return first_value(std::move(x), at);
      default:
        for (ValueRef& operand : x) {
          TRY(operand, closed(operand, type, at));
        }
        return applied(*value->row, std::move(x), at);
    }
  }

  Expected<ValueRef> typed_number(Literal number, Type type, const Token& at) {
    const auto outside = [&](std::int64_t low, std::int64_t high) {
      return number.integer < low || number.integer > high;
    };
    if (is_float(type.element)) {
      // `-0` is an integer to the lexer.
      if (number.is_integer && number.integer == 0) number = kernel::literal_of(number.real);
      return literal(type, number);
    }
    if (!number.is_integer) {
      return in_.fail(at, type == kIndex ? fmt::format("the number {} needs a type: f32(...)", number.real)
                                         : fmt::format("{} is not {}", number.real, str(type)));
    }
    if ((type.element == DType::boolean && outside(0, 1)) ||
        (type.element == DType::i32 &&
         outside(std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max())) ||
        (type.element == DType::u32 && outside(0, std::numeric_limits<std::uint32_t>::max()))) {
      return in_.fail(at, fmt::format("{} is out of the range of {}", number.integer, name_of(type.element)));
    }
    return literal(type, number);
  }

  // Names and types.

  static std::string types_text(const std::vector<ValueRef>& values) {
    std::vector<std::string> out;
    for (const ValueRef& value : values) out.push_back(is_open(value) ? "a number" : str(value->type));
    return fmt::format("{}", fmt::join(out, ", "));
  }

  Expected<std::string> string() {
    if (in_.peek().kind != Token::Kind::string) return in_.fail("expected a string");
    return in_.next().text;
  }

  // A name that is new in its function.
  Expected<std::string> new_name() {
    const Token at = in_.peek();
    TRY(std::string name, in_.expect_word("a name"));
    if (is_reserved(name)) return in_.fail(at, fmt::format("`{}` is reserved and cannot be a name", name));
    if (!ever_.insert(name).second) return in_.fail(at, fmt::format("`{}` is defined twice", name));
    return name;
  }

  void bind(const std::string& name, Type type) {
    types_[name] = type;
    scope_.push_back(name);
  }

  // The name of a buffer that is visible; gives the type of its elements.
  Expected<DType> buffer(std::string& out) {
    const Token at = in_.peek();
    TRY(out, in_.expect_word("a buffer"));
    const auto it = buffers_.find(out);
    if (it != buffers_.end()) return it->second;
    return in_.fail(at, fmt::format("`{}` is not a buffer here{}", out, nearest(out, buffers_)));
  }

  Expected<Type> any_type() {
    const Token at = in_.peek();
    TRY(const std::string word, in_.expect_word("a type"));
    if (const std::optional<Type> type = type_named(word)) return *type;
    return in_.fail(at, fmt::format("`{}` is not a type", word));
  }

  Expected<Type> type() {
    const Token at = in_.peek();
    TRY(const Type type, any_type());
    if (is_storage_only(type.element)) return no_register_type(at, type);
    return type;
  }

  Diagnostic no_register_type(const Token& at, Type type) {
    return in_.fail(at, fmt::format("{} lives in memory only, in registers it is {}", name_of(type.element),
                                    name_of(register_type(type.element))));
  }

  Expected<int> lane_count() {
    const Token at = in_.peek();
    TRY(const std::int64_t lanes, in_.expect_integer("a number of lanes"));
    if (lanes < 2 || lanes > kMostLanes) return in_.fail(at, fmt::format("a vector has 2 to {} lanes", kMostLanes));
    return static_cast<int>(lanes);
  }

  Expected<const Row*> row() {
    const Token at = in_.peek();
    TRY(const std::string name, in_.expect_word("a row"));
    if (const Row* found = row_named(name)) return found;
    return unknown_row(at);
  }

  Diagnostic unknown_row(const Token& at) {
    std::vector<std::string_view> names;
    for (const Row& row : rows()) names.push_back(row.name);
    return in_.fail(at, fmt::format("there is no row `{}`{}", at.text, text::suggestion(at.text, names)));
  }

  template <class T>
  static std::string nearest(std::string_view name, const std::unordered_map<std::string, T>& visible) {
    std::vector<std::string_view> names;
    for (const auto& [candidate, unused] : visible) names.push_back(candidate);
    std::sort(names.begin(), names.end());
    return text::suggestion(name, names);
  }

  Lexer in_;
  std::unordered_map<std::string, Type> types_;     // visible values
  std::unordered_map<std::string, DType> buffers_;  // visible buffers
  std::vector<std::string> scope_;                  // visible names in order of definition, to end with their block
  std::unordered_set<std::string> ever_;            // all names of the function
};

}  // namespace

bool is_reserved(std::string_view word) {
  return type_named(word).has_value() ||
         std::find(std::begin(kReserved), std::end(kReserved), word) != std::end(kReserved);
}

Expected<Module> parse(std::string_view text, std::string file) { return Parser(std::move(file), text).module(); }

}  // namespace tusk::loop
