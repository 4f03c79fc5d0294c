// An emitted folder as a callable: built by the system's C++ compiler, loaded into this process.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/cpp/package.hpp"
#include "driver/jit_code.hpp"
#include "ir/base/array.hpp"
#include "ir/base/expected.hpp"
#include "ir/target/target_machine.hpp"

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
  static Expected<CompiledModel> load(const std::string& folder, const std::string& flags = "-O2") {
    return load(folder, flags, false);
  }
  /// The same through a cache of what was built, by the text of the sources, the flags and the compiler: in $TUSK_CACHE
  /// (empty: none), else in tusk/ of $XDG_CACHE_HOME or ~/.cache.
  static Expected<CompiledModel> load_cached(const std::string& folder, const std::string& flags) {
    return load(folder, flags, true);
  }

  /// Compiles in this process, by the MLIR back end, without a folder. Errors: mlir-missing, codegen-mlir.
  static Expected<CompiledModel> jit(const cpp::PackageInput& input, const TargetMachine& target);
  static Expected<CompiledModel> jit(JitCode code, const TargetMachine& target);

  /// A state's place in the bytes of a state (NAME_state_bytes of the C header).
  struct Variable {
    std::string path;
    DType type = DType::f32;
    std::vector<std::int64_t> shape;
    std::int64_t offset = 0;
  };

  bool has_function(std::string_view name) const;
  /// Of `predict`; of the first function where there is none.
  const std::vector<Tensor>& inputs() const;
  const std::vector<Tensor>& outputs() const;
  const std::vector<Variable>& variables() const;
  /// How far outputs may be from what another computes, of their largest value.
  double tolerance() const;

  /// Calls `predict`, of a model with states on their first values. Symbols follow from the shapes of the inputs, which
  /// must have the dtypes of the model; results have their actual shapes. A status other than ok is an error that names
  /// it.
  Expected<std::vector<Array>> predict(const std::vector<Array>& inputs) const {
    return call("predict", inputs, make_state().get());
  }
  /// Calls any function. Of a model with states, `state` are the bytes that it works on.
  Expected<std::vector<Array>> call(std::string_view function, const std::vector<Array>& inputs,
                                    void* state = nullptr) const;
  /// Code in this process is compiled when it is called. This begins with it, beside what the caller does.
  void prepare(std::string_view function) const;
  /// How many bytes a state has; 0 without states.
  std::size_t state_bytes() const;
  /// A state with its first values, aligned to 64; null without states.
  using State = std::unique_ptr<void, void (*)(void*)>;
  State make_state() const;

 private:
  static Expected<CompiledModel> load(const std::string& folder, const std::string& flags, bool cached);

  struct Loaded;
  std::shared_ptr<Loaded> loaded_;
};

}  // namespace tusk
