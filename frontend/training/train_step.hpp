// Training as functions of a module: what `fit` compiles, and what is emitted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "frontend/model/model.hpp"
#include "frontend/training/loss.hpp"
#include "frontend/training/optimizer.hpp"
#include "ir/graph/graph.hpp"

namespace tusk {

/// What a step is given beside the model's inputs: labels or weights. The shape is without the batch.
struct Target {
  DType dtype = DType::f32;
  Shape shape = {};
};

/// How a model is trained.
struct TrainingPlan {
  Optimizer optimizer = {};
  std::vector<Loss> losses = {};            // one for each output; an empty one leaves the output out
  std::vector<double> loss_weights = {};    // of the losses; empty: 1 each
  std::vector<Target> targets = {};         // of the outputs that have a loss
  std::vector<Target> sample_weights = {};  // of the same outputs; empty: none; one: for all of them
};

/// A module with one function, train_step(inputs, y_OUTPUT for each output with a loss, sample_weight...) -> (loss):
/// forward, loss, backward and optimizer. Weights and the optimizer's variables are states, which it updates.
/// Builds the optimizer.
Expected<graph::Module> to_training_module(const Model& model, const TrainingPlan& plan);

}  // namespace tusk
