// Loop IR as text (docs/loop-ir.md). parse(print(m)) prints the same.
#pragma once

#include <string>

#include "ir/loop/loop.hpp"

namespace tusk::loop {

std::string print(const Module& module);
std::string print(const Func& func);
std::string print(const ValueRef& value);

}  // namespace tusk::loop
