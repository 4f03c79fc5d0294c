// A package as code for this process: all that CompiledModel needs, as a value that can be kept in a file.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/cpp/package.hpp"
#include "codegen/mlir/backend.hpp"
#include "ir/base/expected.hpp"
#include "ir/target/target_machine.hpp"

namespace tusk {

struct JitCode {
  cpp::Described described;
  std::string data;  // of the constant that the groups read
  std::vector<mlir::Group> groups;
};

/// Errors: codegen-mlir.
Expected<JitCode> jit_code(const cpp::PackageInput& input, const TargetMachine& target);

/// Bytes, and back; nothing where they are not whole.
std::string packed(const JitCode& code);
std::optional<JitCode> unpacked(std::string_view bytes);

}  // namespace tusk
