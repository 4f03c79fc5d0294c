// Graph IR as text (docs/ir.md section 2): what ir/graph/parse.hpp reads.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "ir/graph/graph.hpp"

namespace tusk::graph {

/// The canonical text of a module; parsing it gives an equal module. Arrays of more than 64 elements that the text did
/// not give by a rule (splat, random, iota) are written as `file(offset)`, an offset into `weights_of(module)`.
std::string print(const Module& module);
std::string print(const Module& module, const Function& function);

/// The bytes that `file(offset)` refers to: the large arrays in order, each at a multiple of 64.
std::vector<std::byte> weights_of(const Module& module);

/// Parts of the text: "%x", "@dense/kernel", "0.5", "(batch*2)"; "[0,1]", "f32[2] [1,2]"; "a[n,k] b[k,o] -> y[n,o]".
std::string str(const Module& module, const Function& function, const Operand& operand);
std::string str(const Attr& attr);
std::string str(const ContractSpec& spec);

}  // namespace tusk::graph
