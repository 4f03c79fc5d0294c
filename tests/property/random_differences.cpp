#include "tests/property/random_differences.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "ir/graph/interpret.hpp"
#include "ir/graph/print.hpp"

namespace tusk::random_tests {
namespace {

constexpr std::int64_t kElements = 8;  // of each input, one by one

bool all_finite(const Array& x) {
  for (std::int64_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(x.at(i))) return false;
  }
  return true;
}

// A slope, the sum of its absolute terms, and how far it may be from the truth.
struct Slope {
  double value = 0;
  double terms = 0;
  double doubt = std::numeric_limits<double>::infinity();
};

struct Along {
  const graph::Module& module;
  const graph::Function& function;
  const Symbols& symbols;
  const std::vector<Array>& inputs;
  const std::vector<Array>& weights;  // of the results; empty: no float
  const graph::Choices& choices;
  double size;  // the sum of the absolute terms of the weighted results

  // The weighted elements of all results, decisions as recorded; nothing where they do not fit any more.
  std::vector<double> results(std::size_t k, const Array& direction, double step) const {
    graph::Choices replay = choices;
    replay.replay = true;
    replay.next = 0;
    std::vector<Array> at = inputs;
    for (std::int64_t i = 0; i < direction.size(); ++i) at[k].set(i, at[k].at(i) + step * direction.at(i));
    const auto y = graph::interpret(module, function, std::move(at), symbols, {{}, &replay});
    if (!y || replay.next != choices.made.size()) return {};
    std::vector<double> out;
    for (std::size_t r = 0; r < weights.size(); ++r) {
      for (std::int64_t i = 0; i < weights[r].size(); ++i) out.push_back((*y)[r].at(i) * weights[r].at(i));
    }
    return out;
  }

  // Central differences with three steps, extrapolated twice: the error is of the order of step^6.
  Slope difference(std::size_t k, const Array& direction, double step) const {
    std::vector<double> central[3];
    for (int level = 0; level < 3; ++level) {
      const double h = step / (1 << level);
      const std::vector<double> up = results(k, direction, h);
      const std::vector<double> down = results(k, direction, -h);
      if (up.empty() || down.empty()) return {};
      for (std::size_t i = 0; i < up.size(); ++i) central[level].push_back((up[i] - down[i]) / (2 * h));
    }
    Slope out{0, 0, 0};
    double coarse = 0;
    for (std::size_t i = 0; i < central[0].size(); ++i) {
      const double wide = (4 * central[1][i] - central[0][i]) / 3;
      const double near = (4 * central[2][i] - central[1][i]) / 3;
      const double term = (16 * near - wide) / 15;
      coarse += near;
      out.value += term;
      out.terms += std::abs(term);
    }
    const double rounding = 16 * std::numeric_limits<double>::epsilon() * size / step;
    out.doubt = std::abs(out.value - coarse) + rounding;
    return std::isfinite(out.value) && std::isfinite(out.doubt) ? out : Slope{};
  }

  // The difference of the step that leaves the least doubt: near a pole or a knee that no decision stands for it is a
  // small one, where a slope is small beside its function a wide one.
  Slope slope(std::size_t k, const Array& direction) const {
    Slope best;
    for (const double step : {1e-2, 1e-3, 1e-4, 1e-5}) {
      const Slope now = difference(k, direction, step);
      if (now.doubt < best.doubt) best = now;
      if (best.doubt <= 0.1 * kSlopeError * best.terms) break;
    }
    return best;
  }
};

}  // namespace

std::optional<Failure> broken_differences(const graph::Module& module, const graph::Function& function,
                                          const graph::Function& gradient, std::vector<Array> inputs,
                                          const Symbols& symbols, std::uint64_t seed, Slopes& slopes) {
  for (Array& input : inputs) {
    if (is_float(input.dtype())) input = input.converted(DType::f64);
  }
  graph::Choices choices;
  const auto base = graph::interpret(module, function, inputs, symbols, {{}, &choices});
  if (!base) return Failure{"interpret", base.problem().str()};
  Rng rng(seed_of(seed, "weights"));
  std::vector<Array> arguments = inputs;
  std::vector<Array> weights;
  double size = 0;
  bool numbers = true;
  for (std::size_t k = 0; k < function.results.size(); ++k) {
    const Array& y = (*base)[k];
    weights.emplace_back();
    if (!is_float(type_of(module, function, function.results[k]).dtype)) continue;
    const bool finite = all_finite(y);
    numbers = numbers && finite;
    arguments.push_back(finite ? random_array(DType::f64, y.shape(), rng, true) : Array(DType::f64, y.shape()));
    if (!finite) continue;
    weights[k] = arguments.back();
    for (std::int64_t i = 0; i < y.size(); ++i) size += std::abs(y.at(i) * weights[k].at(i));
  }
  const auto gradients = graph::interpret(module, gradient, arguments, symbols);
  if (!gradients) return Failure{"interpret, gradient", gradients.problem().str()};
  if (std::ranges::all_of(weights, [](const Array& w) { return w.size() == 0; })) return std::nullopt;
  const Along along{module, function, symbols, inputs, weights, choices, size};
  std::size_t g = 0;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    if (inputs[k].dtype() != DType::f64) continue;
    const Array& dx = (*gradients)[g++];
    const std::int64_t elements = std::min(dx.size(), kElements);
    for (std::int64_t i = 0; i <= elements; ++i) {
      const bool whole = i == elements;
      if (whole && dx.size() <= kElements) continue;
      Array direction(DType::f64, dx.shape());
      double got = 0;
      if (whole) {
        direction = random_array(DType::f64, dx.shape(), rng, true);
        for (std::int64_t j = 0; j < dx.size(); ++j) got += dx.at(j) * direction.at(j);
      } else {
        direction.set(i, 1);
        got = dx.at(i);
      }
      const Slope want = along.slope(k, direction);
      // A slope that is nothing beside its function is nothing, to the digits that a double has.
      const bool unsure = want.doubt > std::max(kSlopeError * want.terms, 1e-10 * size);
      if (unsure || (!numbers && std::isnan(got))) {
        ++slopes.unsure;
        continue;
      }
      ++slopes.compared;
      const double error = std::abs(got - want.value);
      if (error > want.doubt) slopes.worst = std::max(slopes.worst, error / want.terms);
      if (error <= std::max(kSlopeError * want.terms, want.doubt)) continue;  // a NaN is not
      return Failure{"gradients agree with differences (law 6)",
                     fmt::format("by input {} {}: {}, difference {} +- {:.1e}, of terms of {:.3g}\n{}", k,
                                 whole ? "along a direction" : fmt::format("element {}", i), got, want.value,
                                 want.doubt, want.terms, graph::print(module, gradient))};
    }
  }
  return std::nullopt;
}

}  // namespace tusk::random_tests
