// Law 3 op by op: the loop interpreter's value of each op against the op in double on the same operands.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "ir/graph/interpret.hpp"
#include "ir/graph/print.hpp"
#include "ir/graph/rewrite.hpp"
#include "ir/loop/print.hpp"
#include "tests/property/random_laws.hpp"

namespace tusk::random_tests {
namespace {

using graph::Op;
using graph::Operand;

double unit_of(DType type) {  // half the distance between neighbours of 1
  switch (type) {
    case DType::f64:
      return 0x1p-53;
    case DType::f16:
      return 0x1p-11;
    case DType::bf16:
      return 0x1p-8;
    default:
      return 0x1p-24;
  }
}
double largest_of(DType type) { return type == DType::f64 ? 1.7e308 : type == DType::f16 ? 65504 : 3.38e38; }
double least_of(DType type) { return type == DType::f64 ? 1e-300 : type == DType::f16 ? 6e-8 : 1.2e-38; }

bool adds_up(const Op& op) {
  const std::string name = graph::text_name(op);
  return name == "reduce.sum" || name == "reduce.prod" || name == "window.sum" || name == "contract" ||
         name == "unwindow" || name == "scatter.add";
}

bool is_finite(const Array& x) {
  for (std::int64_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(x.at(i))) return false;
  }
  return true;
}

double largest(const Array& x) {
  double out = 0;
  for (std::int64_t i = 0; i < x.size(); ++i) {
    if (std::isfinite(x.at(i))) out = std::max(out, std::abs(x.at(i)));
  }
  return out;
}

Array absolute(const Array& x) {
  Array out = x;
  for (std::int64_t i = 0; i < out.size(); ++i) out.set(i, std::abs(out.at(i)));
  return out;
}

// Numbers among the operands of a map, rounded to f32 where that computes.
void round_numbers(Op& op, const graph::Module& module, const graph::Function& whole) {
  const std::size_t first = op.row->typing == Typing::select ? 1 : 0;
  DType type = DType::f64;
  for (std::size_t i = op.operands.size(); i-- > first;) {
    const Operand::Kind kind = op.operands[i].kind;
    if (kind == Operand::Kind::value || kind == Operand::Kind::global)
      type = register_type(type_of(module, whole, op.operands[i]).dtype);
  }
  if (type != DType::f32) return;
  for (Operand& x : op.operands) {
    if (x.kind == Operand::Kind::literal && !x.literal.is_integer)
      x.literal.real = static_cast<double>(static_cast<float>(x.literal.real));
  }
}

// The function that is this op alone; its parameters are the values that the op reads.
graph::Function alone(const graph::Module& module, const graph::Function& whole, const Op& op) {
  graph::Function out;
  out.name = "one";
  out.values = whole.values;
  out.ops = {op};
  if (op.row != nullptr) round_numbers(out.ops[0], module, whole);
  std::set<int> own;
  const auto define = [&](const Op& inner) {
    const auto visit = [&](const auto& self, const Op& at) -> void {
      own.insert(at.results.begin(), at.results.end());
      for (const graph::Region& region : at.regions) {
        own.insert(region.params.begin(), region.params.end());
        for (const Op& below : region.ops) self(self, below);
      }
    };
    visit(visit, inner);
  };
  define(op);
  std::set<int> read;
  graph::for_each_operand(op, [&](const Operand& x) {
    if (x.kind == Operand::Kind::value && !own.contains(x.id) && read.insert(x.id).second) out.params.push_back(x.id);
  });
  for (const int id : op.results) {
    out.results.push_back(Operand::value(id));
    out.result_names.push_back(fmt::format("v{}", id));
  }
  return out;
}

class Truth {
 public:
  Truth(const graph::Module& module, const Symbols& symbols, std::vector<std::optional<Array>> values)
      : module_(module), function_(module.functions[0]), symbols_(symbols), values_(std::move(values)) {}

  std::optional<Failure> check(const Op& op) const {
    const graph::Function one = alone(module_, function_, op);
    std::vector<Array> operands;
    for (const int id : one.params) operands.push_back(*values_[static_cast<std::size_t>(id)]);
    if (op.row != nullptr && op.row->basic == Basic::bitcast) return std::nullopt;  // a double has other bits
    double flows = 0;                                                               // the largest number inside a scan
    graph::InterpretOptions options;
    options.observer = [&](const Op&, const std::vector<Array>& results) {
      for (const Array& x : results) flows = std::max(flows, largest(x));
    };
    const auto truth = graph::interpret(module_, one, operands, symbols_, options);
    if (!truth) return Failure{"interpret", truth.problem().str()};
    if (op.variant == "prod" && std::ranges::any_of(operands, [](const Array& x) { return largest(x) > 1e4; }))
      return std::nullopt;     // a part of the product may overflow
    std::vector<Array> terms;  // sums of absolute terms
    if (adds_up(op)) {
      // Beside inf and NaN the float sum has terms that the double one leaves out (N5).
      if (!std::ranges::all_of(operands, is_finite)) return std::nullopt;
      graph::Module positive = module_;
      for (graph::Global& global : positive.globals) {
        if (is_float(global.type.dtype)) global.value = absolute(global.value);
      }
      std::vector<Array> magnitudes;
      for (const Array& x : operands) magnitudes.push_back(is_float(x.dtype()) ? absolute(x) : x);
      const auto sums = graph::interpret(positive, one, magnitudes, symbols_);
      if (!sums) return Failure{"interpret", sums.problem().str()};
      terms = *sums;
    }
    for (std::size_t k = 0; k < op.results.size(); ++k) {
      const Array& got = *values_[static_cast<std::size_t>(op.results[k])];
      if (got.shape() != (*truth)[k].shape()) return Failure{"shape (law 3)", describe(op, operands)};
      for (std::int64_t i = 0; i < got.size(); ++i) {
        const double sum = terms.empty() ? 0 : std::abs(terms[k].at(i));
        if (close(op, operands, got, i, (*truth)[k].at(i), sum, flows)) continue;
        return Failure{"near the truth (law 3)",
                       fmt::format("{}\nresult {} element {} is {}, in double {}", describe(op, operands), k, i,
                                   got.at(i), (*truth)[k].at(i))};
      }
    }
    return std::nullopt;
  }

 private:
  bool close(const Op& op, const std::vector<Array>& operands, const Array& got, std::int64_t i, double wanted,
             double sum, double flows) const {
    const double value = got.at(i);
    const DType type = got.dtype();
    Array rounded(type, {1});
    rounded.set(0, wanted);
    if (value == rounded.at(0) || (std::isnan(value) && std::isnan(wanted))) return true;
    if (!is_float(type)) return exempt_integer(op, operands, sum, flows);
    // Their zeros below 0 are no floats, so near them the error is one of size.
    if ((op.variant == "lgamma" || op.variant == "digamma") && std::abs(wanted) < 1 &&
        std::abs(value - wanted) < 32 * unit_of(register_type(type)) * (op.variant == "digamma" ? 100 : 1))
      return true;
    const bool scans = !op.regions.empty();
    // Steps inside of a scan may fall the other way; it is checked by bits only.
    if (scans)
      return !std::ranges::all_of(operands, is_finite) || flows > 1e3 || scan_decides(op) ||
             std::abs(value - wanted) <= 2000 * unit_of(type) * std::max(1.0, flows);
    const double bound = 0.999999 * largest_of(type);
    if (adds_up(op)) {  // a part of the sum may overflow, and with another sign
      if (sum >= bound || sum >= 0.999999 * largest_of(register_type(type))) return true;
      const double units = op.variant == "prod" ? 300 : 8;
      return std::abs(value - wanted) <= units * unit_of(register_type(type)) * sum + unit_of(type) * std::abs(wanted) +
                                             4 * least_of(type) + (op.variant == "prod" ? 1e-30 : 0);
    }
    if (std::abs(wanted) >= bound && std::abs(value) >= bound) return std::signbit(value) == std::signbit(wanted);
    double units = is_storage_only(type) ? 1.01 : 0;  // rounded twice
    double floor = is_storage_only(type) ? least_of(type) : 0;
    if (op.row != nullptr && (op.row->basic == Basic::fma || op.row->ulp > 0)) {
      units = std::max(units, 2 * (op.row->ulp + 1) * unit_of(register_type(type)) / unit_of(type));
      if (is_storage_only(type)) units += 1.01;
      floor = std::max(floor, least_of(type));
      if (op.row->basic == Basic::fma) floor = std::max(floor, 0x1p-148);
    }
    return std::abs(value - wanted) <= units * unit_of(type) * std::abs(wanted) + floor;
  }

  // The interpreter has 53 bits for integers.
  static bool exempt_integer(const Op& op, const std::vector<Array>& operands, double sum, double flows) {
    if (!op.regions.empty()) return flows > 0x1p20 || scan_decides(op) || !std::ranges::all_of(operands, is_finite);
    double largest_operand = 0;
    for (const Array& x : operands) {
      if (!is_float(x.dtype())) largest_operand = std::max(largest_operand, largest(x));
    }
    return largest_operand > 0x1p26 || sum >= 0x1p53 ||
           (op.row != nullptr && op.row->basic == Basic::shl && largest_operand > 64);
  }

  // Whether a small error can change more than a small amount.
  static bool scan_decides(const Op& op) {
    for (const graph::Region& region : op.regions) {
      for (const Op& inner : region.ops) {
        if (!inner.regions.empty() || inner.def->name == "cast" || inner.def->name == "argreduce" ||
            inner.def->name == "sort" || inner.def->name == "argwindow")
          return true;
        if (inner.row == nullptr) continue;
        static const std::set<std::string_view> kSmooth = {"add",  "sub", "mul", "neg",  "abs",
                                                           "min",  "max", "fma", "relu", "sigmoid",
                                                           "tanh", "sin", "cos", "atan", "erf"};
        if (!kSmooth.contains(inner.row->name)) return true;
      }
    }
    return false;
  }

  std::string describe(const Op& op, const std::vector<Array>& operands) const {
    graph::Module module = module_;
    graph::Function one = alone(module_, function_, op);
    std::string out = graph::print(module, one);
    for (const Array& x : operands) out += str(x) + "\n";
    return out;
  }

  const graph::Module& module_;
  const graph::Function& function_;
  const Symbols& symbols_;
  std::vector<std::optional<Array>> values_;
};

}  // namespace

std::optional<Failure> broken_op(const GraphCase& graph, const std::vector<Array>& results) {
  std::vector<Operand> became;
  const graph::Module module = with_all_values(graph.module, became);
  const graph::Function& function = module.functions[0];
  if (function.results.empty()) return std::nullopt;
  PassOptions options;
  options.fold_batch_norm = false;
  const Expected<Lowered> low = lowered(module, options, false);
  if (!low) return Failure{"passes, all values", low.problem().str() + graph::print(module)};
  const std::vector<Array> inputs = inputs_of(graph);
  const Expected<std::vector<Array>> all =
      run_loops(low->program, low->loops, function.name, inputs, graph.symbols, std::byte{0xff});
  if (!all) return Failure{"run, all values", all.problem().str()};
  std::vector<std::optional<Array>> values(function.values.size());
  for (std::size_t k = 0; k < inputs.size(); ++k) values[static_cast<std::size_t>(function.params[k])] = inputs[k];
  for (std::size_t k = 0; k < all->size(); ++k) values[static_cast<std::size_t>(function.results[k].id)] = (*all)[k];
  for (std::size_t k = 0; k < became.size(); ++k) {
    if (became[k].kind != Operand::Kind::value) continue;
    const std::string text = difference(results[k], *values[static_cast<std::size_t>(became[k].id)]);
    if (!text.empty()) {
      return Failure{"the same bits if every value is a result and scans are unrolled",
                     fmt::format("result {}, {}\n{}{}", k, text, graph::print(module), loop::print(low->loops))};
    }
  }
  const Truth truth(module, graph.symbols, std::move(values));
  for (const Op& op : function.ops) {
    if (auto broken = truth.check(op)) return broken;
  }
  return std::nullopt;
}

}  // namespace tusk::random_tests
