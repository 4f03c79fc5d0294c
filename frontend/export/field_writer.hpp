// Configurations of layers as JSON: the counterpart of import/fields.hpp.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/layers/layers.hpp"
#include "frontend/model/model.hpp"

namespace tusk {

/// What `fields(f, config)` of a layer sees when its configuration is written. Keys that stand in files only (older
/// ones, and those that may hold one value) are left out: Keras has their defaults.
class FieldWriter {
 public:
  using WriteLayer = std::function<nlohmann::ordered_json(const Layer& layer)>;
  /// `write_layer` writes the layer inside of one that wraps it.
  FieldWriter(const LayerBase& layer, WriteLayer write_layer) : layer_(layer), write_layer_(std::move(write_layer)) {}

  template <class T>
  void operator()(std::string_view field, const T& value) {
    json[std::string(field)] = written(value, field);
  }
  void renamed(std::string_view, std::string_view) {}
  void nullable(std::string_view field, const std::string& value) {
    json[std::string(field)] = value.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(value);
  }
  void ignore_rest() {}
  void ignored(std::string_view) {}
  template <class T>
  void only(std::string_view, const T&) {}

  static nlohmann::ordered_json written(const Regularizer& value, std::string_view = {});

  nlohmann::ordered_json json = nlohmann::ordered_json::object();  // in the order of the fields

 private:
  using Json = nlohmann::ordered_json;

  static Json written(bool value, std::string_view) { return value; }
  template <std::integral T>
  static Json written(T value, std::string_view) {
    return value;
  }
  static Json written(double value, std::string_view) { return value; }
  static Json written(const std::string& value, std::string_view) { return value; }
  static Json written(const std::vector<std::int64_t>& value, std::string_view) { return value; }
  static Json written(const Axes& value, std::string_view);
  static Json written(const std::vector<InputDim>& value, std::string_view);
  static Json written(const layers::Numbers& value, std::string_view);
  static Json written(const layers::OutputShape& value, std::string_view);
  static Json written(const Constraint& value, std::string_view);
  Json written(const Activation& value, std::string_view field) const;
  static Json written(const Initializer& value, std::string_view);
  Json written(const Layer& value, std::string_view) const { return write_layer_(value); }
  template <FixedText... words>
  static Json written(const OneOf<words...>& value, std::string_view) {
    return std::string(value.str());
  }
  template <std::size_t axes>
  static Json written(const PerAxis<axes>& value, std::string_view) {
    return std::vector<std::int64_t>(value.begin(), value.end());
  }
  template <std::size_t axes>
  static Json written(const layers::Sides<axes>& value, std::string_view) {
    if (axes == 1) return value[0];
    Json list = Json::array();
    for (std::size_t i = 0; i < axes; ++i) list.push_back(value[i]);
    return list;
  }
  template <class T>
  Json written(const std::optional<T>& value, std::string_view field) const {
    return value ? Json(written(*value, field)) : Json();
  }

  const LayerBase& layer_;
  WriteLayer write_layer_;
};

}  // namespace tusk
