// Cases for the engine matrix (law 4): emitted C++ with what the loop interpreter computed.
//
//     emit_cases FOLDER [--profile fma|muladd[@TARGET]] [--besides PROFILE] [--graphs N] [--kernels N] [--masks N]
//                [--contractions N] [--seed S] [--unlike FOLDER]
//
// Every sample of every op and its gradient, training steps, N random graphs, kernels, formulas of truths, and
// contractions, the last for TARGET with small caches, so that they meet every part of a schedule. FOLDER gets their
// files and all_0.cpp, all_1.cpp, ...: programs that run the self-tests of many cases and name those that fail. With
// --besides, only cases whose code or expected values differ from those of PROFILE. With --unlike, only
// cases of which that folder does not have the same files, but for comments.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/cpp/package.hpp"
#include "codegen/mlir/interface.hpp"
#include "codegen/mlir/load.hpp"
#include "codegen/mlir/processor.hpp"
#include "driver/compile.hpp"
#include "ir/graph/op.hpp"
#include "ir/graph/parse.hpp"
#include "passes/differentiate.hpp"
#include "passes/lower_program.hpp"
#include "passes/pipeline.hpp"
#include "passes/plan_memory.hpp"
#include "passes/schedule.hpp"
#include "tests/property/random_contraction.hpp"
#include "tests/property/random_graph.hpp"
#include "tests/property/random_kernel.hpp"
#include "tests/property/random_laws.hpp"
#include "tests/property/random_masks.hpp"
#include "tests/property/training_steps.hpp"

namespace {

using namespace tusk;

constexpr std::size_t kBatch = 64;  // cases in a program: few enough to build beside each other

struct Case {
  std::string name;   // of its files
  std::string title;  // for people
  Lowered lowered;
  Symbols symbols;
  bool threads = false;
  const TargetMachine* object_for = nullptr;  // an object file instead of C++
};

template <class T>
T must(Expected<T> value, const std::string& title) {
  if (value) return *std::move(value);
  fmt::print(stderr, "{}: {}", title, value.problem().str());
  std::exit(1);
}

// What cases are made for: a profile of the numerics, and a machine, "fma" or "fma@haswell".
struct Engine {
  explicit Engine(std::string text) {
    is_object = text.ends_with("+mlir");
    if (is_object) text.resize(text.size() - 5);
    profile = text.substr(0, text.find('@'));
    target = must(target_named(profile.size() == text.size() ? "generic" : text.substr(profile.size() + 1)), text);
  }
  std::string profile;
  bool is_object = false;  // made by the MLIR back end
  const TargetMachine* target = nullptr;
};

// How many cases of each random kind, and the first seed.
struct Counts {
  std::uint64_t seed = 1;
  std::uint64_t graphs = 0;
  std::uint64_t kernels = 0;
  std::uint64_t masks = 0;
  std::uint64_t contractions = 0;
};

Lowered lowered(graph::Module module, const Engine& engine, const std::string& title) {
  module.profile = engine.profile;
  PassOptions options;
  options.target = engine.target;
  return std::get<Lowered>(must(run_pipeline(std::move(module), options), title));
}

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

// Two calls of each function: of tame numbers, and of NaN, infinities, denormals and huge numbers.
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
      for (std::size_t k = 0; k < outputs.size(); ++k)
        test.outputs[function.tensors[static_cast<std::size_t>(function.outputs[k])].name] = outputs[k];
      tests.push_back(std::move(test));
    }
  }
  return tests;
}

using Files = std::vector<std::pair<std::string, std::string>>;

Files files_of(const Case& c) {
  cpp::PackageInput input{c.name, c.lowered.program, c.lowered.loops, "", "", std::string(version())};
  input.self_tests = self_tests(c);
  input.threads = c.threads;
  if (c.object_for != nullptr) {
    const mlir::Program program = must(mlir::print_program(input, *c.object_for), c.title);
    const mlir::Job job{program.text, mlir::processor_of(*c.object_for), program.exported, program.data};
    input.object = must(mlir::emit(*must(mlir::find_backend(), c.title), job, mlir::Output::object), c.title);
  }
  Files files;
  for (auto& [file, text] : must(cpp::print_package(input), c.title)) files.emplace_back(file, text);
  return files;
}

bool same_code(const Files& a, const Files& b) {
  const auto without_profile = [](std::string text) {
    for (const std::string_view profile : {"profile fma", "profile muladd"})
      for (std::size_t at; (at = text.find(profile)) != std::string::npos;) text.erase(at, profile.size());
    return text;
  };
  return std::ranges::equal(a, b, [&](const auto& x, const auto& y) {
    return !x.first.ends_with("pp") || without_profile(x.second) == without_profile(y.second);
  });
}

std::vector<Case> all_cases(const Engine& engine, const Counts& counts) {
  std::vector<Case> cases;
  add_samples(cases, engine);
  add_steps(cases, engine);
  add_graphs(cases, "graph", random_tests::generate_graph, engine, counts.seed, counts.graphs);
  add_graphs(cases, "masks", random_tests::generate_masks, engine, counts.seed, counts.masks);
  add_kernels(cases, engine, counts.seed, counts.kernels);
  const TargetMachine small = random_tests::with_small_caches(*engine.target, "small caches");
  Engine on_small = engine;
  on_small.target = &small;
  add_graphs(cases, "contraction", random_tests::generate_contraction, on_small, counts.seed, counts.contractions);
  for (Case& c : cases) {
    c.threads = engine.target->fork > 0;
    if (engine.is_object) c.object_for = engine.target;
  }
  return cases;
}

// A line's comment is no code; a line with a string is left as it is, for the string may hold what starts one.
std::string without_comments(std::string_view text) {
  std::string code;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    if (line.find('"') == std::string_view::npos) line = line.substr(0, std::min(line.find("//"), line.find("/*")));
    (code += line) += '\n';
    begin = end + 1;
  }
  return code;
}

bool has_all(const std::filesystem::path& folder, const Files& files) {
  return std::ranges::all_of(files, [&](const auto& file) {
    const bool is_source = file.first.ends_with(".o") || file.first.ends_with(".cpp") || file.first.ends_with(".hpp") ||
                           file.first.ends_with(".h");
    if (!is_source || file.first.ends_with("_self_test_main.cpp")) return true;
    std::ifstream in(folder / file.first, std::ios::binary);
    return in && without_comments(std::string(std::istreambuf_iterator<char>(in), {})) == without_comments(file.second);
  });
}

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
}

}  // namespace

int main(int argc, char** argv) {
  std::string folder;
  std::string profile = "fma";
  std::string besides;
  std::string unlike;
  Counts counts;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    if (!flag.starts_with("--")) {
      folder = flag;
      continue;
    }
    const std::string value = i + 1 < argc ? argv[++i] : "";
    if (flag == "--profile") {
      profile = value;
    } else if (flag == "--besides") {
      besides = value;
    } else if (flag == "--unlike") {
      unlike = value;
    } else if (flag == "--graphs") {
      counts.graphs = std::stoull(value);
    } else if (flag == "--kernels") {
      counts.kernels = std::stoull(value);
    } else if (flag == "--masks") {
      counts.masks = std::stoull(value);
    } else if (flag == "--contractions") {
      counts.contractions = std::stoull(value);
    } else if (flag == "--seed") {
      counts.seed = std::stoull(value);
    } else {
      fmt::print(stderr, "unknown flag {}\n", flag);
      return 1;
    }
  }
  if (folder.empty()) return 1;
  std::vector<Case> cases = all_cases(Engine(profile), counts);
  if (!besides.empty()) {
    const std::vector<Case> others = all_cases(Engine(besides), counts);
    std::vector<Case> different;
    for (std::size_t i = 0; i < cases.size(); ++i)
      if (!same_code(files_of(cases[i]), files_of(others[i]))) different.push_back(std::move(cases[i]));
    cases = std::move(different);
  }

  if (!unlike.empty()) std::erase_if(cases, [&](const Case& c) { return has_all(unlike, files_of(c)); });

  std::filesystem::create_directories(folder);
  const bool threads = Engine(profile).target->fork > 0;
  for (const auto& [name, text] : cpp::runtime_files(threads))
    write(std::filesystem::path(folder) / name, std::string(text));
  for (std::size_t first = 0; first < cases.size(); first += kBatch) {
    std::string includes;
    std::string calls;
    std::string objects;  // a file to a line
    for (std::size_t i = first; i < std::min(cases.size(), first + kBatch); ++i) {
      const Case& c = cases[i];
      std::string name;
      // Helpers of the C functions lie outside of the model's namespace.
      includes += fmt::format("#define check check_{0}\n#define weights_of weights_of_{0}\n", i);
      for (const auto& [file, text] : files_of(c)) {
        const bool main = file.ends_with("_self_test_main.cpp");
        if (main) name = file.substr(0, file.size() - std::string_view("_self_test_main.cpp").size());
        const bool source = file.ends_with(".cpp") && !main;
        if (source) includes += fmt::format("#include \"{}\"\n", file);
        const bool object = file.ends_with(".o");
        if (object) objects += file + "\n";
        if (source || object || file.ends_with(".h") || file.ends_with(".hpp"))
          write(std::filesystem::path(folder) / file, text);
      }
      includes += "#undef check\n#undef weights_of\n";
      const bool has_states = std::ranges::any_of(c.lowered.program.globals, &kernel::Global::is_state);
      const std::string state = has_states ? fmt::format("static {}::State state; ", name) : "";
      const auto call = [&](const std::string& arguments, const std::string& with) {
        calls += fmt::format(
            "  failed += run<{0}::Arena>([](auto& arena) {{ {1}return {0}::self_test(arena{2}); }}, "
            "\"{3}{4}\");\n",
            name, state, arguments, c.title, with);
      };
      call(has_states ? ", state" : "", "");
      if (threads) call(has_states ? ", state, &pool" : fmt::format(", {}::weights(), &pool", name), " in threads");
    }
    if (threads) includes += "#include \"tusk_thread_pool.hpp\"\nstatic tusk::ThreadPool pool(3);\n";
    write(std::filesystem::path(folder) / fmt::format("all_{}.objects", first / kBatch), objects);
    write(std::filesystem::path(folder) / fmt::format("all_{}.cpp", first / kBatch), fmt::format(R"({0}
#include <cstdio>

namespace {{

template <class Arena, class SelfTest>
int run(SelfTest self_test, const char* title) {{
  static Arena arena;
  const auto status = self_test(arena);
  if (static_cast<int>(status) == 0) return 0;
  std::printf("%s: status %d\n", title, static_cast<int>(status));
  return 1;
}}

}}  // namespace

int main() {{
  int failed = 0;
{1}  return failed == 0 ? 0 : 1;
}}
)",
                                                                                                 includes, calls));
  }
  fmt::print("{} cases, seed {}\n", cases.size(), counts.seed);
  return 0;
}
