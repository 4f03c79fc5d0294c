#include "ir/kernel/parse.hpp"

#include <fmt/format.h>
#include <algorithm>

#include "ir/kernel/parser.hpp"
#include "ir/text/suggest.hpp"

namespace tusk::kernel {
namespace {

using text::Token;

constexpr std::string_view kReserved[] = {"from", "where", "lanes", "block", "else", "inout",
                                          "inf",  "nan",   "true",  "false", "max0"};

}  // namespace

bool is_reserved(std::string_view word) {
  return std::find(std::begin(kReserved), std::end(kReserved), word) != std::end(kReserved);
}

Expected<std::string> expect_string(text::Lexer& in) {
  if (in.peek().kind != Token::Kind::string) return in.fail("expected a string");
  return in.next().text;
}

Expected<DType> expect_dtype(text::Lexer& in) {
  const Token at = in.peek();
  TRY(const std::string word, in.expect_word("a type"));
  const std::optional<DType> type = dtype_named(word);
  if (!type || *type == DType::index) return in.fail(at, fmt::format("`{}` is not a type of elements", word));
  return *type;
}

Expected<std::string> Parser::new_name(std::string_view what) {
  const Token at = in_.peek();
  TRY(std::string name, in_.expect_word(what));
  if (is_reserved(name)) return in_.fail(at, fmt::format("`{}` is reserved and cannot be a name", name));
  return name;
}

Expected<Dim> Parser::dim() {
  return in_.expect_dim([&](std::string_view symbol) -> std::int64_t {
    const auto it = steps_.find(symbol);
    if (it != steps_.end()) return it->second;
    if (open_) steps_.emplace(symbol, 1);
    return open_ ? 1 : 0;
  });
}

Expected<Kernel> Parser::kernel() {
  kernel_ = {};
  extents_.clear();
  CHECK(in_.expect("kernel"));
  TRY(kernel_.name, in_.expect_word("the name of a kernel"));
  CHECK(in_.expect("("));
  while (!in_.at(")")) {
    if (!kernel_.params.empty()) CHECK(in_.expect_comma(")"));
    CHECK(param());
  }
  CHECK(in_.expect(")"));
  CHECK(in_.expect("->"));
  CHECK(in_.expect("("));
  std::vector<Token> results;
  do {
    results.push_back(in_.peek());
    TRY(std::string result, in_.expect_word("the name of a result"));
    kernel_.results.push_back(std::move(result));
  } while (in_.accept(","));
  CHECK(in_.expect(")"));
  if (in_.accept("loc")) {
    CHECK(in_.expect("("));
    do {
      TRY(std::string layer, expect_string(in_));
      kernel_.layers.push_back(std::move(layer));
    } while (in_.accept(","));
    CHECK(in_.expect(")"));
  }
  CHECK(in_.expect("{"));
  while (!in_.at("}")) {
    TRY(Stage next, stage());
    kernel_.stages.push_back(std::move(next));
  }
  CHECK(in_.expect("}"));
  for (const Token& result : results) {
    if (kernel_.stage(result.text) == nullptr)
      return in_.fail(result, fmt::format("the result `{}` is no stage", result.text));
  }
  return std::move(kernel_);
}

Status Parser::param() {
  Param out;
  out.inout = in_.accept("inout");
  const Token at = in_.peek();
  TRY(out.name, new_name("a parameter"));
  if (kernel_.param(out.name) != nullptr) return in_.fail(at, fmt::format("there are two parameters `{}`", out.name));
  CHECK(in_.expect(":"));
  TRY(out.type, expect_dtype(in_));
  if (in_.accept("[")) {
    while (!in_.at("]")) {
      if (!out.shape.empty()) CHECK(in_.expect_comma("]"));
      TRY(Dim next, dim());
      out.shape.push_back(std::move(next));
    }
    CHECK(in_.expect("]"));
  }
  kernel_.params.push_back(std::move(out));
  return done();
}

// index ["<" dim]
Expected<Index> Parser::declaration() {
  const Token at = in_.peek();
  Index out;
  TRY(out.name, new_name("an index"));
  if (!indices_.insert(out.name).second) return in_.fail(at, fmt::format("the stage has two indices `{}`", out.name));
  if (in_.accept("<")) {
    TRY(out.extent, dim());
    extents_[out.name] = out.extent;
    return out;
  }
  const auto it = extents_.find(out.name);
  if (it == extents_.end()) {
    return in_.fail(
        at, fmt::format("index `{}` has no extent here and no declaration above: write {}<...", out.name, out.name));
  }
  out.extent = it->second;
  return out;
}

Expected<Stage> Parser::stage() {
  Stage out;
  indices_.clear();
  const Token at = in_.peek();
  TRY(out.name, new_name("a stage"));
  if (kernel_.stage(out.name) != nullptr) return in_.fail(at, fmt::format("there are two stages `{}`", out.name));
  CHECK(in_.expect("["));
  while (!in_.at("]")) {
    if (!out.indices.empty()) CHECK(in_.expect_comma("]"));
    TRY(Index next, declaration());
    out.indices.push_back(std::move(next));
  }
  CHECK(in_.expect("]"));
  if (in_.accept(":")) {
    TRY(out.type, expect_dtype(in_));
  }
  CHECK(in_.expect("="));
  std::optional<DType> type = register_type(out.type);
  // `max i<3 : ...` reduces, `max(a, b)` is a row, `max[i]` a tensor.
  const std::optional<Reducer> reducer = reducer_named(in_.peek().text);
  if (reducer && in_.peek().kind == Token::Kind::word && in_.peek(1).kind == Token::Kind::word) {
    in_.next();
    TRY(out.reduce, reduce(*reducer, *type));
    if (*reducer == Reducer::argmax || *reducer == Reducer::argmin) type = std::nullopt;
  }
  TRY(out.expr, expression(type));
  return out;
}

// index {"," index} clauses ":", the clauses in any order.
Expected<Reduce> Parser::reduce(Reducer kind, DType type) {
  Reduce out;
  out.kind = kind;
  do {
    TRY(Index next, declaration());
    out.indices.push_back(std::move(next));
  } while (in_.accept(","));
  while (!in_.at(":")) {
    if (in_.accept("where")) {
      do {
        TRY(Equality next, equality());
        out.where.push_back(std::move(next));
      } while (in_.accept(","));
    } else if (in_.accept("from")) {
      TRY(out.from, expression(type));
    } else if (in_.accept("lanes")) {
      TRY(out.lanes, in_.expect_integer("a number of lanes"));
    } else if (in_.accept("block")) {
      const Token at = in_.peek();
      TRY(out.block, in_.expect_integer("the length of a block"));
      // As data it means no blocks; a negative one is an error of the kernel.
      if (out.block == 0) return in_.fail(at, "a block has at least 1 term, found 0");
    } else {
      return in_.fail("expected where, from, lanes, block or `:`");
    }
  }
  CHECK(in_.expect(":"));
  return out;
}

// index "==" expression. A word that nothing declares is an index that the equality removes.
Expected<Equality> Parser::equality() {
  Equality out;
  TRY(out.index, new_name("an index"));
  indices_.insert(out.index);
  CHECK(in_.expect("=="));
  in_where_ = true;
  Expected<Syntax> value = infix(kAboveComparison);
  in_where_ = false;
  if (!value) return value.problem();
  TRY(out.value, typed(*value, DType::index));
  return out;
}

Status Parser::schedule(std::span<const Kernel> kernels, std::span<Schedule> schedules) {
  CHECK(in_.expect("schedule"));
  const Token at = in_.peek();
  TRY(const std::string name, in_.expect_word("the name of a kernel"));
  const auto kernel = std::find_if(kernels.begin(), kernels.end(), [&](const Kernel& k) { return k.name == name; });
  if (kernel == kernels.end()) return in_.fail(at, fmt::format("there is no kernel `{}` above", name));
  return lines(&*kernel, schedules[static_cast<std::size_t>(kernel - kernels.begin())]);
}

// NAME ":" TENSOR "of" STAGE ("border" | "bands" int | "last" int | "panels" int), or NAME ":" STAGE.
Status Parser::added_stage(bool is_copy, std::vector<AddedStage>& added) {
  AddedStage out;
  const Token at = in_.peek();
  TRY(out.name, new_name("a name for the stage"));
  if (std::ranges::find(added, out.name, &AddedStage::name) != added.end())
    return in_.fail(at, fmt::format("a second stage `{}` is added", out.name));
  CHECK(in_.expect(":"));
  if (!is_copy) {
    out.kind = AddedStage::Kind::blocks;
    TRY(out.stage, in_.expect_word("a stage"));
    added.push_back(std::move(out));
    return done();
  }
  TRY(out.tensor, in_.expect_word("a parameter or a stage"));
  CHECK(in_.expect("of"));
  TRY(out.stage, in_.expect_word("a stage"));
  if (!in_.accept("border")) {
    const Token kind_at = in_.peek();
    TRY(const std::string kind, in_.expect_word("border, bands, last or panels"));
    if (kind != "bands" && kind != "last" && kind != "panels")
      return in_.fail(kind_at, "expected border, bands, last or panels");
    out.kind = kind == "bands"  ? AddedStage::Kind::bands
               : kind == "last" ? AddedStage::Kind::last
                                : AddedStage::Kind::panels;
    TRY(out.number, in_.expect_integer("a number"));
  }
  added.push_back(std::move(out));
  return done();
}

Status Parser::lines(const Kernel* kernel, Schedule& out, std::vector<AddedStage>* added) {
  CHECK(in_.expect("{"));
  const auto stage_name = [&]() -> Expected<std::string> {
    const Token stage_at = in_.peek();
    TRY(std::string stage, in_.expect_word("a stage"));
    if (kernel != nullptr && kernel->stage(stage) == nullptr)
      return in_.fail(stage_at, fmt::format("kernel `{}` has no stage `{}`", kernel->name, stage));
    return stage;
  };
  const std::string_view expected = added != nullptr
                                        ? "copy, blocks, at, tile, vector, order, split, unroll, outer or parallel"
                                        : "at, tile, vector, order, split, unroll, outer or parallel";
  while (!in_.at("}")) {
    const auto record_of = [&](const std::string& stage) {
      auto record = std::ranges::find(out.stages, stage, &StageSchedule::stage);
      if (record != out.stages.end()) return record;
      out.stages.push_back({});
      out.stages.back().stage = stage;
      return out.stages.end() - 1;
    };
    const Token line_at = in_.peek();
    if (in_.accept("at")) {
      std::vector<std::string> stages;
      do {
        TRY(std::string stage, stage_name());
        stages.push_back(std::move(stage));
      } while (in_.accept(","));
      CHECK(in_.expect(":"));
      if (in_.accept("innermost")) {
        CHECK(in_.expect("registers"));
        out.inline_stages.insert(out.inline_stages.end(), stages.begin(), stages.end());
        continue;
      }
      TRY(const std::string index, in_.expect_word("innermost or an index"));
      CHECK(in_.expect("of"));
      TRY(const std::string consumer, stage_name());
      for (const std::string& stage : stages) {
        const auto record = record_of(stage);
        if (!record->consumer.empty()) return in_.fail(line_at, fmt::format("a second `at` of stage `{}`", stage));
        record->consumer = consumer;
        record->at = index;
      }
      continue;
    }
    if (added != nullptr && (in_.at("copy") || in_.at("blocks"))) {
      CHECK(added_stage(in_.next().text == "copy", *added));
      continue;
    }
    const Token word_at = in_.peek();
    TRY(const std::string word, in_.expect_word(expected));
    const bool counted = word == "tile" || word == "vector" || word == "split" || word == "outer";
    if (!counted && word != "order" && word != "unroll" && word != "parallel")
      return in_.fail(word_at, fmt::format("expected {}", expected));
    TRY(const std::string stage, stage_name());
    CHECK(in_.expect(":"));
    const auto record = record_of(stage);
    const bool again = word == "tile"       ? !record->tile.empty()
                       : word == "vector"   ? !record->vector.index.empty()
                       : word == "split"    ? !record->split.empty()
                       : word == "order"    ? !record->order.empty()
                       : word == "outer"    ? !record->outer.index.empty()
                       : word == "parallel" ? !record->parallel.empty()
                                            : !record->unroll.empty();
    if (again) return in_.fail(word_at, fmt::format("a second `{}` of stage `{}`", word, stage));
    do {
      IndexCount item;
      TRY(item.index, in_.expect_word("an index"));
      if (counted) {
        TRY(item.count, in_.expect_integer("a number"));
      }
      if (word == "tile") record->tile.push_back(item);
      if (word == "split") record->split.push_back(item);
      if (word == "order") record->order.push_back(item.index);
      if (word == "unroll") record->unroll.push_back(item.index);
      if (word == "parallel") record->parallel.push_back(item.index);
      if (word == "vector") record->vector = item;
      if (word == "outer") record->outer = item;
    } while (word != "vector" && word != "outer" && in_.accept(","));
    if (word == "parallel" && in_.accept("by")) {
      TRY(record->grain, in_.expect_integer("a number"));
    }
  }
  return in_.expect("}");
}

Expected<Kernels> parse_kernels(std::string_view text, std::string file) {
  text::Lexer in(std::move(file), text);
  Kernels out;
  while (!in.at_end()) {
    // Each kernel has symbols of its own.
    Parser parser(in, {}, true);
    if (in.at("schedule")) {
      CHECK(parser.schedule(out.kernels, out.schedules));
      continue;
    }
    TRY(Kernel next, parser.kernel());
    out.kernels.push_back(std::move(next));
    out.schedules.emplace_back();
  }
  return out;
}

Expected<Kernel> parse_kernel(std::string_view text, std::string file) {
  text::Lexer in(std::move(file), text);
  TRY(Kernel out, Parser(in, {}, true).kernel());
  if (!in.at_end()) return in.fail("expected the end of the kernel");
  return out;
}

}  // namespace tusk::kernel
