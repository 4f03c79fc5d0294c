#include "tests/property/random_graph.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "ir/graph/parse.hpp"
#include "ir/graph/print.hpp"
#include "ir/loop/rows.hpp"

namespace tusk::random_tests {

using graph::Attrs;
using graph::Operand;
using graph::Type;

namespace {

constexpr std::int64_t kMostGraphElements = 256;
constexpr std::int64_t kMostAtLargest = 1 << 16;  // elements with the largest symbols, by which the arena is planned
constexpr std::size_t kMostParams = 7;
constexpr std::int64_t kExtents[] = {1, 2, 3, 4, 5, 7, 8, 9, 16, 17};

}  // namespace

std::vector<std::int64_t> static_shape(const Shape& shape, const Symbols& symbols) {
  std::vector<std::int64_t> out;
  const ValueOf of = [&](std::string_view name) { return symbols.at(std::string(name)); };
  for (const Dim& dim : shape) out.push_back(dim.value(of));
  return out;
}

std::vector<Array> inputs_of(const GraphCase& graph, const graph::Function& function) {
  std::vector<Array> out;
  for (const int id : function.params) {
    const graph::Value& value = function.values[static_cast<std::size_t>(id)];
    Rng rng(seed_of(graph.seed, value.name));
    out.push_back(random_array(value.type.dtype, static_shape(value.type.shape, graph.symbols), rng, graph.tame));
  }
  return out;
}

std::vector<Array> inputs_of(const GraphCase& graph) { return inputs_of(graph, graph.module.functions[0]); }

// `cast` is the op for conversions.
bool is_row_of_maps(const Row& row) { return row.typing != Typing::convert && !row.inner; }

bool row_takes(const Row& row, DType type) {
  if (!is_row_of_maps(row)) return false;
  std::vector<DType> operands(static_cast<std::size_t>(row.arity), register_type(type));
  if (row.typing == Typing::select) operands[0] = DType::boolean;
  if (!row_type(row, operands)) return false;
  return row.basic != Basic::none || loop::row_body(row, register_type(type)) != nullptr;
}

GraphGenerator::GraphGenerator(std::uint64_t seed) : rng_(seed_of(seed, "graph")), seed_(seed) {
  module_.functions.emplace_back();
  function().name = "f";
  if (rng_.chance(30)) {
    const std::int64_t batch = rng_.pick(std::vector<std::int64_t>{1, 2, 3, 5});
    const bool fixed = rng_.chance(10);
    module_.symbols.push_back({"batch", fixed ? batch : 1, fixed ? batch : 64, 1});
    symbols_["batch"] = batch;
  }
  if (rng_.chance(12)) {
    const std::int64_t step = rng_.pick(std::vector<std::int64_t>{1, 1, 2, 4});
    module_.symbols.push_back({"time", step, 16 * step, step});
    symbols_["time"] = step == 1 ? rng_.range(1, 6) : step * rng_.range(1, 3);
  }
}

std::int64_t GraphGenerator::value(const Dim& dim) const {
  return dim.value([&](std::string_view name) { return symbols_.at(std::string(name)); });
}

std::int64_t GraphGenerator::size(const Shape& shape) const {
  std::int64_t count = 1;
  for (const Dim& dim : shape) count *= value(dim);
  return count;
}

Dim GraphGenerator::dim() {
  if (!module_.symbols.empty() && rng_.chance(40)) return module_.dim_of_symbol(rng_.pick(module_.symbols).name);
  if (rng_.chance(1)) return 0;
  return rng_.pick(std::vector<std::int64_t>(std::begin(kExtents), std::end(kExtents)));
}

Shape GraphGenerator::shape(std::size_t least_rank, std::size_t most_rank) {
  const auto rank =
      static_cast<std::size_t>(rng_.range(static_cast<std::int64_t>(least_rank), static_cast<std::int64_t>(most_rank)));
  Shape out;
  while (out.size() < rank) {
    out.push_back(dim());
    if (size(out) > kMostGraphElements) out.back() = 1;
  }
  return out;
}

DType GraphGenerator::dtype() {
  if (rng_.chance(75)) return DType::f32;
  return rng_.pick(std::vector<DType>{DType::f64, DType::f16, DType::bf16, DType::i8, DType::u8, DType::i32, DType::i32,
                                      DType::u32, DType::i64, DType::boolean});
}

// A new parameter; where there are many already, or now and then, a constant.
Operand GraphGenerator::fresh(const Type& type) {
  const bool is_static = std::ranges::all_of(type.shape, [](const Dim& d) { return d.is_constant(); });
  const bool small = is_static && size(type.shape) <= 64;
  const bool constant = small && (function().params.size() >= kMostParams || rng_.chance(12));
  Operand out;
  if (constant) {
    Rng rng(rng_.next());
    graph::Global global{fmt::format("c{}", module_.globals.size()), type, rng.chance(30), false, {}, ""};
    global.value = random_array(type.dtype, static_shape(type.shape, symbols_), rng, true);
    out = Operand::global(static_cast<int>(module_.globals.size()));
    module_.globals.push_back(std::move(global));
  } else {
    out = Operand::value(function().add_value(fmt::format("x{}", function().params.size()), type));
    function().params.push_back(out.id);
  }
  pool_.push_back(out);
  return out;
}

Operand GraphGenerator::of_type(const Type& wanted) {
  if (rng_.chance(80)) {
    if (const auto found = find([&](const Type& type) { return type == wanted; })) return *found;
  }
  return fresh(wanted);
}

Operand GraphGenerator::any_value(std::size_t least_rank, std::size_t most_rank) {
  if (rng_.chance(85)) {
    const auto found =
        find([&](const Type& type) { return type.shape.size() >= least_rank && type.shape.size() <= most_rank; });
    if (found) return *found;
  }
  return fresh({dtype(), shape(least_rank, most_rank)});
}

Operand GraphGenerator::floating() {
  // Rows with a body are there for f32, in which f16 and bf16 are computed, too.
  const auto fits = [](const Type& type) { return is_float(type.dtype) && type.dtype != DType::f64; };
  if (rng_.chance(85)) {
    if (const auto found = find(fits)) return *found;
  }
  return fresh({DType::f32, shape(1, 3)});
}

Operand GraphGenerator::indices(std::size_t most_rank) {
  if (rng_.chance(60)) {
    const auto found = find([&](const Type& t) { return t.dtype == DType::i32 && t.shape.size() <= most_rank; });
    if (found) return *found;
  }
  return fresh({DType::i32, shape(0, most_rank)});
}

Operand GraphGenerator::number(DType type) {
  if (is_float(type)) {
    if (!module_.symbols.empty() && rng_.chance(15)) return Operand::of(dim());
    return Operand::number(rng_.pick(std::vector<double>{0, 1, -1, 0.5, 2, -0.0, 3, 1e-3, -2.75}));
  }
  const std::int64_t low = type == DType::boolean || type == DType::u8 || type == DType::u32 ? 0 : -3;
  return Operand::number(kernel::literal_of_int(rng_.range(low, type == DType::boolean ? 1 : 9)));
}

std::optional<std::vector<Operand>> GraphGenerator::add(std::string_view name, Operands operands, Attrs attrs,
                                                        std::vector<graph::Region> regions) {
  Expected<graph::Op> op = graph::op_from_name(name);
  if (!op) return std::nullopt;
  op->operands = std::move(operands);
  op->regions = std::move(regions);
  if (!graph::set_attrs(*op, std::move(attrs))) return std::nullopt;
  std::vector<graph::Condition> conditions;
  const Expected<std::vector<Type>> types = graph::infer(module_, function(), *op, conditions);
  if (!types || !conditions.empty()) return std::nullopt;
  for (const Type& type : *types) {
    for (const Dim& dim : type.shape) {
      if (dim.range(module_.ranges()).low < 0 || value(dim) < 0) return std::nullopt;
    }
    if (product(type.shape).range(module_.ranges()).high > kMostAtLargest) return std::nullopt;
    const std::int64_t elements = size(type.shape);
    if (elements > kMostGraphElements || (elements == 0 && !rng_.chance(20))) return std::nullopt;
  }
  Operands results;
  const std::string hint = op->variant.empty() ? std::string(name) : op->variant;
  for (const Type& type : *types) {
    results.push_back(Operand::value(function().add_value(hint, type)));
    op->results.push_back(results.back().id);
    pool_.push_back(results.back());
    if (regions_ == 0) made_.push_back(results.back());
  }
  into_->push_back(*std::move(op));
  return results;
}

// Sinks first, so that little is dead; then anything, parameters and constants too, some of them twice.
void GraphGenerator::outputs() {
  std::vector<bool> read(function().values.size(), false);
  for (const graph::Op& op : ops_) {
    for (const Operand& x : op.operands) {
      if (x.kind == Operand::Kind::value) read[static_cast<std::size_t>(x.id)] = true;
    }
  }
  Operands chosen;
  for (const Operand& x : made_) {
    if (!read[static_cast<std::size_t>(x.id)] && (chosen.empty() || rng_.chance(70))) chosen.push_back(x);
  }
  rng_.shuffle(chosen);
  if (chosen.size() > 4) chosen.resize(4);
  if (chosen.empty() || rng_.chance(25)) chosen.push_back(rng_.pick(pool_));
  if (rng_.chance(5)) chosen.push_back(rng_.pick(chosen));
  for (const Operand& x : chosen) {
    function().results.push_back(x);
    function().result_names.push_back(fmt::format("y{}", function().results.size() - 1));
  }
}

GraphCase GraphGenerator::run() {
  fresh({DType::f32, shape(0, 3)});
  const auto count = static_cast<std::size_t>(rng_.range(1, 12));
  for (int attempt = 0; attempt < 200 && (ops_.size() < count || made_.empty()); ++attempt) propose(0);
  // Ops that came later have numbers of their own, so that the graphs of other seeds stay what they are.
  Rng later(seed_ ^ 0x6c61746572ULL);
  if (later.chance(12)) {
    std::swap(rng_, later);
    if (rng_.chance(40)) rng_bits();
    if (rng_.chance(60)) cond(0);
    for (int k = 0; k < 3; ++k) propose(0);
  }
  outputs();
  function().ops = std::move(ops_);
  GraphCase out{seed_, std::move(module_), symbols_, rng_.chance(75)};
  // Values of proposals that failed are left over; the text has none of them.
  if (Expected<graph::Module> clean = graph::parse(graph::print(out.module))) out.module = *std::move(clean);
  return out;
}

GraphCase generate_graph(std::uint64_t seed) { return GraphGenerator(seed).run(); }

}  // namespace tusk::random_tests
