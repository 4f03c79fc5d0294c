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

graph::Module traced(const FunctionalImpl& model, const ModuleOptions& options) {
  Symbols symbols = symbols_of(model);
  fix_batch(model, symbols.list);
  apply_ranges(options.dims, symbols.list);

  Trace trace(options.function, Trace::Weights::copied);
  trace.module.name = model.name();
  trace.module.symbols = symbols.list;
  std::vector<Tensor> arguments;
  for (std::size_t i = 0; i < model.inputs.size(); ++i) {
    graph::Type type = model.inputs[i].type();
    for (Dim& dim : type.shape) {
      dim = dim.substituted([&](std::string_view symbol, std::int64_t) {
        return trace.module.dim_of_symbol(symbols.names.find(symbol)->second);
      });
    }
    arguments.push_back(trace.parameter(model.input_names[i], std::move(type)));
  }
  // const_cast: tracing a model does not change it, but `call` of a custom layer may keep notes.
  for (const Tensor& result : const_cast<FunctionalImpl&>(model).call_all(arguments, {})) {
    trace.function.results.push_back(trace.operand(result));
  }
  trace.function.result_names = model.output_names;
  trace.module.functions.push_back(std::move(trace.function));
  return std::move(trace.module);
}

}  // namespace

Expected<graph::Module> to_module(const Model& model, const ModuleOptions& options) {
  return catch_errors([&] { return traced(model.functional(), options); });
}

}  // namespace tusk
