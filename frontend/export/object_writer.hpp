// Configurations of losses, optimizers, schedules and metrics: the counterpart of import/fields.hpp for what trains.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/model/choices.hpp"

namespace tusk {

class LearningRate;
class Optimizer;
namespace metrics {
class Thresholds;
}
namespace optimizers {
class OptimizerMap;
}

/// What `fields(f, config)` of such an object sees when its configuration is written. What was not given is null.
class ObjectWriter {
 public:
  template <class T>
  void operator()(std::string_view field, const T& value) {
    json[std::string(field)] = written(value);
  }
  void nullable(std::string_view field, const std::string& value) {
    json[std::string(field)] = value.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(value);
  }
  void renamed(std::string_view, std::string_view) {}
  void ignored(std::string_view) {}
  template <class T>
  void only(std::string_view, const T&) {}

  nlohmann::ordered_json json = nlohmann::ordered_json::object();

 private:
  using Json = nlohmann::ordered_json;

  static Json written(bool value) { return value; }
  static Json written(std::int64_t value) { return value; }
  static Json written(double value) { return value; }
  static Json written(const std::string& value) { return value; }
  static Json written(const std::vector<std::int64_t>& value) { return value.empty() ? Json() : Json(value); }
  static Json written(const std::vector<double>& value) { return value.empty() ? Json() : Json(value); }
  static Json written(const Axes& value);
  static Json written(const LearningRate& value);
  static Json written(const Optimizer& value);
  static Json written(const optimizers::OptimizerMap& value);
  static Json written(const metrics::Thresholds& value);
  // "none" is Python's None, which some of Keras' classes take and some insist on.
  template <FixedText... words>
  static Json written(const OneOf<words...>& value) {
    return value.str() == "none" ? Json() : Json(std::string(value.str()));
  }
  template <class T>
  static Json written(const std::optional<T>& value) {
    return value ? written(*value) : Json();
  }
};

/// {"module", "class_name", "config", "registered_name"} of a class of Keras.
nlohmann::ordered_json object_envelope(std::string_view module, std::string_view class_name,
                                       nlohmann::ordered_json config);

}  // namespace tusk
