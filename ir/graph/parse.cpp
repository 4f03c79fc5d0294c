#include "ir/graph/parse.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <set>
#include <unordered_map>

#include "ir/graph/op.hpp"
#include "ir/graph/print.hpp"
#include "ir/graph/reader.hpp"
#include "ir/text/count.hpp"

namespace tusk::graph {
namespace {

using text::Token;

class Parser {
 public:
  Parser(const Module& module, std::string file, std::string_view text)
      : module_(module), parts_{module, {std::move(file), text}} {}

  /// Fills the module that this parser also looks names up in.
  Status parse_module(Module& module, std::span<const std::byte> weights) {
    CHECK(lexer_.expect("module"));
    TRY(module.name, parts_.name("the module's name"));
    CHECK(lexer_.expect("numerics"));
    const Token version = lexer_.peek();
    TRY(const std::int64_t numerics, lexer_.expect_integer("a version"));
    if (numerics != 1) return lexer_.fail(version, fmt::format("numerics {} is not known, only 1", numerics));
    CHECK(lexer_.expect("/"));
    if (!lexer_.at("fma") && !lexer_.at("muladd")) return lexer_.fail("expected the profile fma or muladd");
    module.profile = lexer_.next().text;
    return parse_declarations(module, weights);
  }

  /// What stands behind the header.
  Status parse_declarations(Module& module, std::span<const std::byte> weights) {
    while (!lexer_.at_end()) {
      if (lexer_.accept("symbol")) {
        TRY(Symbol symbol, parse_symbol());
        module.symbols.push_back(std::move(symbol));
      } else if (lexer_.at("state") || lexer_.at("const")) {
        TRY(Global global, parse_global(weights));
        module.globals.push_back(std::move(global));
      } else if (lexer_.at("func")) {
        const Token at = lexer_.peek(1);
        TRY(Function function, parse_function(nullptr));
        if (module.function(function.name) != nullptr) {
          return lexer_.fail(at, fmt::format("function `{}` is defined twice", function.name));
        }
        module.functions.push_back(std::move(function));
      } else {
        return lexer_.fail("expected symbol, state, const or func");
      }
    }
    return done();
  }

  /// With `args`, a body: see parse_body.
  Expected<Function> parse_function(const std::span<const BodyArgument>* args) {
    function_ = {};
    names_.clear();
    CHECK(lexer_.expect("func"));
    TRY(function_.name, parts_.name("the function's name"));
    CHECK(params(args));
    CHECK(lexer_.expect("->"));
    TRY(const std::vector<Result> results, parse_results());
    if (lexer_.accept("requires")) {
      do {
        TRY(Condition condition, parse_condition());
        function_.conditions.push_back(std::move(condition));
      } while (lexer_.accept(","));
    }
    CHECK(lexer_.expect("{"));
    while (!lexer_.accept("}")) {
      if (lexer_.accept("update")) {
        CHECK(parse_update());
      } else {
        CHECK(parse_op(function_.ops));
      }
    }
    for (const Result& result : results) CHECK(resolve(result, args != nullptr));
    return std::move(function_);
  }

  Status expect_end() {
    if (!lexer_.at_end()) return lexer_.fail("expected the end of the text");
    return done();
  }

 private:
  // A result of the function, whose value is defined further down.
  struct Result {
    std::optional<std::string> name;
    Token value;
    std::optional<Operand> operand;  // if it is no value
    std::optional<Type> type;
  };

  // --- errors

  // Points an error that knows no text at a token.
  Diagnostic located(const Token& at, Diagnostic problem) {
    if (!problem.spot) problem.spot = lexer_.fail(at, "").spot;
    return problem;
  }

  // --- declarations

  Expected<Symbol> parse_symbol() {
    static constexpr std::string_view kReserved[] = {"inf", "nan",    "true",  "false",  "max0",
                                                     "loc", "region", "yield", "update", "requires"};
    Symbol out;
    const Token at = lexer_.peek();
    TRY(out.name, lexer_.expect_word("the symbol's name"));
    if (std::ranges::find(kReserved, out.name) != std::end(kReserved)) {
      return lexer_.fail(at, fmt::format("`{}` has a meaning of its own", out.name));
    }
    if (module_.symbol(out.name) != nullptr)
      return lexer_.fail(at, fmt::format("symbol `{}` is declared twice", out.name));
    CHECK(lexer_.expect("in"));
    TRY(out.low, lexer_.expect_integer("the least value"));
    CHECK(lexer_.expect(".."));
    TRY(out.high, lexer_.expect_integer("the greatest value"));
    if (lexer_.accept("step")) {
      TRY(out.step, lexer_.expect_integer("the step"));
    }
    if (out.low < 0 || out.high < out.low || out.high > INT32_MAX || out.step < 1 ||
        out.high / out.step * out.step < out.low) {
      return lexer_.fail(
          at, fmt::format("symbol `{}` has no value: {}..{} step {}", out.name, out.low, out.high, out.step));
    }
    return out;
  }

  Expected<Global> parse_global(std::span<const std::byte> weights) {
    Global out;
    out.is_state = lexer_.next().text == "state";
    const Token at = lexer_.peek();
    if (at.kind != Token::Kind::global) return lexer_.fail("expected @ and a name");
    out.path = lexer_.next().text;
    if (module_.global_named(out.path) >= 0) return lexer_.fail(at, fmt::format("`{}` is declared twice", out.path));
    CHECK(lexer_.expect(":"));
    TRY(out.type, parts_.type());
    CHECK(lexer_.expect("="));
    CHECK(parts_.init(out, at, weights));
    out.trainable = lexer_.accept("trainable");
    return out;
  }

  // --- functions

  Status params(const std::span<const BodyArgument>* args) {
    CHECK(lexer_.expect("("));
    for (std::size_t i = 0; !lexer_.at(")"); ++i) {
      const Token at = lexer_.peek();
      if (at.kind != Token::Kind::value) return lexer_.fail("expected % and a name");
      lexer_.next();
      if (args == nullptr) {
        CHECK(lexer_.expect(":"));
        TRY(Type param_type, parts_.type());
        TRY(const int id, define(at, std::move(param_type)));
        function_.params.push_back(id);
      } else if (i >= args->size()) {
        return lexer_.fail(at, fmt::format("{} for more parameters", text::count_of(args->size(), "argument")));
      } else if (const BodyArgument& arg = (*args)[i]; arg.number) {
        names_.emplace(at.text, *arg.number);
      } else if (arg.type) {
        TRY(const int id, define(at, *arg.type));
        function_.params.push_back(id);
      }
      if (!lexer_.accept(",")) break;
    }
    return lexer_.expect(")");
  }

  Expected<std::vector<Result>> parse_results() {
    std::vector<Result> out;
    CHECK(lexer_.expect("("));
    while (!lexer_.at(")")) {
      Result result;
      if (lexer_.peek(1).text == "=") {
        TRY(result.name, parts_.name("the result's name"));
        lexer_.next();
      }
      result.value = lexer_.peek();
      if (result.value.kind == Token::Kind::value) {
        lexer_.next();
      } else {
        TRY(result.operand, operand());
      }
      if (lexer_.accept(":")) {
        TRY(result.type, parts_.type());
      }
      out.push_back(std::move(result));
      if (!lexer_.accept(",")) break;
    }
    CHECK(lexer_.expect(")"));
    return out;
  }

  // A body may give back a number, which its reader puts in; a function gives tensors.
  Status resolve(const Result& result, bool numbers) {
    Operand value;
    if (result.operand) {
      value = *result.operand;
    } else {
      TRY(value, value_named(result.value));
    }
    const bool is_number = value.kind == Operand::Kind::literal || value.kind == Operand::Kind::dim;
    if (is_number && !numbers) return lexer_.fail(result.value, "a result is a tensor; write a const");
    const Type found = type_of(module_, function_, value);
    if (result.type && *result.type != found) {
      return lexer_.fail(result.value, fmt::format("result is {}, not {}", str(found), str(*result.type)));
    }
    const bool named = result.value.kind == Token::Kind::value || result.value.kind == Token::Kind::global;
    std::string result_name =
        result.name.value_or(named ? result.value.text : fmt::format("result{}", function_.results.size()));
    if (std::ranges::find(function_.result_names, result_name) != function_.result_names.end()) {
      return lexer_.fail(result.value, fmt::format("two results are named `{}`", result_name));
    }
    function_.results.push_back(std::move(value));
    function_.result_names.push_back(std::move(result_name));
    return done();
  }

  Expected<Condition> parse_condition() {
    Condition out;
    TRY(out.left, parts_.dim());
    if (lexer_.accept("%")) {
      out.kind = Condition::Kind::divisible;
      const Token at = lexer_.peek();
      TRY(const std::int64_t divisor, lexer_.expect_integer("a divisor"));
      if (divisor < 1) return lexer_.fail(at, "a divisor must be positive");
      out.right = Dim(divisor);
      CHECK(lexer_.expect("=="));
      const Token rest_at = lexer_.peek();
      TRY(const std::int64_t rest, lexer_.expect_integer("0"));
      if (rest != 0) return lexer_.fail(rest_at, "a remainder must be 0");
      return out;
    }
    if (lexer_.accept(">=")) {
      out.kind = Condition::Kind::at_least;
    } else {
      CHECK(lexer_.expect("=="));
    }
    TRY(out.right, parts_.dim());
    return out;
  }

  Status parse_update() {
    const Token at = lexer_.peek();
    TRY(const Operand global, operand());
    if (global.kind != Operand::Kind::global) return lexer_.fail(at, "expected a state");
    CHECK(lexer_.expect("="));
    TRY(Operand value, operand());
    function_.updates.push_back({global.id, std::move(value)});
    return done();
  }

  // --- ops

  Expected<int> define(const Token& at, Type value_type) {
    if (function_.names.contains(at.text)) return lexer_.fail(at, fmt::format("value `%{}` is defined twice", at.text));
    const int id = function_.add_value(at.text, std::move(value_type));
    names_.emplace(at.text, Operand::value(id));
    return id;
  }

  Expected<Operand> value_named(const Token& at) {
    if (const auto it = names_.find(at.text); it != names_.end()) return it->second;
    std::vector<std::string_view> known;
    for (const auto& [known_name, value] : names_) known.push_back(known_name);
    std::ranges::sort(known);  // the map has no order, an error must
    return parts_.unknown("value-unknown", at, "value", known);
  }

  // Whether an operand begins here. A value may also begin the next op: `%a, %b = ...`.
  bool at_operand() const {
    const Token& token = lexer_.peek();
    switch (token.kind) {
      case Token::Kind::global:
      case Token::Kind::number:
        return true;
      case Token::Kind::punct:
        return token.text == "-" || token.text == "(";
      case Token::Kind::word:
        return token.text == "inf" || token.text == "nan" || token.text == "true" || token.text == "false" ||
               token.text == "max0" || module_.symbol(token.text) != nullptr;
      case Token::Kind::value:
        break;
      default:
        return false;
    }
    std::size_t i = 1;
    while (lexer_.peek(i).text == "," && lexer_.peek(i + 1).kind == Token::Kind::value) i += 2;
    return lexer_.peek(i).text != "=";
  }

  Expected<Operand> operand() {
    const Token at = lexer_.peek();
    switch (at.kind) {
      case Token::Kind::value:
        lexer_.next();
        return value_named(at);
      case Token::Kind::global: {
        lexer_.next();
        const int id = module_.global_named(at.text);
        if (id >= 0) return Operand::global(id);
        std::vector<std::string_view> known;
        for (const Global& global : module_.globals) known.push_back(global.path);
        return parts_.unknown("state-unknown", at, "state or const", known);
      }
      case Token::Kind::word:
        if (at.text != "inf" && at.text != "nan" && at.text != "true" && at.text != "false") {
          TRY(Dim d, parts_.dim());
          return Operand::of(std::move(d));
        }
        break;
      case Token::Kind::punct:
        if (at.text == "(") {
          lexer_.next();
          TRY(Dim d, parts_.dim());
          CHECK(lexer_.expect(")"));
          return Operand::of(std::move(d));
        }
        break;
      default:
        break;
    }
    TRY(const Literal literal, parts_.number());
    return Operand::number(literal);
  }

  Status parse_op(std::vector<Op>& ops) {
    std::vector<Token> results;
    do {
      if (lexer_.peek().kind != Token::Kind::value) return lexer_.fail("expected an op: % and a name");
      results.push_back(lexer_.next());
    } while (lexer_.accept(","));
    CHECK(lexer_.expect("="));
    const Token at = lexer_.peek();
    TRY(const std::string op_name, lexer_.expect_word("an op"));
    Expected<Op> made = op_from_name(op_name);
    if (!made) return located(at, std::move(made.problem()));
    Op op = *std::move(made);
    if (op.def->max_operands != 0 && at_operand()) {
      do {
        TRY(Operand o, operand());
        op.operands.push_back(std::move(o));
      } while (lexer_.accept(","));
    }
    TRY(Attrs attrs, parse_attrs(op));
    while (lexer_.accept("region")) {
      TRY(Region region, parse_region());
      op.regions.push_back(std::move(region));
    }
    std::vector<Type> given;
    const Token types_at = lexer_.peek();
    if (lexer_.accept(":")) {
      do {
        TRY(Type result_type, parts_.type());
        given.push_back(std::move(result_type));
      } while (lexer_.accept(","));
    }
    if (lexer_.accept("loc")) {
      CHECK(lexer_.expect("("));
      if (lexer_.peek().kind != Token::Kind::string) return lexer_.fail("expected the path of a layer in quotes");
      op.layer = lexer_.next().text;
      CHECK(lexer_.expect(")"));
    }
    if (Status ok = set_attrs(op, std::move(attrs)); !ok) return located(at, std::move(ok.problem()));
    Expected<std::vector<Type>> types = infer(module_, function_, op, function_.conditions);
    if (!types) return located(at, std::move(types.problem()));
    if (types->size() != results.size()) {
      return lexer_.fail(at, fmt::format("{} gives {}, found {}", op_name, text::count_of(types->size(), "result"),
                                         text::count_of(results.size(), "name")));
    }
    if (!given.empty() && given != *types) {
      const auto list = [](const std::vector<Type>& all) {
        std::string out;
        for (const Type& t : all) out += (out.empty() ? "" : ", ") + str(t);
        return out;
      };
      return lexer_.fail(types_at, fmt::format("{} gives {}, not {}", op_name, list(*types), list(given)));
    }
    for (std::size_t i = 0; i < results.size(); ++i) {
      TRY(const int id, define(results[i], std::move((*types)[i])));
      op.results.push_back(id);
    }
    ops.push_back(std::move(op));
    return done();
  }

  Expected<Region> parse_region() {
    CHECK(lexer_.enter());
    const auto outside = names_;
    Region out;
    CHECK(lexer_.expect("("));
    while (!lexer_.at(")")) {
      const Token at = lexer_.peek();
      if (at.kind != Token::Kind::value) return lexer_.fail("expected % and a name");
      lexer_.next();
      CHECK(lexer_.expect(":"));
      TRY(Type param_type, parts_.type());
      TRY(const int id, define(at, std::move(param_type)));
      out.params.push_back(id);
      if (!lexer_.accept(",")) break;
    }
    CHECK(lexer_.expect(")"));
    CHECK(lexer_.expect("{"));
    while (!lexer_.accept("yield")) CHECK(parse_op(out.ops));
    do {
      TRY(Operand value, operand());
      out.yields.push_back(std::move(value));
    } while (lexer_.accept(","));
    CHECK(lexer_.expect("}"));
    names_ = outside;
    lexer_.leave();
    return out;
  }

  // --- attributes

  Expected<Attrs> parse_attrs(const Op& op) {
    Attrs out;
    const auto is_spec = [](const AttrSpec& spec) { return spec.kind == AttrSpec::Kind::spec; };
    const auto spec = std::ranges::find_if(op.def->attrs, is_spec);
    if (spec != op.def->attrs.end() && lexer_.accept("{")) {
      TRY(ContractSpec relation, parts_.contract());
      CHECK(lexer_.expect("}"));
      out.set(std::string(spec->name), std::move(relation));
    }
    if (!lexer_.accept("{")) return out;
    while (!lexer_.at("}")) {
      const Token at = lexer_.peek();
      TRY(const std::string key, lexer_.expect_word("an attribute"));
      const auto declared = std::ranges::find(op.def->attrs, key, &AttrSpec::name);
      if (declared == op.def->attrs.end()) {
        std::vector<std::string_view> known;
        for (const AttrSpec& attr : op.def->attrs) known.push_back(attr.name);
        return parts_.unknown("op-attribute", at, "attribute", known);
      }
      if (out.find(key) != nullptr) return lexer_.fail(at, fmt::format("attribute `{}` is given twice", key));
      CHECK(lexer_.expect("="));
      TRY(Attr value, parts_.attr(declared->kind));
      out.set(key, std::move(value));
      if (!lexer_.accept(",")) break;
    }
    CHECK(lexer_.expect("}"));
    return out;
  }

  const Module& module_;
  Reader parts_;
  text::Lexer& lexer_ = parts_.lexer;
  Function function_;                               // under construction
  std::unordered_map<std::string, Operand> names_;  // values in scope
};

}  // namespace

Expected<Module> parse(std::string_view text, const ParseOptions& options) {
  Module module;
  Parser parser(module, options.file, text);
  CHECK(parser.parse_module(module, options.weights));
  return module;
}

Expected<Module> parse_sample(std::string_view text, std::string file) {
  Module module;
  module.name = "sample";
  text::Lexer words(file, text);
  std::set<std::string> declared, used;
  for (bool declares = false; words.peek().kind != Token::Kind::end;) {
    const Token word = words.next();
    if (word.kind == Token::Kind::word) (declares ? declared : used).insert(word.text);
    declares = word.kind == Token::Kind::word && word.text == "symbol";
  }
  for (const char* symbol : {"batch", "time"}) {
    if (used.contains(symbol) && !declared.contains(symbol)) module.symbols.push_back({symbol, 1, 64, 1});
  }
  Parser parser(module, std::move(file), text);
  CHECK(parser.parse_declarations(module, {}));
  return module;
}

Expected<Function> parse_body(const Module& module, std::string_view text, std::span<const BodyArgument> args) {
  Parser parser(module, "body", text);
  TRY(Function function, parser.parse_function(&args));
  CHECK(parser.expect_end());
  return function;
}

}  // namespace tusk::graph
