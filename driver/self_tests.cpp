#include "driver/self_tests.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <optional>
#include <random>

#include "driver/compile.hpp"
#include "driver/compiled.hpp"
#include "driver/temporary_folder.hpp"
#include "driver/tolerance.hpp"
#include "ir/base/compare.hpp"
#include "ir/graph/bind.hpp"
#include "ir/graph/interpret.hpp"
#include "passes/lower_program.hpp"
#include "passes/plan_memory.hpp"
#include "passes/run_loops.hpp"

namespace tusk {
namespace {

// About a second of the loop interpreter.
constexpr double kMostInterpreted = 2e8;
// Below, code that is compiled quickly is worth more than code that runs quickly.
constexpr double kMostUnoptimized = 2e9;
// What a call may hold, as text in the emitted file, and take.
constexpr double kMostBytes = 16e6;
constexpr double kMostWork = 1e11;
// An arena that is simply taken, whatever the recorded call needs of it.
constexpr std::int64_t kMostArena = 64 << 20;
// How far compiled code may be from the double interpreter, of an output's largest value (halves: tolerance_of).
constexpr double kTolerance = 1e-4;

// Symbols of a recorded call: a batch of 2 or 1, other extents of moderate size, within their ranges and steps.
Symbols self_test_symbols(const kernel::Program& program, std::int64_t batch) {
  Symbols out;
  for (const kernel::Symbol& symbol : program.symbols) {
    const std::int64_t wish = symbol.name == "batch" ? batch : 24;
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

// Points of all stages, those of their reductions included.
double work_of(const kernel::Program& program, const std::vector<kernel::Step>& steps, const ValueOf& value_of) {
  double total = 0;
  for (const kernel::Step& step : steps) {
    if (step.kind != kernel::Step::Kind::call) {
      const bool is_loop = step.kind == kernel::Step::Kind::loop;
      total += (is_loop ? static_cast<double>(step.extent.value(value_of)) : 1) * work_of(program, step.body, value_of);
      continue;
    }
    for (const kernel::Stage& stage : program.kernels[static_cast<std::size_t>(step.kernel)].stages) {
      double points = 1;
      for (const kernel::Index& index : stage.indices) points *= static_cast<double>(index.extent.value(value_of));
      if (stage.reduce) {
        for (const kernel::Index& index : stage.reduce->indices)
          points *= static_cast<double>(index.extent.value(value_of));
      }
      total += points;
    }
  }
  return total;
}

// Of what a call reads and gives.
double bytes_of(const kernel::Function& function, const ValueOf& value_of) {
  double total = 0;
  for (const std::vector<int>* ids : {&function.inputs, &function.outputs}) {
    for (const int id : *ids) {
      const kernel::Tensor& tensor = function.tensors[static_cast<std::size_t>(id)];
      double bytes = static_cast<double>(size_of(tensor.type));
      for (const Dim& dim : tensor.shape) bytes *= static_cast<double>(dim.value(value_of));
      total += bytes;
    }
  }
  return total;
}

// Built by the system's compiler.
Expected<CompiledModel> built(const cpp::PackageInput& input, double work) {
  TRY(const TemporaryFolder folder, TemporaryFolder::make());
  const std::string path = folder.path().string();
  TRY(const auto files, cpp::print_package(input));
  CHECK(write_files(path, files));
  Expected<CompiledModel> model =
      CompiledModel::load(path, fmt::format("{} -march=native", work < kMostUnoptimized ? "-Og" : "-O1"));
  return model ? std::move(model) : CompiledModel::load(path, "-O2");
}

// What the compiled output gives; nothing, and a note, where no compiler is at hand.
Expected<std::optional<std::vector<Array>>> compiled_outputs(const graph::Module& module, const Lowered& lowered,
                                                             bool threads, const TargetMachine* jit,
                                                             const cpp::SelfTest& test,
                                                             const std::vector<Array>& inputs, double work,
                                                             const std::function<void(const std::string&)>& note) {
  const auto interpreted_for = [&](const Diagnostic& problem) {
    const auto says_why = [](const std::string& line) { return line.find("error") != std::string::npos; };
    const auto why = std::ranges::find_if(problem.notes, says_why);
    if (note)
      note(fmt::format("the self-test of {} is interpreted, which takes a while: {}{}", test.function, problem.message,
                       why != problem.notes.end() ? ": " + *why : ""));
    return std::optional<std::vector<Array>>();
  };
  cpp::PackageInput input{"model", lowered.program, lowered.loops, "", "", std::string(version())};
  input.embed_weights = false;
  input.threads = threads;
  // Interpreted while the compiler runs.
  auto interpreted =
      std::async(std::launch::async, [&] { return graph::interpret(module, test.function, inputs, test.symbols); });
  const Expected<CompiledModel> model = jit != nullptr ? CompiledModel::jit(input, *jit) : built(input, work);
  if (!model) return interpreted_for(model.problem());
  TRY(std::vector<Array> outputs, model->predict(inputs));
  TRY(const std::vector<Array> truth, interpreted.get());
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    const double apart = relative_difference(outputs[k], truth[k]);
    if (apart <= std::max(kTolerance, tolerance_of(module))) continue;
    return error("self-test", fmt::format("output {} of {}, compiled, differs from the double interpreter by {:.1e} of "
                                          "its largest value: this is a fault of Tusk",
                                          k, test.function, apart));
  }
  return std::optional(std::move(outputs));
}

// The arena holds the largest sizes of the ranges. For these symbols alone it is smaller; kernels stay what they are.
Expected<Lowered> planned_for(const Lowered& lowered, const Symbols& symbols) {
  Lowered out{lowered.program, {}};
  for (kernel::Symbol& symbol : out.program.symbols) symbol.low = symbol.high = symbols.at(symbol.name);
  out.program = plan_memory(std::move(out.program));
  TRY(out.loops, lower_program(out.program));
  return out;
}

}  // namespace

double work_of(const kernel::Program& program, const kernel::Function& function, const Symbols& symbols) {
  return work_of(program, function.steps, graph::value_of(symbols));
}

Expected<std::vector<cpp::SelfTest>> self_tests(const graph::Module& module, const Lowered& lowered, bool threads,
                                                const TargetMachine* jit,
                                                const std::function<void(const std::string&)>& note) {
  std::vector<cpp::SelfTest> tests;
  const bool has_states = std::ranges::any_of(lowered.program.globals, &kernel::Global::is_state);
  for (std::size_t f = 0; f < lowered.program.functions.size(); ++f) {
    const kernel::Function& function = lowered.program.functions[f];
    cpp::SelfTest test;
    test.function = function.name;
    test.symbols = self_test_symbols(lowered.program, 2);
    const auto work = [&] { return work_of(lowered.program, function, test.symbols); };
    const auto bytes = [&] { return bytes_of(function, graph::value_of(test.symbols)); };
    const auto is_large = [&] { return work() > kMostInterpreted; };
    if (is_large() || bytes() > kMostBytes) test.symbols = self_test_symbols(lowered.program, 1);
    // What changes states is interpreted only.
    if (bytes() > kMostBytes || work() > (has_states ? kMostInterpreted : kMostWork)) {
      if (note) {
        note(fmt::format("the self-test of {} records no call: one takes {:.0f} MB and {:.1g} operations",
                         function.name, bytes() / 1e6, work()));
      }
      continue;
    }
    std::minstd_rand random(1);
    std::vector<Array> inputs;
    for (const int id : function.inputs) {
      const kernel::Tensor& tensor = function.tensors[static_cast<std::size_t>(id)];
      std::vector<std::int64_t> shape;
      for (const Dim& dim : tensor.shape) shape.push_back(dim.value(graph::value_of(test.symbols)));
      inputs.push_back(self_test_input(tensor.type, std::move(shape), random));
      test.inputs[tensor.name] = inputs.back();
    }
    std::optional<std::vector<Array>> outputs;
    // A compiled folder is called by its first function.
    if (f == 0 && is_large() && !has_states) {
      TRY(outputs, compiled_outputs(module, lowered, threads, jit, test, inputs, work(), note));
      test.how = "compiled output";
    }
    if (!outputs) {
      const bool is_small = function.arena_bytes <= kMostArena;
      std::optional<Lowered> own;
      if (!is_small) {
        TRY(own, planned_for(lowered, test.symbols));
      }
      const Lowered& used = own ? *own : lowered;
      TRY(outputs, run_loops(used.program, used.loops, function.name, inputs, test.symbols, kPoison, &test.states));
      test.how = "loop interpreter";
    }
    for (std::size_t k = 0; k < outputs->size(); ++k) {
      test.outputs[function.tensors[static_cast<std::size_t>(function.outputs[k])].name] = (*outputs)[k];
    }
    tests.push_back(std::move(test));
  }
  return tests;
}

}  // namespace tusk
