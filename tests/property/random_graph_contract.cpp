// Proposals for the two ops that take more than a few lines.
#include <algorithm>
#include <utility>

#include "tests/property/random_graph.hpp"

namespace tusk::random_tests {

using graph::Attrs;
using graph::ContractSpec;
using graph::Operand;
using graph::Type;

// Each axis of a: batch (a, b, y), left (a, y), reduced (a, b), or one of the three of a `where`, whose other two stand
// in b and y; b has some axes of its own.
bool GraphGenerator::contract() {
  const Operand a = rng_.chance(85) ? floating() : any_value(0, 4);
  const Type a_type = type(a);
  if (a_type.dtype == DType::boolean || a_type.shape.size() > 4) return false;
  ContractSpec spec;
  std::vector<std::pair<std::string, Dim>> b;
  std::vector<std::pair<std::string, Dim>> open;  // extents that no operand fixes
  int next = 0;
  const auto name = [&] { return std::string(1, static_cast<char>('a' + next++)); };
  for (const Dim& extent : a_type.shape) {
    const std::string self = name();
    spec.a.push_back(self);
    const std::int64_t role = rng_.below(10);
    if (role < 2) {
      b.emplace_back(self, extent);
      spec.y.push_back(self);
    } else if (role < 5) {
      spec.y.push_back(self);
    } else if (role < 8) {
      b.emplace_back(self, extent);
    } else {
      std::vector<std::string> parts{self, name(), name()};
      const std::string in_b = parts[1];
      const std::string in_y = parts[2];
      rng_.shuffle(parts);
      graph::Where where{parts[0], parts[1], parts[2], rng_.range(1, 3), rng_.range(1, 2), Dim(rng_.range(-1, 2))};
      const auto extent_of = [&](const std::string& index) {
        return Dim(index == where.tap ? rng_.range(1, 3) : rng_.range(1, 6));
      };
      b.emplace_back(in_b, extent_of(in_b));
      spec.y.push_back(in_y);
      open.emplace_back(in_y, extent_of(in_y));
      spec.where.push_back(std::move(where));
    }
  }
  for (std::int64_t k = rng_.pick(std::vector<std::int64_t>{0, 1, 1, 1, 2}); k > 0; --k) {
    b.emplace_back(name(), dim());
    spec.y.push_back(b.back().first);
  }
  rng_.shuffle(b);
  if (rng_.chance(50)) rng_.shuffle(spec.y);
  Type b_type{a_type.dtype, {}};
  for (const auto& [index, extent] : b) {
    spec.b.push_back(index);
    b_type.shape.push_back(extent);
  }
  for (const std::string& index : spec.y) {  // in order of y, as the text has them
    for (const auto& [other, extent] : open) {
      if (other == index) spec.extents.emplace_back(index, extent);
    }
  }
  if (size(b_type.shape) > 256) return false;
  std::int64_t terms = size(a_type.shape) * size(b_type.shape);
  if (terms > 60000) return false;
  Operands operands{a, of_type(b_type)};
  if (rng_.chance(35)) {
    // The type of y is needed to find an init: the rule is asked with a throw-away op.
    graph::Op probe = *graph::op_from_name("contract");
    probe.operands = operands;
    probe.attrs.set("spec", spec);
    std::vector<graph::Condition> conditions;
    const auto types = graph::infer(module_, function(), probe, conditions);
    if (!types || size(types->front().shape) > 256) return false;
    operands.push_back(of_type(types->front()));
  }
  return add("contract", std::move(operands), attrs({{"spec", spec}})).has_value();
}

bool GraphGenerator::scan(int depth) {
  if (depth > 0 && !rng_.chance(20)) return false;
  Operands operands;
  Ints take_axes;
  Ints take_rev;
  const std::int64_t carries = rng_.range(0, 2);
  for (std::int64_t k = 0; k < carries; ++k) operands.push_back(rng_.chance(70) ? floating() : any_value(0, 2));
  std::optional<Dim> length;
  std::vector<Type> params;
  for (const Operand& x : operands) params.push_back(type(x));
  const std::int64_t takes = rng_.range(carries == 0 ? 1 : 0, 2);
  for (std::int64_t k = 0; k < takes; ++k) {
    const auto along = [&](const Type& t) {
      return !length ? !t.shape.empty() : std::ranges::find(t.shape, *length) != t.shape.end();
    };
    std::optional<Operand> x = find(along);
    if (!x) x = fresh({dtype(), length ? Shape{*length, dim()} : shape(1, 3)});
    Type type = this->type(*x);
    if (type.shape.size() > 3) break;
    if (!length) length = rng_.pick(type.shape);
    const auto axis = std::ranges::find(type.shape, *length) - type.shape.begin();
    operands.push_back(*x);
    take_axes.push_back(axis);
    take_rev.push_back(rng_.below(2));
    type.shape.erase(type.shape.begin() + axis);
    params.push_back(type);
  }
  if (!length) length = Dim(rng_.range(1, 5));
  if (operands.empty() || value(*length) > 9 || value(*length) < 1) return false;
  if (depth > 0 && !length->is_constant()) return false;

  graph::Region region;
  const std::size_t outside = pool_.size();
  const std::size_t params_outside = function().params.size();
  std::vector<graph::Op>* into = std::exchange(into_, &region.ops);
  ++regions_;
  for (const Type& type : params) {
    region.params.push_back(function().add_value("p", type));
    pool_.push_back(Operand::value(region.params.back()));
  }
  const std::int64_t count = rng_.range(1, 4);
  for (std::int64_t k = 0; k < count; ++k) propose(depth + 1);
  const auto inside = [&](const auto& fits) -> std::optional<Operand> {
    Operands found;
    for (std::size_t i = outside; i < pool_.size(); ++i) {
      if (fits(type(pool_[i]))) found.push_back(pool_[i]);
    }
    if (found.empty()) return std::nullopt;
    const auto n = static_cast<std::int64_t>(found.size());
    return found[static_cast<std::size_t>(std::max({rng_.below(n), rng_.below(n), rng_.below(n)}))];
  };
  for (std::int64_t k = 0; k < carries; ++k)
    region.yields.push_back(*inside([&](const Type& t) { return t == params[static_cast<std::size_t>(k)]; }));
  Ints stack_axes;
  Ints stack_rev;
  for (std::int64_t k = rng_.range(carries == 0 ? 1 : 0, 2); k > 0; --k) {
    const std::optional<Operand> x = inside([](const Type& t) { return t.shape.size() < 3; });
    if (!x) break;
    region.yields.push_back(*x);
    stack_axes.push_back(rng_.range(0, static_cast<std::int64_t>(type(*x).shape.size())));
    stack_rev.push_back(rng_.below(2));
  }
  --regions_;
  into_ = into;
  pool_.resize(outside);
  for (std::size_t i = params_outside; i < function().params.size(); ++i)
    pool_.push_back(Operand::value(function().params[i]));
  if (region.yields.empty()) return false;
  return add("scan", std::move(operands),
             attrs({{"length", Shape{*length}},
                    {"carries", carries},
                    {"take_axes", take_axes},
                    {"take_rev", take_rev},
                    {"stack_axes", stack_axes},
                    {"stack_rev", stack_rev}}),
             {std::move(region)})
      .has_value();
}

bool GraphGenerator::cond(int depth) {
  if (depth > 0 && !rng_.chance(30)) return false;
  Operands operands{of_type({DType::boolean, {}})};
  std::vector<graph::Region> regions(2);
  std::vector<Type> types;
  for (graph::Region& region : regions) {
    const bool is_first = &region == &regions[0];
    const std::size_t outside = pool_.size();
    const std::size_t params_outside = function().params.size();
    std::vector<graph::Op>* into = std::exchange(into_, &region.ops);
    ++regions_;
    for (std::int64_t k = rng_.range(0, 3); k > 0; --k) propose(depth + 1);
    for (std::int64_t k = is_first ? rng_.range(1, 2) : 0; k > 0; --k) {
      region.yields.push_back(any_value(0, 3));
      types.push_back(type(region.yields.back()));
    }
    for (std::size_t k = 0; !is_first && k < types.size(); ++k) region.yields.push_back(of_type(types[k]));
    --regions_;
    into_ = into;
    pool_.resize(outside);
    for (std::size_t i = params_outside; i < function().params.size(); ++i)
      pool_.push_back(Operand::value(function().params[i]));
  }
  return add("cond", std::move(operands), {}, std::move(regions)).has_value();
}

}  // namespace tusk::random_tests
