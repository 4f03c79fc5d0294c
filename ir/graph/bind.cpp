#include "ir/graph/bind.hpp"

#include <fmt/format.h>
#include <algorithm>

#include "ir/text/lexer.hpp"

namespace tusk::graph {
namespace {

// Solves dim == extent where dim is c*symbol + k. Nothing: it has another form, or no whole solution.
std::optional<std::int64_t> solved(const Module& module, const Dim& dim, const std::string& symbol,
                                   std::int64_t extent) {
  const std::optional<Dim> factor = (dim - Dim(dim.constant_term())).exact_div(module.dim_of_symbol(symbol));
  if (!factor || !factor->is_constant() || factor->constant() == 0) return std::nullopt;
  const std::int64_t rest = extent - dim.constant_term();
  return rest % factor->constant() == 0 ? std::optional(rest / factor->constant()) : std::nullopt;
}

bool holds(const Condition& condition, const ValueOf& of) {
  const std::int64_t left = condition.left.value(of);
  const std::int64_t right = condition.right.value(of);
  switch (condition.kind) {
    case Condition::Kind::equal:
      return left == right;
    case Condition::Kind::at_least:
      return left >= right;
    case Condition::Kind::divisible:
      return left % right == 0;
  }
  return false;
}

std::string param_name(const Function& function, std::size_t i) {
  return text::sigil_name('%', function.values[static_cast<std::size_t>(function.params[i])].name);
}

}  // namespace

ValueOf value_of(const SymbolValues& values) {
  return [&values](std::string_view name) {
    const auto it = values.find(std::string(name));
    return it == values.end() ? 0 : it->second;
  };
}

Expected<SymbolValues> bind_symbols(const Module& module, const Function& function,
                                    std::span<const std::vector<std::int64_t>> shapes) {
  if (shapes.size() != function.params.size()) {
    return error("input-count",
                 fmt::format("`{}` takes {} inputs, found {}", function.name, function.params.size(), shapes.size()));
  }
  SymbolValues values;
  for (const Symbol& symbol : module.symbols) {
    if (symbol.low == symbol.high) values.emplace(symbol.name, symbol.low);
  }
  const auto type = [&](std::size_t i) -> const Type& {
    return function.values[static_cast<std::size_t>(function.params[i])].type;
  };
  const auto wrong_shape = [&](std::size_t i, std::string_view why) {
    return error("input-shape", fmt::format("{} has shape [{}], expected {}{}", param_name(function, i),
                                            fmt::join(shapes[i], ","), shape_str(type(i).shape), why));
  };
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    if (shapes[i].size() != type(i).shape.size()) return wrong_shape(i, "");
    for (std::size_t axis = 0; axis < shapes[i].size(); ++axis) {
      const Dim& dim = type(i).shape[axis];
      const std::vector<std::string> symbols = dim.symbols();
      if (symbols.size() != 1 || values.contains(symbols[0])) continue;
      if (const auto value = solved(module, dim, symbols[0], shapes[i][axis])) values.emplace(symbols[0], *value);
    }
  }
  for (const auto& [name, value] : values) {
    const Symbol& symbol = *module.symbol(name);
    if (value < symbol.low || value > symbol.high) {
      return error("input-range", fmt::format("{} is {}, expected {}..{}", name, value, symbol.low, symbol.high));
    }
    if (value % symbol.step != 0) {
      return error("input-range", fmt::format("{} is {}, expected a multiple of {}", name, value, symbol.step));
    }
  }
  const auto known = [&](const Dim& dim) {
    return std::ranges::all_of(dim.symbols(), [&](const std::string& name) { return values.contains(name); });
  };
  const ValueOf of = value_of(values);
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    for (std::size_t axis = 0; axis < shapes[i].size(); ++axis) {
      const Dim& dim = type(i).shape[axis];
      if (!known(dim)) return error("input-symbol", fmt::format("no input gives the symbols of {}", dim.str()));
      if (dim.value(of) == shapes[i][axis]) continue;
      return wrong_shape(i, fmt::format(": axis {} is {}", axis, dim.value(of)));
    }
  }
  for (const Condition& condition : function.conditions) {
    if (!known(condition.left) || !known(condition.right)) {
      return error("input-symbol", fmt::format("no input gives the symbols of {}", condition.str()));
    }
    if (!holds(condition, of)) {
      return error("input-condition",
                   fmt::format("the inputs do not fit together: `{}` requires {}", function.name, condition.str()));
    }
  }
  return values;
}

}  // namespace tusk::graph
