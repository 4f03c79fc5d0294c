#include "codegen/mlir/plugin/signed_zeros.hpp"

#include <llvm/IR/Constants.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Instructions.h>
#include <llvm/IR/PatternMatch.h>

#include <vector>

namespace tusk::mlir {
namespace {

// Whether a choice by comparing what is chosen from, one of which is a zero, gives another zero than an instruction
// would that takes -0 for less than +0.
bool differs(const llvm::SelectInst& choice) {
  namespace pattern = llvm::PatternMatch;
  const auto* compare = llvm::dyn_cast<llvm::FCmpInst>(choice.getCondition());
  if (compare == nullptr) return false;
  const llvm::Value* yes = choice.getTrueValue();
  const llvm::Value* no = choice.getFalseValue();
  const llvm::Value* left = compare->getOperand(0);
  const llvm::Value* right = compare->getOperand(1);
  // A zero in the comparison and one in the choice may have different signs.
  const auto is_zero = [](const llvm::Value* value) { return pattern::match(value, pattern::m_AnyZeroFP()); };
  const auto same = [&](const llvm::Value* a, const llvm::Value* b) { return a == b || (is_zero(a) && is_zero(b)); };
  const bool in_order = same(yes, left) && same(no, right);
  const bool reversed = same(yes, right) && same(no, left);
  if ((!in_order && !reversed) || is_zero(yes) == is_zero(no)) return false;
  using Predicate = llvm::CmpInst::Predicate;
  const Predicate predicate = compare->getPredicate();
  const bool is_less = predicate == Predicate::FCMP_OLT || predicate == Predicate::FCMP_OLE ||
                       predicate == Predicate::FCMP_ULT || predicate == Predicate::FCMP_ULE;
  const bool is_greater = predicate == Predicate::FCMP_OGT || predicate == Predicate::FCMP_OGE ||
                          predicate == Predicate::FCMP_UGT || predicate == Predicate::FCMP_UGE;
  if (!is_less && !is_greater) return false;
  const bool is_strict = !llvm::CmpInst::isNonStrictPredicate(predicate);
  // Zeros are equal, so the other sign of zero takes the choice to `no` or, where equal is enough, to `yes`.
  const llvm::Value* chosen = is_strict ? no : yes;
  const llvm::Value* zero = is_zero(yes) ? yes : no;
  const bool is_positive = pattern::match(zero, pattern::m_PosZeroFP());
  if (!is_positive && !pattern::match(zero, pattern::m_NegZeroFP())) return true;  // lanes of both signs
  const bool is_minimum = is_less == in_order;
  const bool gives_positive = chosen == zero ? is_positive : !is_positive;
  return gives_positive == is_minimum;
}

}  // namespace

void keep_signed_zeros(llvm::Module& module) {
  std::vector<llvm::SelectInst*> found;
  for (llvm::Function& function : module) {
    for (llvm::Instruction& instruction : llvm::instructions(function)) {
      auto* choice = llvm::dyn_cast<llvm::SelectInst>(&instruction);
      if (choice != nullptr && choice->getType()->isFPOrFPVectorTy() && differs(*choice)) found.push_back(choice);
    }
  }
  for (llvm::SelectInst* choice : found) {
    llvm::IRBuilder<> builder(choice);
    llvm::Type* type = choice->getType();
    llvm::Type* word = builder.getIntNTy(type->getScalarSizeInBits());
    if (const auto* vector = llvm::dyn_cast<llvm::VectorType>(type))
      word = llvm::VectorType::get(word, vector->getElementCount());
    llvm::Value* words =
        builder.CreateSelect(choice->getCondition(), builder.CreateBitCast(choice->getTrueValue(), word),
                             builder.CreateBitCast(choice->getFalseValue(), word));
    choice->replaceAllUsesWith(builder.CreateBitCast(words, type));
    choice->eraseFromParent();
  }
}

}  // namespace tusk::mlir
