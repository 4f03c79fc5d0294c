#include "ir/loop/rows.hpp"

#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <set>

#include "ir/loop/parse.hpp"

namespace tusk::loop {
namespace {

constexpr std::string_view kBodies =
#include "ir/row/bodies.inc"
    ;

using Key = std::pair<std::string, DType>;

// A body may use rows whose text stands below it: a row in a value is a line of the table, not a function.
std::map<Key, Func> parsed_bodies() {
  const std::string text(kBodies);
  Expected<Module> module = parse(text, "ir/row/bodies.inc");
  if (!module) {
    std::fputs(module.problem().str().c_str(), stderr);
    std::abort();  // our own text
  }
  std::map<Key, Func> out;
  for (Func& func : module->funcs) {
    const Key key{func.name, func.scalars.at(0).type.element};
    out.emplace(key, std::move(func));
  }
  return out;
}

ValueRef widened(const ValueRef& value, int lanes) {
  std::vector<ValueRef> operands;
  for (const ValueRef& operand : value->operands) operands.push_back(widened(operand, lanes));
  const Type type{value->type.element, lanes};
  switch (value->kind) {
    case Value::Kind::literal:
      return literal(type, value->literal);
    case Value::Kind::name:
      return name(value->name, type);
    case Value::Kind::row:
      return apply(*value->row, std::move(operands));
    default:
      assert(false && "bodies are made of numbers, names and rows");
      return value;
  }
}

void each_row(const ValueRef& value, const std::function<void(const Row&, Type)>& visit) {
  if (!value) return;
  for (const ValueRef& operand : value->operands) each_row(operand, visit);
  if (value->kind == Value::Kind::row) visit(*value->row, value->operands.back()->type);
}

void each_row(const Block& block, const std::function<void(const Row&, Type)>& visit) {
  for (const Stmt& stmt : block) {
    for (const ValueRef& value : {stmt.value, stmt.address, stmt.mask, stmt.low, stmt.high}) each_row(value, visit);
    for (const Carry& carry : stmt.carries) each_row(carry.init, visit);
    for (const auto* values : {&stmt.yields, &stmt.other_yields, &stmt.arguments}) {
      for (const ValueRef& value : *values) each_row(value, visit);
    }
    each_row(stmt.body, visit);
    each_row(stmt.other, visit);
  }
}

void each_row(const Func& func, const std::function<void(const Row&, Type)>& visit) {
  each_row(func.body, visit);
  each_row(func.result, visit);
}

}  // namespace

Func widened(Func func, int lanes) {
  if (lanes == 1) return func;
  for (Scalar& scalar : func.scalars) scalar.type.lanes = lanes;
  for (Stmt& stmt : func.body) {
    assert(stmt.kind == Stmt::Kind::let);
    stmt.value = widened(stmt.value, lanes);
    stmt.type = stmt.value->type;
  }
  func.result = widened(func.result, lanes);
  func.result_type.lanes = lanes;
  return func;
}

const Func* row_body(const Row& row, DType type) {
  static const std::map<Key, Func> bodies = parsed_bodies();
  if (row.basic != Basic::none) return nullptr;
  const auto it = bodies.find(Key{std::string(row.name), type});
  return it == bodies.end() ? nullptr : &it->second;
}

std::string row_function_name(const Row& row, const Type& operand) {
  return std::string(row.name) + "_" + str(operand);
}

Func row_function(const Row& row, Type type) {
  const Func* body = row_body(row, type.element);
  assert(body != nullptr);
  Func out = widened(*body, type.lanes);
  out.name = row_function_name(row, type);
  return out;
}

std::vector<Func> row_functions(const Module& module) {
  std::vector<Func> out;
  std::set<std::string> seen;
  std::function<void(const Row&, Type)> visit = [&](const Row& row, Type type) {
    if (row_body(row, type.element) == nullptr) return;
    Func func = row_function(row, type);
    if (!seen.insert(func.name).second) return;
    each_row(func, visit);
    out.push_back(std::move(func));
  };
  for (const Func& func : module.funcs) each_row(func, visit);
  return out;
}

}  // namespace tusk::loop
