#include "frontend/training/train_step.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "frontend/model/to_module.hpp"
#include "frontend/ops/ops.hpp"

namespace tusk {
namespace {

Tensor parameter(Trace& trace, std::string name, const Target& target, const Dim& batch) {
  graph::Type type{target.dtype, {batch}};
  type.shape.insert(type.shape.end(), target.shape.begin(), target.shape.end());
  return trace.parameter(std::move(name), std::move(type));
}

// The sum of the losses of all outputs, each with its weight.
Tensor total_loss(const TrainingPlan& plan, const std::vector<Tensor>& outputs, const std::vector<Tensor>& targets,
                  const std::vector<Tensor>& weights) {
  Tensor total;
  std::size_t next = 0;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!plan.losses[i]) continue;
    const Tensor weight = weights.empty() ? Tensor() : weights.size() == 1 ? weights[0] : weights[next];
    Tensor loss = plan.losses[i](targets[next++], outputs[i], weight);
    if (loss.rank() != 0) loss = ops::sum(loss);
    if (!plan.loss_weights.empty()) loss = loss * plan.loss_weights[i];
    total = total ? total + loss : loss;
  }
  return total;
}

// What training would need of a layer that this release cannot do: nothing of it may be left out in silence.
void refuse_penalties(const Layer& layer) {
  if (const auto* model = dynamic_cast<const FunctionalImpl*>(&layer.base())) {
    for (const Layer& inner : model->layers) refuse_penalties(inner);
    return;
  }
  if (layer.base().source_config().empty()) return;
  const nlohmann::json config = nlohmann::json::parse(layer.base().source_config(), nullptr, false);
  if (!config.is_object()) return;
  for (const auto& [key, value] : config.items()) {
    if (value.is_null() || !(key.ends_with("_regularizer") || key.ends_with("_constraint"))) continue;
    Diagnostic problem =
        error("layer-training", fmt::format("{} has a {}, which this release cannot compile", layer.class_name(), key));
    problem.layer = layer.name();
    throw Error(problem);
  }
}

void trace_step(Trace& trace, const Model& model, const TrainingPlan& plan, const std::vector<Tensor>& inputs) {
  for (const Layer& layer : model.layers()) refuse_penalties(layer);
  const std::vector<Tensor> outputs = model.functional().call_all(inputs, {.training = true});
  const Dim batch = inputs.front().shape().front();
  std::vector<Tensor> targets;
  std::vector<Tensor> weights;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (plan.losses[i])
      targets.push_back(parameter(trace, "y_" + model.output_names()[i], plan.targets.at(targets.size()), batch));
  }
  for (const Target& weight : plan.sample_weights) weights.push_back(parameter(trace, "sample_weight", weight, batch));
  const Tensor loss = total_loss(plan, outputs, targets, weights);

  OptimizerBase& optimizer = plan.optimizer.base();
  std::vector<TrainedWeight> trained;
  std::vector<Tensor> wanted;
  for (const Variable& variable : model.base().trainable_weights()) {
    trained.push_back({variable, trace.path_of(variable)});
    wanted.emplace_back(variable);
  }
  if (trained.empty()) throw Error(error("training-weights", "the model has no weights that training could change"));
  optimizer.build(trained);
  optimizer.apply(trace.gradients(optimizer.scaled(loss), wanted));
  trace.function.results = {trace.operand(loss)};
  trace.function.result_names = {"loss"};
}

}  // namespace

Expected<graph::Module> to_training_module(const Model& model, const TrainingPlan& plan) {
  return catch_errors([&] {
    return traced_module(
        model, {.function = "train_step"}, Trace::Weights::states,
        [&](Trace& trace, const std::vector<Tensor>& inputs) { trace_step(trace, model, plan, inputs); });
  });
}

}  // namespace tusk
