#include "tests/property/function_laws.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "ir/graph/interpret.hpp"
#include "passes/pipeline.hpp"

namespace tusk::random_tests {
namespace {

using Arrays = std::vector<Array>;

PassOptions plain() {
  PassOptions options;
  options.fold_batch_norm = false;  // N12: it changes bits
  return options;
}

Expected<Lowered> lowered_without(Ir ir, std::string_view left_out) {
  for (const Pass& pass : pipeline()) {
    if (pass.name == left_out) continue;
    TRY(ir, pass.run(std::move(ir), plain()));
  }
  return std::get<Lowered>(std::move(ir));
}

Expected<Arrays> run(const Lowered& low, const graph::Module& module, const Arrays& inputs, const Symbols& symbols) {
  return run_loops(low.program, low.loops, module.functions[0].name, inputs, symbols);
}

std::string difference_of(const Arrays& a, const Arrays& b) {
  for (std::size_t k = 0; k < a.size(); ++k) {
    if (const std::string what = difference(a[k], b[k]); !what.empty()) return fmt::format("result {}: {}", k, what);
  }
  return "";
}

// Whether a dim of the shape names the batch; whether the first one is it.
bool leads_with_batch(const Shape& shape) { return !shape.empty() && shape[0] == Dim::symbol("batch"); }
bool names_batch(const Shape& shape) {
  return std::ranges::any_of(shape, [](const Dim& dim) {
    const std::vector<std::string> symbols = dim.symbols();
    return std::ranges::find(symbols, "batch") != symbols.end();
  });
}

// The rows n .. n+1 of the first axis.
Array row_of(const Array& whole, std::int64_t n) {
  std::vector<std::int64_t> shape = whole.shape();
  const std::int64_t rows = std::exchange(shape[0], 1);
  Array out(whole.dtype(), shape);
  const std::size_t bytes = whole.bytes().size() / static_cast<std::size_t>(rows);
  std::memcpy(out.writable_bytes().data(), whole.bytes().data() + static_cast<std::size_t>(n) * bytes, bytes);
  return out;
}

Arrays rows_of(const Arrays& whole, std::int64_t n) {
  Arrays out;
  for (const Array& array : whole) out.push_back(row_of(array, n));
  return out;
}

// Why a function has no batch that could be split.
std::string why_whole(const graph::Module& module, const graph::Function& function) {
  bool batched = false;
  for (const int id : function.params) {
    const Shape& shape = function.values[static_cast<std::size_t>(id)].type.shape;
    if (!names_batch(shape)) continue;
    batched = true;
    if (!leads_with_batch(shape) || names_batch({shape.begin() + 1, shape.end()}))
      return "the batch is not the first axis alone";
  }
  for (const graph::Operand& result : function.results)
    batched = batched && leads_with_batch(type_of(module, function, result).shape);
  return batched ? "" : "no batch";
}

// Nothing where a step fails; what fails stands in `broken`.
template <class T>
const T* value_of(const Expected<T>& expected, std::string_view law, std::optional<Failure>& broken) {
  if (!expected) broken = Failure{std::string(law), expected.problem().str()};
  return expected ? &*expected : nullptr;
}

}  // namespace

std::optional<Failure> broken_passes(const graph::Module& module, const Arrays& inputs, const Symbols& symbols) {
  Arrays all;
  for (const std::string_view pass : {"", "simplify", "fold-constants", "fuse", "choose-layouts"}) {
    const std::string law = fmt::format("without `{}` (law 5)", pass);
    if (!pass.empty() && pass_named(pass) == nullptr) return Failure{law, "there is no such pass"};
    std::optional<Failure> broken;
    const Expected<Lowered> low = lowered_without(module, pass);
    if (value_of(low, law, broken) == nullptr) return broken;
    const Expected<Arrays> results = run(*low, module, inputs, symbols);
    if (value_of(results, law, broken) == nullptr) return broken;
    if (pass.empty()) all = *results;
    if (const std::string what = difference_of(all, *results); !what.empty()) return Failure{law, what};
  }
  return std::nullopt;
}

std::optional<Failure> broken_batch(const graph::Module& module, const Arrays& inputs, const Symbols& symbols,
                                    std::string& left_out) {
  constexpr std::string_view kLaw = "calls of one (law 7)";
  const graph::Function& function = module.functions[0];
  left_out = why_whole(module, function);
  if (!left_out.empty()) return std::nullopt;
  Symbols single = symbols;
  single["batch"] = 1;
  std::optional<Failure> broken;
  const Expected<Lowered> low = lowered_without(module, "");
  if (value_of(low, kLaw, broken) == nullptr) return broken;
  const Expected<Arrays> truth = graph::interpret(module, function, inputs, symbols);
  const Expected<Arrays> results = run(*low, module, inputs, symbols);
  if (value_of(truth, kLaw, broken) == nullptr || value_of(results, kLaw, broken) == nullptr) return broken;
  for (std::int64_t n = 0; n < symbols.at("batch"); ++n) {
    Arrays alone;
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      const Shape& shape = function.values[static_cast<std::size_t>(function.params[k])].type.shape;
      alone.push_back(names_batch(shape) ? row_of(inputs[k], n) : inputs[k]);
    }
    const Expected<Arrays> expected = graph::interpret(module, function, alone, single);
    const Expected<Arrays> one = run(*low, module, alone, single);
    if (value_of(expected, kLaw, broken) == nullptr || value_of(one, kLaw, broken) == nullptr) return broken;
    if (!difference_of(rows_of(*truth, n), *expected).empty()) {
      left_out = "elements of the batch depend on each other";
      return std::nullopt;
    }
    if (const std::string what = difference_of(rows_of(*results, n), *one); !what.empty())
      return Failure{std::string(kLaw), fmt::format("element {}, {}", n, what)};
  }
  return std::nullopt;
}

std::optional<Failure> broken_arena(const graph::Module& module) {
  constexpr double kMost = 1.02;
  const Expected<Lowered> low = lowered_without(module, "");
  std::optional<Failure> broken;
  if (value_of(low, "arena (law 10)", broken) == nullptr) return broken;
  for (const kernel::Function& function : low->program.functions) {
    const auto bound = static_cast<double>(function.arena_lower_bound);
    const auto bytes = static_cast<double>(function.arena_bytes);
    if (bytes < bound || bytes > kMost * bound)
      return Failure{"arena (law 10)", fmt::format("{} has {} bytes, no plan could do with less than {}", function.name,
                                                   function.arena_bytes, function.arena_lower_bound)};
  }
  return std::nullopt;
}

}  // namespace tusk::random_tests
