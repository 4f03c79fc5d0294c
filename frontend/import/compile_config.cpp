#include "frontend/import/compile_config.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "frontend/import/fields.hpp"
#include "frontend/training/loss_list.hpp"
#include "frontend/training/metric_list.hpp"
#include "frontend/training/optimizer_list.hpp"

namespace tusk {
namespace {

using nlohmann::json;

const json& member(const json& config, const char* key) {
  static const json kNull;
  const auto found = config.find(key);
  return found == config.end() ? kNull : *found;
}

bool is_object_of_class(const json& value) { return value.is_object() && value.contains("class_name"); }

template <class Handle>
Named<Handle> named_from(const json& value, Handle (*make)(const json&)) {
  if (value.is_null()) return None;
  if (value.is_string()) return value.get<std::string>();
  return make(value);
}

template <class Given>
Given given_from(const json& value, auto&& item) {
  Given out;
  if (value.is_null()) return out;
  out.form = value.is_array() ? Form::list : value.is_object() && !is_object_of_class(value) ? Form::dict : Form::one;
  if (out.form == Form::one) {
    out.items.push_back(item(value));
    return out;
  }
  for (const auto& [key, each] : value.items()) {
    if (out.form == Form::dict) out.names.push_back(key);
    out.items.push_back(item(each));
  }
  return out;
}

MetricChoice choice_from(const json& value) {
  MetricChoice choice;
  choice.is_list = value.is_array();
  if (!choice.is_list) {
    choice.metric = named_from<Metric>(value, metric_from_config);
    return choice;
  }
  for (const json& each : value) choice.list.push_back(choice_from(each));
  return choice;
}

MetricsGiven metrics_from(const json& value) {
  MetricsGiven out;
  if (value.is_null()) return out;
  if (!value.is_structured() || is_object_of_class(value))
    throw Error(error("training-config", fmt::format("metrics are a list or a dict, found {}", json_text(value))));
  out.form = value.is_array() ? Form::list : Form::dict;
  for (const auto& [key, each] : value.items()) {
    if (out.form == Form::dict) out.names.push_back(key);
    out.entries.push_back(choice_from(each));
  }
  return out;
}

double weight_from(const json& value) {
  if (value.is_number()) return value.get<double>();
  throw Error(error("training-config", fmt::format("a loss weight is a number, found {}", json_text(value))));
}

}  // namespace

CompileOptions compile_options_from(const json& config) {
  if (!config.is_object())
    throw Error(error("training-config", fmt::format("expected what compile is given, found {}", json_text(config))));
  const bool is_legacy = config.contains("optimizer_config");
  CompileOptions options;
  options.optimizer =
      named_from<Optimizer>(member(config, is_legacy ? "optimizer_config" : "optimizer"), optimizer_from_config);
  using Losses = decltype(options.loss);
  options.loss = given_from<Losses>(member(config, "loss"),
                                    [](const json& value) { return named_from<Loss>(value, loss_from_config); });
  using Weights = decltype(options.loss_weights);
  options.loss_weights = given_from<Weights>(member(config, "loss_weights"), weight_from);
  options.metrics = metrics_from(member(config, "metrics"));
  options.weighted_metrics = metrics_from(member(config, "weighted_metrics"));
  return options;
}

}  // namespace tusk
