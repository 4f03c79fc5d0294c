#include "driver/compile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "codegen/cpp/package.hpp"
#include "codegen/mlir/interface.hpp"
#include "codegen/mlir/load.hpp"
#include "codegen/mlir/processor.hpp"
#include "driver/self_tests.hpp"
#include "driver/tolerance.hpp"
#include "passes/plan_memory.hpp"

namespace tusk {
namespace {

// Wider vectors first, since machines that have them satisfy the conditions of narrower ones, too.
Status order_targets(std::vector<const TargetMachine*>& targets) {
  std::stable_sort(targets.begin(), targets.end(), [](const TargetMachine* a, const TargetMachine* b) {
    return std::pair(!a->condition.empty(), a->lanes) > std::pair(!b->condition.empty(), b->lanes);
  });
  for (std::size_t k = 1; k < targets.size(); ++k) {
    if (targets[k]->condition != targets[k - 1]->condition) continue;
    return error("several-targets", fmt::format("{} and {} are told apart by no macro of the compiler",
                                                targets[k - 1]->name, targets[k]->name))
        .note("leave out one of the two");
  }
  return done();
}

Expected<std::string> output_of(const mlir::Program& program, const TargetMachine& target, mlir::Output output) {
  TRY(const mlir::Backend* backend, mlir::find_backend());
  const mlir::Job job{program.text, mlir::processor_of(target), program.exported, program.data, program.made_by,
                      program.file};
  return mlir::emit(*backend, job, output);
}

// One file in the place of a package: MLIR, LLVM IR or assembly.
Expected<std::map<std::string, std::string>> text_of(const mlir::Program& program, const EmitOptions& options,
                                                     const TargetMachine& target) {
  struct Kind {
    std::string_view name, ending, comment;
  };
  constexpr Kind kKinds[] = {{"mlir", ".mlir", "//"}, {"llvm", ".ll", ";"}, {"asm", ".s", "#"}};
  const auto kind = std::ranges::find(kKinds, options.emit, &Kind::name);
  std::string text = program.text;
  if (kind->name != "mlir") {
    TRY(text, output_of(program, target, kind->name == "llvm" ? mlir::Output::llvm : mlir::Output::assembly));
  }
  const std::string file = fmt::format("{}{}", options.name, kind->ending);
  return std::map<std::string, std::string>{
      {file, fmt::format("{0} {1}: for {2}\n{0} {3}\n\n{4}", kind->comment, file, target.name, program.made_by, text)}};
}

// The target, if code for it runs in this process.
const TargetMachine* jit_target(const EmitOptions& options, const TargetMachine& target) {
  const Expected<const TargetMachine*> native = target_named("native");
  if (options.backend != Backend::mlir || !native) return nullptr;
  const bool is_narrower =
      target.lanes < (*native)->lanes && mlir::processor_of(target).triple == mlir::processor_of(**native).triple;
  return *native == &target || is_narrower ? &target : nullptr;
}

}  // namespace

// The three tensors that a user would have to shrink.
Status check_arena(const kernel::Program& program, std::int64_t limit) {
  for (const kernel::Function& function : program.functions) {
    if (limit == 0 || function.arena_bytes <= limit) continue;
    MemoryPlan plan = memory_plan(program, function);
    std::sort(plan.blocks.begin(), plan.blocks.end(), [](const Block& a, const Block& b) { return a.bytes > b.bytes; });
    Diagnostic problem = error("max-arena", fmt::format("{} needs an arena of {} bytes, more than the {} allowed",
                                                        function.name, function.arena_bytes, limit));
    for (std::size_t i = 0; i < std::min<std::size_t>(3, plan.blocks.size()); ++i) {
      const kernel::Tensor& tensor = function.tensors[static_cast<std::size_t>(plan.blocks[i].tensors[0])];
      problem.note(fmt::format("{}: {} bytes, {}{}", tensor.name, plan.blocks[i].bytes, name_of(tensor.type),
                               shape_str(tensor.shape)));
    }
    problem.note("a smaller --dim batch=1..N shrinks every tensor that has a batch");
    return problem;
  }
  return done();
}

std::string_view version() { return TUSK_VERSION; }

Expected<std::map<std::string, std::string>> compile(graph::Module module, const EmitOptions& options) {
  module.profile = options.profile;
  std::vector<std::string> bit_changing;
  const auto observe = [&](const Pass& pass, const Ir& ir) {
    if (const auto* graph = std::get_if<graph::Module>(&ir)) bit_changing = graph->passes;
    if (options.observe) options.observe(pass, ir);
  };
  std::vector<const TargetMachine*> targets = options.more_targets;
  targets.insert(targets.begin(), options.passes.target);
  CHECK(order_targets(targets));
  std::vector<Lowered> all;
  for (const TargetMachine* target : targets) {
    PassOptions passes = options.passes;
    passes.target = target;
    TRY(Ir ir, run_pipeline(module, passes, options.stop_after, observe));
    auto* lowered = std::get_if<Lowered>(&ir);
    if (lowered == nullptr) return std::map<std::string, std::string>{};
    CHECK(check_arena(lowered->program, options.max_arena));
    all.push_back(std::move(*lowered));
  }
  const bool threads = std::ranges::any_of(targets, [](const TargetMachine* target) { return target->fork > 0; });
  std::vector<cpp::SelfTest> tests;
  if (options.self_test) {
    TRY(tests, self_tests(module, all.front(), threads, jit_target(options, *targets.front()), options.note));
  }
  std::vector<cpp::PackageInput> inputs;
  for (std::size_t k = 0; k < all.size(); ++k) {
    cpp::PackageInput& input = inputs.emplace_back(cpp::PackageInput{
        options.name, all[k].program, all[k].loops, options.source, options.sha256, std::string(version())});
    input.embed_weights = options.embed_weights;
    input.bit_changing_passes = bit_changing;
    input.self_tests = tests;
    input.threads = threads;
    input.initial_states = options.initial_states;
    input.learning_rate = options.learning_rate;
    input.tolerance = tolerance_of(module);
    if (targets.size() == 1) input.flags = targets[k]->flags;
    if (targets.size() > 1) {
      input.target = targets[k]->name;
      input.condition = targets[k]->condition;
    }
    for (const graph::Function& function : module.functions) {
      for (const int param : function.params)
        input.input_names[function.name].push_back(function.values[static_cast<std::size_t>(param)].name);
    }
  }
  if (options.backend == Backend::mlir) {
    if (targets.size() > 1)
      return error("several-targets", "an object file is for one target")
          .note("leave out the others, or use --backend cpp");
    TRY(const mlir::Program program, mlir::print_program(inputs.front(), *targets.front()));
    if (!options.emit.empty()) return text_of(program, options, *targets.front());
    TRY(inputs.front().object, output_of(program, *targets.front(), mlir::Output::object));
    inputs.front().loops_text = program.loops;
  }
  TRY(auto files, cpp::print_package(inputs));
  const kernel::Program& program = all.front().program;
  for (const kernel::Function& function : program.functions) {
    files[function.name + "_memory.svg"] = memory_plan_svg(memory_plan(program, function), function);
  }
  return files;
}

Status write_files(const std::string& folder, const std::map<std::string, std::string>& files) {
  namespace fs = std::filesystem;
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (problem || !fs::is_directory(folder)) {
    const std::string why = folder.empty() ? "it has no name" : problem ? problem.message() : "it is a file";
    return error("output", fmt::format("cannot make the folder {}: {}", folder, why));
  }
  for (const auto& [name, bytes] : files) {
    const fs::path target = fs::path(folder) / name;
    const fs::path temporary = target.string() + ".part";
    {
      std::ofstream out(temporary, std::ios::binary);
      out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
      out.flush();
      if (!out) {
        fs::remove(temporary, problem);
        return error("output", fmt::format("cannot write {}", target.string()));
      }
    }
    fs::rename(temporary, target, problem);
    if (problem) {
      fs::remove(temporary, problem);
      return error("output", fmt::format("cannot write {}", target.string()));
    }
  }
  return done();
}

}  // namespace tusk
