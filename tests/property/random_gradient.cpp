// Gradients as functions like any other, and law 6.
#include <algorithm>
#include <cmath>

#include "ir/graph/interpret.hpp"
#include "ir/graph/print.hpp"
#include "ir/graph/verify.hpp"
#include "passes/differentiate.hpp"
#include "tests/property/random_differences.hpp"
#include "tests/property/random_laws.hpp"

namespace tusk::random_tests {
namespace {

// Whether all values on the way are numbers beside which a step is not lost.
bool is_calm(const GraphCase& graph, const std::vector<Array>& inputs) {
  bool calm = true;
  const auto observe = [&](const graph::Op&, const std::vector<Array>& results) {
    for (const Array& x : results) {
      for (std::int64_t i = 0; i < x.size(); ++i) calm = calm && std::abs(x.at(i)) <= 1e6;  // not for NaN
    }
  };
  return graph::interpret(graph.module, graph.module.functions[0], inputs, graph.symbols, {observe}) && calm;
}

}  // namespace

std::optional<Failure> broken_gradient(const GraphCase& graph, bool differences, Slopes* slopes) {
  const graph::Function& function = graph.module.functions[0];
  bool floating = false;
  for (const graph::Operand& x : function.results)
    floating = floating || is_float(type_of(graph.module, function, x).dtype);
  bool wanted = false;
  for (const int id : function.params)
    wanted = wanted || is_float(function.values[static_cast<std::size_t>(id)].type.dtype);
  if (!floating || !wanted) return std::nullopt;
  GraphCase out = graph;
  const Expected<graph::Function> gradient = differentiate(out.module, function);
  if (!gradient) {
    if (gradient.problem().code.ends_with("-gradient")) return std::nullopt;  // an op without one
    return Failure{"differentiate", gradient.problem().str()};
  }
  GraphCase alone = out;
  alone.module.functions = {*gradient};
  if (const Status ok = graph::verify(alone.module); !ok)
    return Failure{"differentiate, verify", ok.problem().str() + graph::print(alone.module)};
  const std::string text = graph::print(alone.module);
  if (auto broken = broken_text(alone)) return Failure{broken->law + ", gradient", broken->what + text};
  // The loops of every fourth one, since that is what takes the time.
  if (graph.seed % 4 == 0) {
    if (auto broken = broken_schedules(alone)) return Failure{broken->law + ", gradient", broken->what + text};
  }
  // The gradient of scatter.set is right for unique indices only.
  const bool sets =
      std::ranges::any_of(function.ops, [](const graph::Op& op) { return graph::text_name(op) == "scatter.set"; });
  if (!differences || !graph.tame || sets) return std::nullopt;
  const std::vector<Array> inputs = inputs_of(graph);
  if (!is_calm(graph, inputs)) return std::nullopt;
  Slopes unused;
  return broken_differences(graph.module, function, *gradient, inputs, graph.symbols, graph.seed,
                            slopes != nullptr ? *slopes : unused);
}

}  // namespace tusk::random_tests
