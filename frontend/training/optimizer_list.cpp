#include "frontend/training/optimizer_list.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "frontend/files/bytes.hpp"
#include "frontend/import/fields.hpp"
#include "frontend/training/optimizers.hpp"
#include "ir/text/suggest.hpp"

namespace tusk {
namespace {

using nlohmann::json;

template <class Handle>
struct ImplOf;
template <class Impl>
struct ImplOf<OptimizerOf<Impl>> {
  using type = Impl;
};
template <class Impl>
struct ImplOf<ScheduleOf<Impl>> {
  using type = Impl;
};

template <class Handle>
struct Known {
  std::string_view class_name;
  Handle (*make)(const json& config);
};

template <class Base, class Handle>
constexpr Known<Base> known() {
  using Impl = typename ImplOf<Handle>::type;
  return {class_name_of<Impl>(), [](const json& given) -> Base {
            typename Impl::Config config;
            const auto name = given.find("name");
            FieldReader fields(given,
                               name != given.end() && name->is_string() ? name->get<std::string>() : std::string(),
                               std::string(class_name_of<Impl>()), 3);
            Impl::fields(fields, config);
            // Keras wrote those of the outer optimizer, too, which mean nothing there.
            if constexpr (requires { config.inner_optimizer; }) fields.ignore_rest();
            fields.finish();
            return Handle(std::move(config));
          }};
}

template <class Handle>
constexpr Known<Optimizer> optimizer() {
  return known<Optimizer, Handle>();
}
template <class Handle>
constexpr Known<Schedule> schedule() {
  return known<Schedule, Handle>();
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

bool equal_in_any_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

const json& config_of(const json& envelope) {
  static const json kNothing = json::object();
  const auto inner = envelope.find("config");
  return inner != envelope.end() && inner->is_object() ? *inner : kNothing;
}

std::string class_of(const json& envelope, std::string_view what) {
  if (envelope.is_object() && envelope.contains("class_name") && envelope["class_name"].is_string())
    return envelope["class_name"].get<std::string>();
  throw Error(
      error("training-config", fmt::format("expected a configuration of {}, found {}", what, json_text(envelope))));
}

template <class Handle, std::size_t count>
const Known<Handle>& named(const std::array<Known<Handle>, count>& all, std::string_view name, std::string_view what) {
  const auto found =
      std::ranges::find_if(all, [&](const Known<Handle>& each) { return equal_in_any_case(each.class_name, name); });
  if (found != all.end()) return *found;
  std::vector<std::string_view> classes;
  for (const Known<Handle>& each : all) classes.push_back(each.class_name);
  throw Error(
      error("training-name", fmt::format("there is no {} {}{}", what, in_quotes(name), text::suggestion(name, classes)))
          .note(fmt::format("expected one of {}", fmt::join(classes, ", "))));
}

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

Schedule schedule_from_config(const json& config) {
  return named(kSchedules, class_of(config, "a schedule"), "schedule").make(config_of(config));
}

}  // namespace tusk
