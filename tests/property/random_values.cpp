// A graph with every value as a result: composites expanded, scans unrolled.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "ir/graph/rewrite.hpp"
#include "passes/expand_composites.hpp"
#include "tests/property/random_laws.hpp"

namespace tusk::random_tests {
namespace {

using graph::Attrs;
using graph::Builder;
using graph::Op;
using graph::Operand;
using Ints = std::vector<std::int64_t>;

class Unrolling {
 public:
  Unrolling(graph::Module& module, graph::Function& function) : b_(module, function, out_) {}

  std::vector<Op> run(const std::vector<Op>& ops) {
    copy(ops, false);
    return std::move(out_);
  }
  Operand now(const Operand& x) const {
    const auto it = x.kind == Operand::Kind::value ? now_.find(x.id) : now_.end();
    return it == now_.end() ? x : it->second;
  }

 private:
  // In a region every op is copied with results of its own.
  void copy(const std::vector<Op>& ops, bool inside) {
    for (const Op& op : ops) {
      const bool scans = op.def->name == "scan";
      if (scans && std::get<Shape>(graph::attr_of(op, "length"))[0].is_constant()) {
        unroll(op);
        continue;
      }
      Op moved = op;
      graph::for_each_operand(moved, [&](Operand& x) { x = now(x); });
      if (!inside) {
        out_.push_back(std::move(moved));
        continue;
      }
      const std::vector<Operand> results = b_.add_all(graph::text_name(op), moved.operands, moved.attrs, moved.regions);
      for (std::size_t i = 0; i < op.results.size(); ++i) now_[op.results[i]] = results[i];
    }
  }

  void unroll(const Op& op) {
    const auto ints = [&](std::string_view name) { return std::get<Ints>(graph::attr_of(op, name)); };
    const std::int64_t length = std::get<Shape>(graph::attr_of(op, "length"))[0].constant();
    const auto carries = static_cast<std::size_t>(std::get<std::int64_t>(graph::attr_of(op, "carries")));
    const graph::Region& region = op.regions[0];
    std::vector<Operand> carried;
    for (std::size_t k = 0; k < carries; ++k) carried.push_back(now(op.operands[k]));
    std::vector<std::vector<Operand>> stacks(region.yields.size() - carries);
    for (std::int64_t t = 0; t < length; ++t) {
      for (std::size_t k = 0; k < carries; ++k) now_[region.params[k]] = carried[k];
      for (std::size_t k = carries; k < region.params.size(); ++k) {
        const bool reversed = ints("take_rev")[k - carries] != 0;
        now_[region.params[k]] =
            take(now(op.operands[k]), ints("take_axes")[k - carries], reversed ? length - 1 - t : t);
      }
      copy(region.ops, true);
      for (std::size_t k = 0; k < carries; ++k) carried[k] = now(region.yields[k]);
      for (std::size_t k = 0; k < stacks.size(); ++k) {
        const Operand x = now(region.yields[carries + k]);
        Shape shape = b_.type(x).shape;
        shape.insert(shape.begin() + ints("stack_axes")[k], Dim(1));
        stacks[k].push_back(b_.reshape(x, shape));
      }
    }
    for (std::size_t k = 0; k < carries; ++k) now_[op.results[k]] = carried[k];
    for (std::size_t k = 0; k < stacks.size(); ++k) {
      if (ints("stack_rev")[k] != 0) std::ranges::reverse(stacks[k]);
      now_[op.results[carries + k]] = b_.add("concat", stacks[k], Attrs{{{"axis", ints("stack_axes")[k]}}});
    }
  }

  Operand take(const Operand& x, std::int64_t axis, std::int64_t at) {
    Shape limit = b_.type(x).shape;
    Shape start(limit.size(), Dim(0));
    start[static_cast<std::size_t>(axis)] = Dim(at);
    limit[static_cast<std::size_t>(axis)] = Dim(at + 1);
    const Operand part =
        b_.add("slice", {x}, Attrs{{{"start", start}, {"limit", limit}, {"step", Ints(limit.size(), 1)}}});
    Shape shape = b_.type(part).shape;
    shape.erase(shape.begin() + axis);
    return b_.reshape(part, shape);
  }

  std::vector<Op> out_;
  Builder b_;
  std::map<int, Operand> now_;  // what values of regions and results of scans have become
};

}  // namespace

graph::Module with_all_values(const graph::Module& module, std::vector<Operand>& results) {
  graph::Module out = module;
  if (!expand_composites(out)) return out;
  graph::Function& function = out.functions[0];
  Unrolling unrolling(out, function);
  const std::vector<Op> ops = function.ops;
  function.ops = unrolling.run(ops);
  for (Operand& result : function.results) result = unrolling.now(result);
  results = function.results;
  function.results.clear();
  function.result_names.clear();
  for (const Op& op : function.ops) {
    for (const int id : op.results) {
      function.results.push_back(Operand::value(id));
      function.result_names.push_back(fmt::format("v{}", id));
    }
  }
  return out;
}

}  // namespace tusk::random_tests
