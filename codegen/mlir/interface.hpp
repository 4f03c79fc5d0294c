// The functions that NAME.hpp and NAME.h declare, as MLIR: checks around the entries.
#pragma once

#include <string>
#include <vector>

#include "codegen/cpp/package.hpp"
#include "ir/base/expected.hpp"
#include "ir/target/target_machine.hpp"

namespace tusk::mlir {

/// All code of a package in one module.
struct Program {
  std::string text;                   // MLIR
  std::vector<std::string> exported;  // what the headers declare; names of C++ as the Itanium ABI mangles them
  std::string data = {};              // the weights that are embedded; the constant `tusk.data`
};

/// `for_cpp`: with the functions of NAME.hpp, beside those of NAME.h. Errors: codegen-mlir.
Expected<Program> print_program(const cpp::PackageInput& input, const TargetMachine& target, bool for_cpp = true);

}  // namespace tusk::mlir
