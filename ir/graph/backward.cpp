#include "ir/graph/backward.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <set>

#include "ir/graph/inline.hpp"
#include "ir/graph/print.hpp"
#include "ir/graph/rewrite.hpp"

namespace tusk::graph {
namespace {

using Key = std::pair<Operand::Kind, int>;

bool is_tensor(const Operand& o) { return o.kind == Operand::Kind::value || o.kind == Operand::Kind::global; }

Key key(const Operand& o) { return {o.kind, o.id}; }

// The values and globals that depend on those wanted, by way of floating values.
class Active {
 public:
  explicit Active(const std::vector<Operand>& wanted) {
    for (const Operand& o : wanted) reached_.insert(key(o));
  }

  bool operator()(const Operand& o) const { return is_tensor(o) && reached_.contains(key(o)); }

  bool operator()(const Op& op) const {
    bool found = false;
    for_each_operand(op, [&](const Operand& o) { found = found || (*this)(o); });
    return found;
  }

  void reach(const Function& function, const Op& op) {
    if (!(*this)(op)) return;
    for (const int id : op.results) {
      if (is_float(function.values[static_cast<std::size_t>(id)].type.dtype))
        reached_.insert({Operand::Kind::value, id});
    }
  }

 private:
  std::set<Key> reached_;
};

Diagnostic no_gradient(const Op& op) {
  Diagnostic out = error("no-gradient", fmt::format("`{}` has no gradient", text_name(op)));
  if (!op.def->gradient_note.empty()) out.message += fmt::format(": {}", op.def->gradient_note);
  out.layer = op.layer;
  return out;
}

// The op with its default attributes written out, so that a rule finds every attribute.
Op complete(Op op) {
  for (const AttrSpec& spec : op.def->attrs) op.attrs.set(std::string(spec.name), attr_of(op, spec.name));
  return op;
}

// The gradient of %x is called %d_x.
std::string gradient_name(Builder& b, const Operand& of) {
  return "d_" + (of.kind == Operand::Kind::value ? b.function().values[static_cast<std::size_t>(of.id)].name
                                                 : b.module().globals[static_cast<std::size_t>(of.id)].path);
}

void rename(Builder& b, const Operand& value, std::string name) {
  const std::vector<int>& params = b.function().params;
  if (value.kind != Operand::Kind::value || std::ranges::find(params, value.id) != params.end()) return;
  b.function().rename(value.id, std::move(name));
}

// The gradient of a composite, from its text.
Status gradient_by_text(GradContext& g) {
  TRY(const Function body, instantiate_gradient(g.b.module(), g.b.function(), g.op));
  std::vector<Operand> args = tensors_of(g.op);
  for (const int id : g.op.results) args.push_back(Operand::value(id));
  for (std::size_t i = 0; i < g.op.results.size(); ++i) {
    args.push_back(g.dy[i] ? *g.dy[i] : g.b.fill(g.b.type(g.result(i)), 0));
  }
  const std::string prefix = "d_" + g.b.function().values[static_cast<std::size_t>(g.op.results[0])].name + ".";
  const std::vector<Operand> dx = inline_body(g.b.module(), g.b.function(), g.b.ops(), body, args, prefix, g.op.layer);
  for (std::size_t i = 0; i < g.dx.size(); ++i) {
    if (is_tensor(dx[i])) g.dx[i] = dx[i];
  }
  return done();
}

}  // namespace

void Cotangents::add(Builder& b, const Operand& of, const Operand& dy) {
  const auto [it, first] = sums_.try_emplace(key(of), dy);
  if (first) return;
  const std::string name = gradient_name(b, of);
  rename(b, it->second, name + ".part");  // the sum takes the name
  b.name_hint = name;
  it->second = b.map("add", {it->second, dy});
}

std::optional<Operand> Cotangents::find(const Operand& of) const {
  const auto it = sums_.find(key(of));
  return it == sums_.end() ? std::nullopt : std::optional(it->second);
}

Status backward(Builder& b, std::vector<Op>& ops, Cotangents& cotangents, const std::vector<Operand>& wanted) {
  Active active(wanted);
  CHECK(expand_composites(b.module(), b.function(), ops,
                          [](const Op& op) { return op.def->gradient == nullptr && op.def->gradient_body.empty(); }));
  for (const Op& op : ops) active.reach(b.function(), op);
  for (std::size_t i = ops.size(); i-- > 0;) {
    if (!active(ops[i])) continue;
    const Op op = complete(ops[i]);
    GradContext g{b, op, {}, std::vector<std::optional<Operand>>(op.operands.size()), [&](const Operand& o) {
                    return active(o);
                  }};
    bool any = false;
    for (const int id : op.results) {
      g.dy.push_back(cotangents.find(Operand::value(id)));
      any = any || g.dy.back().has_value();
    }
    if (!any) continue;
    b.layer = op.layer;
    const auto before = static_cast<int>(b.function().values.size());
    if (op.row != nullptr && std::ranges::all_of(op.row->derivative, &std::string_view::empty)) {
      return no_gradient(op);
    } else if (op.def->gradient != nullptr) {
      op.def->gradient(g);
    } else if (!op.def->gradient_body.empty()) {
      CHECK(gradient_by_text(g));
    } else {
      return no_gradient(op);
    }
    for (std::size_t k = 0; k < g.dx.size(); ++k) {
      if (g.dx[k]) g.captured.emplace_back(op.operands[k], *g.dx[k]);
    }
    for (const auto& [x, dx] : g.captured) {
      if (!active(x)) continue;
      if (!b.problem && b.type(dx) != b.type(x)) {
        b.problem =
            error("gradient-type", fmt::format("the gradient of `{}` by {} is {}, expected {}", text_name(op),
                                               str(b.module(), b.function(), x), str(b.type(dx)), str(b.type(x))));
      }
      const bool fresh = dx.kind == Operand::Kind::value && dx.id >= before;
      if (fresh) rename(b, dx, gradient_name(b, x) + (cotangents.find(x) ? ".part" : ""));
      cotangents.add(b, x, dx);
    }
    if (g.forward) {
      ops[i] = *std::move(g.forward);
      CHECK(set_attrs(ops[i], ops[i].attrs));
    }
    if (b.problem) {
      if (b.problem->layer.empty()) b.problem->layer = op.layer;
      return *b.problem;
    }
  }
  return done();
}

}  // namespace tusk::graph
