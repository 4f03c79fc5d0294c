#include "driver/compile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <system_error>

#include "codegen/cpp/package.hpp"
#include "ir/graph/bind.hpp"
#include "passes/plan_memory.hpp"
#include "passes/run_loops.hpp"

namespace tusk {
namespace {

// Symbols of a recorded call: a batch of 2, other extents of moderate size, within their ranges and steps.
Symbols self_test_symbols(const kernel::Program& program) {
  Symbols out;
  for (const kernel::Symbol& symbol : program.symbols) {
    const std::int64_t wish = symbol.name == "batch" ? 2 : 24;
    const std::int64_t value = std::clamp(wish, symbol.low, symbol.high);
    out[symbol.name] = std::clamp((value + symbol.step - 1) / symbol.step * symbol.step, symbol.low, symbol.high);
  }
  return out;
}

Array self_test_input(DType type, std::vector<std::int64_t> shape, std::minstd_rand& random) {
  Array out(type, std::move(shape));
  for (std::int64_t i = 0; i < out.size(); ++i) {
    const auto step = static_cast<std::int64_t>(random() >> 7) % 256;
    if (is_float(type)) {
      out.set(i, static_cast<double>(step) / 256);
    } else {
      out.set_int(i, step % 2);
    }
  }
  return out;
}

Expected<std::vector<cpp::SelfTest>> self_tests(const Lowered& lowered) {
  std::vector<cpp::SelfTest> tests;
  for (const kernel::Function& function : lowered.program.functions) {
    cpp::SelfTest test;
    test.function = function.name;
    test.symbols = self_test_symbols(lowered.program);
    test.how = "loop interpreter";
    std::minstd_rand random(1);
    std::vector<Array> inputs;
    for (const int id : function.inputs) {
      const kernel::Tensor& tensor = function.tensors[static_cast<std::size_t>(id)];
      std::vector<std::int64_t> shape;
      for (const Dim& dim : tensor.shape) shape.push_back(dim.value(graph::value_of(test.symbols)));
      inputs.push_back(self_test_input(tensor.type, std::move(shape), random));
      test.inputs[tensor.name] = inputs.back();
    }
    TRY(const std::vector<Array> outputs,
        run_loops(lowered.program, lowered.loops, function.name, inputs, test.symbols));
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      test.outputs[function.tensors[static_cast<std::size_t>(function.outputs[k])].name] = outputs[k];
    }
    tests.push_back(std::move(test));
  }
  return tests;
}

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

}  // namespace

std::string_view version() { return TUSK_VERSION; }

Expected<std::map<std::string, std::string>> compile(graph::Module module, const CompileOptions& options) {
  module.profile = options.profile;
  std::vector<std::string> bit_changing;
  const auto observe = [&](const Pass& pass, const Ir& ir) {
    if (const auto* graph = std::get_if<graph::Module>(&ir)) bit_changing = graph->passes;
    if (options.observe) options.observe(pass, ir);
  };
  TRY(Ir ir, run_pipeline(std::move(module), options.passes, options.stop_after, observe));
  auto* lowered = std::get_if<Lowered>(&ir);
  if (lowered == nullptr) return std::map<std::string, std::string>{};
  CHECK(check_arena(lowered->program, options.max_arena));
  TRY(std::vector<cpp::SelfTest> tests, self_tests(*lowered));
  cpp::PackageInput input{options.name,          lowered->program, lowered->loops,
                          options.source,        options.sha256,   std::string(version()),
                          options.embed_weights, bit_changing,     std::move(tests)};
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
  if (problem || !fs::is_directory(folder)) return error("output", fmt::format("cannot make the folder {}", folder));
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
