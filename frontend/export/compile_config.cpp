#include "frontend/export/compile_config.hpp"

#include <nlohmann/json.hpp>

#include "frontend/training/loss_list.hpp"
#include "frontend/training/metric_list.hpp"
#include "frontend/training/optimizer_list.hpp"

namespace tusk {
namespace {

using Json = nlohmann::ordered_json;

template <class Handle>
Json written(const Named<Handle>& given, Json (*config)(const Handle&)) {
  if (given.is_none()) return {};
  return given.name().empty() ? config(given.object()) : Json(given.name());
}

Json in_form(Form form, const std::vector<std::string>& names, const std::vector<Json>& items) {
  if (form == Form::none) return {};
  if (form == Form::one) return items.front();
  if (form == Form::list) return items;
  Json dict = Json::object();
  for (std::size_t i = 0; i < names.size(); ++i) dict[names[i]] = items[i];
  return dict;
}

Json written(const MetricChoice& choice) {
  if (!choice.is_list) return written(choice.metric, metric_config);
  Json list = Json::array();
  for (const MetricChoice& each : choice.list) list.push_back(written(each));
  return list;
}

Json written(const MetricsGiven& given) {
  std::vector<Json> items;
  for (const MetricChoice& entry : given.entries) items.push_back(written(entry));
  return in_form(given.form, given.names, items);
}

/// Without what files had no room for: where a class stands.
Json without_modules(Json value) {
  if (value.is_object()) {
    value.erase("module");
    value.erase("registered_name");
  }
  if (value.is_structured() && !value.contains("class_name")) {
    for (Json& each : value) each = without_modules(std::move(each));
  }
  return value;
}

}  // namespace

Json legacy_compile_config(const CompileOptions& options, const Optimizer& optimizer) {
  Json out = compile_config(options, optimizer);
  out.erase("optimizer");
  for (const char* key : {"loss", "metrics", "weighted_metrics"}) out[key] = without_modules(std::move(out[key]));
  out["optimizer_config"] = without_modules(optimizer_config(optimizer));
  return out;
}

Json compile_config(const CompileOptions& options, const Optimizer& optimizer) {
  std::vector<Json> losses;
  for (const Named<Loss>& loss : options.loss.items) losses.push_back(written(loss, loss_config));
  const std::vector<Json> weights(options.loss_weights.items.begin(), options.loss_weights.items.end());
  return Json{{"optimizer", optimizer_config(given_optimizer(options, optimizer))},
              {"loss", in_form(options.loss.form, options.loss.names, losses)},
              {"loss_weights", in_form(options.loss_weights.form, options.loss_weights.names, weights)},
              {"metrics", written(options.metrics)},
              {"weighted_metrics", written(options.weighted_metrics)},
              {"run_eagerly", false},
              {"steps_per_execution", 1}};
}

}  // namespace tusk
