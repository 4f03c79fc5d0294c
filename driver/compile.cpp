#include "driver/compile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "codegen/cpp/package.hpp"
#include "driver/self_tests.hpp"
#include "driver/tolerance.hpp"
#include "passes/plan_memory.hpp"

namespace tusk {
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
  TRY(Ir ir, run_pipeline(module, options.passes, options.stop_after, observe));
  auto* lowered = std::get_if<Lowered>(&ir);
  if (lowered == nullptr) return std::map<std::string, std::string>{};
  CHECK(check_arena(lowered->program, options.max_arena));
  std::vector<cpp::SelfTest> tests;
  if (options.self_test) {
    TRY(tests, self_tests(module, *lowered, options.note));
  }
  cpp::PackageInput input{options.name,          lowered->program, lowered->loops,
                          options.source,        options.sha256,   std::string(version()),
                          options.embed_weights, bit_changing,     std::move(tests)};
  input.threads = options.passes.target->fork > 0;
  input.initial_states = options.initial_states;
  input.learning_rate = options.learning_rate;
  input.tolerance = tolerance_of(module);
  for (const graph::Function& function : module.functions) {
    for (const int param : function.params)
      input.input_names[function.name].push_back(function.values[static_cast<std::size_t>(param)].name);
  }
  TRY(auto files, cpp::print_package(input));
  for (const kernel::Function& function : lowered->program.functions) {
    files[function.name + "_memory.svg"] = memory_plan_svg(memory_plan(lowered->program, function), function);
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
