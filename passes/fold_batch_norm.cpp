#include "passes/fold_batch_norm.hpp"

#include <algorithm>

#include "ir/graph/op.hpp"
#include "ir/graph/rewrite.hpp"

namespace tusk {
namespace {

using graph::Builder;
using graph::Op;
using graph::Operand;
using Ints = std::vector<std::int64_t>;

class Folding {
 public:
  Folding(graph::Module& module, graph::Function& function) : module_(module), function_(function) {}

  Expected<bool> run() {
    maker_.assign(function_.values.size(), -1);
    reads_.assign(function_.values.size(), 0);
    for (std::size_t i = 0; i < function_.ops.size(); ++i) {
      for (const int result : function_.ops[i].results) maker_[static_cast<std::size_t>(result)] = static_cast<int>(i);
      graph::for_each_operand(function_.ops[i], [&](const Operand& operand) { count(operand); });
    }
    for (const Operand& result : function_.results) count(result);
    for (const graph::Update& update : function_.updates) count(update.value);
    std::vector<Op> out;
    bool folded = false;
    for (const Op& op : function_.ops) {
      if (op.def->name == "normalize" && fold(op, out)) {
        folded = true;
      } else {
        out.push_back(op);
      }
    }
    if (problem_) return *problem_;
    function_.ops = std::move(out);
    if (folded) graph::remove_dead_ops(function_);
    return folded;
  }

 private:
  void count(const Operand& operand) {
    if (operand.kind == Operand::Kind::value) ++reads_[static_cast<std::size_t>(operand.id)];
  }

  bool constant(const Operand& operand) const {
    return operand.kind == Operand::Kind::literal ||
           (operand.kind == Operand::Kind::global && !module_.globals[static_cast<std::size_t>(operand.id)].is_state);
  }

  // The op that makes a value which nothing else reads.
  const Op* only_reader_of(const Operand& operand, std::string_view name) const {
    if (operand.kind != Operand::Kind::value || reads_[static_cast<std::size_t>(operand.id)] != 1) return nullptr;
    const int made = maker_[static_cast<std::size_t>(operand.id)];
    if (made < 0) return nullptr;
    const Op& op = function_.ops[static_cast<std::size_t>(made)];
    return op.def->name == name ? &op : nullptr;
  }

  // Appends the folded form of `normalize` to `out`; its result keeps its value.
  bool fold(const Op& normalize, std::vector<Op>& out) {
    for (std::size_t i = 1; i < normalize.operands.size(); ++i) {
      if (!constant(normalize.operands[i])) return false;
    }
    const Ints axes = std::get<Ints>(graph::attr_of(normalize, "axes"));
    const Ints scale_axes = std::get<Ints>(graph::attr_of(normalize, "scale_axes"));
    const bool scaled = normalize.operands.size() > 3;
    if (axes.size() != 1 || (scaled && scale_axes != axes)) return false;

    // x is the product itself, or (groups, depthwise) the product with its last axes merged.
    const Op* reshape = only_reader_of(normalize.operands[0], "reshape");
    const Op* contract = only_reader_of(reshape != nullptr ? reshape->operands[0] : normalize.operands[0], "contract");
    if (contract == nullptr || !constant(contract->operands[1]) || contract->operands[1].kind != Operand::Kind::global)
      return false;
    for (const Op* reads : {&normalize, contract}) {
      for (const Operand& operand : reads->operands) {
        if (operand.kind != Operand::Kind::global) continue;
        Status ok = graph::check_weights(module_.globals[static_cast<std::size_t>(operand.id)]);
        if (ok) continue;
        problem_ = std::move(ok.problem());
        return false;
      }
    }
    const auto& spec = std::get<graph::ContractSpec>(graph::attr_of(*contract, "spec"));
    const Shape product_shape = type_of(module_, function_, Operand::value(contract->results[0])).shape;
    const Shape x_shape = type_of(module_, function_, normalize.operands[0]).shape;
    const auto axis = static_cast<std::size_t>(axes[0]);
    Ints channels;  // axes of the product that make up the channel
    if (reshape == nullptr) {
      channels = {axes[0]};
    } else {
      if (axis + 1 != x_shape.size() || product_shape.size() < x_shape.size()) return false;
      for (std::size_t i = 0; i < axis; ++i) {
        if (!(x_shape[i] == product_shape[i])) return false;
      }
      for (std::size_t i = axis; i < product_shape.size(); ++i) channels.push_back(static_cast<std::int64_t>(i));
    }
    Ints kernel_axes;  // where the weights have them
    Shape channel_shape;
    for (const std::int64_t channel : channels) {
      const std::string& name = spec.y[static_cast<std::size_t>(channel)];
      const auto it = std::find(spec.b.begin(), spec.b.end(), name);
      if (it == spec.b.end()) return false;
      kernel_axes.push_back(it - spec.b.begin());
      channel_shape.push_back(product_shape[static_cast<std::size_t>(channel)]);
    }
    if (!std::is_sorted(kernel_axes.begin(), kernel_axes.end())) return false;
    // The start value is a bias along the channel, or nothing.
    std::optional<Operand> bias;
    if (contract->operands.size() == 3) {
      const Op* broadcast = only_reader_of(contract->operands[2], "broadcast");
      if (broadcast == nullptr || !constant(broadcast->operands[0]) ||
          std::get<Ints>(graph::attr_of(*broadcast, "dims")) != channels)
        return false;
      if (type_of(module_, function_, broadcast->operands[0]).shape != channel_shape) return false;
      bias = broadcast->operands[0];
    }

    Builder b(module_, function_, out);
    b.layer = normalize.layer;
    const double eps = std::get<graph::Literal>(graph::attr_of(normalize, "epsilon")).as_double();
    const auto along_channel = [&](const Operand& vector) {
      return vector.kind == Operand::Kind::literal ? vector : b.reshape(vector, channel_shape);
    };
    Operand factor = b.map("rsqrt", {b.map("add", {normalize.operands[2], Operand::number(eps)})});
    if (scaled &&
        !(normalize.operands[3].kind == Operand::Kind::literal && normalize.operands[3].literal.as_double() == 1)) {
      factor = b.map("mul", {factor, normalize.operands[3]});
    }
    factor = along_channel(factor);
    const Operand mean = along_channel(normalize.operands[1]);
    const Operand beta = normalize.operands.size() > 4 ? along_channel(normalize.operands[4]) : Operand::number(0.0);
    const Operand centred = bias ? b.map("sub", {*bias, mean}) : b.map("neg", {mean});
    const Operand new_bias = b.map("fma", {centred, factor, beta});
    const graph::Type kernel_type = b.type(contract->operands[1]);
    const Operand kernel = b.map("mul", {contract->operands[1], b.broadcast(factor, kernel_type.shape, kernel_axes)});
    const Operand init = b.broadcast(new_bias, product_shape, channels);
    b.layer = contract->layer;
    b.name_hint = function_.values[static_cast<std::size_t>(contract->results[0])].name;
    const Operand product = b.contract(contract->operands[0], kernel, init, spec);
    if (reshape != nullptr) b.reshape(product, x_shape);
    if (b.problem) {
      problem_ = b.problem;
      return false;
    }
    out.back().results = normalize.results;  // readers of the normalized value read the product
    return true;
  }

  graph::Module& module_;
  graph::Function& function_;
  std::vector<int> maker_;
  std::vector<int> reads_;
  std::optional<Diagnostic> problem_;
};

}  // namespace

Status fold_batch_norm(graph::Module& module) {
  bool any = false;
  for (graph::Function& function : module.functions) {
    TRY(const bool folded, Folding(module, function).run());
    any = any || folded;
  }
  const std::string name = "fold_batch_norm";
  if (any && std::find(module.passes.begin(), module.passes.end(), name) == module.passes.end())
    module.passes.push_back(name);
  return done();
}

}  // namespace tusk
