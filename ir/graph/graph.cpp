#include "ir/graph/graph.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cstring>
#include <limits>

namespace tusk::graph {

std::string unique_name(NamesInUse& names, std::string name) {
  if (names.try_emplace(name, 0).second) return name;
  while (true) {
    std::string candidate = fmt::format("{}_{}", name, ++names[name]);
    if (names.try_emplace(candidate, 0).second) return candidate;
  }
}

std::string str(const Type& type) { return std::string(name_of(type.dtype)) + shape_str(type.shape); }

bool operator==(const Operand& a, const Operand& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Operand::Kind::value:
    case Operand::Kind::global:
      return a.id == b.id;
    case Operand::Kind::literal:
      return a.literal == b.literal;
    case Operand::Kind::dim:
      return a.dim == b.dim;
  }
  return false;
}

bool equal(const Attr& a, const Attr& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&](const auto& left) {
        using T = std::decay_t<decltype(left)>;
        const T& right = std::get<T>(b);
        if constexpr (std::is_same_v<T, Array>) {
          return left.dtype() == right.dtype() && left.shape() == right.shape() &&
                 std::ranges::equal(left.bytes(), right.bytes());
        } else {
          return left == right;
        }
      },
      a);
}

const Attr* Attrs::find(std::string_view name) const {
  for (const auto& [key, value] : list) {
    if (key == name) return &value;
  }
  return nullptr;
}

void Attrs::set(std::string name, Attr value) {
  for (auto& [key, old] : list) {
    if (key == name) {
      old = std::move(value);
      return;
    }
  }
  list.emplace_back(std::move(name), std::move(value));
}

std::string Condition::str() const {
  switch (kind) {
    case Kind::equal:
      return left.str() + " == " + right.str();
    case Kind::at_least:
      return left.str() + " >= " + right.str();
    case Kind::divisible:
      break;
  }
  return fmt::format("({}) % {} == 0", left.str(), right.str());
}

int Function::add_value(std::string value_name, Type type) {
  values.push_back({unique_name(names, value_name.empty() ? std::to_string(values.size()) : std::move(value_name)),
                    std::move(type)});
  return static_cast<int>(values.size()) - 1;
}

void Function::rename(int value, std::string value_name) {
  std::string& held = values[static_cast<std::size_t>(value)].name;
  if (held == value_name) return;
  names.erase(held);
  held = unique_name(names, std::move(value_name));
}

const Symbol* Module::symbol(std::string_view symbol_name) const {
  for (const Symbol& s : symbols) {
    if (s.name == symbol_name) return &s;
  }
  return nullptr;
}

Range Module::range(std::string_view symbol_name) const {
  const Symbol* s = symbol(symbol_name);
  return s != nullptr ? Range{s->low, s->high} : Range{0, std::numeric_limits<std::int32_t>::max()};
}

RangeOf Module::ranges() const {
  return [this](std::string_view symbol_name) { return range(symbol_name); };
}

Dim Module::dim_of_symbol(std::string_view symbol_name) const {
  const Symbol* s = symbol(symbol_name);
  return Dim::symbol(symbol_name, s != nullptr ? s->step : 1);
}

int Module::global_named(std::string_view path) const {
  for (std::size_t i = 0; i < globals.size(); ++i) {
    if (globals[i].path == path) return static_cast<int>(i);
  }
  return -1;
}

const Function* Module::function(std::string_view function_name) const {
  for (const Function& f : functions) {
    if (f.name == function_name) return &f;
  }
  return nullptr;
}

Function* Module::function(std::string_view function_name) {
  return const_cast<Function*>(std::as_const(*this).function(function_name));
}

Type type_of(const Module& module, const Function& function, const Operand& operand) {
  switch (operand.kind) {
    case Operand::Kind::value:
      return function.values[static_cast<std::size_t>(operand.id)].type;
    case Operand::Kind::global:
      return module.globals[static_cast<std::size_t>(operand.id)].type;
    case Operand::Kind::literal:
      return {operand.literal.is_integer ? DType::i32 : DType::f32, {}};
    case Operand::Kind::dim:
      break;
  }
  return {DType::i32, {}};
}

}  // namespace tusk::graph
