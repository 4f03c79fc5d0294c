#include "frontend/training/penalties.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "frontend/import/fields.hpp"
#include "frontend/layers/noise.hpp"
#include "frontend/model/model.hpp"
#include "frontend/ops/ops.hpp"

namespace tusk {
namespace {

using nlohmann::json;

// {"class_name": ..., "config": {...}}, or a name.
std::pair<std::string, json> class_of(const json& given) {
  if (given.is_string()) return {given.get<std::string>(), json::object()};
  if (given.is_object() && given.contains("class_name") && given["class_name"].is_string())
    return {given["class_name"].get<std::string>(), given.value("config", json::object())};
  throw Error(
      error("training-config", fmt::format("expected a regularizer or a constraint, found {}", json_text(given))));
}

[[noreturn]] void refuse(std::string_view what, const std::string& name) {
  throw Error(error("training-name", fmt::format("there is no {} {}", what, name)));
}

double number(const json& config, const char* key, double otherwise) {
  const auto found = config.find(key);
  return found != config.end() && found->is_number() ? found->get<double>() : otherwise;
}

// Rows (or columns) that are not at right angles.
Tensor orthogonal(const json& config, const Tensor& x) {
  if (x.rank() != 2) {
    throw Error(error("training-config",
                      fmt::format("OrthogonalRegularizer takes matrices, found {}", keras_shape(x.shape()))));
  }
  constexpr double kLeastNorm = 1e-6;
  const bool by_rows = config.value("mode", "rows") == "rows";
  const Tensor unit = emit::normalized(x, {by_rows ? 1 : 0}, kLeastNorm);
  const Tensor products = by_rows ? ops::matmul(unit, ops::transpose(unit)) : ops::matmul(ops::transpose(unit), unit);
  const Dim size = products.shape()[0];
  const auto iota = [&](std::int64_t axis) {
    return emit::op("iota", {}, {{{"shape", Shape{size, size}}, {"axis", axis}}});
  };
  const Tensor apart = emit::map("select", {emit::map("ne", {iota(0), iota(1)}), products, 0.0});
  const auto n = static_cast<double>(size.constant());
  return number(config, "factor", 0.01) * 0.5 * ops::sum(ops::abs(apart)) / (n * (n - 1) / 2);
}

Tensor sums(const Tensor& x, double l1, double l2) {
  Tensor out;
  if (l1 != 0) out = l1 * ops::sum(ops::abs(x));
  if (l2 != 0) {
    const Tensor squares = l2 * ops::sum(ops::square(x));
    out = out ? out + squares : squares;
  }
  return out ? out : emit::filled("zero", DType::f32, {}, 0);
}

std::string json_of(std::string_view key, const std::vector<std::pair<std::string, std::string>>& penalties) {
  for (const auto& [name, config] : penalties) {
    if (name == key) return config;
  }
  return {};
}

}  // namespace

Tensor regularized(const json& given, const Tensor& value) {
  const auto [name, config] = class_of(given);
  const Tensor x = emit::cast(value, DType::f32);
  if (name == "L1" || name == "l1") return sums(x, number(config, "l1", 0.01), 0);
  if (name == "L2" || name == "l2") return sums(x, 0, number(config, "l2", 0.01));
  if (name == "L1L2" || name == "l1_l2") {
    const double otherwise = given.is_string() ? 0.01 : 0;
    return sums(x, number(config, "l1", otherwise), number(config, "l2", otherwise));
  }
  if (name == "OrthogonalRegularizer" || name == "orthogonal_regularizer") return orthogonal(config, x);
  refuse("regularizer", name);
}

Tensor constrained(const json& given, const Tensor& w) {
  const auto [name, config] = class_of(given);
  if (name == "NonNeg" || name == "NonNegative" || name == "non_neg") return ops::maximum(w, 0);
  std::vector<std::int64_t> axis{0};
  if (config.contains("axis") && config["axis"].is_number_integer()) axis = {config["axis"].get<std::int64_t>()};
  if (config.contains("axis") && config["axis"].is_array()) axis = config["axis"].get<std::vector<std::int64_t>>();
  const auto norms = [&] { return ops::sqrt(ops::sum(ops::square(w), {.axis = axis, .keepdims = true})); };
  if (name == "UnitNorm" || name == "unit_norm") return w / (emit::kEpsilon + norms());
  Tensor wanted;
  const Tensor length = norms();
  if (name == "MaxNorm" || name == "max_norm") {
    wanted = ops::clip(length, 0, number(config, "max_value", 2));
  } else if (name == "MinMaxNorm" || name == "min_max_norm") {
    const double rate = number(config, "rate", 1);
    wanted =
        rate * ops::clip(length, number(config, "min_value", 0), number(config, "max_value", 1)) + (1 - rate) * length;
  } else {
    refuse("constraint", name);
  }
  return w * (wanted / (emit::kEpsilon + length));
}

std::vector<WeightRule> weight_rules(const Layer& layer, std::string_view suffix) {
  std::vector<WeightRule> out;
  if (const auto* model = dynamic_cast<const FunctionalImpl*>(&layer.base())) {
    for (const Layer& inner : model->layers) {
      for (WeightRule& rule : weight_rules(inner, suffix)) out.push_back(std::move(rule));
    }
    return out;
  }
  for (const Layer& child : layer.base().children()) {
    for (WeightRule& rule : weight_rules(child, suffix)) out.push_back(std::move(rule));
    if (json_of("activity_regularizer", child.base().penalties()).empty()) continue;
    Diagnostic problem =
        error("layer-training", fmt::format("{} has an activity_regularizer inside of a {}, which this "
                                            "release cannot compile",
                                            child.class_name(), layer.class_name()));
    problem.layer = layer.name();
    throw Error(problem);
  }
  for (const auto& [key, config] : layer.base().penalties()) {
    if (!key.ends_with(suffix) || key == "activity_regularizer") continue;
    const std::string name = key.substr(0, key.size() - suffix.size());
    bool found = false;
    for (const Variable& variable : layer.weights()) {
      const bool is_depthwise = name == "depthwise" && variable.name() == "kernel";
      if (variable.name() != name && variable.name() != name + "_kernel" && !is_depthwise) continue;
      out.push_back({variable, &config});
      found = true;
    }
    if (found) continue;
    Diagnostic problem =
        error("layer-training", fmt::format("{} has a {} for a weight that it does not have", layer.class_name(), key));
    problem.layer = layer.name();
    throw Error(problem);
  }
  return out;
}

std::vector<Tensor> activity_penalties(const LayerBase& layer, const std::vector<Tensor>& results) {
  std::vector<Tensor> out;
  const auto add = [&](const Tensor& result, const Tensor& penalty) {
    out.push_back(emit::map("div", {penalty, result.shape().front()}));
  };
  const std::string config = json_of("activity_regularizer", layer.penalties());
  if (!config.empty()) {
    for (const Tensor& result : results) add(result, regularized(json::parse(config), result));
  }
  if (const auto* own = dynamic_cast<const layers::ActivityRegularizationImpl*>(&layer)) {
    for (const Tensor& result : results)
      add(result, sums(emit::cast(result, DType::f32), own->config.l1, own->config.l2));
  }
  return out;
}

}  // namespace tusk
