#include "tools/training.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "frontend/training/compile_options.hpp"
#include "frontend/training/optimizer_list.hpp"
#include "frontend/training/train_step.hpp"
#include "frontend/training/trainer.hpp"

namespace tusk {
namespace {

using Names = std::vector<std::string>;

// "OUTPUT=TEXT", or "TEXT" for the one output (empty).
struct ForOutput {
  std::string output, text;
};

Expected<ForOutput> for_output(std::string_view flag, const std::string& given, const Names& outputs) {
  const std::size_t equals = given.find('=');
  if (equals == std::string::npos) return ForOutput{"", given};
  ForOutput out{given.substr(0, equals), given.substr(equals + 1)};
  if (std::ranges::find(outputs, out.output) == outputs.end()) {
    return error("compile-output", fmt::format("{} {} names an output that the model does not have", flag, given))
        .note(fmt::format("its outputs are {}", fmt::join(outputs, ", ")));
  }
  return out;
}

// A loss for all outputs, or one for each that is named.
Expected<Given<Named<Loss>>> losses_of(const TrainingFlags& flags, const Names& outputs) {
  Given<Named<Loss>> out;
  if (flags.losses.empty()) return out;
  std::vector<ForOutput> given;
  for (const std::string& text : flags.losses) {
    TRY(ForOutput one, for_output("--loss", text, outputs));
    given.push_back(std::move(one));
  }
  const auto is_named = [](const ForOutput& one) { return !one.output.empty(); };
  if (std::ranges::none_of(given, is_named)) {
    out.form = given.size() == 1 ? Form::one : Form::list;
    for (ForOutput& one : given) out.items.emplace_back(std::move(one.text));
    return out;
  }
  if (!std::ranges::all_of(given, is_named))
    return error("compile-loss", "--loss: either all name their output (OUTPUT=LOSS) or none does");
  // As a dict in Keras, it names all outputs; None leaves one out.
  out.form = Form::dict;
  for (ForOutput& one : given) {
    if (std::ranges::find(out.names, one.output) != out.names.end())
      return error("compile-loss", fmt::format("--loss names the output {} twice", one.output));
    out.names.push_back(std::move(one.output));
    out.items.push_back(one.text == "None" ? Named<Loss>() : Named<Loss>(std::move(one.text)));
  }
  return out;
}

Expected<MetricsGiven> metrics_of(std::string_view flag, const std::vector<std::string>& flags, const Names& outputs) {
  MetricsGiven out;
  if (flags.empty()) return out;
  out.form = Form::dict;
  for (const std::string& text : flags) {
    TRY(ForOutput one, for_output(flag, text, outputs));
    if (one.output.empty() && outputs.size() > 1) {
      return error("compile-metrics", fmt::format("{} {}: of several outputs, which? OUTPUT={}", flag, text, text))
          .note(fmt::format("the outputs are {}", fmt::join(outputs, ", ")));
    }
    if (one.output.empty()) one.output = outputs[0];
    auto known = std::ranges::find(out.names, one.output);
    if (known == out.names.end()) {
      out.names.push_back(one.output);
      out.entries.emplace_back(std::vector<MetricChoice>{});
      known = out.names.end() - 1;
    }
    out.entries[static_cast<std::size_t>(known - out.names.begin())].list.emplace_back(std::move(one.text));
  }
  return out;
}

Expected<Optimizer> optimizer_for(const TrainingFlags& flags) {
  return catch_errors([&] {
    const Optimizer named = optimizer_named(flags.optimizer.value_or("rmsprop"));
    if (!flags.learning_rate) return named;
    return optimizer_from_config({{"class_name", named.class_name()},
                                  {"config", {{"name", named.name()}, {"learning_rate", *flags.learning_rate}}}});
  });
}

// f32[3], i32[], u8[28,28]
Expected<Target> target_of(const std::string& flag, std::string_view text) {
  const auto wrong =
      error("labels", fmt::format("--labels {}: expected a type such as i32[] or f32[3], the batch left out", flag));
  const std::size_t open = text.find('[');
  if (open == std::string_view::npos || text.back() != ']') return wrong;
  const std::optional<DType> type = dtype_named(text.substr(0, open));
  if (!type) return wrong;
  Target out{*type, {}};
  std::string_view rest = text.substr(open + 1);
  rest.remove_suffix(1);
  while (!rest.empty()) {
    std::int64_t extent = 0;
    const auto [end, fault] = std::from_chars(rest.data(), rest.data() + rest.size(), extent);
    if (fault != std::errc{} || extent < 1 || extent > INT32_MAX) return wrong;
    out.shape.push_back(Dim(extent));
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    if (rest.empty()) break;
    if (rest[0] != ',' || rest.size() == 1) return wrong;
    rest.remove_prefix(1);
  }
  return out;
}

// Labels of classes for what is sparse, else what the output is.
Target usual_target(const Named<Loss>& loss, const std::vector<Named<Metric>>& metrics, const graph::Type& output) {
  const auto is_sparse = [](const auto& named) {
    const std::string_view name =
        named.name().empty() ? named.is_none() ? "" : named.object().class_name() : std::string_view(named.name());
    return name.starts_with("sparse_") || name.starts_with("Sparse");
  };
  const bool sparse = loss.is_none() ? std::ranges::any_of(metrics, is_sparse) && !metrics.empty() : is_sparse(loss);
  Target out{sparse ? DType::i32 : DType::f32, {output.shape.begin() + 1, output.shape.end()}};
  if (sparse && !out.shape.empty()) out.shape.pop_back();
  return out;
}

}  // namespace

void add_training_options(CLI::App& command, TrainingFlags& flags) {
  command
      .add_option("--functions", flags.functions,
                  fmt::format("what to emit, of {} (predict)", fmt::join(training_functions(), ", ")))
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_option("--optimizer", flags.optimizer, "Keras' name: adam, sgd, rmsprop, ... (what the file has)");
  command.add_option("--learning-rate", flags.learning_rate, "of --optimizer (as in Keras)");
  command
      .add_option("--loss", flags.losses,
                  "Keras' name, or OUTPUT=NAME for each output, OUTPUT=None for one without (what the file has)")
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_option("--loss-weights", flags.loss_weights, "one for each output")
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_option("--metrics", flags.metrics, "Keras' names, or OUTPUT=NAME (what the file has)")
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_option("--weighted-metrics", flags.weighted_metrics, "the same, counted with the sample weights")
      ->delimiter(',')
      ->allow_extra_args(false);
  command
      .add_option("--labels", flags.labels,
                  "type of the labels without their batch: i32[], or OUTPUT=f32[3] (as loss and output have it)")
      ->allow_extra_args(false);
  command.add_flag("--sample-weight", flags.sample_weight, "steps take a weight for each sample");
}

Expected<TrainingModule> training_module(const LoadedModel& loaded, const TrainingFlags& flags,
                                         const ModuleOptions& options) {
  const Model& model = loaded.model;
  CHECK(catch_errors([&] {
    check_functions(flags.functions);
    return Done{};
  }));
  const bool only_predicts = flags.functions.empty() || flags.functions == std::vector<std::string>{"predict"};
  const bool says_more = flags.optimizer || flags.learning_rate || !flags.losses.empty() || !flags.metrics.empty() ||
                         !flags.weighted_metrics.empty() || !flags.loss_weights.empty() || !flags.labels.empty() ||
                         flags.sample_weight;
  if (only_predicts) {
    if (says_more) {
      return error("training-flags", "flags for training, but no function that trains or evaluates")
          .note("as in --functions predict,train_step");
    }
    TRY(graph::Module module, to_module(model, options));
    return TrainingModule{std::move(module), "", {}, {}};
  }
  const Names& outputs = model.output_names();
  const Trainer* saved = model.functional().trainer.get();
  CompileOptions compiled;
  if (saved != nullptr) compiled = saved->options;
  if (!flags.losses.empty()) {
    TRY(compiled.loss, losses_of(flags, outputs));
    compiled.loss_weights = {};
  }
  if (!flags.metrics.empty()) {
    TRY(compiled.metrics, metrics_of("--metrics", flags.metrics, outputs));
  }
  if (!flags.weighted_metrics.empty()) {
    TRY(compiled.weighted_metrics, metrics_of("--weighted-metrics", flags.weighted_metrics, outputs));
  }
  if (!flags.loss_weights.empty()) {
    compiled.loss_weights.form = Form::list;
    compiled.loss_weights.items = flags.loss_weights;
  }
  Optimizer optimizer;
  if (saved != nullptr && !flags.optimizer && !flags.learning_rate) {
    optimizer = saved->optimizer;
  } else {
    TRY(optimizer, optimizer_for(flags));
  }
  compiled.optimizer = optimizer;
  std::map<std::string, Target> given;
  for (const std::string& text : flags.labels) {
    TRY(ForOutput one, for_output("--labels", text, outputs));
    if (one.output.empty()) {
      if (outputs.size() > 1)
        return error("labels", fmt::format("--labels {}: of several outputs, which? OUTPUT={}", text, text))
            .note(fmt::format("the outputs are {}", fmt::join(outputs, ", ")));
      one.output = outputs[0];
    }
    if (given.contains(one.output))
      return error("labels", fmt::format("--labels names the output {} twice", one.output));
    TRY(given[one.output], target_of(text, one.text));
  }
  Expected<TrainingModule> made = catch_errors([&] {
    const std::vector<bool> wanted = outputs_with_target(compiled, outputs);
    const auto losses = losses_by_output(compiled, outputs);
    const auto metrics = metrics_by_output(compiled.metrics, outputs, "metrics");
    std::vector<std::optional<Target>> targets(outputs.size());
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const auto known = given.find(outputs[i]);
      if (known != given.end() && !wanted[i])
        throw Error(error("labels", fmt::format("--labels: the output {} has no loss and no metric", outputs[i])));
      if (wanted[i])
        targets[i] =
            known != given.end() ? known->second : usual_target(losses[i], metrics[i], model.outputs()[i].type());
    }
    std::vector<Target> sample_weights;
    if (flags.sample_weight) sample_weights.push_back({DType::f32, {}});
    TrainingPlan plan = plan_of(compiled, optimizer, model, targets, std::move(sample_weights));
    plan.functions = flags.functions;
    plan.dims = options.dims;
    Expected<graph::Module> module = to_training_module(model, plan);
    if (!module) throw Error(module.problem());
    const std::string rate = optimizer.base().rate_path();
    const bool has_rate = module->global_named(rate) >= 0;
    return TrainingModule{*std::move(module), has_rate ? rate : "", compiled, optimizer};
  });
  if (!made && made.problem().code == "compile-loss" && flags.losses.empty())
    made.problem().note("that is --loss, as in --loss mse");
  return made;
}

}  // namespace tusk
