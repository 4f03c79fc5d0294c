// Flags of `tusk compile` for training: which functions, and how the model is trained.
#pragma once

#include <CLI/CLI.hpp>

#include <optional>
#include <string>
#include <vector>

#include "frontend/import/load_model.hpp"
#include "frontend/model/to_module.hpp"
#include "frontend/training/compile_options.hpp"
#include "ir/graph/graph.hpp"

namespace tusk {

struct TrainingFlags {
  std::vector<std::string> functions;  // empty: predict
  std::optional<std::string> optimizer;
  std::optional<double> learning_rate;
  std::vector<std::string> losses, metrics, weighted_metrics;  // NAME or OUTPUT=NAME
  std::vector<double> loss_weights;
  std::vector<std::string> labels;  // i32[5] or OUTPUT=i32[5]
  bool sample_weight = false;
};

void add_training_options(CLI::App& command, TrainingFlags& flags);

/// The module that the flags ask for, and the path of the state that holds its learning rate, if it has one. What they
/// do not say comes from what the model was compiled with when it was saved.
struct TrainingModule {
  graph::Module module;
  std::string learning_rate;
  CompileOptions compiled = {};  // what it was made with
  Optimizer optimizer = {};
};
Expected<TrainingModule> training_module(const LoadedModel& loaded, const TrainingFlags& flags,
                                         const ModuleOptions& options);

}  // namespace tusk
