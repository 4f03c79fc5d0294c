// Runs graph IR op by op, in double: the truth to which every engine is close.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph/bind.hpp"
#include "ir/graph/op.hpp"

namespace tusk::graph {

/// Sees the results of each op, in order; ops inside regions come once for each step.
using Observer = std::function<void(const Op&, const std::vector<Array>& results)>;

struct InterpretOptions {
  Observer observer = {};
  Choices* choices = nullptr;  // decisions to record or replay: see op.hpp
};

/// Results of the function, then the new values of the states that it updates, in order of its updates: f64 for
/// floating types, which are not rounded to their dtype, i64 for the others, which wrap to theirs. Inputs may have any
/// dtype of the same kind. `symbols` gives a value to every symbol that occurs (bind_symbols).
Expected<std::vector<Array>> interpret(const Module& module, const Function& function, std::vector<Array> inputs,
                                       const SymbolValues& symbols, const InterpretOptions& options = {});
Expected<std::vector<Array>> interpret(const Module& module, std::string_view function, std::vector<Array> inputs,
                                       const SymbolValues& symbols, const InterpretOptions& options = {});

}  // namespace tusk::graph
