// Regularizers, which add to the loss, and constraints, which weights meet after each step: what arguments of layers
// hold. https://keras.io/api/layers/regularizers/ https://keras.io/api/layers/constraints/
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "frontend/model/choices.hpp"

namespace tusk {

/// None at first. By name it has the arguments that Keras' class has by default: "l2" is L2(0.01), "L1L2" adds nothing.
struct Regularizer {
  enum class Kind : std::uint8_t { none, l1, l2, l1l2, orthogonal };
  Kind kind = Kind::none;
  double l1 = 0;
  double l2 = 0;
  double factor = 0;    // of orthogonal
  bool by_rows = true;  // orthogonal

  constexpr Regularizer() = default;
  template <std::size_t size>
  consteval Regularizer(const char (&name)[size]) : Regularizer(named({name, size - 1}).value()) {}  // NOLINT
  constexpr explicit Regularizer(Kind which) : kind(which) {}
  static constexpr std::optional<Regularizer> named(std::string_view name);

  constexpr explicit operator bool() const { return kind != Kind::none; }
};

/// The same: "max_norm" is MaxNorm({.max_value = 2}).
struct Constraint {
  enum class Kind : std::uint8_t { none, max_norm, min_max_norm, non_neg, unit_norm };
  static constexpr std::size_t kMostAxes = 8;
  Kind kind = Kind::none;
  double min_value = 0;
  double max_value = 0;
  double rate = 1;
  std::array<std::int64_t, kMostAxes> axes = {};  // of which the norm is taken
  std::size_t axis_count = 1;

  constexpr Constraint() = default;
  template <std::size_t size>
  consteval Constraint(const char (&name)[size]) : Constraint(named({name, size - 1}).value()) {}  // NOLINT
  constexpr Constraint(Kind which, double least, double most) : kind(which), min_value(least), max_value(most) {}
  static constexpr std::optional<Constraint> named(std::string_view name);

  constexpr explicit operator bool() const { return kind != Kind::none; }
  /// Throws [field-value] for more than kMostAxes.
  void set_axes(const Axes& given);
};

constexpr std::optional<Regularizer> Regularizer::named(std::string_view name) {
  constexpr double kUsual = 0.01;
  Regularizer out;
  if (name == "L1" || name == "l1") {
    out.kind = Kind::l1;
    out.l1 = kUsual;
  } else if (name == "L2" || name == "l2") {
    out.kind = Kind::l2;
    out.l2 = kUsual;
  } else if (name == "L1L2" || name == "l1l2") {
    out.kind = Kind::l1l2;
  } else if (name == "OrthogonalRegularizer" || name == "orthogonal_regularizer") {
    out.kind = Kind::orthogonal;
    out.factor = kUsual;
  } else {
    return std::nullopt;
  }
  return out;
}

constexpr std::optional<Constraint> Constraint::named(std::string_view name) {
  if (name == "MaxNorm" || name == "max_norm") return Constraint(Kind::max_norm, 0, 2);
  if (name == "MinMaxNorm" || name == "min_max_norm") return Constraint(Kind::min_max_norm, 0, 1);
  if (name == "NonNeg" || name == "non_neg") return Constraint(Kind::non_neg, 0, 0);
  if (name == "UnitNorm" || name == "unit_norm") return Constraint(Kind::unit_norm, 0, 0);
  return std::nullopt;
}

/// Arguments below 0 throw [field-value].
namespace regularizers {

/// l1 * sum |w|
Regularizer L1(double l1 = 0.01);
/// l2 * sum w^2
Regularizer L2(double l2 = 0.01);
struct L1L2Config {
  double l1 = 0;
  double l2 = 0;
};
Regularizer L1L2(L1L2Config config = {});
struct OrthogonalRegularizerConfig {
  double factor = 0.01;
  OneOf<"rows", "columns"> mode = "rows";
};
/// factor * the mean of |cos| of the angles between rows, or columns, of a matrix, each pair once.
Regularizer OrthogonalRegularizer(OrthogonalRegularizerConfig config = {});

}  // namespace regularizers

namespace constraints {

struct MaxNormConfig {
  double max_value = 2;
  Axes axis = 0;
};
/// Norms over `axis` (of an image kernel {0, 1, 2}) of at most max_value.
Constraint MaxNorm(MaxNormConfig config = {});
struct MinMaxNormConfig {
  double min_value = 0;
  double max_value = 1;
  double rate = 1;
  Axes axis = 0;
};
/// Norms from min_value to max_value, `rate` of the way there at each step.
Constraint MinMaxNorm(MinMaxNormConfig config = {});
/// No element below 0.
Constraint NonNeg();
/// Norms of 1.
Constraint UnitNorm(Axes axis = 0);

}  // namespace constraints
}  // namespace tusk
