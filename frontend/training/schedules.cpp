#include "frontend/training/schedules.hpp"

#include <cmath>
#include <numbers>

#include "frontend/ops/ops.hpp"

namespace tusk::schedules {
namespace {

Tensor as_float(const Tensor& step) { return emit::cast(step, DType::f32); }
double number(std::int64_t steps) { return static_cast<double>(steps); }

// Of 1 at the start to `alpha` where `part` is 1.
Tensor half_cosine(const Tensor& part, double alpha) {
  return (1 - alpha) * (0.5 * (1 + ops::cos(std::numbers::pi * part))) + alpha;
}

}  // namespace

Tensor ExponentialDecayImpl::rate(const Tensor& step) const {
  Tensor part = as_float(step) / number(config.decay_steps);
  if (config.staircase) part = ops::floor(part);
  return config.initial_learning_rate * ops::power(emit::filled("decay_rate", DType::f32, {}, config.decay_rate), part);
}

Tensor PiecewiseConstantDecayImpl::rate(const Tensor& step) const {
  const Tensor at = as_float(step);
  Tensor rate = emit::filled("rate", DType::f32, {}, config.values.back());
  for (std::size_t i = config.boundaries.size(); i-- > 0;)
    rate = ops::where(ops::less_equal(at, config.boundaries[i]), config.values[i], rate);
  return rate;
}

Tensor PolynomialDecayImpl::rate(const Tensor& step) const {
  Tensor at = as_float(step);
  const double steps = number(config.decay_steps);
  Tensor part;
  if (config.cycle) {
    const Tensor rounds = ops::where(ops::equal(at, 0), 1.0, ops::ceil(at / steps));
    part = at / (rounds * steps);
  } else {
    part = ops::minimum(at, steps) / steps;
  }
  return (config.initial_learning_rate - config.end_learning_rate) * ops::power(1 - part, config.power) +
         config.end_learning_rate;
}

Tensor InverseTimeDecayImpl::rate(const Tensor& step) const {
  Tensor part = as_float(step) / number(config.decay_steps);
  if (config.staircase) part = ops::floor(part);
  return config.initial_learning_rate / (1 + config.decay_rate * part);
}

Tensor CosineDecayImpl::rate(const Tensor& step) const {
  const Tensor at = as_float(step);
  const double steps = number(config.decay_steps);
  if (!config.warmup_target) {
    return config.initial_learning_rate * half_cosine(ops::minimum(at, steps) / steps, config.alpha);
  }
  const double target = *config.warmup_target;
  const double warmup = number(config.warmup_steps);
  const Tensor behind = ops::minimum(at, steps + warmup) - warmup;
  const Tensor decayed = target * half_cosine(behind / steps, config.alpha);
  if (config.warmup_steps == 0) return decayed;
  const Tensor rising = (target - config.initial_learning_rate) * (at / warmup) + config.initial_learning_rate;
  return ops::where(ops::less(at, warmup), rising, decayed);
}

Tensor CosineDecayRestartsImpl::rate(const Tensor& step) const {
  const Tensor done = as_float(step) / number(config.first_decay_steps);
  Tensor round;
  Tensor part;
  if (config.t_mul == 1) {
    round = ops::floor(done);
    part = done - round;
  } else {
    const auto power = [](double base, const Tensor& exponent) {
      return ops::power(emit::filled("base", DType::f32, {}, base), exponent);
    };
    round = ops::floor(ops::log(1 - done * (1 - config.t_mul)) / std::log(config.t_mul));
    const Tensor length = power(config.t_mul, round);
    part = (done - (1 - length) / (1 - config.t_mul)) / length;
  }
  const Tensor height = ops::power(emit::filled("base", DType::f32, {}, config.m_mul), round);
  const Tensor wave = 0.5 * height * (1 + ops::cos(std::numbers::pi * part));
  return config.initial_learning_rate * ((1 - config.alpha) * wave + config.alpha);
}

}  // namespace tusk::schedules
