// A function of a module, compiled for this process: what the front end calls without knowing who compiles.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ir/base/array.hpp"
#include "ir/base/expected.hpp"
#include "ir/graph/graph.hpp"

namespace tusk::graph {

class Callable {
 public:
  virtual ~Callable() = default;
  /// One array for each parameter, with the dtype that it has; symbols follow from the shapes. One array for each
  /// result.
  virtual Expected<std::vector<Array>> operator()(const std::vector<Array>& inputs) const = 0;
};

/// Compiles the one function of a module, `predict`, by way of emitted C++ and the system's compiler ($CXX, or c++).
/// Defined by driver/, the library to link.
Expected<std::shared_ptr<const Callable>> make_callable(Module module);

}  // namespace tusk::graph
