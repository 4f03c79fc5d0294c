// Formulas over scalar rows as infix text ("y * (1 - y)"), turned into map ops.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph/op.hpp"

namespace tusk::graph {

using Names = std::map<std::string, Operand, std::less<>>;

/// Emits a formula: + - * /, comparisons, unary minus, parentheses, numbers, names, and rows by name: `select(a > 0, y,
/// 0)`. Arithmetic on numbers alone is done here, since a map needs a tensor.
Expected<Operand> emit_infix(Builder& b, std::string_view formula, const Names& names);

/// dy times the derivative of the row by its operand i, or nothing where that is zero. The product is pushed into the
/// formula: `1 / b` becomes `dy / b`, and a select chooses between dy and 0, so that an inf in dy does not turn into
/// NaN.
std::optional<Operand> row_gradient(Builder& b, const Row& row, std::size_t i, const std::vector<Operand>& operands,
                                    const Operand& result, const Operand& dy);

}  // namespace tusk::graph
