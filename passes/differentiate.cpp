#include "passes/differentiate.hpp"

#include <algorithm>

#include "ir/graph/gradients.hpp"
#include "ir/graph/rewrite.hpp"

namespace tusk {
namespace {

using namespace graph;

const Value& value(const Function& function, int id) { return function.values[static_cast<std::size_t>(id)]; }

// Trainable states and floating consts that the function reads.
std::vector<Operand> floating_globals(const Module& module, const Function& function) {
  std::vector<bool> read(module.globals.size(), false);
  const auto mark = [&](const Operand& o) {
    if (o.kind == Operand::Kind::global) read[static_cast<std::size_t>(o.id)] = true;
  };
  for (const Op& op : function.ops) for_each_operand(op, mark);
  std::vector<Operand> out;
  for (std::size_t i = 0; i < module.globals.size(); ++i) {
    const Global& global = module.globals[i];
    if (read[i] && is_float(global.type.dtype) && (global.trainable || !global.is_state)) {
      out.push_back(Operand::global(static_cast<int>(i)));
    }
  }
  return out;
}

}  // namespace

Expected<Function> differentiate(Module& module, const Function& function, const DifferentiateOptions& options) {
  Function out = function;
  out.name += "_grad";
  out.results.clear();
  out.result_names.clear();
  out.updates.clear();
  std::vector<std::pair<Operand, Operand>> seeds;
  for (std::size_t i = 0; i < function.results.size(); ++i) {
    const Operand& result = function.results[i];
    const Type type = type_of(module, function, result);
    if (!is_float(type.dtype)) continue;
    const int dy = out.add_value("d_" + function.result_names[i], type);
    out.params.push_back(dy);
    seeds.emplace_back(result, Operand::value(dy));
  }
  std::vector<Operand> wanted;
  for (const int id : function.params) {
    if (!is_float(value(function, id).type.dtype)) continue;
    wanted.push_back(Operand::value(id));
    out.result_names.push_back("d_" + value(function, id).name);
  }
  if (options.globals) {
    for (const Operand& global : floating_globals(module, function)) {
      wanted.push_back(global);
      out.result_names.push_back("d_" + module.globals[static_cast<std::size_t>(global.id)].path);
    }
  }
  TRY(out.results, append_backward(module, out, seeds, wanted));
  remove_dead_ops(out);
  // A gradient is called as the result, where that name is free.
  for (std::size_t i = 0; i < out.results.size(); ++i) {
    if (out.results[i].kind == Operand::Kind::value &&
        std::ranges::find(out.params, out.results[i].id) == out.params.end() &&
        !out.names.contains(out.result_names[i])) {
      out.rename(out.results[i].id, out.result_names[i]);
    }
  }
  return out;
}

}  // namespace tusk
