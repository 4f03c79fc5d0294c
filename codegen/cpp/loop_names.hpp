// Which names loop IR reads, how often, and which functions it calls. Internal to codegen/cpp.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ir/loop/loop.hpp"

namespace tusk::cpp {

/// Names of values and buffers with the number of their reads.
using Counts = std::map<std::string, int, std::less<>>;

/// Adds the names in a value.
void count_names(const loop::ValueRef& value, Counts& counts);
/// Those that a statement reads with all that it contains; a buffer that is stored to counts as read.
Counts names_in(const loop::Stmt& stmt);
int count_of(const Counts& counts, std::string_view name);

/// The names of the functions that a function calls, rows with a body among them, in order.
std::vector<std::string> callees(const loop::Func& func);

bool has_load(const loop::ValueRef& value);

/// Visits each statement of a block, nested ones after the one that holds them.
template <class F>
void for_each_stmt(const loop::Block& block, const F& visit) {
  for (const loop::Stmt& stmt : block) {
    visit(stmt);
    for_each_stmt(stmt.body, visit);
    for_each_stmt(stmt.other, visit);
  }
}

}  // namespace tusk::cpp
