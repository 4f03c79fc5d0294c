#include "tests/property/training_steps.hpp"

#include <nlohmann/json.hpp>

#include "frontend/layers/layers.hpp"
#include "frontend/ops/ops.hpp"
#include "frontend/training/loss_list.hpp"
#include "frontend/training/losses.hpp"
#include "frontend/training/metrics.hpp"
#include "frontend/training/optimizer_list.hpp"
#include "frontend/training/optimizers.hpp"
#include "frontend/training/train_step.hpp"

namespace tusk {
namespace {

graph::Module module_of(const Model& model, const TrainingPlan& plan) {
  auto module = to_training_module(model, plan);
  if (!module) throw Error(module.problem());
  return *std::move(module);
}

Model dense_model(std::int64_t outputs, const Activation& activation) {
  const Tensor x = Input({4}, {.name = "x"});
  const Tensor h = layers::Dense(3, {.activation = "tanh", .name = "hidden"})(x);
  return {x, layers::Dense(outputs, {.activation = activation, .name = "out"})(h), {.name = "dense_model"}};
}

void add_optimizers(std::vector<TrainingStep>& steps) {
  for (const std::string_view name : optimizer_classes()) {
    nlohmann::json config{{"class_name", name}, {"config", nlohmann::json::object()}};
    std::vector<std::pair<std::string, Optimizer>> variants;
    if (name == "LossScaleOptimizer") {
      variants.emplace_back(name, optimizers::LossScaleOptimizer({.inner_optimizer = optimizers::SGD()}));
    } else if (name == "MultiOptimizer") {
      const optimizers::Adam adam({.gradient_accumulation_steps = 2});
      variants.emplace_back(name, optimizers::MultiOptimizer({.optimizer_map = {optimizers::SGD(), {{"out/.*", adam}}},
                                                              .loss_scale_factor = 8}));
    } else {
      variants.emplace_back(name, optimizer_from_config(config));
      config["config"] = {
          {"gradient_accumulation_steps", 2}, {"use_ema", true}, {"clipnorm", 0.5}, {"weight_decay", 0.01}};
      variants.emplace_back(std::string(name) + "_options", optimizer_from_config(config));
    }
    for (const auto& [title, optimizer] : variants) {
      TrainingPlan plan;
      plan.optimizer = optimizer;
      plan.losses = {losses::MeanSquaredError()};
      plan.targets = {{DType::f32, {Dim(2)}}};
      steps.push_back({title, module_of(dense_model(2, "linear"), plan)});
    }
  }
}

void add_losses(std::vector<TrainingStep>& steps) {
  for (const std::string_view name : loss_classes()) {
    const bool is_sparse =
        name == "SparseCategoricalCrossentropy" || name == "Circle" || name == "CategoricalGeneralizedCrossEntropy";
    TrainingPlan plan;
    plan.optimizer = optimizers::SGD({.learning_rate = 0.1});
    plan.losses = {loss_named(name)};
    plan.targets = {is_sparse ? Target{DType::i32, {}} : Target{DType::f32, {Dim(3)}}};
    Model model = dense_model(3, "softmax");
    if (name == "CTC") {
      const Tensor x = Input({5, 2}, {.name = "x"});
      model = Model(x, layers::Dense(4, {.name = "out"})(x), {.name = "ctc_model"});
      plan.targets = {{DType::i32, {Dim(2)}}};
    }
    steps.push_back({std::string(name), module_of(model, plan)});
  }
}

void add_convolutional(std::vector<TrainingStep>& steps) {
  const Tensor x = Input({6, 6, 2}, {.name = "x"});
  Tensor h = layers::Conv2D(3, 3, {.padding = "same", .name = "conv"})(x);
  h = layers::ReLU({.name = "relu"})(layers::BatchNormalization({.name = "norm"})(h));
  h = layers::Flatten({.name = "flat"})(layers::MaxPooling2D(2, {.name = "pool"})(h));
  TrainingPlan plan;
  plan.optimizer = optimizers::Adam({.global_clipnorm = 1.0});
  plan.losses = {losses::SparseCategoricalCrossentropy({.from_logits = true})};
  plan.metrics = {{metrics::SparseCategoricalAccuracy()}};
  plan.targets = {{DType::i32, {}}};
  plan.functions = {"predict",  "train_step",      "gradients",  "apply",
                    "evaluate", "input_gradients", "initialize", "metrics"};
  const Model model(x, layers::Dense(4, {.name = "out"})(h), {.name = "convolutional_model"});
  steps.push_back({"convolutional", module_of(model, plan)});
}

void add_attention(std::vector<TrainingStep>& steps) {
  const Tensor x = Input({5}, {.dtype = "int32", .name = "x"});
  Tensor h = layers::Embedding(7, 4, {.mask_zero = true, .name = "embedding"})(x);
  h = layers::LayerNormalization({.name = "norm"})(h + layers::MultiHeadAttention(2, 2, {.name = "attention"})({h, h}));
  h = layers::GlobalAveragePooling1D({.name = "pool"})(h);
  TrainingPlan plan;
  plan.optimizer = optimizers::SGD({.momentum = 0.9, .nesterov = true});
  plan.losses = {losses::BinaryCrossentropy()};
  plan.targets = {{DType::f32, {Dim(1)}}};
  const Tensor y = layers::Dense(1, {.activation = "sigmoid", .name = "out"})(h);
  steps.push_back({"attention", module_of(Model(x, y, {.name = "attention_model"}), plan)});
}

}  // namespace

std::vector<TrainingStep> training_steps() {
  std::vector<TrainingStep> steps;
  add_optimizers(steps);
  add_losses(steps);
  add_convolutional(steps);
  add_attention(steps);
  return steps;
}

}  // namespace tusk
