// Loop IR as text (docs/loop-ir.md). parse(print(m)) prints the same.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "ir/loop/loop.hpp"

namespace tusk::loop {

std::string print(const Module& module);
/// The same, with the line (from 1) of each statement and of each function's head.
struct Lines {
  std::unordered_map<const Stmt*, int> statements;
  std::unordered_map<const Func*, int> functions;
};
std::string print(const std::vector<const Func*>& funcs, Lines& lines, int first_line = 1);
std::string print(const Func& func);
std::string print(const ValueRef& value);

}  // namespace tusk::loop
