// Reads graph IR text (docs/ir.md section 2).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ir/graph/graph.hpp"

namespace tusk::graph {

struct ParseOptions {
  std::string file = "text";           // named in errors
  std::span<const std::byte> weights;  // what `file(offset)` refers to; if empty, such values are missing
};

/// A module. The shape rule runs on every op: types may be left out, and must be right where they are given.
Expected<Module> parse(std::string_view text, const ParseOptions& options = {});

/// A module without a header, as tests and op samples write it; `batch` and `time` are declared as 1..64 where they
/// occur.
Expected<Module> parse_sample(std::string_view text, std::string file = "sample");

/// What a parameter of a body stands for: a tensor of a type, a number, or (neither) an operand that is left out.
struct BodyArgument {
  std::optional<Type> type;
  std::optional<Operand> number;
};

/// A function whose parameters have no types: `args` give them, one for each. Only tensors stay parameters; a number is
/// put in where it is read.
Expected<Function> parse_body(const Module& module, std::string_view text, std::span<const BodyArgument> args);

}  // namespace tusk::graph
