#include "ir/graph/rewrite.hpp"

#include <fmt/format.h>
#include <algorithm>

namespace tusk::graph {

Status check_weights(const Global& global) {
  if (!global.missing) return done();
  return error("weights-missing", fmt::format("the value of `@{}`, {}, is in a file of weights that is not there",
                                              global.path, global.text));
}

Status check_weights(const Module& module, const Function& function) {
  std::vector<bool> read(module.globals.size(), false);
  const auto mark = [&](const Operand& operand) {
    if (operand.kind == Operand::Kind::global) read[static_cast<std::size_t>(operand.id)] = true;
  };
  for (const Op& op : function.ops) for_each_operand(op, mark);
  std::ranges::for_each(function.results, mark);
  for (const Update& update : function.updates) mark(update.value);
  for (std::size_t i = 0; i < read.size(); ++i) {
    if (read[i]) CHECK(check_weights(module.globals[i]));
  }
  return done();
}

void remove_dead_ops(std::vector<Op>& ops, std::vector<bool>& live) {
  const auto mark = [&](const Operand& operand) {
    if (operand.kind == Operand::Kind::value) live[static_cast<std::size_t>(operand.id)] = true;
  };
  std::vector<Op> kept;
  for (auto op = ops.rbegin(); op != ops.rend(); ++op) {
    const auto read = [&](int id) { return live[static_cast<std::size_t>(id)]; };
    if (std::ranges::none_of(op->results, read)) continue;
    for (Region& region : op->regions) {
      std::ranges::for_each(region.yields, mark);
      remove_dead_ops(region.ops, live);
    }
    std::ranges::for_each(op->operands, mark);
    kept.push_back(std::move(*op));
  }
  std::ranges::reverse(kept);
  ops = std::move(kept);
}

void remove_dead_ops(Function& function) {
  std::vector<bool> live(function.values.size(), false);
  const auto mark = [&](const Operand& operand) {
    if (operand.kind == Operand::Kind::value) live[static_cast<std::size_t>(operand.id)] = true;
  };
  std::ranges::for_each(function.results, mark);
  for (const Update& update : function.updates) mark(update.value);
  remove_dead_ops(function.ops, live);
}

}  // namespace tusk::graph
