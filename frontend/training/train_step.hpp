// Training as functions of a module: what `fit` compiles, and what is emitted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/model/model.hpp"
#include "frontend/model/to_module.hpp"
#include "frontend/training/loss.hpp"
#include "frontend/training/metric.hpp"
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
  std::vector<Loss> losses = {};                           // one for each output; an empty one leaves the output out
  std::vector<double> loss_weights = {};                   // of the losses; empty: 1 each
  std::vector<std::vector<Metric>> metrics = {};           // of each output; empty: none
  std::vector<std::vector<Metric>> weighted_metrics = {};  // the same, counted with the sample weights
  std::vector<Target> targets = {};                        // of the outputs that have a loss or metrics
  std::vector<Target> sample_weights = {};                 // of the same outputs; empty: none; one: for all of them
  std::vector<std::string> functions = {"train_step"};
  std::vector<DimRange> dims = {};  // as in ModuleOptions
};

/// The functions that a module for training can have, in the order in which they stand in it. TARGETS stand for
/// y_OUTPUT of each output that has a target and the sample weights; all of them work on the same states: the weights,
/// the optimizer's variables and what the metrics count.
///   predict(inputs) -> outputs
///   train_step(inputs, TARGETS) -> loss      forward, loss, backward, optimizer; it counts for the metrics
///   gradients(inputs, TARGETS) -> loss, gradient     the same without the optimizer; the gradients by all trainable
///                                            weights, one behind the other
///   apply(gradient)                          the optimizer's part: gradients and apply give the bits of train_step
///   evaluate(inputs, TARGETS) -> loss        forward as predict does it, and loss; it counts for the metrics
///   input_gradients(inputs, TARGETS) -> loss, gradient_INPUT...    of the loss that evaluate has
///   initialize(seed: u32[2])                 weights as their initializers draw them; orthogonal matrices and
///                                            identities, and what the optimizer keeps, stay what they are
///   metrics() -> loss, ...                   what has been counted, by the names of Keras' logs
///   reset_metrics()
std::vector<std::string_view> training_functions();
/// Throws unless each name is one of them and stands there once.
void check_functions(const std::vector<std::string>& functions);

/// A module with the functions of the plan. Builds the optimizer.
Expected<graph::Module> to_training_module(const Model& model, const TrainingPlan& plan);

}  // namespace tusk
