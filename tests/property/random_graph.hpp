// Random valid graphs over all ops, from a seed.
//
// A tool that builds cases with compilers calls `generate_graph(seed)` and `inputs_of(graph)`:
//   GraphCase c = generate_graph(7);  // c.module has one function, `f`; c.symbols fixes its symbols
//   std::vector<Array> in = inputs_of(c);
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ir/graph/op.hpp"
#include "tests/property/random_common.hpp"

namespace tusk::random_tests {

struct GraphCase {
  std::uint64_t seed = 0;
  graph::Module module;
  Symbols symbols;
  bool tame = true;  // no special numbers among the inputs
};

GraphCase generate_graph(std::uint64_t seed);

/// One array for each parameter, by the seed and the parameter's name.
std::vector<Array> inputs_of(const GraphCase& graph);
std::vector<Array> inputs_of(const GraphCase& graph, const graph::Function& function);

std::vector<std::int64_t> static_shape(const Shape& shape, const Symbols& symbols);

/// Whether `map` has the row at all.
bool is_row_of_maps(const Row& row);
/// Whether `map.ROW` on the dtype has a meaning in all engines.
bool row_takes(const Row& row, DType type);

inline graph::Attrs attrs(std::vector<std::pair<std::string, graph::Attr>> list) { return {std::move(list)}; }

/// Makes a graph op by op: proposes one at random and keeps it if the shape rule takes it. (random_graph_ops.cpp has
/// the proposals.)
class GraphGenerator {
 public:
  explicit GraphGenerator(std::uint64_t seed);
  GraphCase run();

 private:
  using Ints = std::vector<std::int64_t>;
  using Operands = std::vector<graph::Operand>;

  // --- values
  const graph::Type type(const graph::Operand& x) const { return type_of(module_, function(), x); }
  graph::Function& function() { return module_.functions[0]; }
  const graph::Function& function() const { return module_.functions[0]; }
  std::int64_t value(const Dim& dim) const;
  std::int64_t size(const Shape& shape) const;
  template <class Fits>
  std::optional<graph::Operand> find(const Fits& fits) {
    Operands found;
    for (const graph::Operand& x : pool_) {
      if (fits(type(x))) found.push_back(x);
    }
    if (found.empty()) return std::nullopt;
    // Later values are likelier, so that graphs grow deep.
    const auto n = static_cast<std::int64_t>(found.size());
    return found[static_cast<std::size_t>(std::max(rng_.below(n), rng_.below(n)))];
  }
  graph::Operand fresh(const graph::Type& type);
  graph::Operand of_type(const graph::Type& wanted);
  graph::Operand floating();
  graph::Operand any_value(std::size_t least_rank = 0, std::size_t most_rank = 4);
  graph::Operand indices(std::size_t most_rank);
  graph::Operand number(DType type);
  Dim dim();
  Shape shape(std::size_t least_rank, std::size_t most_rank);
  DType dtype();

  // --- ops
  std::optional<Operands> add(std::string_view name, Operands operands, graph::Attrs attrs = {},
                              std::vector<graph::Region> regions = {});
  bool propose(int depth);
  bool constant();
  bool iota();
  bool rng_bits();
  bool map();
  bool cast();
  bool view();
  bool broadcast();
  bool reshape();
  bool slice();
  bool pad();
  bool concat();
  bool gather();
  bool scatter();
  bool reduce();
  bool window();
  bool unwindow();
  bool contract();
  bool sort();
  bool scan(int depth);
  bool cond(int depth);
  bool composite();
  bool normalize();
  void outputs();

  Rng rng_;
  std::uint64_t seed_;
  graph::Module module_;
  Symbols symbols_;
  std::vector<graph::Op> ops_;
  std::vector<graph::Op>* into_ = &ops_;  // the region being filled
  Operands pool_;
  Operands made_;  // results of ops outside of regions
  int regions_ = 0;
};

}  // namespace tusk::random_tests
