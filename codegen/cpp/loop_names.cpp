#include "codegen/cpp/loop_names.hpp"

#include <algorithm>
#include <utility>

#include "codegen/cpp/print_loop.hpp"

namespace tusk::cpp {
namespace {

using loop::Block;
using loop::Func;
using loop::Stmt;
using loop::Value;
using loop::ValueRef;

// Visits the values of a statement and of all that it contains.
template <class F>
void for_each_value(const Stmt& stmt, const F& visit) {
  for (const ValueRef& value : {stmt.value, stmt.address, stmt.mask, stmt.low, stmt.high}) {
    if (value) visit(value);
  }
  for (const loop::Carry& carry : stmt.carries) {
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

bool has_load(const ValueRef& value) {
  return value->kind == Value::Kind::load || std::any_of(value->operands.begin(), value->operands.end(), has_load);
}

}  // namespace tusk::cpp
