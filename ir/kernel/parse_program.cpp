// The text of a program; print_program.cpp shows its form.
#include <fmt/format.h>
#include <algorithm>
#include <unordered_map>

#include "ir/kernel/parse.hpp"
#include "ir/kernel/parser.hpp"
#include "ir/text/count.hpp"

namespace tusk::kernel {
namespace {

using text::Lexer;
using text::Token;

class ProgramParser {
 public:
  ProgramParser(std::string file, std::string_view text) : in_(std::move(file), text) {}

  Expected<Program> run() {
    CHECK(in_.expect("program"));
    TRY(out_.name, expect_string(in_));
    CHECK(in_.expect("profile"));
    TRY(out_.profile, in_.expect_word("a profile"));
    while (!in_.at_end()) {
      if (in_.accept("symbol")) {
        CHECK(symbol());
      } else if (in_.accept("const")) {
        CHECK(global(false, false));
      } else if (in_.accept("trainable")) {
        CHECK(in_.expect("state"));
        CHECK(global(true, true));
      } else if (in_.accept("state")) {
        CHECK(global(true, false));
      } else if (in_.at("kernel")) {
        TRY(Kernel next, Parser(in_, steps_, false).kernel());
        out_.kernels.push_back(std::move(next));
        out_.schedules.emplace_back();
      } else if (in_.at("schedule")) {
        CHECK(Parser(in_, steps_, false).schedule(out_.kernels, out_.schedules));
      } else if (in_.accept("func")) {
        in_function_ = true;
        CHECK(function());
        in_function_ = false;
      } else {
        return in_.fail("expected symbol, const, state, kernel, schedule or func");
      }
    }
    return std::move(out_);
  }

 private:
  Status symbol() {
    Symbol out;
    TRY(out.name, in_.expect_word("a symbol"));
    CHECK(in_.expect("in"));
    TRY(out.low, in_.expect_integer("the least value"));
    CHECK(in_.expect(".."));
    TRY(out.high, in_.expect_integer("the greatest value"));
    if (in_.accept("step")) {
      const Token at = in_.peek();
      TRY(out.step, in_.expect_integer("a step"));
      if (out.step < 1) return in_.fail(at, "a step is positive");
    }
    steps_[out.name] = out.step;
    out_.symbols.push_back(std::move(out));
    return done();
  }

  Status global(bool is_state, bool trainable) {
    const Token at = in_.peek();
    TRY(std::string path, path_of_global());
    CHECK(in_.expect(":"));
    TRY(const DType type, expect_dtype(in_));
    std::vector<std::int64_t> shape;
    std::int64_t count = 1;
    if (in_.at("[")) {
      TRY(const Shape dims, list());
      for (const Dim& dim : dims) {
        if (!dim.is_constant() || dim.constant() < 0) return in_.fail(at, "constants and states have fixed shapes");
        shape.push_back(dim.constant());
        if (__builtin_mul_overflow(count, dim.constant(), &count) || count > text::kMostElements)
          return in_.fail(at, fmt::format("{}{} is too large", name_of(type), shape_str(dims)));
      }
    }
    Array value(type, std::move(shape));
    if (in_.accept("=")) CHECK(elements(value));
    out_.globals.push_back({std::move(path), std::move(value), is_state, trainable});
    return done();
  }

  Status elements(Array& out) {
    CHECK(in_.expect("["));
    for (std::int64_t i = 0; i < out.size(); ++i) {
      if (i > 0) CHECK(in_.expect(","));  // as many as there are elements
      TRY(const Literal number, in_.expect_number("a number"));
      if (is_float(out.dtype())) {
        out.set(i, number.is_integer && number.integer == 0 ? number.real : number.as_double());
      } else if (number.is_integer) {
        out.set_int(i, number.integer);
      } else {
        return in_.fail(fmt::format("expected {} before", name_of(out.dtype())));
      }
    }
    return in_.expect("]");
  }

  Expected<std::string> path_of_global() {
    if (in_.peek().kind != Token::Kind::global) return in_.fail("expected @ and a path");
    return in_.next().text;
  }

  // "[" dim {"," dim} "]"
  Expected<std::vector<Dim>> list() {
    std::vector<Dim> out;
    CHECK(in_.expect("["));
    while (!in_.at("]")) {
      if (!out.empty()) CHECK(in_.expect_comma("]"));
      TRY(Dim next, dim());
      out.push_back(std::move(next));
    }
    CHECK(in_.expect("]"));
    return out;
  }

  // Offsets of views name the symbols of loops, which come later in the text: they are checked at the end of the
  // function.
  Expected<Dim> dim() {
    return in_.expect_dim([&](std::string_view name) -> std::int64_t {
      if (const auto it = steps_.find(name); it != steps_.end()) return it->second;
      if (!in_function_) return 0;
      later_.push_back(in_.peek());
      return 1;
    });
  }

  Status function() {
    function_ = {};
    tensors_.clear();
    later_.clear();
    bases_.clear();
    TRY(function_.name, in_.expect_word("the name of a function"));
    TRY(const std::vector<Token> inputs, parenthesized());
    CHECK(in_.expect("->"));
    TRY(const std::vector<Token> outputs, parenthesized());
    if (in_.accept("arena")) {
      TRY(function_.arena_bytes, in_.expect_integer("the bytes of the arena"));
    }
    if (in_.accept("bound")) {
      TRY(function_.arena_lower_bound, in_.expect_integer("the lower bound of the arena"));
    }
    CHECK(in_.expect("{"));
    while (in_.accept("requires")) {
      TRY(std::string condition, expect_string(in_));
      function_.requirements.push_back(std::move(condition));
    }
    while (in_.accept("tensor")) CHECK(tensor());
    CHECK(find_bases());
    TRY(function_.inputs, numbers_of(inputs));
    TRY(function_.outputs, numbers_of(outputs));
    TRY(function_.steps, steps());
    CHECK(in_.expect("}"));
    for (const Token& symbol : later_) {
      if (!is_loop_symbol(function_.steps, symbol.text)) {
        return in_.fail(symbol, fmt::format("`{}` is no symbol of the program and of no loop", symbol.text));
      }
    }
    out_.functions.push_back(std::move(function_));
    return done();
  }

  static bool is_loop_symbol(const std::vector<Step>& steps, std::string_view name) {
    return std::any_of(steps.begin(), steps.end(), [&](const Step& step) {
      return (step.kind == Step::Kind::loop && step.symbol == name) || is_loop_symbol(step.body, name);
    });
  }

  Status tensor() {
    Tensor out;
    const Token at = in_.peek();
    TRY(out.name, in_.expect_word("a tensor"));
    if (!tensors_.emplace(out.name, static_cast<int>(tensors_.size())).second) {
      return in_.fail(at, fmt::format("there are two tensors `{}`", out.name));
    }
    CHECK(in_.expect(":"));
    TRY(out.type, expect_dtype(in_));
    if (in_.at("[")) {
      TRY(out.shape, list());
    }
    out.strides = dense_strides(out.shape);
    CHECK(place(out));
    if (in_.accept("strides")) {
      const Token strides_at = in_.peek();
      TRY(out.strides, list());
      if (out.strides.size() != out.shape.size()) return in_.fail(strides_at, "there is one stride for each axis");
    }
    function_.tensors.push_back(std::move(out));
    return done();
  }

  // A view may stand above its base.
  Status find_bases() {
    for (const auto& [view, name] : bases_) {
      TRY(const int base, number_of(name));
      if (function_.tensors[static_cast<std::size_t>(base)].place == Tensor::Place::view)
        return in_.fail(name, "the base of a view is no view itself");
      function_.tensors[view].base = base;
    }
    return done();
  }

  Status place(Tensor& out) {
    using Place = Tensor::Place;
    if (in_.accept("input")) {
      out.place = Place::input;
    } else if (in_.accept("output")) {
      out.place = Place::output;
    } else if (in_.accept("arena")) {
      out.place = Place::arena;
      TRY(out.arena_offset, dim());
    } else if (in_.at("const") || in_.at("state")) {
      const bool is_state = in_.next().text == "state";
      out.place = is_state ? Place::state : Place::constant;
      const Token at = in_.peek();
      TRY(const std::string path, path_of_global());
      const auto& list = out_.globals;
      const auto it = std::find_if(list.begin(), list.end(),
                                   [&](const Global& g) { return g.path == path && g.is_state == is_state; });
      if (it == list.end())
        return in_.fail(at, fmt::format("there is no {} @{}", is_state ? "state" : "constant", path));
      out.global = static_cast<int>(it - list.begin());
    } else {
      CHECK(in_.expect("view"));
      out.place = Place::view;
      const Token at = in_.peek();
      CHECK(in_.expect_word("the base of the view"));
      bases_.emplace_back(function_.tensors.size(), at);
      if (in_.accept("+")) {
        TRY(out.offset, dim());
      }
    }
    return done();
  }

  // "(" [name {"," name}] ")"
  Expected<std::vector<Token>> parenthesized() {
    std::vector<Token> out;
    CHECK(in_.expect("("));
    while (!in_.at(")")) {
      if (!out.empty()) CHECK(in_.expect_comma(")"));
      out.push_back(in_.peek());
      CHECK(in_.expect_word("a tensor"));
    }
    CHECK(in_.expect(")"));
    return out;
  }

  Expected<int> number_of(const Token& name) {
    const auto it = tensors_.find(name.text);
    if (it == tensors_.end()) return in_.fail(name, fmt::format("there is no tensor `{}`", name.text));
    return it->second;
  }

  Expected<std::vector<int>> numbers_of(const std::vector<Token>& names) {
    std::vector<int> out;
    for (const Token& name : names) {
      TRY(const int number, number_of(name));
      out.push_back(number);
    }
    return out;
  }

  // tensor {"," tensor}
  Expected<std::vector<int>> tensor_list() {
    std::vector<int> out;
    do {
      TRY(const int number, number_of(in_.next()));
      out.push_back(number);
    } while (in_.accept(","));
    return out;
  }

  Expected<std::vector<Step>> steps() {
    CHECK(in_.enter());
    std::vector<Step> out;
    while (!in_.at("}") && !in_.at_end()) {
      Step step;
      if (in_.at("for") && in_.peek(1).kind == Token::Kind::word) {
        CHECK(loop(step));
      } else if (in_.at("if") && in_.peek(1).kind == Token::Kind::word) {
        CHECK(branch(step));
      } else {
        CHECK(call(step));
      }
      out.push_back(std::move(step));
    }
    in_.leave();
    return out;
  }

  Status loop(Step& out) {
    CHECK(in_.expect("for"));
    out.kind = Step::Kind::loop;
    TRY(out.symbol, in_.expect_word("a symbol"));
    CHECK(in_.expect("<"));
    TRY(out.extent, dim());
    CHECK(layer(out));
    CHECK(in_.expect("{"));
    TRY(out.body, steps());
    return in_.expect("}");
  }

  Status branch(Step& out) {
    CHECK(in_.expect("if"));
    out.kind = Step::Kind::branch;
    out.holds = !(in_.at("not") && in_.peek(1).kind == Token::Kind::word && in_.accept("not"));
    const Token condition = in_.peek();
    TRY(const std::string name, in_.expect_word("a tensor"));
    TRY(out.condition, number_of(condition));
    CHECK(layer(out));
    CHECK(in_.expect("{"));
    TRY(out.body, steps());
    return in_.expect("}");
  }

  Status call(Step& out) {
    TRY(out.results, tensor_list());
    CHECK(in_.expect("="));
    const Token at = in_.peek();
    TRY(const std::string name, in_.expect_word("a kernel"));
    const auto& list = out_.kernels;
    const auto kernel = std::find_if(list.begin(), list.end(), [&](const Kernel& k) { return k.name == name; });
    if (kernel == list.end()) return in_.fail(at, fmt::format("there is no kernel `{}`", name));
    out.kernel = static_cast<int>(kernel - list.begin());
    TRY(const std::vector<Token> args, parenthesized());
    TRY(out.args, numbers_of(args));
    if (out.args.size() != kernel->params.size() || out.results.size() != kernel->results.size()) {
      return in_.fail(
          at, fmt::format("kernel `{}` has {} and {}, found {} and {}", name,
                          text::count_of(kernel->params.size(), "parameter"),
                          text::count_of(kernel->results.size(), "result"), out.args.size(), out.results.size()));
    }
    if (in_.accept("scratch")) {
      TRY(out.scratch, tensor_list());
    }
    return layer(out);
  }

  Status layer(Step& out) {
    if (!in_.accept("loc")) return done();
    CHECK(in_.expect("("));
    TRY(out.layer, expect_string(in_));
    return in_.expect(")");
  }

  Lexer in_;
  Program out_;
  std::map<std::string, std::int64_t, std::less<>> steps_;
  Function function_;
  std::unordered_map<std::string, int> tensors_;
  std::vector<Token> later_;                          // words in dims that must be symbols of loops
  std::vector<std::pair<std::size_t, Token>> bases_;  // views, and the names of their bases
  bool in_function_ = false;
};

}  // namespace

Expected<Program> parse_program(std::string_view text, std::string file) {
  return ProgramParser(std::move(file), text).run();
}

}  // namespace tusk::kernel
