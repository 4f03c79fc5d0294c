#include "frontend/training/train_step.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "frontend/model/to_module.hpp"
#include "frontend/ops/ops.hpp"
#include "frontend/training/penalties.hpp"

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

// One loss for each output, and a target for each loss.
void check(const Model& model, const TrainingPlan& plan) {
  const std::size_t outputs = model.outputs().size();
  const auto losses = static_cast<std::size_t>(
      std::ranges::count_if(plan.losses, [](const Loss& loss) { return static_cast<bool>(loss); }));
  const auto refuse = [](const std::string& message) { throw Error(error("training-plan", message)); };
  if (!plan.optimizer) refuse("the plan has no optimizer");
  if (plan.losses.size() != outputs)
    refuse(fmt::format("{} losses for {} outputs; an empty loss leaves an output out", plan.losses.size(), outputs));
  if (losses == 0) refuse("no output has a loss");
  if (plan.targets.size() != losses) refuse(fmt::format("{} targets for {} losses", plan.targets.size(), losses));
  if (!plan.loss_weights.empty() && plan.loss_weights.size() != outputs)
    refuse(fmt::format("{} loss_weights for {} outputs", plan.loss_weights.size(), outputs));
  if (plan.sample_weights.size() > 1 && plan.sample_weights.size() != losses)
    refuse(fmt::format("{} sample_weights for {} losses", plan.sample_weights.size(), losses));
  if (model.inputs().empty() || model.inputs().front().rank() == 0) refuse("the first input has no batch");
}

void trace_step(Trace& trace, const Model& model, const TrainingPlan& plan, const std::vector<Tensor>& inputs) {
  std::vector<Tensor> penalties;
  trace.observer = [&](const LayerBase& layer, const std::vector<Tensor>& results) {
    for (Tensor& penalty : activity_penalties(layer, results)) penalties.push_back(std::move(penalty));
  };
  const std::vector<Tensor> outputs = model.functional().call_all(inputs, {.training = true});
  const Dim batch = inputs.front().shape().front();
  std::vector<Tensor> targets;
  std::vector<Tensor> weights;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (plan.losses[i])
      targets.push_back(parameter(trace, "y_" + model.output_names()[i], plan.targets.at(targets.size()), batch));
  }
  for (const Target& weight : plan.sample_weights) weights.push_back(parameter(trace, "sample_weight", weight, batch));
  trace.observer = {};
  Tensor loss = total_loss(plan, outputs, targets, weights);
  const std::vector<Variable> trainable = model.base().trainable_weights();
  for (const WeightRule& rule : weight_rules(model, "_regularizer")) {
    if (std::ranges::find(trainable, rule.variable) != trainable.end())
      penalties.push_back(regularized(nlohmann::json::parse(*rule.config), rule.variable));
  }
  for (const Tensor& penalty : penalties) loss = loss + penalty;

  OptimizerBase& optimizer = plan.optimizer.base();
  std::vector<TrainedWeight> trained;
  std::vector<Tensor> wanted;
  for (const Variable& variable : trainable) {
    trained.push_back({variable, trace.path_of(variable)});
    wanted.emplace_back(variable);
  }
  if (trained.empty()) throw Error(error("training-weights", "the model has no weights that training could change"));
  optimizer.build(trained);
  optimizer.apply(trace.gradients(optimizer.scaled(loss), wanted));
  for (const WeightRule& rule : weight_rules(model, "_constraint")) {
    if (std::ranges::find(trainable, rule.variable) != trainable.end())
      trace.assign(rule.variable, constrained(nlohmann::json::parse(*rule.config), Trace::value(rule.variable)));
  }
  trace.function.results = {trace.operand(loss)};
  trace.function.result_names = {"loss"};
}

}  // namespace

Expected<graph::Module> to_training_module(const Model& model, const TrainingPlan& plan) {
  return catch_errors([&] {
    check(model, plan);
    return traced_module(
        model, {.function = "train_step"}, Trace::Weights::states,
        [&](Trace& trace, const std::vector<Tensor>& inputs) { trace_step(trace, model, plan, inputs); });
  });
}

}  // namespace tusk
