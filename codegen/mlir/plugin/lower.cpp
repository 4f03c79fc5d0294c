#include "codegen/mlir/plugin/lower.hpp"

#include <mlir/Conversion/ArithToLLVM/ArithToLLVM.h>
#include <mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h>
#include <mlir/Conversion/ConvertToLLVM/ToLLVMPass.h>
#include <mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h>
#include <mlir/Conversion/MathToLLVM/MathToLLVM.h>
#include <mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h>
#include <mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h>
#include <mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h>
#include <mlir/Dialect/Arith/IR/Arith.h>
#include <mlir/Dialect/ControlFlow/IR/ControlFlow.h>
#include <mlir/Dialect/Func/IR/FuncOps.h>
#include <mlir/Dialect/LLVMIR/LLVMDialect.h>
#include <mlir/Dialect/LLVMIR/Transforms/Passes.h>
#include <mlir/Dialect/Math/IR/Math.h>
#include <mlir/Dialect/SCF/IR/SCF.h>
#include <mlir/Dialect/UB/IR/UBOps.h>
#include <mlir/Dialect/Vector/IR/VectorOps.h>
#include <mlir/IR/BuiltinOps.h>
#include <mlir/Parser/Parser.h>
#include <mlir/Pass/PassManager.h>
#include <mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h>
#include <mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h>
#include <mlir/Target/LLVMIR/Export.h>

namespace tusk::mlir {
namespace {

constexpr const char* kText = "text.mlir";

::mlir::DialectRegistry registry() {
  ::mlir::DialectRegistry out;
  out.insert<::mlir::arith::ArithDialect, ::mlir::cf::ControlFlowDialect, ::mlir::func::FuncDialect,
             ::mlir::LLVM::LLVMDialect, ::mlir::math::MathDialect, ::mlir::scf::SCFDialect, ::mlir::ub::UBDialect,
             ::mlir::vector::VectorDialect>();
  ::mlir::arith::registerConvertArithToLLVMInterface(out);
  ::mlir::cf::registerConvertControlFlowToLLVMInterface(out);
  ::mlir::registerConvertFuncToLLVMInterface(out);
  ::mlir::registerConvertMathToLLVMInterface(out);
  ::mlir::vector::registerConvertVectorToLLVMInterface(out);
  ::mlir::registerBuiltinDialectTranslation(out);
  ::mlir::registerLLVMDialectTranslation(out);
  return out;
}

// What the text gives no place is at no line of the file; by default an operation's place is its own in the text.
void move_unplaced(::mlir::ModuleOp module, const std::string& file) {
  const auto nowhere = ::mlir::FileLineColLoc::get(module.getContext(), file, 0, 0);
  module->walk([&](::mlir::Operation* op) {
    const auto place = ::llvm::dyn_cast<::mlir::FileLineColLoc>(op->getLoc());
    if (place && place.getFilename() == kText) op->setLoc(nowhere);
  });
}

}  // namespace

std::unique_ptr<llvm::Module> lower(const Job& job, bool resident, llvm::LLVMContext& context, std::string& problem) {
  ::mlir::MLIRContext mlir(registry(), ::mlir::MLIRContext::Threading::DISABLED);
  const ::mlir::ScopedDiagnosticHandler handler(&mlir, [&](::mlir::Diagnostic& diagnostic) {
    if (problem.empty()) problem = diagnostic.str();
    return ::mlir::success();
  });
  ::mlir::OwningOpRef<::mlir::ModuleOp> module =
      ::mlir::parseSourceString<::mlir::ModuleOp>(llvm::StringRef(job.text.data(), job.text.size()),
                                                  ::mlir::ParserConfig(&mlir, /*verifyAfterParse=*/!resident), kText);
  if (!module) return nullptr;
  if (!job.debug_file.empty()) move_unplaced(*module, job.debug_file);
  ::mlir::PassManager passes(&mlir);
  passes.enableVerifier(false);
  passes.addPass(::mlir::createSCFToControlFlowPass());
  ::mlir::ConvertToLLVMPassOptions options;
  options.allowPatternRollback = false;  // no pattern needs it, and it takes three times as long
  passes.addPass(::mlir::createConvertToLLVMPass(options));
  passes.addPass(::mlir::createReconcileUnrealizedCastsPass());
  if (!job.debug_file.empty()) passes.addPass(::mlir::LLVM::createDIScopeForLLVMFuncOpPass());
  if (::mlir::failed(passes.run(*module))) return nullptr;
  return ::mlir::translateModuleToLLVMIR(*module, context, "tusk");
}

}  // namespace tusk::mlir
