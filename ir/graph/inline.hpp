// Bodies of composite ops: IR text that is instantiated for the operands and attributes of one op.
//
// A body is a function whose parameters have no types; they are the op's operands, in order. Before it is parsed, these
// are replaced in its text:
//   $NAME             an attribute of the op, or what OpDef::derive gives: `{axes=$axes}`, `map.add %v, $epsilon`
//   $shape(x)         the shape of operand %x, "[batch,4]"      $dtype(x)  its dtype
//   $others(x, axes)  the axes of %x that are not in the list `axes`
//   $size(x, axes)    the number of elements of %x along `axes`, "(14*14)": an operand
//   $if(NAME) ... [$else ...] $end   NAME: a flag; or an operand, which holds if it is given and is a tensor
// An operand that is left out, or that is a number, is no tensor; a number can be read by map ops all the same.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ir/graph/op.hpp"

namespace tusk::graph {

/// The body of a composite op for its operands, as a function of its own; its parameters are the tensor operands.
Expected<Function> instantiate_body(const Module& module, const Function& function, const Op& op);
/// Its gradient text likewise; parameters: the tensors among operands, results and dy.
Expected<Function> instantiate_gradient(const Module& module, const Function& function, const Op& op);

/// Copies the ops of `body` behind `ops`, which belong to `function`; gives what the body returns. `args` stand for its
/// parameters. New values are named after `prefix`. If `results` are given, they are the values that the body's results
/// are written to.
std::vector<Operand> inline_body(const Module& module, Function& function, std::vector<Op>& ops, const Function& body,
                                 std::span<const Operand> args, const std::string& prefix, const std::string& layer,
                                 std::span<const int> results = {});

/// Puts the bodies of composites in their place, in all regions too. Results keep their values, so nothing else
/// changes. `chosen` may restrict which.
Status expand_composites(const Module& module, Function& function, std::vector<Op>& ops,
                         const std::function<bool(const Op&)>& chosen = {});

/// The types of a composite's results, from its body.
Expected<std::vector<Type>> infer_by_body(const InferContext& context);

/// The tensors among an op's operands: arguments for its body.
std::vector<Operand> tensors_of(const Op& op);

}  // namespace tusk::graph
