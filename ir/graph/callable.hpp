// A module compiled for this process: what the front end calls without knowing who compiles.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ir/base/array.hpp"
#include "ir/base/expected.hpp"
#include "ir/graph/graph.hpp"

namespace tusk::graph {

class Callable {
 public:
  virtual ~Callable() = default;
  /// One array for each parameter of the function, with the dtype that it has; symbols follow from the shapes. One
  /// array for each result. States that it updates keep their new values.
  virtual Expected<std::vector<Array>> operator()(std::string_view function, const std::vector<Array>& inputs) = 0;
  /// Begins to compile a function that will be called, beside what the caller does, where that is worth a thread.
  virtual void prepare(std::string_view /*function*/) {}
  /// The value of a state that a function of the module updates; an error if there is none of this path.
  virtual Expected<Array> state(std::string_view path) const = 0;
  virtual Status set_state(std::string_view path, const Array& value) = 0;
};

/// Compiles a module: in this process by the MLIR back end, each function when it is first called, or, without LLVM, as
/// C++ by the system's compiler ($CXX, or c++). $TUSK_JIT, mlir or cpp, chooses. Defined by driver/, the library to
/// link.
Expected<std::shared_ptr<Callable>> make_callable(Module module);
/// Begins to load what make_callable needs, beside what the caller does.
void prepare_compiler();

/// Calls body(begin, end) for ranges that together are the turns 0, 1, ..., of `least` turns or more, on the threads
/// that compiled modules run on. The same turns come to the same threads as in loops of modules that are as long.
void share_turns(std::int64_t turns, std::int64_t least, const std::function<void(std::int64_t, std::int64_t)>& body);

}  // namespace tusk::graph
