// The bodies of scalar rows as loop IR functions (text in ir/row/bodies.inc).
#pragma once

#include <string>
#include <vector>

#include "ir/loop/loop.hpp"

namespace tusk::loop {

/// The body of a row on operands of this register type; null for a basic row, or where there is none for the type.
const Func* row_body(const Row& row, DType type);

/// The body as a function of its own with every type widened to the lanes of `type`: exp_f32, exp_f32x16. The row has
/// a body for the type.
Func row_function(const Row& row, Type type);

/// A scalar function as one of vectors, lane by lane.
Func widened(Func func, int lanes);

/// The name of a row's function: "exp_f32", "exp_f32x16".
std::string row_function_name(const Row& row, const Type& operand);

/// Functions of all rows with a body that the module calls, each once, callees before callers: what a printer emits
/// in front of the module.
std::vector<Func> row_functions(const Module& module);

}  // namespace tusk::loop
