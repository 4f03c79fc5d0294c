#include "frontend/training/compile_options.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

#include "frontend/files/bytes.hpp"
#include "frontend/model/error.hpp"
#include "frontend/training/loss_list.hpp"
#include "frontend/training/metric_list.hpp"
#include "frontend/training/metrics.hpp"
#include "frontend/training/optimizer_list.hpp"
#include "frontend/training/optimizers.hpp"
#include "ir/text/count.hpp"

namespace tusk {
namespace {

using Names = std::vector<std::string>;

bool is_any(std::string_view name, std::initializer_list<std::string_view> words) {
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::ranges::find(words, lower) != words.end();
}

bool is_accuracy(std::string_view name) { return is_any(name, {"accuracy", "acc"}); }
bool is_crossentropy(std::string_view name) { return is_any(name, {"crossentropy", "ce"}); }

bool is_metric_name(std::string_view name) {
  if (is_accuracy(name)) return true;
  return static_cast<bool>(catch_errors([&] { return metric_named(name); }));
}

std::string listed(const Names& names) { return fmt::format("{}", fmt::join(names, ", ")); }

Error loss_problem(const std::string& message) { return Error(error("compile-loss", message)); }

// What the shapes say about an output and its labels.
enum class Kind { binary, sparse, categorical };

Kind kind_of(const Target& target, const Shape& prediction) {
  const auto is_one = [](const Shape& shape) { return !shape.empty() && shape.back() == Dim(1); };
  const std::size_t rank = target.shape.size() + 1;
  if (is_one(prediction)) return Kind::binary;
  if (rank < prediction.size() || is_one(target.shape)) return Kind::sparse;
  return Kind::categorical;
}

Loss resolved(const Named<Loss>& given, const Target& target, const Shape& prediction) {
  if (given.name().empty()) return given.object();
  if (!is_crossentropy(given.name())) return loss_named(given.name());
  switch (kind_of(target, prediction)) {
    case Kind::binary:
      return loss_named("binary_crossentropy");
    case Kind::sparse:
      return loss_named("sparse_categorical_crossentropy");
    case Kind::categorical:
      break;
  }
  return loss_named("categorical_crossentropy");
}

Metric resolved(const Named<Metric>& given, const Target& target, const Shape& prediction) {
  const std::string& name = given.name();
  if (name.empty()) return given.object();
  if (!is_accuracy(name)) return metric_named(name);
  switch (kind_of(target, prediction)) {
    case Kind::binary:
      return metrics::BinaryAccuracy({.name = name});
    case Kind::sparse:
      return metrics::SparseCategoricalAccuracy({.name = name});
    case Kind::categorical:
      break;
  }
  return metrics::CategoricalAccuracy({.name = name});
}

void add_metrics(const MetricChoice& choice, std::vector<Named<Metric>>& out) {
  if (!choice.is_list) {
    if (!choice.metric.is_none()) out.push_back(choice.metric);
    return;
  }
  for (const MetricChoice& each : choice.list) add_metrics(each, out);
}

// Of a loss: all are checked before anything is traced.
void check_name(const Named<Loss>& loss) {
  if (!loss.name().empty() && !is_crossentropy(loss.name())) (void)loss_named(loss.name());
}

void check_dict(std::string_view argument, const Names& given, const Names& outputs, bool all) {
  for (const std::string& name : given) {
    if (std::ranges::find(outputs, name) == outputs.end())
      throw Error(error("compile-output", fmt::format("{} names an output {}, the model has none of this name",
                                                      argument, in_quotes(name)))
                      .note("its outputs are " + listed(outputs)));
    if (std::ranges::count(given, name) > 1)
      throw Error(error("compile-output", fmt::format("{} names the output {} twice", argument, in_quotes(name))));
  }
  for (const std::string& name : outputs) {
    if (all && std::ranges::find(given, name) == given.end())
      throw Error(error("compile-output", fmt::format("{} has nothing for the output {}", argument, in_quotes(name)))
                      .note(fmt::format("it wants an entry for each of {}; None leaves one out", listed(outputs))));
  }
}

template <class Item>
const Item& of_name(const Given<Item>& given, const std::string& name) {
  return given.items[static_cast<std::size_t>(std::ranges::find(given.names, name) - given.names.begin())];
}

std::vector<double> weights_by_output(const CompileOptions& options, const Names& outputs) {
  const Given<double>& given = options.loss_weights;
  if (given.is_none()) return {};
  const std::size_t losses = options.loss.form == Form::one ? 1 : outputs.size();
  if (given.items.size() != losses || (given.form == Form::one && options.loss.form != Form::one))
    throw loss_problem(fmt::format("loss_weights match the losses in number: found {} and {}",
                                   losses == 1 ? "1 loss" : fmt::format("{} losses", losses),
                                   text::count_of(given.items.size(), "weight")));
  if (given.form == Form::one) return std::vector<double>(outputs.size(), given.items[0]);
  if (given.form == Form::list) return losses == 1 ? std::vector<double>(outputs.size(), given.items[0]) : given.items;
  check_dict("loss_weights", given.names, outputs, true);
  std::vector<double> out;
  for (const std::string& name : outputs) out.push_back(of_name(given, name));
  return out;
}

}  // namespace

// A dict is written as a list of lists of two, of which each first is a name.
MetricsGiven::MetricsGiven(std::vector<MetricChoice> list) : form(Form::list), entries(std::move(list)) {
  const auto is_pair = [](const MetricChoice& entry) {
    return entry.is_list && entry.list.size() == 2 && !entry.list[0].is_list && !entry.list[0].metric.name().empty() &&
           (entry.list[1].is_list || !is_metric_name(entry.list[0].metric.name()));
  };
  if (entries.empty() || !std::ranges::all_of(entries, is_pair)) return;
  form = Form::dict;
  for (MetricChoice& entry : entries) {
    names.push_back(entry.list[0].metric.name());
    MetricChoice value = entry.list[1];
    entry = std::move(value);
  }
}

Optimizer optimizer_of(const CompileOptions& options) {
  const Named<Optimizer>& given = options.optimizer;
  if (given.is_none())
    throw Error(error("compile-optimizer", "the optimizer is None").note("as in .optimizer = \"adam\""));
  return given.name().empty() ? given.object() : optimizer_named(given.name());
}

Optimizer optimizer_for(const CompileOptions& options, const Model& model) {
  const Optimizer given = optimizer_of(options);
  const bool scales = dynamic_cast<const optimizers::LossScaleOptimizerImpl*>(&given.base()) != nullptr;
  if (scales || !options.auto_scale_loss || model.base().dtype_policy().name != "mixed_float16") return given;
  return optimizers::LossScaleOptimizer({.inner_optimizer = given, .name = "loss_scale_optimizer"});
}

Optimizer given_optimizer(const CompileOptions& options, const Optimizer& optimizer) {
  const auto* scaling = dynamic_cast<const optimizers::LossScaleOptimizerImpl*>(&optimizer.base());
  const Optimizer& object = options.optimizer.object();
  const bool is_given = object && &object.base() == &optimizer.base();
  return scaling == nullptr || is_given ? optimizer : scaling->config.inner_optimizer;
}

std::vector<Named<Loss>> losses_by_output(const CompileOptions& options, const Names& outputs) {
  const Given<Named<Loss>>& given = options.loss;
  std::ranges::for_each(given.items, check_name);
  if (given.is_none() || std::ranges::all_of(given.items, &Named<Loss>::is_none))
    throw loss_problem("there is no loss to compute: compile wants a `loss`");
  if (given.form == Form::one) return std::vector<Named<Loss>>(outputs.size(), given.items[0]);
  if (given.form == Form::list) {
    if (outputs.size() == 1 && given.items.size() > 1)
      throw loss_problem(
          fmt::format("{} losses are given for the one output {}; a sum of losses is a loss of one's own",
                      given.items.size(), in_quotes(outputs[0])));
    if (given.items.size() != outputs.size())
      throw loss_problem(fmt::format("{} losses are given for the {} outputs {}; None leaves one out",
                                     given.items.size(), outputs.size(), listed(outputs)));
    return given.items;
  }
  check_dict("loss", given.names, outputs, true);
  std::vector<Named<Loss>> out;
  for (const std::string& name : outputs) out.push_back(of_name(given, name));
  return out;
}

std::vector<std::vector<Named<Metric>>> metrics_by_output(const MetricsGiven& given, const Names& outputs,
                                                          std::string_view argument) {
  std::vector<std::vector<Named<Metric>>> out(outputs.size());
  if (given.form == Form::dict) check_dict(argument, given.names, outputs, false);
  if (given.form == Form::list && outputs.size() > 1 && !given.entries.empty() &&
      given.entries.size() != outputs.size()) {
    throw Error(error("compile-metrics", fmt::format("{} has {} entries for the {} outputs {}", argument,
                                                     given.entries.size(), outputs.size(), listed(outputs)))
                    .note("it is a list with an entry for each output, or a dict by their names"));
  }
  for (std::size_t i = 0; i < given.entries.size(); ++i) {
    std::size_t output = outputs.size() == 1 ? 0 : i;
    if (given.form == Form::dict)
      output = static_cast<std::size_t>(std::ranges::find(outputs, given.names[i]) - outputs.begin());
    add_metrics(given.entries[i], out[output]);
  }
  for (const auto& list : out) {
    for (const Named<Metric>& metric : list) {
      if (!metric.name().empty() && !is_accuracy(metric.name())) (void)metric_named(metric.name());
    }
  }
  return out;
}

std::vector<bool> outputs_with_target(const CompileOptions& options, const Names& outputs) {
  const auto losses = losses_by_output(options, outputs);
  const auto metrics = metrics_by_output(options.metrics, outputs, "metrics");
  const auto weighted = metrics_by_output(options.weighted_metrics, outputs, "weighted_metrics");
  std::vector<bool> out;
  for (std::size_t i = 0; i < outputs.size(); ++i)
    out.push_back(!losses[i].is_none() || !metrics[i].empty() || !weighted[i].empty());
  return out;
}

TrainingPlan plan_of(const CompileOptions& options, const Optimizer& optimizer, const Model& model,
                     const std::vector<std::optional<Target>>& targets, std::vector<Target> sample_weights) {
  const Names& outputs = model.output_names();
  const auto losses = losses_by_output(options, outputs);
  TrainingPlan plan;
  plan.optimizer = optimizer;
  plan.loss_weights = weights_by_output(options, outputs);
  plan.sample_weights = std::move(sample_weights);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    plan.losses.push_back(losses[i].is_none() ? Loss()
                                              : resolved(losses[i], targets.at(i).value(), model.outputs()[i].shape()));
    if (targets.at(i)) plan.targets.push_back(*targets[i]);
  }
  for (const bool weighted : {false, true}) {
    const auto given = metrics_by_output(weighted ? options.weighted_metrics : options.metrics, outputs,
                                         weighted ? "weighted_metrics" : "metrics");
    auto& lists = weighted ? plan.weighted_metrics : plan.metrics;
    lists.resize(outputs.size());
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      for (const Named<Metric>& metric : given[i])
        lists[i].push_back(resolved(metric, targets.at(i).value(), model.outputs()[i].shape()));
    }
  }
  return plan;
}

}  // namespace tusk
