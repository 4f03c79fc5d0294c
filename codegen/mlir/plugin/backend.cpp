// LLVM modules become objects, assembly, or code in this process.
#include "codegen/mlir/backend.hpp"

#include <llvm/Analysis/CGSCCPassManager.h>
#include <llvm/Analysis/LoopAnalysisManager.h>
#include <llvm/ExecutionEngine/Orc/AbsoluteSymbols.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Metadata.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/CommandLine.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/TargetParser/Host.h>

#include <algorithm>
#include <future>
#include <map>
#include <mutex>
#include <utility>

#include "codegen/mlir/begun.hpp"
#include "codegen/mlir/plugin/lower.hpp"
#include "codegen/mlir/plugin/signed_zeros.hpp"
#include "ir/base/kept_file.hpp"

namespace tusk::mlir {
namespace {

// For code that is wanted at once. What is scheduled runs as fast as with O2, in a fourth of its time: vectors,
// unrolled loops and shared values are there already.
constexpr const char* kQuickPasses =
    "ipsccp,always-inline,function(early-cse,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(licm),adce)";

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

// Loops stand in the order that their registers are made for; LLVM's scheduler would read early what is read late, and
// spill. Its switch is one for the process. (Other machines may issue in order, and keep it.)
void keep_order_of_loops() {
  static std::once_flag once;
  std::call_once(once, [] {
    const auto options = llvm::cl::getRegisteredOptions();
    if (const auto it = options.find("enable-misched"); it != options.end())
      it->second->addOccurrence(0, "enable-misched", "false");
  });
}

std::unique_ptr<llvm::TargetMachine> machine_of(const Processor& processor, bool resident, std::string& problem) {
  initialize();
  const llvm::Triple triple(
      llvm::Triple::normalize(processor.triple.empty() ? llvm::sys::getProcessTriple() : processor.triple));
  const llvm::Target* target = llvm::TargetRegistry::lookupTarget(triple, problem);
  if (target == nullptr) return nullptr;
  if (triple.isX86()) keep_order_of_loops();
  llvm::TargetOptions options;
  // No product and sum become one operation that are not one in the text.
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  options.MCOptions.ABIName = processor.abi;
  const auto model = resident ? std::optional(llvm::CodeModel::Small) : std::nullopt;
  // Where there is no system, nothing is moved when it is loaded.
  const llvm::Reloc::Model places = triple.isOSUnknown() ? llvm::Reloc::Static : llvm::Reloc::PIC_;
  // What is wanted at once: a seventh of the time less, and scheduled code runs as fast.
  const auto level = resident ? llvm::CodeGenOptLevel::Less : llvm::CodeGenOptLevel::Default;
  std::unique_ptr<llvm::TargetMachine> machine(
      target->createTargetMachine(triple, processor.cpu, processor.features, options, places, model, level));
  if (machine == nullptr) problem = "LLVM has no such machine: " + triple.str();
  return machine;
}

void set_attributes(llvm::Module& module, const Job& job) {
  for (llvm::Function& function : module) {
    if (function.isDeclaration()) continue;
    if (std::find(job.exported.begin(), job.exported.end(), function.getName()) == job.exported.end())
      function.setLinkage(llvm::GlobalValue::InternalLinkage);
    function.addFnAttr("target-cpu", job.processor.cpu);
    if (!job.processor.tune.empty()) function.addFnAttr("tune-cpu", job.processor.tune);
    function.addFnAttr("target-features", job.processor.features);
    if (job.processor.vector_bits != 0) {
      function.addFnAttr("prefer-vector-width", std::to_string(job.processor.vector_bits));
      function.addFnAttr("min-legal-vector-width", std::to_string(job.processor.vector_bits));
    }
    function.addFnAttr("no-builtins");
    function.addFnAttr("denormal-fp-math", "ieee,ieee");
    function.addFnAttr(llvm::Attribute::NoUnwind);
    // Kernels stay functions, which profilers show by their names.
    if (!function.hasFnAttribute(llvm::Attribute::AlwaysInline)) function.addFnAttr(llvm::Attribute::NoInline);
  }
}

void embed_data(llvm::Module& module, std::string_view bytes) {
  llvm::GlobalVariable* data = module.getNamedGlobal("tusk.data");
  if (data == nullptr) return;
  data->setInitializer(llvm::ConstantDataArray::getRaw(llvm::StringRef(bytes.data(), bytes.size()), bytes.size(),
                                                       llvm::Type::getInt8Ty(module.getContext())));
  data->setLinkage(llvm::GlobalValue::InternalLinkage);
}

bool optimize(llvm::Module& module, llvm::TargetMachine& machine, bool resident, std::string& problem) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PipelineTuningOptions tuning;
  tuning.SLPVectorization = false;  // slow on long straight code, and gains nothing there
  tuning.LoopUnrolling = false;     // but for loops that end
  llvm::PassBuilder builder(&machine, tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  llvm::ModulePassManager passes;
  if (!resident) {
    passes = builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2);
  } else if (llvm::Error failure = builder.parsePassPipeline(passes, kQuickPasses)) {
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
  const std::unique_ptr<llvm::Module> module = lower(job, resident, context, problem);
  if (module == nullptr) return {};
  module->setTargetTriple(machine->getTargetTriple());
  module->setDataLayout(machine->createDataLayout());
  set_attributes(*module, job);
  if (!resident) embed_data(*module, job.data);
  if (!job.made_by.empty()) {
    module->getOrInsertNamedMetadata("llvm.ident")
        ->addOperand(llvm::MDNode::get(context, llvm::MDString::get(context, job.made_by)));
  }
  if (!optimize(*module, *machine, resident, problem)) return {};
  if (!machine->getTargetTriple().isX86()) keep_signed_zeros(*module);
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
  Resident(std::unique_ptr<llvm::orc::LLJIT> jit, std::vector<Group> groups, Processor processor, std::string_view data)
      : processor_(std::move(processor)), jit_(std::move(jit)), groups_(groups.size()) {
    // Aligned as in an object, and where it stays.
    data_.resize(data.size() + 64);
    constants_ = data_.data() + (64 - reinterpret_cast<std::uintptr_t>(data_.data()) % 64) % 64;
    std::copy(data.begin(), data.end(), constants_);
    for (std::size_t k = 0; k < groups.size(); ++k) {
      for (const std::string& name : groups[k].exported) group_of_[name] = k;
      groups_[k].group = std::move(groups[k]);
    }
  }
  ~Resident() override {
    for (State& state : groups_) {
      if (state.problem.valid()) state.problem.wait();
    }
  }

  bool has(const std::string& name) const override { return group_of_.count(name) != 0; }

  void* find(const std::string& name, std::string& problem) override {
    const auto it = group_of_.find(name);
    if (it == group_of_.end()) {
      problem = "there is no function " + name;
      return nullptr;
    }
    problem = begin(it->second).get();
    if (!problem.empty()) return nullptr;
    llvm::Expected<llvm::orc::ExecutorAddr> address = jit_->lookup(*groups_[it->second].library, name);
    if (address) return address->toPtr<void*>();
    problem = llvm::toString(address.takeError());
    return nullptr;
  }

  void prepare(const std::string& name) override {
    if (const auto it = group_of_.find(name); it != group_of_.end()) static_cast<void>(begin(it->second));
  }

 private:
  struct State {
    Group group;
    llvm::orc::JITDylib* library = nullptr;
    std::shared_future<std::string> problem;  // empty: it is there
  };

  std::shared_future<std::string> begin(std::size_t k) {
    const std::lock_guard<std::mutex> lock(mutex_);
    State& state = groups_[k];
    if (!state.problem.valid()) state.problem = begun([this, k] { return compile(groups_[k], k); }).share();
    return state.problem;
  }

  std::string compile(State& state, std::size_t number) {
    struct Result {
      std::string object, problem;
    };
    std::vector<std::string> exported = state.group.exported;
    exported.insert(exported.end(), state.group.shared.begin(), state.group.shared.end());
    const auto one = [&](std::size_t i) {
      Result result;
      const std::string kept = i < state.group.kept.size() ? state.group.kept[i] : "";
      result.object = kept.empty() ? "" : read_kept(kept).value_or("");
      if (!result.object.empty()) return result;
      const Job job{state.group.texts[i], processor_, exported};
      result.object = compiled(job, Output::object, true, result.problem);
      if (!kept.empty() && result.problem.empty()) write_kept(kept, result.object);
      return result;
    };
    std::vector<std::future<Result>> others;
    for (std::size_t i = 1; i < state.group.texts.size(); ++i) others.push_back(begun([&, i] { return one(i); }));
    std::vector<Result> results;
    results.push_back(one(0));
    for (std::future<Result>& other : others) results.push_back(other.get());
    state.group.texts.clear();
    return link(state, number, results);
  }

  template <class Results>
  std::string link(State& state, std::size_t number, const Results& results) {
    llvm::Expected<llvm::orc::JITDylib&> library = jit_->createJITDylib("group" + std::to_string(number));
    if (!library) return llvm::toString(library.takeError());
    state.library = &*library;
    state.library->addToLinkOrder(*jit_->getProcessSymbolsJITDylib());
    const llvm::orc::ExecutorSymbolDef constants(llvm::orc::ExecutorAddr::fromPtr(constants_),
                                                 llvm::JITSymbolFlags::Exported);
    if (llvm::Error failure =
            state.library->define(llvm::orc::absoluteSymbols({{jit_->mangleAndIntern("tusk.data"), constants}})))
      return llvm::toString(std::move(failure));
    for (const auto& result : results) {
      if (!result.problem.empty()) return result.problem;
      if (llvm::Error failure =
              jit_->addObjectFile(*state.library, llvm::MemoryBuffer::getMemBufferCopy(result.object, "tusk")))
        return llvm::toString(std::move(failure));
    }
    return {};
  }

  Processor processor_;
  std::string data_;
  char* constants_ = nullptr;
  std::unique_ptr<llvm::orc::LLJIT> jit_;
  std::mutex mutex_;
  std::vector<State> groups_;
  std::map<std::string, std::size_t> group_of_;
};

std::shared_ptr<Loaded> load(std::vector<Group> groups, const Processor& processor, const std::string& data,
                             std::string& problem) {
  initialize();
  llvm::Expected<std::unique_ptr<llvm::orc::LLJIT>> jit = llvm::orc::LLJITBuilder().create();
  if (!jit) {
    problem = llvm::toString(jit.takeError());
    return nullptr;
  }
  return std::make_shared<Resident>(std::move(*jit), std::move(groups), processor, data);
}

constexpr Backend kBackend = {kLayout, &emit, &load};

}  // namespace
}  // namespace tusk::mlir

extern "C" [[gnu::visibility("default")]] const tusk::mlir::Backend* tusk_mlir_backend_2() {
  return &tusk::mlir::kBackend;
}
