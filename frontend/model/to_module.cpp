#include "frontend/model/to_module.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "frontend/model/trace.hpp"
#include "ir/text/suggest.hpp"

namespace tusk {
namespace {

// Symbols of the inputs, in order, and what they are called in the module.
struct Symbols {
  std::vector<graph::Symbol> list;
  std::map<std::string, std::string, std::less<>> names;
};

Symbols symbols_of(const FunctionalImpl& model) {
  std::vector<std::string> found;
  std::set<std::string> taken;
  for (const Tensor& input : model.inputs) {
    for (const Dim& dim : input.shape()) {
      for (const std::string& symbol : dim.symbols()) {
        if (std::ranges::find(found, symbol) == found.end()) found.push_back(symbol);
        if (!hint_of_unknown(symbol)) taken.insert(symbol);
      }
    }
  }
  Symbols symbols;
  for (const std::string& symbol : found) {
    const std::optional<std::string> hint = hint_of_unknown(symbol);
    const std::string name = hint ? unique_name(*hint, taken) : symbol;
    symbols.names[symbol] = name;
    symbols.list.push_back(default_symbol(name));
  }
  return symbols;
}

void fix_batch(const FunctionalImpl& model, std::vector<graph::Symbol>& symbols) {
  std::optional<std::int64_t> batch;
  for (const Tensor& input : model.inputs) {
    const auto* layer = dynamic_cast<const InputLayerImpl*>(input.result()->node->layer.get());
    if (layer == nullptr || !layer->config.batch_shape.front().extent()) continue;
    const std::int64_t given = *layer->config.batch_shape.front().extent();
    if (batch && *batch != given) {
      throw Error(error("model-batch", fmt::format("inputs fix the batch to {} and to {}", *batch, given)));
    }
    batch = given;
  }
  for (graph::Symbol& symbol : symbols) {
    if (batch && symbol.name == kBatch) symbol.low = symbol.high = *batch;
  }
}

void apply_ranges(const std::vector<DimRange>& ranges, std::vector<graph::Symbol>& symbols) {
  std::set<std::string_view> seen;
  for (const DimRange& range : ranges) {
    const auto it = std::ranges::find(symbols, range.symbol, &graph::Symbol::name);
    if (it == symbols.end()) {
      std::vector<std::string_view> known;
      for (const graph::Symbol& symbol : symbols) known.push_back(symbol.name);
      throw Error(error("dim-unknown", fmt::format("the model has no dimension `{}`{}", range.symbol,
                                                   text::suggestion(range.symbol, known)))
                      .note(fmt::format("its dimensions are {}", fmt::join(known, ", "))));
    }
    if (range.low < 1 || range.high < range.low || range.high > INT32_MAX || range.step < 1 ||
        range.low % range.step != 0 || range.high % range.step != 0) {
      throw Error(error("dim-range",
                        fmt::format("{}..{}:{} is no range for {}", range.low, range.high, range.step, range.symbol))
                      .note("expected 1 <= low <= high < 2^31, both multiples of the step"));
    }
    if (!seen.insert(range.symbol).second)
      throw Error(error("dim-twice", fmt::format("{} is given two ranges", range.symbol)));
    *it = {range.symbol, range.low, range.high, range.step};
  }
}

/// What symbols turn out to be: a number, or another symbol.
using Solved = std::map<std::string, Dim, std::less<>>;

/// A symbol that the function requires to equal a number or another symbol.
std::optional<std::pair<std::string, Dim>> solve_one(const graph::Module& module) {
  for (const graph::Condition& condition : module.functions.front().conditions) {
    if (condition.kind != graph::Condition::Kind::equal) continue;
    for (const auto& [a, b] :
         {std::pair(condition.left, condition.right), std::pair(condition.right, condition.left)}) {
      const std::vector<std::string> symbols = a.symbols();
      if (symbols.size() != 1 || !(a == module.dim_of_symbol(symbols[0]))) continue;
      if (!b.is_constant() && !(b.symbols().size() == 1 && b == module.dim_of_symbol(b.symbols()[0]))) continue;
      const graph::Symbol& symbol = *module.symbol(symbols[0]);
      if (b.is_constant() && (b.constant() < symbol.low || b.constant() > symbol.high || b.constant() % symbol.step)) {
        throw Error(error("dim-range", fmt::format("the model needs {} to be {}, its range is {}..{}", symbol.name,
                                                   b.constant(), symbol.low, symbol.high)));
      }
      // Of two symbols the batch stays, or the one that comes first.
      const bool keeps_b = b.is_constant() || symbols[0] != kBatch;
      if (keeps_b) return std::pair(symbols[0], b);
    }
  }
  return std::nullopt;
}

/// A symbol of which the function requires a least value that is above its range's.
std::optional<std::pair<std::string, std::int64_t>> least_of_one(const graph::Module& module) {
  for (const graph::Condition& condition : module.functions.front().conditions) {
    if (condition.kind != graph::Condition::Kind::at_least) continue;
    const Dim above = condition.left - condition.right;
    const std::vector<std::string> symbols = above.symbols();
    if (symbols.size() != 1) continue;
    const Dim rest = above - module.dim_of_symbol(symbols[0]);
    if (rest.is_constant() && -rest.constant() > module.symbol(symbols[0])->low)
      return std::pair(symbols[0], -rest.constant());
  }
  return std::nullopt;
}

graph::Module traced_once(const FunctionalImpl& model, const ModuleOptions& options, Symbols symbols,
                          const Solved& solved, Trace::Weights weights, const TraceBody& body) {
  Trace trace(options.function, weights);
  trace.module.name = model.name();
  trace.module.symbols = symbols.list;
  std::vector<Tensor> arguments;
  for (std::size_t i = 0; i < model.inputs.size(); ++i) {
    graph::Type type = model.inputs[i].type();
    for (Dim& dim : type.shape) {
      dim = dim.substituted([&](std::string_view symbol, std::int64_t) {
        const std::string& name = symbols.names.find(symbol)->second;
        const auto known = solved.find(name);
        return known != solved.end() ? known->second : trace.module.dim_of_symbol(name);
      });
    }
    arguments.push_back(trace.parameter(model.input_names[i], std::move(type)));
  }
  body(trace, arguments);
  trace.module.functions.push_back(std::move(trace.function));
  return std::move(trace.module);
}

}  // namespace

graph::Module traced_module(const Model& given, const ModuleOptions& options, Trace::Weights weights,
                            const TraceBody& body) {
  const FunctionalImpl& model = given.functional();
  Symbols symbols = symbols_of(model);
  fix_batch(model, symbols.list);
  apply_ranges(options.dims, symbols.list);
  Solved solved;
  while (true) {
    graph::Module module = traced_once(model, options, symbols, solved, weights, body);
    if (const auto least = least_of_one(module)) {
      graph::Symbol& symbol = *std::ranges::find(symbols.list, least->first, &graph::Symbol::name);
      symbol.low = (least->second + symbol.step - 1) / symbol.step * symbol.step;
      if (symbol.low > symbol.high) {
        throw Error(error("dim-range", fmt::format("the model needs {} to be at least {}, its range ends at {}",
                                                   symbol.name, least->second, symbol.high)));
      }
      continue;
    }
    const auto found = solve_one(module);
    if (!found) return module;
    for (auto& [symbol, dim] : solved) {
      if (dim.symbols() == std::vector<std::string>{found->first}) dim = found->second;
    }
    solved.insert(*found);
    if (const auto other = found->second.symbols(); !other.empty()) {
      // The range in which both lie.
      const auto of = [&](const std::string& name) {
        return std::ranges::find(symbols.list, name, &graph::Symbol::name);
      };
      const graph::Symbol gone = *of(found->first);
      graph::Symbol& kept = *of(other[0]);
      if (gone.step == kept.step) {
        kept.low = std::max(kept.low, gone.low);
        kept.high = std::min(kept.high, gone.high);
      }
      if (kept.low > kept.high) {
        throw Error(error("dim-range", fmt::format("the model needs {} to equal {}, their ranges do not meet",
                                                   gone.name, kept.name)));
      }
    }
    std::erase_if(symbols.list, [&](const graph::Symbol& symbol) { return symbol.name == found->first; });
  }
}

Expected<graph::Module> to_module(const Model& model, const ModuleOptions& options) {
  return catch_errors([&] {
    return traced_module(model, options, Trace::Weights::copied,
                         [&](Trace& trace, const std::vector<Tensor>& arguments) {
                           for (const Tensor& result : model.functional().call_all(arguments, {}))
                             trace.function.results.push_back(trace.operand(result));
                           trace.function.result_names = model.output_names();
                         });
  });
}

}  // namespace tusk
