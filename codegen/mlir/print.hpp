// Loop IR as MLIR text, in the dialects func, scf, arith, math, vector and llvm: the second printer of the loop IR.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/mlir/options.hpp"
#include "ir/base/expected.hpp"
#include "ir/loop/loop.hpp"

namespace tusk::mlir {

struct Function {
  std::string name, text;
  std::string declaration;           // for a module that only calls it
  bool is_small = false;             // rows and the like, which every module has for itself
  std::vector<std::string> callees;  // in the order of the first calls
};

struct LoopText {
  std::vector<Function> functions;   // callees before callers
  std::string loops;                 // with places: the loop IR that they are lines of
  std::set<std::string> threaded;    // those that take `threads: !llvm.ptr` before all else
  std::map<int, std::string> lines;  // places, by their number: what `loc(#line3)` means
};

/// The symbol of a kernel or an entry: "kernel.conv1". No function of C has such a name, whatever a layer is called.
std::string kernel_symbol(std::string_view name);

/// What the functions named in `entries` reach: rows with a body, functions of support.hpp, kernels, entries. All of
/// them are private. Buffers are pointers, indices i64, and vectors have one dimension. Every operation has one result,
/// whatever compiles it: neither vector.fma nor fast-math flags nor sums in an open order.
///
/// Bodies of parallel loops are functions of a range of turns, which `tusk.parallel` shares among the threads that the
/// caller lends.
Expected<LoopText> print_loops(const loop::Module& module, const std::vector<std::string>& entries,
                               const Options& options);

/// The functions as a module has them that holds those `here` says: what is small and called, and declarations of the
/// others that are called.
std::string functions_text(const LoopText& loops, const std::function<bool(const Function&)>& here);

/// A whole module: print_loops and the meanings of its places.
Expected<std::string> print_module(const loop::Module& module, const std::vector<std::string>& entries,
                                   const Options& options);

/// The lines at the end of a module that say what places mean.
std::string place_text(const std::map<int, std::string>& lines);

}  // namespace tusk::mlir
