// LLVM modules become objects, assembly, or code in this process.
#include "codegen/mlir/backend.hpp"

#include <llvm/Analysis/CGSCCPassManager.h>
#include <llvm/Analysis/LoopAnalysisManager.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/TargetParser/Host.h>

#include <algorithm>
#include <future>
#include <mutex>

#include "codegen/mlir/plugin/lower.hpp"

namespace tusk::mlir {
namespace {

// As fast as O2 on code like this, in a third of its time. Vectors are there already, and so are unrolled loops.
constexpr const char* kPasses =
    "always-inline,function(sroa,early-cse,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(licm),gvn,"
    "instcombine<no-verify-fixpoint>,loop(indvars,loop-deletion),dse,adce,simplifycfg)";

void initialize() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeAllTargetInfos();
    llvm::InitializeAllTargets();
    llvm::InitializeAllTargetMCs();
    llvm::InitializeAllAsmPrinters();
    llvm::InitializeAllAsmParsers();
  });
}

std::unique_ptr<llvm::TargetMachine> machine_of(const Processor& processor, bool resident, std::string& problem) {
  initialize();
  const llvm::Triple triple(
      llvm::Triple::normalize(processor.triple.empty() ? llvm::sys::getProcessTriple() : processor.triple));
  const llvm::Target* target = llvm::TargetRegistry::lookupTarget(triple, problem);
  if (target == nullptr) return nullptr;
  llvm::TargetOptions options;
  // No product and sum become one operation that are not one in the text.
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  options.MCOptions.ABIName = processor.abi;
  const auto model = resident ? std::optional(llvm::CodeModel::Small) : std::nullopt;
  std::unique_ptr<llvm::TargetMachine> machine(target->createTargetMachine(
      triple, processor.cpu, processor.features, options, llvm::Reloc::PIC_, model, llvm::CodeGenOptLevel::Default));
  if (machine == nullptr) problem = "LLVM has no such machine: " + triple.str();
  return machine;
}

void set_attributes(llvm::Module& module, const Job& job) {
  for (llvm::Function& function : module) {
    if (function.isDeclaration()) continue;
    if (std::find(job.exported.begin(), job.exported.end(), function.getName()) == job.exported.end())
      function.setLinkage(llvm::GlobalValue::InternalLinkage);
    function.addFnAttr("target-cpu", job.processor.cpu);
    function.addFnAttr("target-features", job.processor.features);
    if (job.processor.vector_bits != 0) {
      function.addFnAttr("prefer-vector-width", std::to_string(job.processor.vector_bits));
      function.addFnAttr("min-legal-vector-width", std::to_string(job.processor.vector_bits));
    }
    function.addFnAttr("no-builtins");
    function.addFnAttr("denormal-fp-math", "ieee,ieee");
    function.addFnAttr(llvm::Attribute::NoUnwind);
  }
  if (llvm::GlobalVariable* data = module.getNamedGlobal("tusk.data")) {
    const llvm::StringRef bytes(job.data.data(), job.data.size());
    data->setInitializer(
        llvm::ConstantDataArray::getRaw(bytes, bytes.size(), llvm::Type::getInt8Ty(module.getContext())));
    data->setLinkage(llvm::GlobalValue::InternalLinkage);
    data->setConstant(true);
    data->setAlignment(llvm::Align(64));
  }
}

bool optimize(llvm::Module& module, llvm::TargetMachine& machine, std::string& problem) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  llvm::ModulePassManager passes;
  if (llvm::Error failure = builder.parsePassPipeline(passes, kPasses)) {
    problem = llvm::toString(std::move(failure));
    return false;
  }
  passes.run(module, modules);
  return true;
}

std::string compiled(const Job& job, Output output, bool resident, std::string& problem) {
  const std::unique_ptr<llvm::TargetMachine> machine = machine_of(job.processor, resident, problem);
  if (machine == nullptr) return {};
  llvm::LLVMContext context;
  const std::unique_ptr<llvm::Module> module = lower(job, context, problem);
  if (module == nullptr) return {};
  module->setTargetTriple(machine->getTargetTriple());
  module->setDataLayout(machine->createDataLayout());
  set_attributes(*module, job);
  if (!optimize(*module, *machine, problem)) return {};
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  if (output == Output::llvm) {
    module->print(stream, nullptr);
  } else {
    llvm::legacy::PassManager passes;
    const auto type =
        output == Output::object ? llvm::CodeGenFileType::ObjectFile : llvm::CodeGenFileType::AssemblyFile;
    if (machine->addPassesToEmitFile(passes, stream, nullptr, type)) {
      problem = "LLVM writes no such file for this machine";
      return {};
    }
    passes.run(*module);
  }
  return {bytes.begin(), bytes.end()};
}

std::string emit(const Job& job, Output output, std::string& problem) { return compiled(job, output, false, problem); }

class Resident final : public Loaded {
 public:
  explicit Resident(std::unique_ptr<llvm::orc::LLJIT> jit) : jit_(std::move(jit)) {}
  void* find(const std::string& name) const override {
    llvm::Expected<llvm::orc::ExecutorAddr> address = jit_->lookup(name);
    if (!address) {
      llvm::consumeError(address.takeError());
      return nullptr;
    }
    return address->toPtr<void*>();
  }

 private:
  std::unique_ptr<llvm::orc::LLJIT> jit_;
};

std::shared_ptr<Loaded> load(const std::vector<Job>& jobs, std::string& problem) {
  initialize();
  struct Result {
    std::string object, problem;
  };
  std::vector<std::future<Result>> others;
  const auto one = [](const Job& job) {
    Result result;
    result.object = compiled(job, Output::object, true, result.problem);
    return result;
  };
  for (std::size_t i = 1; i < jobs.size(); ++i)
    others.push_back(std::async(std::launch::async, [&one, &job = jobs[i]] { return one(job); }));
  std::vector<Result> results;
  results.push_back(one(jobs.at(0)));
  for (std::future<Result>& other : others) results.push_back(other.get());

  llvm::Expected<std::unique_ptr<llvm::orc::LLJIT>> jit = llvm::orc::LLJITBuilder().create();
  const auto failed = [&](llvm::Error failure) {
    problem = llvm::toString(std::move(failure));
    return nullptr;
  };
  if (!jit) return failed(jit.takeError());
  for (const Result& result : results) {
    if (!result.problem.empty()) {
      problem = result.problem;
      return nullptr;
    }
    if (llvm::Error failure = (*jit)->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(result.object, "tusk")))
      return failed(std::move(failure));
  }
  return std::make_shared<Resident>(std::move(*jit));
}

constexpr Backend kBackend = {&emit, &load};

}  // namespace
}  // namespace tusk::mlir

extern "C" [[gnu::visibility("default")]] const tusk::mlir::Backend* tusk_mlir_backend_1() {
  return &tusk::mlir::kBackend;
}
