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

/// With the functions of NAME.hpp and NAME.h. Errors: codegen-mlir.
Expected<Program> print_program(const cpp::PackageInput& input, const TargetMachine& target);
/// With those of NAME.h alone, as up to `count` modules of about equal length that are to be linked together.
Expected<std::vector<Program>> print_programs(const cpp::PackageInput& input, const TargetMachine& target, int count);

}  // namespace tusk::mlir
