// Choices between a number and a zero that LLVM must not make a minimum or maximum of.
#pragma once

#include <llvm/IR/Module.h>

namespace tusk::mlir {

/// `x < 0 ? x : 0` is +0 where x is -0. LLVM makes of it an instruction that takes -0 for the lesser one, as those of
/// Arm, RISC-V and wasm do (not those of x86): it counts such a result as the same. Where it is another one, the choice
/// becomes one of words, which LLVM leaves alone. Nothing may simplify the module behind this.
void keep_signed_zeros(llvm::Module& module);

}  // namespace tusk::mlir
