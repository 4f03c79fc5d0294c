// The functions that NAME.hpp and NAME.h declare, as MLIR: checks around the entries.
#pragma once

#include <string>
#include <vector>

#include "codegen/cpp/package.hpp"
#include "codegen/mlir/backend.hpp"
#include "ir/base/expected.hpp"
#include "ir/target/target_machine.hpp"

namespace tusk::mlir {

/// All code of a package in one module.
struct Program {
  std::string text;                   // MLIR
  std::vector<std::string> exported;  // what the headers declare; names of C++ as the Itanium ABI mangles them
  std::string made_by = {};           // "Made by tusk 0.1.0 from ..."
  std::string file = {};              // of the places in it: "NAME.loop"
  std::string loops = {};             // what debuggers show: the text of that file
  std::string data = {};              // the weights that are embedded; the constant `tusk.data`
};

/// With the functions of NAME.hpp and NAME.h. Errors: codegen-mlir.
Expected<Program> print_program(const cpp::PackageInput& input, const TargetMachine& target);
/// For code in this process: a group for each function of the package, with its C function alone
/// (NAME_predict_with where there are threads), as up to `count` modules of about equal length.
Expected<std::vector<Group>> print_groups(const cpp::PackageInput& input, const TargetMachine& target, int count);
/// The bytes of `tusk.data` that those groups read.
Expected<std::string> group_data(const cpp::PackageInput& input);

}  // namespace tusk::mlir
