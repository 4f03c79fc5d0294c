#include "frontend/import/load_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "frontend/training/trainer.hpp"
#include "ir/graph/state_bytes.hpp"

namespace tusk {
namespace {

bool is_sparse(const Named<Loss>& loss) {
  const std::string_view name = loss.name().empty() ? loss.object().class_name() : std::string_view(loss.name());
  return name.starts_with("sparse_") || name.starts_with("Sparse");
}

/// Labels of classes for a sparse loss, else what the output is: the layout does not depend on it.
std::vector<std::optional<Target>> usual_targets(const CompileOptions& options, const Model& model) {
  const std::vector<std::string>& outputs = model.output_names();
  const auto losses = losses_by_output(options, outputs);
  const std::vector<bool> wanted = outputs_with_target(options, outputs);
  std::vector<std::optional<Target>> out(outputs.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!wanted[i]) continue;
    const Shape& shape = model.outputs()[i].shape();
    out[i] = Target{DType::f32, {shape.begin() + 1, shape.end()}};
    if (losses[i].is_none() || !is_sparse(losses[i])) continue;
    out[i]->dtype = DType::i32;
    if (!out[i]->shape.empty()) out[i]->shape.pop_back();
  }
  return out;
}

}  // namespace

Status take_state(const Model& model, const Optimizer& optimizer, graph::Module module,
                  std::span<const std::byte> bytes) {
  std::vector<Variable> variables = model.weights();
  std::ranges::copy(model.base().random_states(), std::back_inserter(variables));
  if (optimizer) variables.insert(variables.end(), optimizer.variables().begin(), optimizer.variables().end());
  // Where each lies: what is traced next may have other names for them.
  std::map<std::string, Variable> by_path;
  for (const Variable& variable : variables) by_path.emplace(variable.path(), variable);
  TRY(const auto states, graph::states_of(std::move(module), bytes));
  return catch_errors([&] {
    for (const auto& [path, value] : states) {
      // What metrics have counted is in no file.
      if (const auto found = by_path.find(path); found != by_path.end()) found->second.assign(value);
    }
    return Done{};
  });
}

void Model::load_state(std::span<const std::byte> bytes) const { load_state(bytes, {}); }

void Model::load_state(std::span<const std::byte> bytes, const StateOptions& options) const {
  const Trainer& trainer = trainer_of(*this, "load_state");
  const auto targets = options.targets.empty() ? usual_targets(trainer.options, *this) : options.targets;
  TrainingPlan plan = plan_of(trainer.options, trainer.optimizer, *this, targets, options.sample_weights);
  plan.functions = options.functions;
  const Status taken = take_state(*this, trainer.optimizer, value_or_throw(to_training_module(*this, plan)), bytes);
  if (!taken) throw Error(taken.problem());
}

}  // namespace tusk
