#include "frontend/training/trainer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "frontend/files/bytes.hpp"
#include "frontend/model/arrays.hpp"
#include "frontend/model/error.hpp"
#include "frontend/training/losses.hpp"

namespace tusk {
namespace {

bool same_type(const Target& a, const Target& b) { return a.dtype == b.dtype && a.shape == b.shape; }

Target type_of(const Array& array) {
  Target out{array.dtype(), {}};
  for (std::size_t axis = 1; axis < array.shape().size(); ++axis) out.shape.push_back(Dim(array.shape()[axis]));
  return out;
}

// Whether a function that was made for such labels takes these, too: if no value changes by that.
bool fits(const Array& array, const Target& target) {
  const Target own = type_of(with_rank(array, target.shape.size() + 1));
  const bool is_wider = is_float(target.dtype) || target.dtype == DType::i64;
  return own.shape == target.shape && (own.dtype == target.dtype || (is_wider && !is_float(own.dtype)));
}

Array fitted(const Array& array, const Target& target) {
  return with_rank(array, target.shape.size() + 1).converted(target.dtype);
}

bool serves_targets(const Program& program, const Samples& samples) {
  for (std::size_t i = 0; i < samples.targets.size(); ++i) {
    if (samples.targets[i].has_value() != program.targets[i].has_value()) return false;
    if (samples.targets[i] && !fits(*samples.targets[i], *program.targets[i])) return false;
  }
  const std::vector<Target>& weights = program.plan.sample_weights;
  if (samples.weights.size() > weights.size()) return false;
  for (std::size_t i = 0; i < samples.weights.size(); ++i) {
    for (const Target& weight : samples.weights.size() == 1 ? weights : std::vector{weights[i]}) {
      if (!same_type(weight, type_of(samples.weights[i]))) return false;
    }
  }
  return true;
}

// What each symbol of a program has to be at most for arrays like these, in batches.
std::vector<graph::Symbol> with_room(const Program& program, const std::vector<Array>& inputs, std::int64_t batch) {
  std::vector<graph::Symbol> symbols = program.symbols;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const Shape& shape = program.input_shapes[k];
    for (std::size_t axis = program.has_fixed_batch ? 1 : 0; axis < shape.size(); ++axis) {
      for (graph::Symbol& symbol : symbols) {
        if (shape[axis].as_symbol() == std::optional<std::string>(symbol.name))
          symbol.high = std::max(symbol.high, axis == 0 ? batch : inputs[k].shape()[axis]);
      }
    }
  }
  return symbols;
}

bool has_room(const Program& program, const std::vector<Array>& inputs, std::int64_t batch) {
  const auto wanted = with_room(program, inputs, batch);
  return std::ranges::equal(wanted, program.symbols, {}, &graph::Symbol::high, &graph::Symbol::high);
}

bool same_bytes(const Array& a, const Array& b) {
  return a.bytes().data() == b.bytes().data() || std::ranges::equal(a.bytes(), b.bytes());
}

// Makes `program.compiled` of the plan in it, and moves the variables into its states.
void build(Program& program, const Model& model, const Optimizer& optimizer, const std::vector<Array>& inputs,
           std::int64_t batch) {
  graph::Module module = value_or_throw(to_training_module(model, program.plan));
  const graph::Function& first = module.functions.front();
  program.input_shapes.clear();
  for (std::size_t k = 0; k < inputs.size(); ++k)
    program.input_shapes.push_back(first.values[static_cast<std::size_t>(first.params[k])].type.shape);
  for (graph::Symbol& symbol : module.symbols) {
    if (symbol.name == kBatch) program.has_fixed_batch = symbol.low == symbol.high;
    if (symbol.name == kBatch) symbol.high = symbol.low;
    const auto before = std::ranges::find(program.symbols, symbol.name, &graph::Symbol::name);
    if (before != program.symbols.end()) symbol.high = std::max(symbol.high, before->high);
  }
  program.symbols = std::move(module.symbols);
  program.symbols = module.symbols = with_room(program, inputs, batch);
  program.log_names = module.function("metrics")->result_names;
  program.compiled = value_or_throw(graph::make_callable(std::move(module)));
  program.constants.clear();
  std::vector<Variable> variables = model.base().weights();
  std::ranges::copy(model.base().random_states(), std::back_inserter(variables));
  variables.insert(variables.end(), optimizer.variables().begin(), optimizer.variables().end());
  for (const Variable& variable : variables) {
    if (!variable.path().empty() && program.compiled->state(variable.path())) {
      variable.bind(program.compiled);
    } else {
      program.constants.emplace_back(variable, variable.value());
    }
  }
}

// Labels of a sparse loss that are no class.
void check_labels(const Model& model, const TrainingPlan& plan, Samples& samples) {
  if (std::exchange(samples.has_checked_labels, true)) return;
  for (std::size_t i = 0; i < plan.losses.size(); ++i) {
    const Loss& loss = plan.losses[i];
    const auto* sparse = loss ? dynamic_cast<const losses::SparseCategoricalCrossentropyImpl*>(&loss.base()) : nullptr;
    const Shape& shape = model.outputs()[i].shape();
    if (sparse == nullptr || !shape.back().is_constant()) continue;
    const std::int64_t classes = shape.back().constant();
    const Array& labels = *samples.targets[i];
    for (std::int64_t k = 0; k < labels.size(); ++k) {
      const double label = labels.at(k);
      const bool is_class = label >= 0 && label < static_cast<double>(classes);
      if (is_class || (sparse->config.ignore_class && label == static_cast<double>(*sparse->config.ignore_class)))
        continue;
      throw Error(
          error("fit-labels", fmt::format("y of the output {}: the label {} in row {} is none of the {} classes",
                                          in_quotes(model.output_names()[i]), label,
                                          k / (labels.size() / labels.shape()[0]), classes))
              .note(fmt::format("labels are 0 .. {}", classes - 1)));
    }
  }
}

}  // namespace

bool are_unchanged(const ValuesThen& values) {
  return std::ranges::all_of(values, [](const auto& then) { return same_bytes(then.first.value(), then.second); });
}

Trainer& trainer_of(const Model& model, std::string_view function) {
  if (!model.functional().trainer)
    throw Error(error("fit-compile", fmt::format("{}: compile() comes before {}()", model.name(), function)));
  return *model.functional().trainer;
}

Program& CurrentProgram::operator()() {
  if (model_.functional().trainer != trainer_)
    throw Error(error("fit-compile", fmt::format("{}: compile() was called while {} ran", model_.name(),
                                                 function_ == "evaluate" ? "evaluate()" : "fit()")));
  if (last_ == nullptr || !trainer_->program || trainer_->program->compiled != last_)
    last_ = program_for(model_, samples_, batch_, function_).compiled;
  return *trainer_->program;
}

Program& program_for(const Model& model, Samples& samples, std::int64_t batch, std::string_view function) {
  Trainer& trainer = trainer_of(model, function);
  batch = batch_for(batch, samples.count);
  const auto has_function = [&](const Program& program) {
    return std::ranges::find(program.plan.functions, function) != program.plan.functions.end();
  };
  if (!trainer.program || !has_function(*trainer.program) || !serves_targets(*trainer.program, samples) ||
      !has_room(*trainer.program, samples.inputs, batch) || !are_unchanged(trainer.program->constants)) {
    Program program;
    std::vector<Target> weights;
    if (trainer.program) program.symbols = trainer.program->symbols;
    if (trainer.program && serves_targets(*trainer.program, samples)) {
      // Who had the last one made may need it again.
      program.targets = trainer.program->targets;
      weights = trainer.program->plan.sample_weights;
    } else {
      for (const std::optional<Array>& target : samples.targets)
        program.targets.push_back(target ? std::optional(type_of(*target)) : std::nullopt);
      for (const Array& array : samples.weights) weights.push_back(type_of(array));
    }
    program.plan = plan_of(trainer.options, trainer.optimizer, model, program.targets, weights);
    check_labels(model, program.plan, samples);
    program.plan.functions = {"predict", "evaluate", "metrics", "reset_metrics"};
    if (function == "train_step" || !model.base().trainable_weights().empty())
      program.plan.functions.emplace_back("train_step");
    build(program, model, trainer.optimizer, samples.inputs, batch);
    for (const std::string_view needed : {function, std::string_view("reset_metrics"), std::string_view("metrics")})
      program.compiled->prepare(needed);
    trainer.program = std::move(program);
  }
  check_labels(model, trainer.program->plan, samples);
  return *trainer.program;
}

void run(Program& program, std::string_view function, const Samples& batch) {
  std::vector<Array> arguments = batch.inputs;
  for (std::size_t i = 0; i < batch.targets.size(); ++i) {
    if (batch.targets[i]) arguments.push_back(fitted(*batch.targets[i], *program.targets[i]));
  }
  const std::vector<Target>& weights = program.plan.sample_weights;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (batch.weights.empty()) {
      std::vector<std::int64_t> shape{batch.count};
      for (const Dim& dim : weights[i].shape) shape.push_back(dim.constant());
      arguments.push_back(Array::splat(weights[i].dtype, shape, 1));
    } else {
      arguments.push_back(batch.weights[batch.weights.size() == 1 ? 0 : i]);
    }
  }
  value_or_throw((*program.compiled)(function, arguments));
}

Logs logs_of(Program& program) {
  const std::vector<Array> values = value_or_throw((*program.compiled)("metrics", {}));
  std::vector<Logs::Entry> out;
  for (std::size_t i = 0; i < values.size(); ++i) out.emplace_back(program.log_names[i], values[i].at(0));
  return Logs(std::move(out));
}

void reset_metrics(Program& program) { value_or_throw((*program.compiled)("reset_metrics", {})); }

std::shared_ptr<graph::Callable> predictor_of(const Model& model, const std::vector<Array>& inputs,
                                              std::int64_t batch) {
  const std::shared_ptr<Trainer>& trainer = model.functional().trainer;
  if (!trainer || !trainer->program) return nullptr;
  if (!has_room(*trainer->program, inputs, batch) || !are_unchanged(trainer->program->constants))
    build(*trainer->program, model, trainer->optimizer, inputs, batch);
  return trainer->program->compiled;
}

}  // namespace tusk
