#include "ir/loop/names.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "ir/loop/rows.hpp"

namespace tusk::loop {
namespace {

// Visits the values of a statement and of all that it contains.
template <class F>
void for_each_value(const Stmt& stmt, const F& visit) {
  for (const ValueRef& value : {stmt.value, stmt.address, stmt.mask, stmt.low, stmt.high}) {
    if (value) visit(value);
  }
  for (const Carry& carry : stmt.carries) {
    if (carry.init) visit(carry.init);
  }
  for (const auto* values : {&stmt.yields, &stmt.other_yields, &stmt.arguments}) {
    for (const ValueRef& value : *values) visit(value);
  }
  for (const Block* block : {&stmt.body, &stmt.other}) {
    for (const Stmt& inner : *block) for_each_value(inner, visit);
  }
}

template <class F>
void for_each_row_call(const ValueRef& value, const F& visit) {
  if (value->kind == Value::Kind::row && value->row->basic == Basic::none) {
    visit(row_function_name(*value->row, value->operands.back()->type));
  }
  for (const ValueRef& operand : value->operands) for_each_row_call(operand, visit);
}

}  // namespace

void count_names(const ValueRef& value, Counts& counts) {
  if (!value) return;
  if (value->kind == Value::Kind::name || value->kind == Value::Kind::load) ++counts[value->name];
  for (const ValueRef& operand : value->operands) count_names(operand, counts);
}

Counts names_in(const Stmt& stmt) {
  Counts counts;
  for_each_value(stmt, [&](const ValueRef& value) { count_names(value, counts); });
  if (stmt.kind == Stmt::Kind::store || stmt.kind == Stmt::Kind::buffer) ++counts[stmt.base];
  for_each_stmt(stmt.body, [&](const Stmt& s) {
    if (!s.base.empty()) ++counts[s.base];
  });
  for_each_stmt(stmt.other, [&](const Stmt& s) {
    if (!s.base.empty()) ++counts[s.base];
  });
  return counts;
}

int count_of(const Counts& counts, std::string_view name) {
  const auto it = counts.find(name);
  return it == counts.end() ? 0 : it->second;
}

std::vector<std::string> callees(const Func& func) {
  std::vector<std::string> out;
  const auto add = [&out](std::string name) { out.push_back(std::move(name)); };
  if (func.result) for_each_row_call(func.result, add);
  for (const Stmt& stmt : func.body) {
    for_each_value(stmt, [&](const ValueRef& value) { for_each_row_call(value, add); });
  }
  for_each_stmt(func.body, [&](const Stmt& stmt) {
    if (stmt.kind == Stmt::Kind::call) out.push_back(stmt.name);
  });
  return out;
}

bool is_non_negative(const ValueRef& value, const std::function<bool(const std::string&)>& name_is) {
  if (value->kind == Value::Kind::literal) return value->literal.is_integer && value->literal.integer >= 0;
  if (value->kind == Value::Kind::name) return name_is(value->name);
  if (value->kind != Value::Kind::row || value->type.element != DType::index || value->operands.size() < 2)
    return false;
  const ValueRef& a = value->operands[0];
  const ValueRef& b = value->operands[1];
  const auto is = [&](const ValueRef& operand) { return is_non_negative(operand, name_is); };
  switch (value->row->basic) {
    case Basic::add:
    case Basic::mul:
    case Basic::min:
    case Basic::div:
      return is(a) && is(b);
    case Basic::max:
      return is(a) || is(b);
    case Basic::rem:
      return is(b);
    case Basic::select:
      return is(b) && is(value->operands[2]);
    case Basic::sub:  // a - a % b, the whole tiles of a range
      return b->kind == Value::Kind::row && b->row->basic == Basic::rem && is(a) && is(b) &&
             a->kind == Value::Kind::name && b->operands[0]->kind == Value::Kind::name &&
             a->name == b->operands[0]->name;
    default:
      return false;
  }
}

namespace {

bool is_splat_of(const ValueRef& value, bool wanted) {
  return value->kind == Value::Kind::splat && value->operands[0]->kind == Value::Kind::literal &&
         value->operands[0]->literal.as_double() == (wanted ? 1 : 0);
}

}  // namespace

ValueRef first_lanes(const ValueRef& mask) {
  const bool first =
      mask->kind == Value::Kind::first && is_splat_of(mask->operands[1], true) && is_splat_of(mask->operands[2], false);
  return first ? mask->operands[0] : nullptr;
}

Expected<Reached> reached(const Module& module, const std::vector<std::string>& entries) {
  Reached out;
  out.rows = row_functions(module);
  const auto find = [&](const std::string& name) -> const Func* {
    const auto it = std::ranges::find(out.rows, name, &Func::name);
    return it == out.rows.end() ? module.func(name) : &*it;
  };
  std::set<std::string> seen;
  std::optional<Diagnostic> problem;
  const auto visit = [&](const auto& self, const std::string& name) -> void {
    if (!seen.insert(name).second || problem) return;
    const Func* func = find(name);
    if (func == nullptr) {
      problem = error("codegen", fmt::format("the loop module has no function `{}`", name));
      return;
    }
    for (const std::string& callee : callees(*func)) self(self, callee);
    out.order.push_back(func);
  };
  for (const std::string& entry : entries) visit(visit, entry);
  if (problem) return *problem;
  return out;
}

bool has_load(const ValueRef& value) {
  return value->kind == Value::Kind::load || std::any_of(value->operands.begin(), value->operands.end(), has_load);
}

}  // namespace tusk::loop
