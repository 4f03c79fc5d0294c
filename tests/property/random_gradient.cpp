// Law 6: gradients against central differences in double, decisions frozen.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ir/graph/interpret.hpp"
#include "ir/graph/parse.hpp"
#include "ir/graph/print.hpp"
#include "ir/graph/verify.hpp"
#include "passes/differentiate.hpp"
#include "tests/property/random_laws.hpp"

namespace tusk::random_tests {
namespace {

bool is_finite(const std::vector<Array>& list) {
  for (const Array& x : list) {
    for (std::int64_t i = 0; i < x.size(); ++i) {
      if (!std::isfinite(x.at(i)) || std::abs(x.at(i)) > 1e6) return false;
    }
  }
  return true;
}

struct Differences {
  const GraphCase& graph;
  const graph::Function& function;
  graph::Choices choices;
  std::vector<Array> weights;  // of the results; empty: no float

  // The weighted sum of the results, decisions as recorded; NaN where they do not fit any more.
  double loss(const std::vector<Array>& at) const {
    graph::Choices replay = choices;
    replay.replay = true;
    replay.next = 0;
    graph::InterpretOptions options;
    options.choices = &replay;
    const auto y = graph::interpret(graph.module, function, at, graph.symbols, options);
    if (!y || replay.next != choices.made.size()) return std::nan("");
    double sum = 0;
    for (std::size_t k = 0; k < y->size(); ++k) {
      for (std::int64_t i = 0; i < weights[k].size(); ++i) sum += (*y)[k].at(i) * weights[k].at(i);
    }
    return sum;
  }

  double slope(const std::vector<Array>& inputs, std::size_t k, std::int64_t i, double step) const {
    std::vector<Array> up = inputs;
    std::vector<Array> down = inputs;
    up[k].set(i, inputs[k].at(i) + step);
    down[k].set(i, inputs[k].at(i) - step);
    return (loss(up) - loss(down)) / (2 * step);
  }
};

std::optional<Failure> broken_differences(const GraphCase& graph, const graph::Function& gradient) {
  const graph::Function& function = graph.module.functions[0];
  // The gradient of scatter.set is right for unique indices only.
  if (std::ranges::any_of(function.ops, [](const graph::Op& op) { return graph::text_name(op) == "scatter.set"; }))
    return std::nullopt;
  std::vector<Array> inputs = inputs_of(graph);
  for (Array& input : inputs) {
    if (is_float(input.dtype())) input = input.converted(DType::f64);
  }
  Differences d{graph, function, {}, {}};
  graph::InterpretOptions recording;
  recording.choices = &d.choices;
  bool calm = true;
  recording.observer = [&](const graph::Op&, const std::vector<Array>& results) { calm = calm && is_finite(results); };
  const auto base = graph::interpret(graph.module, function, inputs, graph.symbols, recording);
  if (!base) return Failure{"interpret", base.problem().str()};
  if (!calm) return std::nullopt;
  Rng rng(seed_of(graph.seed, "weights"));
  std::vector<Array> arguments = inputs;
  for (std::size_t k = 0; k < base->size(); ++k) {
    const bool floating = is_float(type_of(graph.module, function, function.results[k]).dtype);
    d.weights.push_back(floating ? random_array(DType::f64, (*base)[k].shape(), rng, true) : Array());
    if (floating) arguments.push_back(d.weights.back());
  }
  const auto gradients = graph::interpret(graph.module, gradient, arguments, graph.symbols);
  if (!gradients) return Failure{"interpret, gradient", gradients.problem().str()};
  std::size_t g = 0;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    if (inputs[k].dtype() != DType::f64) continue;
    for (std::int64_t i = 0; i < std::min<std::int64_t>(inputs[k].size(), 6); ++i) {
      const double wide = d.slope(inputs, k, i, 2e-5);
      const double near = d.slope(inputs, k, i, 1e-5);
      const double scale = std::max(1.0, std::abs(near));
      // Where the two differences disagree the function is no line here: a knee that no decision stands for.
      if (!std::isfinite(wide) || !std::isfinite(near) || std::abs(wide - near) > 1e-6 * scale) continue;
      const double got = (*gradients)[g].at(i);
      if (std::abs(got - near) <= 1e-5 * scale) continue;
      return Failure{"gradients agree with differences (law 6)",
                     fmt::format("by input {} element {}: {}, difference {}\n{}", k, i, got, near,
                                 graph::print(graph.module, gradient))};
    }
    ++g;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Failure> broken_gradient(const GraphCase& graph, bool differences) {
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
  return differences && graph.tame ? broken_differences(graph, *gradient) : std::nullopt;
}

}  // namespace tusk::random_tests
