// The parser of kernels, shared by texts of kernels alone and by programs.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "ir/kernel/kernel.hpp"
#include "ir/kernel/records.hpp"
#include "ir/text/lexer.hpp"

namespace tusk::kernel {

/// A parsed expression before its numbers have types: they take the type of their siblings, or of the place.
struct Syntax {
  text::Token at;
  std::optional<DType> own;  // the type that it has by itself
  Literal number;            // neither leaf nor row
  ExprRef leaf;
  const Row* row = nullptr;
  std::vector<Syntax> operands;
};

constexpr int kAboveComparison = 1;  // the strength of operators that may stand beside `==`

class Parser {
 public:
  /// `steps` are the declared symbols; `open`: undeclared words are symbols with step 1.
  Parser(text::Lexer& in, std::map<std::string, std::int64_t, std::less<>> steps, bool open)
      : in_(in), steps_(std::move(steps)), open_(open) {}

  Expected<Kernel> kernel();
  /// `schedule NAME { at z : innermost registers }` for one of the kernels.
  Status schedule(std::span<const Kernel> kernels, std::span<Schedule> schedules);
  /// `{ lines }`. Names of stages are those of the kernel, if one is given; a record may add stages, too.
  Status lines(const Kernel* kernel, Schedule& out, std::vector<AddedStage>* added = nullptr);

 private:
  // parse.cpp
  Status param();
  Status added_stage(bool is_copy, std::vector<AddedStage>& added);
  Expected<Stage> stage();
  Expected<Reduce> reduce(Reducer kind, DType type);
  Expected<Index> declaration();
  Expected<Equality> equality();
  Expected<Dim> dim();
  Expected<std::string> new_name(std::string_view what);

  // parse_expr.cpp
  Expected<ExprRef> expression(std::optional<DType> expected);
  Expected<Syntax> infix(int strength);
  Expected<Syntax> operand();
  Expected<Syntax> word();
  Expected<Syntax> call(const text::Token& at);
  Expected<ExprRef> read(const text::Token& at, DType type, std::size_t rank);
  Expected<ExprRef> typed(const Syntax& syntax, std::optional<DType> expected);
  Expected<ExprRef> typed_row(const Syntax& syntax, std::optional<DType> expected);
  Expected<Literal> fitting(Literal number, DType type, const text::Token& at);

  struct TensorType {
    DType type = DType::f32;
    std::size_t rank = 0;
  };
  std::optional<TensorType> tensor(std::string_view name) const;
  std::string nearest(std::string_view name) const;

  text::Lexer& in_;
  std::map<std::string, std::int64_t, std::less<>> steps_;  // declared symbols, and those seen in dims
  bool open_;
  Kernel kernel_;
  std::map<std::string, Dim, std::less<>> extents_;  // the latest declaration of each index (G1)
  std::set<std::string, std::less<>> indices_;       // of the stage, with those that its `where` removes
  bool in_where_ = false;                            // unknown words are indices that are removed (G6)
};

Expected<std::string> expect_string(text::Lexer& in);
Expected<DType> expect_dtype(text::Lexer& in);

}  // namespace tusk::kernel
