// Law 4 for code that is compiled in this process: the bits of the loop interpreter, with one thread and with several.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "codegen/mlir/load.hpp"
#include "driver/compile.hpp"
#include "driver/compiled.hpp"
#include "frontend/import/load_model.hpp"
#include "frontend/model/to_module.hpp"
#include "ir/base/compare.hpp"
#include "tests/property/engine_cases.hpp"
#include "tools/recording.hpp"

namespace tusk::engine_cases {
namespace {

// Whether all sizes stand in the shapes of inputs, as a call finds them.
bool follows_from_inputs(const kernel::Function& function, const Symbols& symbols) {
  return std::ranges::all_of(symbols, [&](const auto& symbol) {
    const auto is_it = [&](const Dim& dim) { return dim.as_symbol() == symbol.first; };
    const auto has = [&](const kernel::Tensor& tensor) { return std::ranges::any_of(tensor.shape, is_it); };
    return std::ranges::none_of(function.tensors, has) || std::ranges::any_of(function.inputs, [&](int id) {
             return has(function.tensors[static_cast<std::size_t>(id)]);
           });
  });
}

void check(const Case& c, const TargetMachine& target) {
  SCOPED_TRACE(c.title);
  cpp::PackageInput input{c.name, c.lowered.program, c.lowered.loops, "", "", std::string(version())};
  input.threads = c.threads;
  const Expected<CompiledModel> model = CompiledModel::jit(input, target);
  ASSERT_TRUE(model) << model.problem().str();
  for (const cpp::SelfTest& test : self_tests(c)) {
    const auto function = std::ranges::find(c.lowered.program.functions, test.function, &kernel::Function::name);
    if (!follows_from_inputs(*function, test.symbols)) continue;
    std::vector<Array> inputs;
    for (const int id : function->inputs)
      inputs.push_back(test.inputs.at(function->tensors[static_cast<std::size_t>(id)].name));
    const CompiledModel::State state = model->make_state();
    const auto outputs = model->call(test.function, inputs, state.get());
    ASSERT_TRUE(outputs) << outputs.problem().str();
    for (std::size_t k = 0; k < outputs->size(); ++k) {
      const std::string& name = function->tensors[static_cast<std::size_t>(function->outputs[k])].name;
      EXPECT_EQ(bit_difference((*outputs)[k], test.outputs.at(name)), "") << name << " of " << test.function;
    }
    for (const CompiledModel::Variable& variable : model->variables()) {
      const auto wanted = test.states.find(variable.path);
      if (wanted == test.states.end()) continue;
      Array found(variable.type, variable.shape);
      std::copy_n(static_cast<const std::byte*>(state.get()) + variable.offset, found.bytes().size(),
                  found.writable_bytes().begin());
      EXPECT_EQ(bit_difference(found, wanted->second), "") << variable.path << " behind " << test.function;
    }
  }
}

std::uint64_t count() {
  const char* given = std::getenv("TUSK_FULL");
  return given != nullptr && std::string_view(given) == "1" ? 1000 : 50;
}

class Jit : public testing::TestWithParam<const char*> {};

TEST_P(Jit, GivesTheBitsOfTheLoops) {
  if (!mlir::find_backend()) GTEST_SKIP() << "left out: the MLIR back end is not here";
  const Engine engine(GetParam());
  Counts counts;
  counts.graphs = counts.kernels = counts.masks = counts.contractions = count();
  const std::vector<Case> cases = all_cases(engine, counts);
  EXPECT_GE(cases.size(), 250);
  for (const Case& c : cases) {
    check(c, *engine.target);
    if (HasFailure()) return;
  }
  fmt::print("{} cases, {} for {}\n", cases.size(), engine.profile, engine.target->name);
}

// The symbols of a function by the shapes of its inputs.
Symbols symbols_of(const kernel::Program& program, const std::vector<Array>& inputs) {
  Symbols out;
  for (const kernel::Symbol& symbol : program.symbols) out[symbol.name] = symbol.low;
  const kernel::Function& function = program.functions.front();
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const Shape& shape = function.tensors[static_cast<std::size_t>(function.inputs[k])].shape;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      if (const auto symbol = shape[axis].as_symbol()) out[*symbol] = inputs[k].shape()[axis];
    }
  }
  return out;
}

// Models with the inputs that were recorded with them.
TEST(JitGoldens, GiveTheBitsOfTheLoops) {
  if (!mlir::find_backend()) GTEST_SKIP() << "left out: the MLIR back end is not here";
  int count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(TUSK_SOURCE_DIR) + "/tests/parity/goldens")) {
    const std::filesystem::path file = entry.path();
    if (file.extension() != ".keras") continue;
    SCOPED_TRACE(file.filename().string());
    const auto loaded = read_model(file);
    ASSERT_TRUE(loaded) << loaded.problem().str();
    const auto calls = recorded_calls(std::filesystem::path(file).replace_extension(".npz").string(),
                                      loaded->model.input_names(), loaded->model.output_names());
    ASSERT_TRUE(calls) << calls.problem().str();
    const auto module = to_module(loaded->model);
    ASSERT_TRUE(module) << module.problem().str();
    PassOptions passes;
    passes.target = *target_named("native");
    const auto ir = run_pipeline(*module, passes);
    ASSERT_TRUE(ir) << ir.problem().str();
    const auto& lowered = std::get<Lowered>(*ir);
    cpp::PackageInput input{"model", lowered.program, lowered.loops, "", "", std::string(version())};
    input.threads = passes.target->fork > 0;
    const auto model = CompiledModel::jit(input, *passes.target);
    ASSERT_TRUE(model) << model.problem().str();
    const RecordedCall& call = calls->front();
    std::vector<Array> inputs;
    for (std::size_t k = 0; k < call.inputs.size(); ++k)
      inputs.push_back(call.inputs[k].converted(model->inputs()[k].type));
    const auto found = model->predict(inputs);
    ASSERT_TRUE(found) << found.problem().str();
    const auto wanted =
        run_loops(lowered.program, lowered.loops, "predict", inputs, symbols_of(lowered.program, inputs), kPoison);
    ASSERT_TRUE(wanted) << wanted.problem().str();
    for (std::size_t k = 0; k < wanted->size(); ++k)
      EXPECT_EQ(bit_difference((*found)[k], (*wanted)[k]), "") << "output " << k;
    ++count;
  }
  EXPECT_GE(count, 100);
  fmt::print("{} models\n", count);
}

INSTANTIATE_TEST_SUITE_P(Profiles, Jit, testing::Values("fma@native", "muladd@native"));

}  // namespace
}  // namespace tusk::engine_cases
