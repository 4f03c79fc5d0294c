#include "frontend/training/optimizer_list.hpp"

#include <array>
#include <nlohmann/json.hpp>

#include "frontend/files/json.hpp"
#include "frontend/training/class_list.hpp"
#include "frontend/training/optimizers.hpp"

namespace tusk {
namespace {

using nlohmann::json;

using class_list::class_of;
using class_list::config_of;
using class_list::Known;
using class_list::named;

template <class Handle>
constexpr Known<Optimizer> optimizer() {
  return class_list::known<Optimizer, Handle>();
}
template <class Handle>
constexpr Known<Schedule> schedule() {
  return class_list::known<Schedule, Handle>();
}

constexpr auto kOptimizers = std::to_array<Known<Optimizer>>({
    optimizer<optimizers::Adadelta>(),
    optimizer<optimizers::Adafactor>(),
    optimizer<optimizers::Adagrad>(),
    optimizer<optimizers::Adam>(),
    optimizer<optimizers::AdamW>(),
    optimizer<optimizers::Adamax>(),
    optimizer<optimizers::Ftrl>(),
    optimizer<optimizers::Lamb>(),
    optimizer<optimizers::Lion>(),
    optimizer<optimizers::LossScaleOptimizer>(),
    optimizer<optimizers::MultiOptimizer>(),
    optimizer<optimizers::Muon>(),
    optimizer<optimizers::Nadam>(),
    optimizer<optimizers::RMSprop>(),
    optimizer<optimizers::SGD>(),
    optimizer<optimizers::ScheduleFreeAdamW>(),
});

constexpr auto kSchedules = std::to_array<Known<Schedule>>({
    schedule<schedules::CosineDecay>(),
    schedule<schedules::CosineDecayRestarts>(),
    schedule<schedules::ExponentialDecay>(),
    schedule<schedules::InverseTimeDecay>(),
    schedule<schedules::PiecewiseConstantDecay>(),
    schedule<schedules::PolynomialDecay>(),
});

}  // namespace

std::vector<std::string_view> optimizer_classes() {
  std::vector<std::string_view> out;
  for (const auto& each : kOptimizers) out.push_back(each.class_name);
  return out;
}

Optimizer optimizer_named(std::string_view name) { return named(kOptimizers, name, "optimizer").make(json::object()); }

Optimizer optimizer_from_config(const json& config) {
  if (config.is_string()) return optimizer_named(config.get<std::string>());
  return named(kOptimizers, class_of(config, "an optimizer"), "optimizer").make(config_of(config));
}

optimizers::OptimizerMap optimizer_map_from_config(const json& given) {
  if (class_of(given, "an OptimizerMap") != "OptimizerMap")
    throw Error(error("training-config", fmt::format("expected an OptimizerMap, found {}", json_text(given))));
  const json& config = config_of(given);
  optimizers::OptimizerMap::Entries entries;
  if (const json* map = member(config, "optimizer_map"); map != nullptr) {
    for (const auto& [key, each] : map->items()) {
      const bool is_pair = map->is_array() && each.is_array() && each.size() == 2 && each[0].is_string();
      if (!map->is_object() && !is_pair)
        throw Error(error("training-config", fmt::format("an optimizer_map is an object, found {}", json_text(*map))));
      entries.emplace_back(is_pair ? each[0].get<std::string>() : key, optimizer_from_config(is_pair ? each[1] : each));
    }
  }
  const json* usual = member(config, "default_optimizer");
  return {usual != nullptr ? optimizer_from_config(*usual) : Optimizer(), std::move(entries)};
}

Schedule schedule_from_config(const json& config) {
  return named(kSchedules, class_of(config, "a schedule"), "schedule").make(config_of(config));
}

nlohmann::ordered_json optimizer_config(const Optimizer& optimizer) {
  nlohmann::ordered_json out = class_list::envelope_of(kOptimizers, optimizer, "keras.optimizers");
  // What callbacks have made of it.
  nlohmann::ordered_json& config = out["config"];
  if (config.contains("learning_rate") && config["learning_rate"].is_number())
    config["learning_rate"] = optimizer.learning_rate();
  return out;
}

nlohmann::ordered_json schedule_config(const Schedule& schedule) {
  return class_list::envelope_of(kSchedules, schedule, "keras.optimizers.schedules");
}

}  // namespace tusk
