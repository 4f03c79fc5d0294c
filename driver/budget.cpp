#include "driver/budget.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "ir/base/printable.hpp"
#include "ir/base/utf8.hpp"
#include "ir/graph/op.hpp"
#include "passes/pipeline.hpp"

namespace tusk {
namespace {

// A number that 64 bits cannot hold stays the greatest that they can, which budget_of refuses.
std::int64_t times(std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  return __builtin_mul_overflow(a, b, &out) ? INT64_MAX : out;
}

std::int64_t plus(std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  return __builtin_add_overflow(a, b, &out) ? INT64_MAX : out;
}

class Counter {
 public:
  Counter(const graph::Module& module, const graph::Function& function) : module_(module), function_(function) {}

  std::vector<LayerBudget> layers;

  void count(const std::vector<graph::Op>& ops, std::int64_t rounds) {
    for (const graph::Op& op : ops) {
      LayerBudget& layer = of(op.layer);
      for (const int id : op.results) {
        const graph::Type& type = function_.values[static_cast<std::size_t>(id)].type;
        layer.largest_bytes = std::max(layer.largest_bytes, elements(type.shape) * size_of(type.dtype));
      }
      if (op.def->name == "contract") layer.macs = plus(layer.macs, times(rounds, products(op)));
      const graph::Attr* length = op.attrs.find("length");
      for (const graph::Region& region : op.regions)
        count(region.ops, length == nullptr ? rounds : times(rounds, elements(std::get<Shape>(*length))));
    }
  }

  LayerBudget& of(const std::string& layer) {
    const auto [it, is_new] = index_.try_emplace(layer, layers.size());
    if (is_new) layers.push_back({layer, 0, 0, 0});
    return layers[it->second];
  }

 private:
  std::int64_t extent(const Dim& dim) const {
    return dim.value([&](std::string_view name) -> std::int64_t {
      const graph::Symbol* symbol = module_.symbol(name);
      return name == "batch" ? symbol->step : symbol->high;
    });
  }
  std::int64_t elements(const Shape& shape) const {
    std::int64_t out = 1;
    for (const Dim& dim : shape) out *= extent(dim);
    return out;
  }

  // Points of the index space; an index that others fix (`where`) does not count.
  std::int64_t products(const graph::Op& op) const {
    const auto& spec = std::get<graph::ContractSpec>(graph::attr_of(op, "spec"));
    std::map<std::string, std::int64_t> extents;
    const auto add = [&](const std::vector<std::string>& names, const Shape& shape) {
      for (std::size_t i = 0; i < names.size(); ++i) extents[names[i]] = extent(shape[i]);
    };
    add(spec.a, graph::type_of(module_, function_, op.operands[0]).shape);
    add(spec.b, graph::type_of(module_, function_, op.operands[1]).shape);
    add(spec.y, function_.values[static_cast<std::size_t>(op.results[0])].type.shape);
    for (const graph::Where& where : spec.where) extents[where.whole] = 1;
    std::int64_t out = 1;
    for (const auto& [name, value] : extents) out = times(out, value);
    return out;
  }

  const graph::Module& module_;
  const graph::Function& function_;
  std::map<std::string, std::size_t> index_;
};

std::int64_t largest_bytes(const kernel::Program& program, const kernel::Tensor& tensor) {
  std::int64_t bytes = size_of(tensor.type);
  for (const Dim& dim : tensor.shape) bytes *= std::max<std::int64_t>(0, dim.range(program.range_of()).high);
  return bytes;
}

}  // namespace

Expected<Budget> budget_of(const graph::Module& module, const EmitOptions& options) {
  graph::Module copy = module;
  copy.profile = options.profile;
  TRY(const Ir ir, run_pipeline(std::move(copy), options.passes));
  const kernel::Program& program = std::get<Lowered>(ir).program;
  CHECK(check_arena(program, options.max_arena));
  Counter counter(module, module.functions.front());
  counter.count(module.functions.front().ops, 1);
  const kernel::Function& function = program.functions.front();
  Budget budget;
  for (const graph::Global& global : module.globals) {
    const std::size_t slash = global.path.rfind('/');
    counter.of(slash == std::string::npos ? global.path : global.path.substr(0, slash)).weight_bytes +=
        static_cast<std::int64_t>(global.value.bytes().size());
  }
  for (const int tensor : kernel::global_tensors(function, kernel::Tensor::Place::constant)) {
    const auto index = static_cast<std::size_t>(function.tensors[static_cast<std::size_t>(tensor)].global);
    const auto bytes = static_cast<std::int64_t>(program.globals[index].value.bytes().size());
    budget.weight_bytes += (bytes + 63) / 64 * 64;  // each begins at a multiple of 64
  }
  budget.layers = std::move(counter.layers);
  for (const LayerBudget& layer : budget.layers) budget.macs = plus(budget.macs, layer.macs);
  if (budget.macs == INT64_MAX) {
    return error("size", "the model is too large: 64 bits cannot count its multiplications")
        .note("reduce the greatest value of its open sizes: --dim NAME=LOW..HIGH");
  }
  budget.arena_bytes = function.arena_bytes;
  budget.arena_lower_bound = function.arena_lower_bound;
  for (const auto* list : {&function.inputs, &function.outputs}) {
    for (const int id : *list)
      budget.io_bytes += largest_bytes(program, function.tensors[static_cast<std::size_t>(id)]);
  }
  return budget;
}

std::string print(const Budget& budget) {
  std::size_t width = 5;
  for (const LayerBudget& layer : budget.layers) width = std::max(width, code_points(printable(layer.layer)));
  std::string out = fmt::format("{:<{}}  {:>14}  {:>12}  {:>14}\n", "layer", width, "MACs", "weights B", "largest B");
  const auto row = [&](std::string_view name, std::int64_t macs, std::int64_t bytes, std::int64_t most) {
    out += fmt::format("{:<{}}  {:>14}  {:>12}  {:>14}\n", printable(name), width, macs, bytes, most);
  };
  std::int64_t largest = 0;
  std::int64_t weights = 0;
  for (const LayerBudget& layer : budget.layers) {
    weights += layer.weight_bytes;
    row(layer.layer, layer.macs, layer.weight_bytes, layer.largest_bytes);
    largest = std::max(largest, layer.largest_bytes);
  }
  row("all", budget.macs, weights, largest);
  out += "MACs and largest value: of one sample\n";
  out += fmt::format("RAM    {} bytes of arena, at the largest sizes (--dim); no plan can need less than {}\n",
                     budget.arena_bytes, budget.arena_lower_bound);
  out += fmt::format("       {} bytes of inputs and outputs, which the caller holds\n", budget.io_bytes);
  out += fmt::format("flash  {} bytes of weights as they are emitted, and the code\n", budget.weight_bytes);
  return out;
}

}  // namespace tusk
