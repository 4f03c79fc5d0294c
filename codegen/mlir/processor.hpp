// What LLVM calls the targets, and what their instructions lack.
#pragma once

#include <string_view>

#include "codegen/mlir/backend.hpp"
#include "codegen/mlir/options.hpp"
#include "ir/base/expected.hpp"
#include "ir/target/target_machine.hpp"

namespace tusk::mlir {

/// `generic` is the least of this machine's kind.
Processor processor_of(const TargetMachine& target);
/// What the text for a target needs to know of it.
Options options_for(const TargetMachine& target, std::string_view profile);
/// Whether a word of addresses has 64 bits: structs of two words then come back in registers.
bool is_64_bit(const TargetMachine& target);

}  // namespace tusk::mlir
