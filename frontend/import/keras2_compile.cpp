#include "frontend/import/keras2_compile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "frontend/model/error.hpp"
#include "frontend/training/optimizer_state.hpp"

namespace tusk {
namespace {

using nlohmann::json;

constexpr std::string_view kPackage = "Custom>";  // where Keras 2.11 and later put their optimizers

bool is_envelope(const json& value) { return value.is_object() && value.contains("class_name"); }

json member_of(const json& value, const char* key) { return value.is_object() ? value.value(key, json()) : json(); }

/// Calls `change` with each name and each envelope of lists and dicts.
template <class Change>
void each_of(json& value, const Change& change) {
  if (value.is_string() || is_envelope(value)) {
    change(value);
  } else if (value.is_structured()) {
    for (json& inner : value) each_of(inner, change);
  }
}

// ---- optimizers

/// Whether it is one of the optimizers from before Keras 2.11, as those are that say nothing of it.
bool is_legacy(const json& config) { return member_of(config, "is_legacy_optimizer") != false; }

struct OldRule {
  std::string_view class_name;
  bool is_legacy;
  std::string_view what;
};
constexpr OldRule kOldRules[] = {
    {"RMSprop", true, "without momentum it adds epsilon to a root, which Keras 3 adds to what the root is taken of"},
    {"Adagrad", true, "it adds epsilon to a root, which Keras 3 adds to what the root is taken of"},
    {"Nadam", true, "it has another schedule of momenta than that of Keras 3"},
    {"Ftrl", true, "it is not that of Keras 3"},
    {"Nadam", false, "its product of momenta depends on how many weights there are, in Keras 3 it does not"},
};

void modernize_optimizer(json& optimizer) {
  if (!is_envelope(optimizer) || !optimizer["class_name"].is_string()) return;
  auto name = optimizer["class_name"].get<std::string>();
  if (name.starts_with(kPackage)) name.erase(0, kPackage.size());
  optimizer["class_name"] = name;
  if (const json registered = member_of(optimizer, "registered_name");
      registered.is_string() && registered.get<std::string>().starts_with(kPackage))
    optimizer.erase("registered_name");
  if (!member_of(optimizer, "config").is_object()) return;
  json& config = optimizer["config"];
  const bool legacy = is_legacy(config);
  if (config.contains("lr")) {
    config["learning_rate"] = config["lr"];
    config.erase("lr");
  }
  const json decay = member_of(config, "decay");
  for (const char* key : {"decay", "jit_compile", "is_legacy_optimizer"}) config.erase(key);
  const json momentum = member_of(config, "momentum");
  const bool has_momentum = momentum.is_number() && momentum.get<double>() != 0;
  for (const OldRule& rule : kOldRules) {
    if (rule.class_name != name || rule.is_legacy != legacy || (name == "RMSprop" && has_momentum)) continue;
    throw Error(error("training-config", fmt::format("{} of Keras 2 follows a rule of its own: {}", name, rule.what))
                    .note("compile the model anew"));
  }
  if (!legacy) return;
  if (!decay.is_number() || decay.get<double>() == 0) return;
  const json rate = member_of(config, "learning_rate");
  if (!rate.is_number()) {
    throw Error(error("training-config", fmt::format("{} has a schedule and a decay, of which Keras 3 has one", name)));
  }
  config["learning_rate"] = {{"class_name", "InverseTimeDecay"},
                             {"config", {{"initial_learning_rate", rate}, {"decay_steps", 1}, {"decay_rate", decay}}}};
}

// ---- losses and metrics

constexpr std::pair<std::string_view, std::string_view> kLossNames[] = {
    {"kullback_leibler_divergence", "kl_divergence"},
    {"logcosh", "log_cosh"},
    {"huber_loss", "huber"},
};

std::string modern_name(const json& name) {
  const auto text = name.get<std::string>();
  const auto found = std::ranges::find(kLossNames, text, [](const auto& pair) { return pair.first; });
  return found == std::end(kLossNames) ? text : std::string(found->second);
}

void modernize_loss(json& loss) {
  if (loss.is_string()) {
    loss = modern_name(loss);
    return;
  }
  if (!member_of(loss, "config").is_object()) return;
  json& config = loss["config"];
  if (member_of(config, "reduction") == "auto") config.erase("reduction");
  config.erase("fn");
}

// A `.h5` calls metrics of a name after their functions, but for those that depend on the loss.
constexpr std::pair<std::string_view, std::string_view> kMetricNames[] = {
    {"mse", "mean_squared_error"},
    {"MSE", "mean_squared_error"},
    {"mae", "mean_absolute_error"},
    {"MAE", "mean_absolute_error"},
    {"mape", "mean_absolute_percentage_error"},
    {"MAPE", "mean_absolute_percentage_error"},
    {"msle", "mean_squared_logarithmic_error"},
    {"MSLE", "mean_squared_logarithmic_error"},
    {"bce", "binary_crossentropy"},
    {"BCE", "binary_crossentropy"},
};

void modernize_metric(json& metric, bool is_h5) {
  if (metric.is_string()) {
    const auto found =
        std::ranges::find(kMetricNames, metric.get<std::string>(), [](const auto& pair) { return pair.first; });
    if (is_h5 && found != std::end(kMetricNames)) metric = found->second;
    return;
  }
  if (!member_of(metric, "config").is_object()) return;
  json& config = metric["config"];
  if (const json fn = member_of(config, "fn"); fn.is_string())
    config["fn"] = {{"class_name", "function"}, {"config", modern_name(fn)}};
}

/// The names of metrics of several outputs begin with that of the output, which it is given again.
void take_prefixes(json& metrics, const std::vector<std::string>& outputs) {
  if (!metrics.is_array() || metrics.size() != outputs.size() || outputs.size() < 2) return;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    each_of(metrics[i], [&](json& metric) {
      if (!metric.is_object() || !member_of(member_of(metric, "config"), "name").is_string()) return;
      json& name = metric["config"]["name"];
      const std::string prefix = outputs[i] + "_";
      if (name.get<std::string>().starts_with(prefix)) name = name.get<std::string>().substr(prefix.size());
    });
  }
}

}  // namespace

void modernize_compile(json& config, const std::vector<std::string>& outputs, bool is_h5) {
  if (!config.is_object()) return;
  if (config.contains("optimizer_config")) {
    config["optimizer"] = config["optimizer_config"];
    config.erase("optimizer_config");
  }
  if (config.contains("optimizer")) modernize_optimizer(config["optimizer"]);
  if (config.contains("loss")) {
    json& loss = config["loss"];
    if (loss.is_structured() && loss.empty()) loss = nullptr;
    each_of(loss, modernize_loss);
  }
  for (const char* key : {"metrics", "weighted_metrics"}) {
    if (!config.contains(key)) continue;
    each_of(config[key], [&](json& metric) { modernize_metric(metric, is_h5); });
    take_prefixes(config[key], outputs);
  }
}

std::vector<Array> modern_state(const json& given, const Optimizer& optimizer, const Model& model,
                                std::vector<Array> values) {
  if (values.empty()) return values;
  const json envelope = given.contains("optimizer_config") ? given["optimizer_config"] : member_of(given, "optimizer");
  const std::vector<TrainedWeight> weights = trained_weights(model);
  if (optimizer.variables().empty()) optimizer.base().build(weights);
  const std::vector<Variable>& wanted = optimizer.variables();
  const std::size_t scalars = wanted.size() > 1 && wanted[1].name().ends_with("/learning_rate") ? 2 : 1;
  const std::size_t slots = wanted.size() - scalars;
  const std::size_t count = weights.size();
  if (!values.front().shape().empty()) values.insert(values.begin(), Array(DType::i64, {}));  // Keras 1 left it out
  std::vector<Array> out{values.front()};
  if (scalars == 2) out.push_back(Array::splat(DType::f32, {}, optimizer.learning_rate()));
  std::vector<Array> kept(values.begin() + 1, values.end());
  if (is_envelope(envelope) && is_legacy(member_of(envelope, "config"))) {
    // One kind of slot after the other; here the first two of a weight stand together, in most optimizers.
    const std::string_view name = optimizer.base().class_name();
    const bool pairs = name == "Adam" || name == "Adamax" || name == "Adadelta";
    if (name == "Adam" && kept.size() == 3 * count && slots == 2 * count) kept.resize(slots);  // Keras 2.1 to 2.3
    for (std::size_t i = 0; pairs && kept.size() >= 2 * count && i < 2 * count; ++i)
      out.push_back(kept[i % 2 * count + i / 2]);
    if (pairs && kept.size() >= 2 * count)
      kept.erase(kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(2 * count));
  } else if (optimizer.base().class_name() == "SGD" && slots == 0) {
    kept.clear();  // momenta that nothing reads
  }
  out.insert(out.end(), kept.begin(), kept.end());
  return out;
}

}  // namespace tusk
