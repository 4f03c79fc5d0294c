#include "passes/simplify.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "ir/graph/op.hpp"
#include "ir/graph/rewrite.hpp"

namespace tusk {
namespace {

using graph::Builder;
using graph::Op;
using graph::Operand;
using Ints = std::vector<std::int64_t>;

// What a rule sees: the op, and the op that made a value.
struct Match {
  Builder& b;
  const Op& op;
  const std::vector<const Op*>& maker;  // of each value, null for parameters

  const Op* made_by(std::size_t operand, std::string_view name) const {
    const Operand& x = op.operands[operand];
    if (x.kind != Operand::Kind::value) return nullptr;
    const Op* source = maker[static_cast<std::size_t>(x.id)];
    return source != nullptr && source->def->name == name ? source : nullptr;
  }
  const graph::Type result_type() const { return b.type(Operand::value(op.results[0])); }
  template <class T>
  static const T& get(const Op& from, std::string_view attr) {
    return std::get<T>(graph::attr_of(from, attr));
  }
};

using Replacement = std::optional<Operand>;

bool is_number(const Operand& operand, double value) {
  return operand.kind == Operand::Kind::literal && operand.literal.as_double() == value;
}

bool is_identity(const Ints& perm) {
  for (std::size_t i = 0; i < perm.size(); ++i) {
    if (perm[i] != static_cast<std::int64_t>(i)) return false;
  }
  return true;
}

// x * 1, x / 1: the same bits, NaN included (N7).
Replacement times_one(const Match& m) {
  if (m.op.def->name != "map" || !is_float(m.result_type().dtype)) return {};
  const bool mul = m.op.variant == "mul";
  if (!mul && m.op.variant != "div") return {};
  if (is_number(m.op.operands[1], 1)) return m.op.operands[0];
  if (mul && is_number(m.op.operands[0], 1)) return m.op.operands[1];
  return {};
}

// max(0, max(0, x))
Replacement relu_of_relu(const Match& m) {
  if (m.op.def->name != "map" || m.op.variant != "relu") return {};
  const Op* inner = m.made_by(0, "map");
  return inner != nullptr && inner->variant == "relu" ? Replacement(m.op.operands[0]) : Replacement();
}

Replacement same_cast(const Match& m) {
  if (m.op.def->name != "cast" || m.b.type(m.op.operands[0]) != m.result_type()) return {};
  return m.op.operands[0];
}

Replacement same_shape(const Match& m) {
  const bool view = m.op.def->name == "reshape" || m.op.def->name == "broadcast";
  if (!view || m.b.type(m.op.operands[0]) != m.result_type()) return {};
  return m.op.operands[0];
}

Replacement reshape_of_reshape(const Match& m) {
  if (m.op.def->name != "reshape") return {};
  const Op* inner = m.made_by(0, "reshape");
  if (inner == nullptr) return {};
  return m.b.reshape(inner->operands[0], m.result_type().shape);
}

Replacement transpose_of_transpose(const Match& m) {
  if (m.op.def->name != "transpose") return {};
  const Ints& outer = Match::get<Ints>(m.op, "perm");
  if (is_identity(outer)) return m.op.operands[0];
  const Op* inner = m.made_by(0, "transpose");
  if (inner == nullptr) return {};
  const Ints& first = Match::get<Ints>(*inner, "perm");
  Ints perm;
  for (const std::int64_t axis : outer) perm.push_back(first[static_cast<std::size_t>(axis)]);
  if (is_identity(perm)) return inner->operands[0];
  return m.b.transpose(inner->operands[0], perm);
}

// All of x, forwards.
Replacement whole_slice(const Match& m) {
  if (m.op.def->name != "slice" || m.b.type(m.op.operands[0]) != m.result_type()) return {};
  const Ints& step = Match::get<Ints>(m.op, "step");
  return std::all_of(step.begin(), step.end(), [](std::int64_t s) { return s == 1; }) ? Replacement(m.op.operands[0])
                                                                                      : Replacement();
}

Replacement empty_pad(const Match& m) {
  if (m.op.def->name != "pad") return {};
  const auto zero = [](const Dim& dim) { return dim == Dim(0); };
  const Shape& low = Match::get<Shape>(m.op, "low");
  const Shape& high = Match::get<Shape>(m.op, "high");
  const Ints& inner = Match::get<Ints>(m.op, "inner");
  const bool nothing = std::all_of(low.begin(), low.end(), zero) && std::all_of(high.begin(), high.end(), zero) &&
                       std::all_of(inner.begin(), inner.end(), [](std::int64_t n) { return n == 0; });
  return nothing ? Replacement(m.op.operands[0]) : Replacement();
}

Replacement single_concat(const Match& m) {
  if (m.op.def->name != "concat" || m.op.operands.size() != 1) return {};
  return m.op.operands[0];
}

// Zeros around the input of a convolution become its offset: both read 0 there, and the term is executed (N5).
Replacement pad_into_contract(const Match& m) {
  if (m.op.def->name != "contract") return {};
  const Op* pad = m.made_by(0, "pad");
  if (pad == nullptr) return {};
  const double filler = Match::get<graph::Literal>(*pad, "value").as_double();
  if (!(filler == 0 && !std::signbit(filler))) return {};
  graph::ContractSpec spec = Match::get<graph::ContractSpec>(m.op, "spec");
  const Shape& low = Match::get<Shape>(*pad, "low");
  const Shape& high = Match::get<Shape>(*pad, "high");
  const Ints& inner = Match::get<Ints>(*pad, "inner");
  for (std::size_t axis = 0; axis < low.size(); ++axis) {
    if (inner[axis] != 0) return {};
    if (low[axis] == Dim(0) && high[axis] == Dim(0)) continue;
    // Negative padding cuts elements off, which an offset would read.
    if (!low[axis].is_constant() || !high[axis].is_constant() || low[axis].constant() < 0 || high[axis].constant() < 0)
      return {};
    const auto it = std::find_if(spec.where.begin(), spec.where.end(),
                                 [&](const graph::Where& w) { return w.whole == spec.a[axis]; });
    if (it == spec.where.end()) return {};
    it->offset += low[axis];
  }
  std::optional<Operand> init;
  if (m.op.operands.size() == 3) init = m.op.operands[2];
  return m.b.contract(pad->operands[0], m.op.operands[1], init, std::move(spec));
}

using Rule = Replacement (*)(const Match&);

constexpr Rule kRules[] = {
    times_one,               // x * 1 and x / 1 are x
    relu_of_relu,            // relu(relu(x)) is relu(x)
    same_cast,               // a cast to the dtype that x has is x
    same_shape,              // a reshape or broadcast to the shape that x has is x
    reshape_of_reshape,      // two reshapes are one
    transpose_of_transpose,  // two transposes are one, or none
    whole_slice,             // a slice of everything is x
    empty_pad,               // a pad by nothing is x
    single_concat,           // a concat of one tensor is that tensor
    pad_into_contract,       // zeros around the input of a convolution become its offset
};

constexpr std::size_t kRounds = 16;  // every rule shrinks the graph or an expression, so few rounds settle it

Status simplify_ops(graph::Module& module, graph::Function& function, std::vector<Op>& ops, bool& changed) {
  std::vector<const Op*> maker(function.values.size(), nullptr);
  std::vector<Operand> replaced(function.values.size());
  std::vector<bool> gone(function.values.size(), false);
  const auto follow = [&](Operand& operand) {
    while (operand.kind == Operand::Kind::value && static_cast<std::size_t>(operand.id) < gone.size() &&
           gone[static_cast<std::size_t>(operand.id)]) {
      operand = replaced[static_cast<std::size_t>(operand.id)];
    }
  };
  std::vector<Op> out;
  out.reserve(ops.size() * 2 + 16);  // `maker` points into it
  for (Op& op : ops) {
    graph::for_each_operand(op, follow);
    for (graph::Region& region : op.regions) CHECK(simplify_ops(module, function, region.ops, changed));
    Replacement by;
    if (op.results.size() == 1) {
      std::vector<Op> added;
      Builder builder(module, function, added);
      builder.layer = op.layer;
      builder.name_hint = function.values[static_cast<std::size_t>(op.results[0])].name;
      for (const Rule rule : kRules) {
        by = rule({builder, op, maker});
        if (builder.problem) return *builder.problem;
        if (by) break;
      }
      for (Op& extra : added) {
        if (out.size() == out.capacity()) return error("simplify", "a rule added more ops than it may");
        out.push_back(std::move(extra));
        maker.resize(function.values.size(), nullptr);
        maker[static_cast<std::size_t>(out.back().results[0])] = &out.back();
      }
    }
    if (by) {
      const auto id = static_cast<std::size_t>(op.results[0]);
      replaced[id] = *by;
      gone[id] = true;
      changed = true;
      continue;
    }
    out.push_back(std::move(op));
    maker.resize(function.values.size(), nullptr);
    for (const int result : out.back().results) maker[static_cast<std::size_t>(result)] = &out.back();
  }
  ops = std::move(out);
  // Everything behind these ops that reads a replaced value: later regions, results, updates.
  const auto follow_all = [&](std::vector<Op>& list) {
    for (Op& op : list) graph::for_each_operand(op, follow);
  };
  follow_all(ops);
  if (&ops == &function.ops) {
    for (Operand& result : function.results) follow(result);
    for (graph::Update& update : function.updates) follow(update.value);
  } else {
    follow_all(function.ops);
  }
  return done();
}

}  // namespace

Status simplify(graph::Module& module) {
  for (graph::Function& function : module.functions) {
    bool changed = true;
    for (std::size_t round = 0; changed && round < kRounds; ++round) {
      changed = false;
      CHECK(simplify_ops(module, function, function.ops, changed));
    }
    graph::remove_dead_ops(function);
  }
  return done();
}

}  // namespace tusk
