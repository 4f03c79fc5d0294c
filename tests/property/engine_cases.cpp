#include "tests/property/engine_cases.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>

#include "ir/graph/op.hpp"
#include "ir/graph/parse.hpp"
#include "passes/differentiate.hpp"
#include "passes/lower_program.hpp"
#include "passes/plan_memory.hpp"
#include "passes/run_loops.hpp"
#include "passes/schedule.hpp"
#include "tests/property/random_contraction.hpp"
#include "tests/property/random_graph.hpp"
#include "tests/property/random_kernel.hpp"
#include "tests/property/random_laws.hpp"
#include "tests/property/random_masks.hpp"
#include "tests/property/training_steps.hpp"

namespace tusk::engine_cases {
namespace {

void add_samples(std::vector<Case>& cases, const Engine& engine) {
  for (const graph::OpDef* op : graph::ops()) {
    for (std::size_t i = 0; i < op->samples.size(); ++i) {
      const std::string title = fmt::format("sample {} of {}", i, op->name);
      graph::Module module = must(graph::parse_sample(op->samples[i]), title);
      Symbols symbols;
      for (const graph::Symbol& symbol : module.symbols) symbols[symbol.name] = symbol.name == "batch" ? 3 : 5;
      const graph::Function function = module.functions[0];
      if (Expected<graph::Function> gradient = differentiate(module, function); gradient && !gradient->results.empty())
        module.functions.push_back(*std::move(gradient));
      cases.push_back({fmt::format("{}_{}", op->name, i), title, lowered(std::move(module), engine, title), symbols});
    }
  }
}

using Generate = random_tests::GraphCase (*)(std::uint64_t seed);

void add_graphs(std::vector<Case>& cases, std::string_view kind, Generate generate, const Engine& engine,
                std::uint64_t first, std::uint64_t count) {
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const random_tests::GraphCase c = generate(seed);
    const std::string title = fmt::format("{} of seed {}", kind, seed);
    cases.push_back({fmt::format("{}_{}", kind, seed), title, lowered(c.module, engine, title), c.symbols});
  }
}

// A program whose one function calls the kernel.
kernel::Program program_of(const random_tests::KernelCase& c, const std::string& profile) {
  kernel::Program program;
  program.name = "kernel";
  program.profile = profile;
  for (const auto& [symbol, value] : c.symbols) program.symbols.push_back({symbol, 1, 64, 1});
  program.kernels = {c.kernel};
  program.schedules.resize(1);
  kernel::Function function;
  function.name = "f";
  kernel::Step step;
  step.kernel = 0;
  const auto add = [&](std::string name, DType type, Shape shape, kernel::Tensor::Place place) {
    kernel::Tensor tensor;
    tensor.name = std::move(name);
    tensor.type = type;
    tensor.strides = kernel::dense_strides(shape);
    tensor.shape = std::move(shape);
    tensor.place = place;
    function.tensors.push_back(std::move(tensor));
    return static_cast<int>(function.tensors.size()) - 1;
  };
  for (const kernel::Param& param : c.kernel.params) {
    function.inputs.push_back(add(param.name, param.type, param.shape, kernel::Tensor::Place::input));
    step.args.push_back(function.inputs.back());
  }
  for (const kernel::Stage* stage : scratch_stages(c.kernel, {}))
    step.scratch.push_back(add(stage->name, stage->type, shape_of(*stage), kernel::Tensor::Place::arena));
  for (const std::string& result : c.kernel.results) {
    const kernel::Stage& stage = *c.kernel.stage(result);
    function.outputs.push_back(add(result, stage.type, shape_of(stage), kernel::Tensor::Place::output));
    step.results.push_back(function.outputs.back());
  }
  function.steps = {step};
  program.functions = {function};
  return program;
}

void add_kernels(std::vector<Case>& cases, const Engine& engine, std::uint64_t first, std::uint64_t count) {
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const random_tests::KernelCase c = random_tests::generate_kernel(seed);
    if (std::ranges::any_of(c.kernel.params, &kernel::Param::inout)) continue;  // no function passes one
    const std::string title = fmt::format("kernel of seed {}", seed);
    Lowered low;
    low.program = plan_memory(schedule(program_of(c, engine.profile), *engine.target));
    low.loops = *lower_program(low.program, {});
    cases.push_back({fmt::format("kernel_{}", seed), title, std::move(low), c.symbols});
  }
}

void add_steps(std::vector<Case>& cases, const Engine& engine) {
  for (TrainingStep& step : training_steps()) {
    const std::string title = "training step " + step.title;
    cases.push_back({"step_" + step.title, title, lowered(std::move(step.module), engine, title), {{"batch", 3}}});
  }
}

// Where zeros of both signs meet, and instructions for minima order them otherwise than a choice does.
void add_zeros(std::vector<Case>& cases, const Engine& engine) {
  constexpr std::string_view kText = R"(module zeros numerics 1 / fma
symbol batch in 1..64
func f(%x: TYPE[batch,37]) -> (%a, %b, %c, %d, %e, %f, %g, %h, %i) {
  %a = map.min %x, 0
  %b = map.min 0, %x
  %c = map.max %x, -0.0
  %d = map.max -0.0, %x
  %e = map.max %x, 0
  %less = map.lt %x, 0
  %f = map.select %less, %x, 0
  %greater = map.gt %x, -0.0
  %g = map.select %greater, %x, -0.0
  %least = map.le %x, 0
  %h = map.select %least, 0, %x
  %above = map.gt 0, %x
  %i = map.select %above, 0, %x
}
)";
  for (const std::string_view type : {"f32", "f64"}) {
    std::string text(kText);
    text.replace(text.find("TYPE"), 4, type);
    const std::string title = fmt::format("zeros of {}", type);
    graph::Module module = must(graph::parse(text, {title, {}}), title);
    cases.push_back({fmt::format("zeros_{}", type), title, lowered(std::move(module), engine, title), {{"batch", 3}}});
  }
}

// The sum of a state's bits has those of a NaN in it, which machines give other signs.
bool has_nan(const std::pair<const std::string, Array>& state) {
  const Array& array = state.second;
  for (std::int64_t i = 0; is_float(array.dtype()) && i < array.size(); ++i) {
    if (std::isnan(array.at(i))) return true;
  }
  return false;
}

}  // namespace

Lowered lowered(graph::Module module, const Engine& engine, const std::string& title) {
  module.profile = engine.profile;
  PassOptions options;
  options.target = engine.target;
  return std::get<Lowered>(must(run_pipeline(std::move(module), options), title));
}

std::vector<cpp::SelfTest> self_tests(const Case& c) {
  std::vector<cpp::SelfTest> tests;
  const bool has_states = std::ranges::any_of(c.lowered.program.globals, &kernel::Global::is_state);
  for (const kernel::Function& function : c.lowered.program.functions) {
    for (const bool tame : {true, false}) {
      if (!tame && has_states) continue;  // all bits of states are compared, those of NaN too
      random_tests::Rng rng(random_tests::seed_of(tame ? 1 : 2, c.name));
      cpp::SelfTest test;
      test.function = function.name;
      test.symbols = c.symbols;
      test.how = "loop interpreter";
      std::vector<Array> inputs;
      for (const int id : function.inputs) {
        const kernel::Tensor& tensor = function.tensors[static_cast<std::size_t>(id)];
        inputs.push_back(
            random_tests::random_array(tensor.type, random_tests::static_shape(tensor.shape, c.symbols), rng, tame));
        // Labels are classes: no state is NaN, whose bits differ from machine to machine.
        for (std::int64_t i = 0; has_states && !is_float(tensor.type) && i < inputs.back().size(); ++i)
          inputs.back().set_int(i, std::abs(inputs.back().int_at(i)) % 3);
        test.inputs[tensor.name] = inputs.back();
      }
      const std::vector<Array> outputs = must(run_loops(c.lowered.program, c.lowered.loops, function.name, inputs,
                                                        c.symbols, kPoison, has_states ? &test.states : nullptr),
                                              c.title);
      if (std::ranges::any_of(test.states, has_nan)) {
        fmt::print(stderr, "left out: {} of {}: states become NaN\n", function.name, c.title);
        continue;
      }
      for (std::size_t k = 0; k < outputs.size(); ++k)
        test.outputs[function.tensors[static_cast<std::size_t>(function.outputs[k])].name] = outputs[k];
      tests.push_back(std::move(test));
    }
  }
  return tests;
}

std::vector<Case> all_cases(const Engine& engine, const Counts& counts) {
  std::vector<Case> cases;
  add_samples(cases, engine);
  add_steps(cases, engine);
  add_zeros(cases, engine);
  add_graphs(cases, "graph", random_tests::generate_graph, engine, counts.seed, counts.graphs);
  add_graphs(cases, "masks", random_tests::generate_masks, engine, counts.seed, counts.masks);
  add_kernels(cases, engine, counts.seed, counts.kernels);
  const TargetMachine small = random_tests::with_small_caches(*engine.target, "small caches");
  Engine on_small = engine;
  on_small.target = &small;
  add_graphs(cases, "contraction", random_tests::generate_contraction, on_small, counts.seed, counts.contractions);
  for (Case& c : cases) fit_to(engine, c);
  return cases;
}

void fit_to(const Engine& engine, Case& c) {
  c.threads = engine.target->fork > 0;
  if (engine.is_object) c.object_for = engine.target;
}

}  // namespace tusk::engine_cases
