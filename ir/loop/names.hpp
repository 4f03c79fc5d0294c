// Which names loop IR reads, how often, and which functions it calls. What printers of loop IR share.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ir/base/expected.hpp"
#include "ir/loop/loop.hpp"

namespace tusk::loop {

/// Names of values and buffers with the number of their reads.
using Counts = std::map<std::string, int, std::less<>>;

/// Adds the names in a value.
void count_names(const ValueRef& value, Counts& counts);
/// Those that a statement reads with all that it contains; a buffer that is stored to counts as read.
Counts names_in(const Stmt& stmt);
int count_of(const Counts& counts, std::string_view name);

/// The names of the functions that a function calls, rows with a body among them, in order.
std::vector<std::string> callees(const Func& func);

bool has_load(const ValueRef& value);

/// Whether an index is provably not below 0; `name_is` says it of names.
bool is_non_negative(const ValueRef& value, const std::function<bool(const std::string&)>& name_is);

/// Of masks that are "the first n lanes": n, else null.
ValueRef first_lanes(const ValueRef& mask);

/// What functions reach: callees before callers, rows with a body among them.
struct Reached {
  std::vector<Func> rows;  // holds them
  std::vector<const Func*> order;
};
Expected<Reached> reached(const Module& module, const std::vector<std::string>& entries);

/// Visits each statement of a block, nested ones after the one that holds them.
template <class F>
void for_each_stmt(const Block& block, const F& visit) {
  for (const Stmt& stmt : block) {
    visit(stmt);
    for_each_stmt(stmt.body, visit);
    for_each_stmt(stmt.other, visit);
  }
}

}  // namespace tusk::loop
