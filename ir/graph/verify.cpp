#include "ir/graph/verify.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <set>

#include "ir/base/size.hpp"
#include "ir/graph/op.hpp"
#include "ir/graph/print.hpp"
#include "ir/text/count.hpp"

namespace tusk::graph {
namespace {

Diagnostic broken(std::string message) { return error("graph-verify", std::move(message)); }

// Symbols are declared, and held with their step.
Status check(const Module& module, const Dim& dim) {
  for (const std::string& name : dim.symbols()) {
    if (module.symbol(name) == nullptr) return broken(fmt::format("{} has an undeclared symbol `{}`", dim.str(), name));
  }
  const Dim declared = dim.substituted([&](std::string_view name, std::int64_t) { return module.dim_of_symbol(name); });
  if (declared != dim) return broken(fmt::format("{} does not have the steps of its symbols", dim.str()));
  return done();
}

Status check(const Module& module, const Type& type) {
  if (type.dtype == DType::index) return broken("index is no type of a tensor");
  for (const Dim& dim : type.shape) {
    CHECK(check(module, dim));
    if (dim.range(module.ranges()).high < 0) return broken(fmt::format("the extent {} is negative", dim.str()));
  }
  return done();
}

class FunctionVerifier {
 public:
  FunctionVerifier(const Module& module, const Function& function)
      : module_(module), function_(function), state_(function.values.size(), State::undefined) {}

  Status run() {
    std::set<std::string_view> names;
    for (const Value& value : function_.values) {
      if (!names.insert(value.name).second) return broken(fmt::format("two values are named `%{}`", value.name));
    }
    for (const int id : function_.params) {
      CHECK(define(id));
      const Value& value = function_.values[static_cast<std::size_t>(id)];
      CHECK(check_size(fmt::format("`%{}`", value.name), value.type.dtype, value.type.shape, module_.ranges()));
    }
    for (const Condition& condition : function_.conditions) {
      CHECK(check(module_, condition.left));
      CHECK(check(module_, condition.right));
    }
    for (const Op& op : function_.ops) CHECK(verify(op));
    if (function_.results.size() != function_.result_names.size()) return broken("not every result has a name");
    std::set<std::string_view> results;
    for (const std::string& name : function_.result_names) {
      if (!results.insert(name).second) return broken(fmt::format("two results are named `{}`", name));
    }
    for (const Operand& result : function_.results) {
      const bool tensor = result.kind == Operand::Kind::value || result.kind == Operand::Kind::global;
      if (!tensor)
        return broken(fmt::format("`{}` is a result; a result is a tensor", str(module_, function_, result)));
      CHECK(read(result));
    }
    return updates();
  }

 private:
  enum class State : std::uint8_t { undefined, visible, out_of_scope };

  Status define(int id) {
    if (id < 0 || static_cast<std::size_t>(id) >= state_.size()) return broken(fmt::format("there is no value {}", id));
    const Value& value = function_.values[static_cast<std::size_t>(id)];
    State& state = state_[static_cast<std::size_t>(id)];
    if (state != State::undefined) return broken(fmt::format("`%{}` is defined twice", value.name));
    state = State::visible;
    defined_.push_back(id);
    return check(module_, value.type);
  }

  Status read(const Operand& operand) {
    switch (operand.kind) {
      case Operand::Kind::value: {
        if (operand.id < 0 || static_cast<std::size_t>(operand.id) >= state_.size()) {
          return broken(fmt::format("there is no value {}", operand.id));
        }
        const std::string& name = function_.values[static_cast<std::size_t>(operand.id)].name;
        switch (state_[static_cast<std::size_t>(operand.id)]) {
          case State::visible:
            return done();
          case State::undefined:
            return broken(fmt::format("`%{}` is read before it is defined", name));
          case State::out_of_scope:
            return broken(fmt::format("`%{}` is read outside its region", name));
        }
        return done();
      }
      case Operand::Kind::global:
        if (operand.id >= 0 && static_cast<std::size_t>(operand.id) < module_.globals.size()) return done();
        return broken(fmt::format("there is no state or const {}", operand.id));
      case Operand::Kind::literal:
        return done();
      case Operand::Kind::dim:
        return check(module_, operand.dim);
    }
    return done();
  }

  Status verify(const Op& op) {
    Status ok = verify_parts(op);
    if (!ok && ok.problem().layer.empty()) ok.problem().layer = op.layer;
    return ok;
  }

  Status verify_parts(const Op& op) {
    if (op.def == nullptr) return broken("an op has no definition");
    TRY(Op again, op_from_name(text_name(op)));
    if (again.def != op.def || again.row != op.row)
      return broken(fmt::format("`{}` has another definition", text_name(op)));
    CHECK(set_attrs(again, op.attrs));
    const auto same = [](const auto& a, const auto& b) { return a.first == b.first && equal(a.second, b.second); };
    if (!std::ranges::equal(again.attrs.list, op.attrs.list, same)) {
      return broken(fmt::format("the attributes of `{}` are out of order or hold a default", text_name(op)));
    }
    for (const auto& [name, attr] : op.attrs.list) CHECK(dims(attr));
    for (const Operand& operand : op.operands) CHECK(read(operand));
    for (const Region& region : op.regions) CHECK(verify(region));
    std::vector<Condition> conditions;
    TRY(const std::vector<Type> types, infer(module_, function_, op, conditions));
    if (types.size() != op.results.size()) {
      return broken(fmt::format("`{}` has {}, expected {}", text_name(op), text::count_of(op.results.size(), "result"),
                                types.size()));
    }
    for (const Condition& condition : conditions) {
      if (std::ranges::find(function_.conditions, condition) == function_.conditions.end()) {
        return broken(
            fmt::format("`{}` needs {}, which `{}` does not require", text_name(op), condition.str(), function_.name));
      }
    }
    for (std::size_t i = 0; i < types.size(); ++i) {
      CHECK(define(op.results[i]));
      const Value& value = function_.values[static_cast<std::size_t>(op.results[i])];
      if (value.type == types[i]) continue;
      return broken(
          fmt::format("`%{}` is {}, but `{}` gives {}", value.name, str(value.type), text_name(op), str(types[i])));
    }
    return done();
  }

  Status verify(const Region& region) {
    const std::size_t outside = defined_.size();
    for (const int id : region.params) CHECK(define(id));
    for (const Op& op : region.ops) CHECK(verify(op));
    for (const Operand& operand : region.yields) CHECK(read(operand));
    for (; defined_.size() > outside; defined_.pop_back()) {
      state_[static_cast<std::size_t>(defined_.back())] = State::out_of_scope;
    }
    return done();
  }

  Status dims(const Attr& attr) {
    if (const auto* shape = std::get_if<Shape>(&attr)) {
      for (const Dim& dim : *shape) CHECK(check(module_, dim));
    } else if (const auto* spec = std::get_if<ContractSpec>(&attr)) {
      for (const auto& [index, extent] : spec->extents) CHECK(check(module_, extent));
      for (const Where& where : spec->where) CHECK(check(module_, where.offset));
    }
    return done();
  }

  Status updates() {
    std::set<int> seen;
    for (const Update& update : function_.updates) {
      CHECK(read(Operand::global(update.global)));
      CHECK(read(update.value));
      const Global& global = module_.globals[static_cast<std::size_t>(update.global)];
      if (!global.is_state) return broken(fmt::format("`@{}` is const, and cannot be updated", global.path));
      if (!seen.insert(update.global).second) return broken(fmt::format("`@{}` is updated twice", global.path));
      const Type type = type_of(module_, function_, update.value);
      const bool tensor = update.value.kind == Operand::Kind::value || update.value.kind == Operand::Kind::global;
      if (tensor && type == global.type) continue;
      return broken(fmt::format("`@{}` is {}, and is updated by {}", global.path, str(global.type), str(type)));
    }
    return done();
  }

  const Module& module_;
  const Function& function_;
  std::vector<State> state_;
  std::vector<int> defined_;  // in order
};

}  // namespace

Status verify(const Module& module, const Function& function) {
  Status ok = FunctionVerifier(module, function).run();
  if (!ok) ok.problem().note(fmt::format("in function `{}`", function.name));
  return ok;
}

Status verify(const Module& module) {
  std::set<std::string_view> names;
  for (const Symbol& symbol : module.symbols) {
    if (!names.insert(symbol.name).second) return broken(fmt::format("symbol `{}` is declared twice", symbol.name));
    if (symbol.low < 0 || symbol.step < 1 || symbol.high / symbol.step * symbol.step < symbol.low) {
      return broken(fmt::format("symbol `{}` has no value", symbol.name));
    }
  }
  names.clear();
  for (const Global& global : module.globals) {
    if (!names.insert(global.path).second) return broken(fmt::format("`@{}` is declared twice", global.path));
    const Type type{global.value.dtype(), Shape(global.value.shape().begin(), global.value.shape().end())};
    if (type != global.type)
      return broken(fmt::format("`@{}` is {}, its value {}", global.path, str(global.type), str(type)));
  }
  names.clear();
  for (const Function& function : module.functions) {
    if (!names.insert(function.name).second)
      return broken(fmt::format("function `{}` is defined twice", function.name));
    CHECK(verify(module, function));
  }
  return done();
}

}  // namespace tusk::graph
