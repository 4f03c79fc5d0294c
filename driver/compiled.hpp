// An emitted folder as a callable: built by the system's C++ compiler, loaded into this process.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ir/base/array.hpp"
#include "ir/base/expected.hpp"

namespace tusk {

/// The model of a folder that `tusk compile` wrote. The compiler is $CXX, or c++.
class CompiledModel {
 public:
  struct Tensor {
    std::string name;
    DType type = DType::f32;
    std::vector<std::string> shape;  // dims as text: "batch", "8"
  };

  /// Builds NAME.cpp and NAME_weights.cpp with `flags` in a temporary folder and loads the result, with NAME.weights
  /// where the weights lie in a file of their own.
  static Expected<CompiledModel> load(const std::string& folder, const std::string& flags = "-O2");

  const std::vector<Tensor>& inputs() const;
  const std::vector<Tensor>& outputs() const;

  /// Calls `predict`. Symbols follow from the shapes of the inputs, which must have the dtypes of the model; results
  /// have their actual shapes. A status other than ok is an error that names it.
  Expected<std::vector<Array>> predict(const std::vector<Array>& inputs) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tusk
