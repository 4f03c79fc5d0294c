#include "frontend/model/penalty.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tusk {
namespace {

void check_not_negative(const char* argument, double value) {
  if (!(value >= 0)) throw Error(error("field-value", fmt::format("{} is {}, expected 0 or more", argument, value)));
}

}  // namespace

void Constraint::set_axes(const Axes& given) {
  if (given.list().size() > kMostAxes)
    throw Error(error("field-value",
                      fmt::format("a constraint has {} axes, expected at most {}", given.list().size(), kMostAxes)));
  axis_count = given.list().size();
  std::ranges::copy(given.list(), axes.begin());
}

namespace regularizers {

Regularizer L1(double l1) {
  check_not_negative("l1", l1);
  Regularizer out(Regularizer::Kind::l1);
  out.l1 = l1;
  return out;
}

Regularizer L2(double l2) {
  check_not_negative("l2", l2);
  Regularizer out(Regularizer::Kind::l2);
  out.l2 = l2;
  return out;
}

Regularizer L1L2(L1L2Config config) {
  check_not_negative("l1", config.l1);
  check_not_negative("l2", config.l2);
  Regularizer out(Regularizer::Kind::l1l2);
  out.l1 = config.l1;
  out.l2 = config.l2;
  return out;
}

Regularizer OrthogonalRegularizer(OrthogonalRegularizerConfig config) {
  check_not_negative("factor", config.factor);
  Regularizer out(Regularizer::Kind::orthogonal);
  out.factor = config.factor;
  out.by_rows = config.mode == "rows";
  return out;
}

}  // namespace regularizers

namespace constraints {

Constraint MaxNorm(MaxNormConfig config) {
  Constraint out(Constraint::Kind::max_norm, 0, config.max_value);
  out.set_axes(config.axis);
  return out;
}

Constraint MinMaxNorm(MinMaxNormConfig config) {
  Constraint out(Constraint::Kind::min_max_norm, config.min_value, config.max_value);
  out.rate = config.rate;
  out.set_axes(config.axis);
  return out;
}

Constraint NonNeg() { return {Constraint::Kind::non_neg, 0, 0}; }

Constraint UnitNorm(Axes axis) {
  Constraint out(Constraint::Kind::unit_norm, 0, 0);
  out.set_axes(axis);
  return out;
}

}  // namespace constraints
}  // namespace tusk
