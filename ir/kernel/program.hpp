// A module after the graph: kernels, and for each function the steps that call them on tensors with a storage.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ir/base/array.hpp"
#include "ir/kernel/kernel.hpp"

namespace tusk::kernel {

/// Where the elements of a tensor lie. A view has a base tensor; element (i0, i1, ...) of the view is element
/// offset + sum i_k * strides[k] of the base's root. Offsets may use loop symbols of enclosing `For` steps.
struct Tensor {
  enum class Place : std::uint8_t { input, output, constant, state, arena, view };
  std::string name;
  DType type = DType::f32;
  Shape shape;
  Place place = Place::arena;
  int base = -1;             // view: index of a tensor that is not itself a view
  Dim offset;                // view: in elements
  std::vector<Dim> strides;  // in elements, one for each axis
  int global = -1;           // place constant or state: index into Program::globals
  Dim arena_offset;          // place arena: bytes, set by plan_memory (a constant)
};

/// Dense row-major strides of a shape.
std::vector<Dim> dense_strides(const Shape& shape);

struct Step {
  enum class Kind : std::uint8_t { call, loop, branch } kind = Kind::call;
  // call: kernels[kernel](args) -> results; `scratch` holds a tensor for each stage at root that is not a result.
  int kernel = -1;
  std::vector<int> args;
  std::vector<int> results;
  std::vector<int> scratch;
  // loop: for symbol < extent { body }
  std::string symbol;
  Dim extent;
  // branch: if tensors[condition][0] == holds { body }
  int condition = -1;
  bool holds = true;
  std::vector<Step> body;  // of a loop or a branch
  std::string layer;
};

struct Function {
  std::string name;
  std::vector<int> inputs;   // tensors, in order
  std::vector<int> outputs;  // tensors, in order
  std::vector<Tensor> tensors;
  std::vector<Step> steps;
  std::vector<std::string> requirements;  // conditions on symbols, text of graph::Condition
  std::int64_t arena_bytes = 0;
  std::int64_t arena_lower_bound = 0;
};

struct Symbol {
  std::string name;
  std::int64_t low = 1, high = 1, step = 1;
};

/// A constant, or a state, whose memory is the caller's and lives from call to call.
struct Global {
  std::string path;
  Array value;  // of a state: the first one
  bool is_state = false;
  bool trainable = false;
};

struct Program {
  std::string name;
  std::string profile = "fma";
  std::vector<Symbol> symbols;
  std::vector<Global> globals;
  std::vector<Kernel> kernels;
  std::vector<Schedule> schedules;  // one for each kernel
  std::vector<Function> functions;

  /// Ranges of the symbols; 0..0 for a name that is none. The program must outlive the result.
  RangeOf range_of() const;
};

/// The constants, or the states, of a function, each by the first tensor that names it: the order in which an entry
/// takes them.
std::vector<int> global_tensors(const Function& function, Tensor::Place place);

}  // namespace tusk::kernel
