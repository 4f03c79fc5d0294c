// MLIR text becomes an LLVM module. Internal to the plug-in.
#pragma once

#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>

#include <memory>
#include <string>

#include "codegen/mlir/backend.hpp"

namespace tusk::mlir {

/// Null, and why, where the text is not valid. Code in this process comes from our own printer, whose text is not
/// checked again (`resident`).
std::unique_ptr<llvm::Module> lower(const Job& job, bool resident, llvm::LLVMContext& context, std::string& problem);

}  // namespace tusk::mlir
