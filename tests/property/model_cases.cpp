#include <algorithm>
#include <filesystem>

#include "driver/self_tests.hpp"
#include "frontend/model/to_module.hpp"
#include "frontend/training/losses.hpp"
#include "frontend/training/optimizers.hpp"
#include "frontend/training/train_step.hpp"
#include "tests/parity/model_file.hpp"
#include "tests/property/engine_cases.hpp"

namespace tusk::engine_cases {
namespace {

namespace fs = std::filesystem;

using Lines = std::vector<std::string>;

constexpr double kMostWork = 2e8;             // points: about two seconds of the loop interpreter
constexpr std::int64_t kMostBytes = 8 << 20;  // of weights, which stand in the sources

std::vector<fs::path> files_below(const std::string& folder) {
  std::vector<fs::path> out;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    const std::string type = entry.path().extension();
    if (type == ".keras" || type == ".h5" || type == ".hdf5") out.push_back(entry.path());
  }
  std::ranges::sort(out);
  return out;
}

// With a step of training, if the model has what that takes.
Expected<graph::Module> module_of(const Model& model, const std::string& title, Lines& left_out) {
  TrainingPlan plan;
  plan.optimizer = optimizers::Adam();
  plan.functions = {"predict", "train_step"};
  for (const Tensor& output : model.outputs()) {
    plan.losses.push_back(losses::MeanSquaredError());
    const Shape& shape = output.shape();
    plan.targets.push_back({DType::f32, Shape(shape.begin() + (shape.empty() ? 0 : 1), shape.end())});
  }
  const bool trains =
      !model.base().trainable_weights().empty() && std::ranges::all_of(model.outputs(), [](const Tensor& output) {
        return is_float(output.dtype()) && !output.shape().empty();
      });
  if (!trains) return to_module(model);
  Expected<graph::Module> module = to_training_module(model, plan);
  if (module) return module;
  left_out.push_back(fmt::format("training of {}: {}", title, module.problem().message));
  return to_module(model);
}

Symbols sizes_of(const kernel::Program& program) {
  Symbols out;
  for (const kernel::Symbol& symbol : program.symbols) {
    const std::int64_t wish = std::clamp<std::int64_t>(symbol.name == "batch" ? 3 : 12, symbol.low, symbol.high);
    out[symbol.name] = std::clamp((wish + symbol.step - 1) / symbol.step * symbol.step, symbol.low, symbol.high);
  }
  return out;
}

constexpr std::string_view kTooLarge = "too-large";

Expected<Case> case_of(const fs::path& file, std::size_t number, const std::string& title, const Engine& engine,
                       Lines& left_out) {
  TRY(const LoadedModel loaded, read_model_file(file));
  TRY(graph::Module module, module_of(loaded.model, title, left_out));
  std::int64_t bytes = 0;
  for (const graph::Global& global : module.globals) bytes += static_cast<std::int64_t>(global.value.bytes().size());
  if (bytes > kMostBytes) return error(std::string(kTooLarge), fmt::format("{} bytes of weights", bytes));
  Case out{fmt::format("model_{}", number), title, lowered(std::move(module), engine, title), {}};
  out.symbols = sizes_of(out.lowered.program);
  for (const kernel::Function& function : out.lowered.program.functions) {
    const double work = work_of(out.lowered.program, function, out.symbols);
    if (work > kMostWork)
      return error(std::string(kTooLarge), fmt::format("{} takes {:.1e} operations", function.name, work));
  }
  return out;
}

}  // namespace

std::vector<Case> model_cases(const Engine& engine, const std::vector<std::string>& folders, Lines& left_out) {
  std::vector<Case> out;
  for (const std::string& folder : folders) {
    for (const fs::path& file : files_below(folder)) {
      const std::string title = fs::relative(file, folder).string();
      Expected<Case> made = case_of(file, out.size(), title, engine, left_out);
      if (made) {
        out.push_back(*std::move(made));
        fit_to(engine, out.back());
      } else if (made.problem().code == kTooLarge) {
        left_out.push_back(fmt::format("{}: {}", title, made.problem().message));
      }
    }
  }
  return out;
}

}  // namespace tusk::engine_cases
