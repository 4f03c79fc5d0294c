// What compile leaves in a model: the plan, and the compiled functions that work on its weights.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "frontend/training/compile_options.hpp"
#include "frontend/training/logs.hpp"
#include "ir/graph/callable.hpp"
#include "ir/graph/graph.hpp"

namespace tusk {

/// What fit is given, checked: arrays of one number of rows, in the order of the functions' parameters.
struct Samples {
  std::vector<Array> inputs;
  std::vector<std::optional<Array>> targets;  // of each output; none where it has no loss and no metric
  std::vector<Array> weights;                 // none, one for all outputs, or one for each that has a target
  std::int64_t count = 0;
  bool has_checked_labels = false;
};

/// y and weights by output, floats as f32. Throws [fit-data].
Samples samples_of(const Model& model, const Data& x, const Data& y, const Data& sample_weight,
                   const std::map<int, double>& class_weight);
/// Rows begin .. end-1 of all.
Samples rows(const Samples& samples, std::int64_t begin, std::int64_t end);
/// Makes `out` these rows, in the memory that it has where a batch of the same size was before.
void copy_rows(const Samples& samples, std::span<const std::int64_t> which, Samples& out);

/// Variables that are constants of what is compiled, with the values that they had.
using ValuesThen = std::vector<std::pair<Variable, Array>>;
/// Whether they have them still.
bool are_unchanged(const ValuesThen& values);

/// The functions of a plan, compiled. The model's variables and the optimizer's live in its states.
struct Program {
  TrainingPlan plan;
  std::vector<std::optional<Target>> targets;  // of each output
  std::shared_ptr<graph::Callable> compiled;
  std::vector<std::string> log_names;  // of what the function metrics gives
  std::vector<graph::Symbol> symbols;
  bool has_fixed_batch = false;     // by an input
  std::vector<Shape> input_shapes;  // over the symbols
  ValuesThen constants;             // weights that no function changes
};

struct Trainer {
  CompileOptions options;
  Optimizer optimizer;
  std::optional<Program> program;
  bool stop_training = false;
  std::uint64_t shuffles = 0;  // epochs that were shuffled
};

/// Of a model that was compiled; else throws [fit-compile], which names the function that was called.
Trainer& trainer_of(const Model& model, std::string_view function);

/// The program for samples like these in batches of at most this size: the one that is there, or a new one. Throws what
/// is wrong with the plan, and [fit-labels].
Program& program_for(const Model& model, Samples& samples, std::int64_t batch, std::string_view function);

/// The program for samples, again for each of their batches: callbacks may have another one made between two. Throws
/// [fit-compile] where they compile the model.
class CurrentProgram {
 public:
  CurrentProgram(const Model& model, std::shared_ptr<Trainer> trainer, Samples& samples, std::int64_t batch,
                 std::string_view function)
      : model_(model), trainer_(std::move(trainer)), samples_(samples), batch_(batch), function_(function) {}
  Program& operator()();
  const Model& model() const { return model_; }

 private:
  const Model& model_;
  std::shared_ptr<Trainer> trainer_;
  Samples& samples_;
  std::int64_t batch_;
  std::string_view function_;
  std::shared_ptr<graph::Callable> last_;
};

/// Calls train_step or evaluate on all rows of the samples: they are one batch.
void run(Program& program, std::string_view function, const Samples& batch);
/// What has been counted since.
Logs logs_of(Program& program);
void reset_metrics(Program& program);

/// What has the function predict for these inputs in batches of at most this size: the program, whose weights are the
/// newest. Null if there is none.
std::shared_ptr<graph::Callable> predictor_of(const Model& model, const std::vector<Array>& inputs, std::int64_t batch);

}  // namespace tusk
