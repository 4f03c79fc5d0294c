// Reads the configuration of a layer, field by field, into its Config.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "frontend/layers/layers.hpp"
#include "frontend/model/model.hpp"

namespace tusk {

class LearningRate;
class Optimizer;
namespace metrics {
class Thresholds;
}
namespace optimizers {
class OptimizerMap;
}

/// What `fields(f, config)` of a layer sees when a file is read. A missing key, or null, leaves the default. Keys that
/// no field takes are refused at the end, except those that cannot change what an inference computes.
class FieldReader {
 public:
  /// Makes the layer of an envelope inside of the configuration, for a layer that wraps it.
  using MakeLayer = std::function<Layer(const nlohmann::json& envelope, const std::string& outer)>;
  FieldReader(const nlohmann::json& config, std::string layer, std::string class_name, int keras_major,
              MakeLayer make_layer = {})
      : config_(config),
        layer_(std::move(layer)),
        class_name_(std::move(class_name)),
        keras_major_(keras_major),
        make_layer_(std::move(make_layer)) {}

  template <class T>
  void operator()(std::string_view field, T& value) {
    if (const nlohmann::json* found = take(field)) read(*found, field, value);
    if constexpr (std::is_same_v<T, bool>) value = value && !is_null(field);  // None is no truth
  }
  /// A key of older files.
  void renamed(std::string_view old_key, std::string_view field);
  /// A text for which null means none.
  void nullable(std::string_view field, std::string& value);
  /// All other keys mean nothing here.
  void ignore_rest() { ignore_rest_ = true; }
  /// A key that means nothing here, whatever it holds.
  void ignored(std::string_view field) { seen_.emplace(field); }
  /// A key that may be there with this value (or null) only.
  void only(std::string_view field, const nlohmann::json& value);

  /// Refuses what is left.
  void finish();
  /// The policy that `dtype` names.
  DtypePolicy dtype_policy() const;

  const std::string& layer() const { return layer_; }
  /// Regularizers and constraints that no field took, or that are of no class that there is here.
  const std::vector<std::string>& unknown_penalties() const { return unknown_penalties_; }

 private:
  const nlohmann::json* take(std::string_view field);
  bool is_null(std::string_view field) const;
  [[noreturn]] void fail(std::string message, std::string note = {}) const;
  [[noreturn]] void expected(const nlohmann::json& found, std::string_view field, std::string_view what) const;
  std::int64_t integer(const nlohmann::json& found, std::string_view field, std::string_view what) const;
  std::vector<std::int64_t> integers(const nlohmann::json& found, std::string_view field, std::string_view what) const;

  void read(const nlohmann::json& found, std::string_view field, bool& value) const;
  void read(const nlohmann::json& found, std::string_view field, std::int64_t& value) const;
  template <std::integral T>  // fields of custom layers
  void read(const nlohmann::json& found, std::string_view field, T& value) const {
    std::int64_t wide = 0;
    read(found, field, wide);
    if (!std::in_range<T>(wide)) expected(found, field, "a smaller integer");
    value = static_cast<T>(wide);
  }
  void read(const nlohmann::json& found, std::string_view field, double& value) const;
  void read(const nlohmann::json& found, std::string_view field, std::string& value) const;
  void read(const nlohmann::json& found, std::string_view field, std::vector<std::int64_t>& value) const;
  void read(const nlohmann::json& found, std::string_view field, Axes& value) const;
  void read(const nlohmann::json& found, std::string_view field, std::vector<InputDim>& value) const;
  void read(const nlohmann::json& found, std::string_view field, Activation& value) const;
  void read(const nlohmann::json& found, std::string_view field, Layer& value) const;
  void read(const nlohmann::json& found, std::string_view field, LearningRate& value) const;
  void read(const nlohmann::json& found, std::string_view field, Optimizer& value) const;
  void read(const nlohmann::json& found, std::string_view field, optimizers::OptimizerMap& value) const;
  void read(const nlohmann::json& found, std::string_view field, std::vector<double>& value) const;
  void read(const nlohmann::json& found, std::string_view field, metrics::Thresholds& value) const;
  void read(const nlohmann::json& found, std::string_view field, layers::Numbers& value) const;
  void read(const nlohmann::json& found, std::string_view field, layers::OutputShape& value) const;
  template <std::size_t axes>
  void read(const nlohmann::json& found, std::string_view field, layers::Sides<axes>& value) const {
    if (found.is_number_integer()) {
      value = layers::Sides<axes>(integer(found, field, ""));
      return;
    }
    constexpr std::string_view kWanted = "an integer, one for each axis or a pair for each";
    if (!found.is_array() || found.empty()) expected(found, field, kWanted);
    if (!found[0].is_array()) {
      const std::vector<std::int64_t> each = integers(found, field, kWanted);
      if (each.size() != (axes == 1 ? 2 : axes) && each.size() != axes) expected(found, field, kWanted);
      value = layers::Sides<axes>(each.data(), each.size());
      return;
    }
    std::array<std::array<std::int64_t, 2>, axes> sides;
    if (found.size() != axes) expected(found, field, kWanted);
    for (std::size_t i = 0; i < axes; ++i) {
      const std::vector<std::int64_t> pair = integers(found[i], field, kWanted);
      if (pair.size() != 2) expected(found, field, kWanted);
      sides[i] = {pair[0], pair[1]};
    }
    value = layers::Sides<axes>(sides);
  }
  void read(const nlohmann::json& found, std::string_view field, Regularizer& value);
  void read(const nlohmann::json& found, std::string_view field, Constraint& value);
  /// One that is not known is no error: most files have the values that it gave.
  void read(const nlohmann::json& found, std::string_view field, Initializer& value) const;
  template <FixedText... words>
  void read(const nlohmann::json& found, std::string_view field, OneOf<words...>& value) const {
    if (!found.is_string()) expected(found, field, "a word");
    try {
      value = OneOf<words...>::named(found.get<std::string>());
    } catch (const Error& failure) {
      fail(std::string(field) + ": " + failure.problem().message, failure.problem().notes.front());
    }
  }
  template <std::size_t axes>
  void read(const nlohmann::json& found, std::string_view field, PerAxis<axes>& value) const {
    if (found.is_number_integer()) {
      value = PerAxis<axes>(integer(found, field, ""));
      return;
    }
    const std::vector<std::int64_t> list = integers(found, field, "an integer or one for each axis");
    if (list.size() != axes)
      expected(found, field, axes == 1 ? "one integer" : axes == 2 ? "two integers" : "three integers");
    value = PerAxis<axes>(list.data(), list.size());
  }
  template <class T>
  void read(const nlohmann::json& found, std::string_view field, std::optional<T>& value) const {
    T inner = value.value_or(T(0));
    read(found, field, inner);
    value = inner;
  }

  const nlohmann::json& config_;
  std::map<std::string, std::string, std::less<>> old_keys_;  // that stand in the file instead of a field's
  std::string layer_, class_name_;
  int keras_major_;
  MakeLayer make_layer_;
  bool ignore_rest_ = false;
  std::vector<std::string> unknown_penalties_;
  std::set<std::string, std::less<>> seen_;
};

/// A value of a configuration for a message: short, NaN shown as nan.
std::string json_text(const nlohmann::json& value);

}  // namespace tusk
