// Where the plug-in is.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "codegen/mlir/backend.hpp"
#include "ir/base/expected.hpp"

namespace tusk::mlir {

/// The plug-in, loaded at the first call: the file that TUSK_MLIR names; else libtusk_mlir.so beside this program, in
/// ../lib/tusk, or where it was built or installed. Errors: mlir-missing, which says what to install.
Expected<const Backend*> find_backend();

/// Whether there is a file for find_backend to load, which takes a while.
bool has_backend();

/// Errors: codegen-mlir, with what LLVM says.
Expected<std::string> emit(const Backend& backend, const Job& job, Output output);
Expected<std::shared_ptr<Loaded>> load(const Backend& backend, std::vector<Group> groups, const Processor& processor,
                                       const std::string& data);
/// Begins to load the plug-in, beside what the caller does.
void prepare_backend();

}  // namespace tusk::mlir
