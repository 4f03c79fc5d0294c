#include "frontend/training/optimizers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "frontend/ops/ops.hpp"

namespace tusk::optimizers {
namespace {

Tensor scalar(double value, DType type) { return emit::filled("base", type, {}, value); }

// base^t
Tensor power(double base, const Tensor& t) { return ops::power(scalar(base, t.dtype()), t); }

// A mean that forgets: old + (new - old) (1 - rate)
Tensor moved(const Tensor& mean, const Tensor& value, double rate) { return mean + (value - mean) * (1 - rate); }

Tensor root_mean_square(const Tensor& x) { return ops::sqrt(ops::mean(ops::square(x))); }

Tensor length_of(const Tensor& x) { return ops::sqrt(ops::sum(ops::square(x))); }

}  // namespace

// ---- SGD -----------------------------------------------------------------------------------------------------------

void SGDImpl::build_slots(const std::vector<TrainedWeight>& weights) {
  if (config.momentum != 0) momentum_ = add_slots(weights, "momentum");
}

Tensor SGDImpl::updated(const Update& u) {
  if (config.momentum == 0) return u.weight - u.gradient * u.rate;
  const Variable& slot = momentum_[u.index];
  const Tensor step = u.gradient * u.rate;
  const Tensor m = read(slot) * config.momentum - step;
  assign(slot, m);
  return config.nesterov ? u.weight + (m * config.momentum - step) : u.weight + m;
}

// ---- RMSprop -------------------------------------------------------------------------------------------------------

void RMSpropImpl::build_slots(const std::vector<TrainedWeight>& weights) {
  velocity_ = add_slots(weights, "velocity");
  if (config.momentum > 0) momentum_ = add_slots(weights, "momentum");
  if (config.centered) average_gradient_ = add_slots(weights, "average_gradient");
}

Tensor RMSpropImpl::updated(const Update& u) {
  const double rho = config.rho;
  const auto averaged = [&](const Variable& slot, const Tensor& value) {
    const Tensor mean = rho * read(slot) + (1 - rho) * value;
    assign(slot, mean);
    return mean;
  };
  const Tensor v = averaged(velocity_[u.index], ops::square(u.gradient));
  Tensor variance = v + config.epsilon;
  if (config.centered) {
    const Tensor mean = averaged(average_gradient_[u.index], u.gradient);
    variance = v - ops::square(mean) + config.epsilon;
  }
  const Tensor step = u.rate * u.gradient / ops::sqrt(variance);
  if (config.momentum <= 0) return u.weight - step;
  const Variable& slot = momentum_[u.index];
  const Tensor m = config.momentum * read(slot) + step;
  assign(slot, m);
  return u.weight - m;
}

// ---- Adam and its kin ----------------------------------------------------------------------------------------------

namespace {

// lr sqrt(1 - beta_2^t) / (1 - beta_1^t)
Tensor adam_rate(const Tensor& rate, const Tensor& step, double beta_1, double beta_2) {
  return rate * ops::sqrt(1 - power(beta_2, step)) / (1 - power(beta_1, step));
}

}  // namespace

void AdamBase::build_moments(const std::vector<TrainedWeight>& weights, bool amsgrad) {
  for (const TrainedWeight& weight : weights) {
    momentum_.push_back(add_slot(weight, "momentum"));
    velocity_.push_back(add_slot(weight, "velocity"));
  }
  if (amsgrad) velocity_hat_ = add_slots(weights, "velocity_hat");
}

Tensor AdamBase::adam_step(const Update& u, double beta_1, double beta_2, double epsilon, bool amsgrad) {
  const Tensor m = moved(read(momentum_[u.index]), u.gradient, beta_1);
  Tensor v = moved(read(velocity_[u.index]), ops::square(u.gradient), beta_2);
  assign(momentum_[u.index], m);
  assign(velocity_[u.index], v);
  if (amsgrad) {
    v = ops::maximum(read(velocity_hat_[u.index]), v);
    assign(velocity_hat_[u.index], v);
  }
  return u.weight - m * adam_rate(u.rate, u.step, beta_1, beta_2) / (ops::sqrt(v) + epsilon);
}

void AdamaxImpl::build_slots(const std::vector<TrainedWeight>& weights) {
  for (const TrainedWeight& weight : weights) {
    momentum_.push_back(add_slot(weight, "momentum"));
    norm_.push_back(add_slot(weight, "norm"));
  }
}

Tensor AdamaxImpl::updated(const Update& u) {
  const Tensor m = moved(read(momentum_[u.index]), u.gradient, config.beta_1);
  const Tensor norm = ops::maximum(config.beta_2 * read(norm_[u.index]), ops::abs(u.gradient));
  assign(momentum_[u.index], m);
  assign(norm_[u.index], norm);
  return u.weight - u.rate * m / ((1 - power(config.beta_1, u.step)) * (norm + config.epsilon));
}

namespace {

// The momentum of step t: beta_1 (1 - 0.96^t / 2)
Tensor nadam_momentum(double beta_1, const Tensor& step) { return beta_1 * (1 - 0.5 * power(0.96, step)); }

}  // namespace

void NadamImpl::build_slots(const std::vector<TrainedWeight>& weights) {
  for (const TrainedWeight& weight : weights) {
    momentum_.push_back(add_slot(weight, "momentum"));
    velocity_.push_back(add_slot(weight, "velocity"));
  }
  // Keras gives it no name of its own.
  product_ = add_scalar(name() + "/" + automatic_name("Variable"),
                        weights.empty() ? DType::f32 : weights.front().variable.type().dtype, 1);
}

void NadamImpl::begin_step(const Tensor& step) {
  assign(product_, read(product_) * nadam_momentum(config.beta_1, step));
}

Tensor NadamImpl::updated(const Update& u) {
  const Tensor now = nadam_momentum(config.beta_1, u.step);
  const Tensor next = nadam_momentum(config.beta_1, u.step + 1);
  const Tensor product = read(product_);
  const Tensor m = moved(read(momentum_[u.index]), u.gradient, config.beta_1);
  const Tensor v = moved(read(velocity_[u.index]), ops::square(u.gradient), config.beta_2);
  assign(momentum_[u.index], m);
  assign(velocity_[u.index], v);
  const Tensor m_hat = next * m / (1 - product * next) + (1 - now) * u.gradient / (1 - product);
  const Tensor v_hat = v / (1 - power(config.beta_2, u.step));
  return u.weight - m_hat * u.rate / (ops::sqrt(v_hat) + config.epsilon);
}

void LambImpl::build_slots(const std::vector<TrainedWeight>& weights) {
  for (const TrainedWeight& weight : weights) {
    momentum_.push_back(add_slot(weight, "momentum"));
    velocity_.push_back(add_slot(weight, "velocity"));
  }
}

Tensor LambImpl::updated(const Update& u) {
  const Tensor m = moved(read(momentum_[u.index]), u.gradient, config.beta_1);
  const Tensor v = moved(read(velocity_[u.index]), ops::square(u.gradient), config.beta_2);
  assign(momentum_[u.index], m);
  assign(velocity_[u.index], v);
  const Tensor step =
      m / (1 - power(config.beta_1, u.step)) / (ops::sqrt(v / (1 - power(config.beta_2, u.step))) + config.epsilon);
  const Tensor of_weight = length_of(u.weight);
  const Tensor of_step = length_of(step);
  const Tensor both = ops::logical_and(ops::greater(of_weight, 0), ops::greater(of_step, 0));
  const Tensor ratio = ops::where(both, of_weight / of_step, 1.0);
  return u.weight - ratio * step * u.rate;
}

void ScheduleFreeAdamWImpl::build_slots(const std::vector<TrainedWeight>& weights) {
  for (const TrainedWeight& weight : weights) {
    momentum_.push_back(add_slot(weight, "momentum"));
    momentum_.back().assign(weight.variable.value());
    velocity_.push_back(add_slot(weight, "velocity"));
  }
}

Tensor ScheduleFreeAdamWImpl::updated(const Update& u) {
  const double beta = config.beta_1;
  Tensor rate = u.rate;
  if (config.warmup_steps > 0) rate = rate * ops::minimum(u.step / static_cast<double>(config.warmup_steps), 1);
  const Tensor v = moved(read(velocity_[u.index]), ops::square(u.gradient), config.beta_2);
  assign(velocity_[u.index], v);
  const Tensor before = read(momentum_[u.index]);
  const Tensor z = before - rate * u.gradient / (ops::sqrt(v / (1 - power(config.beta_2, u.step))) + config.epsilon);
  assign(momentum_[u.index], z);
  const Tensor share = 1 / u.step;
  const Tensor mean = (1 - share) * ((u.weight - (1 - beta) * before) / beta) + share * z;
  return (1 - beta) * z + beta * mean;
}

// ---- the others ----------------------------------------------------------------------------------------------------

void AdagradImpl::build_slots(const std::vector<TrainedWeight>& weights) {
  accumulator_ = add_slots(weights, "accumulator", config.initial_accumulator_value);
}

Tensor AdagradImpl::updated(const Update& u) {
  const Tensor sum = read(accumulator_[u.index]) + ops::square(u.gradient);
  assign(accumulator_[u.index], sum);
  return u.weight - u.rate * u.gradient / ops::sqrt(sum + config.epsilon);
}

void AdadeltaImpl::build_slots(const std::vector<TrainedWeight>& weights) {
  for (const TrainedWeight& weight : weights) {
    gradients_.push_back(add_slot(weight, "accumulated_grad"));
    deltas_.push_back(add_slot(weight, "accumulated_delta_var"));
  }
}

Tensor AdadeltaImpl::updated(const Update& u) {
  const double rho = config.rho;
  const auto root = [&](const Tensor& x) { return ops::sqrt(x + config.epsilon); };
  const Tensor squares = rho * read(gradients_[u.index]) + (1 - rho) * ops::square(u.gradient);
  const Tensor before = read(deltas_[u.index]);
  const Tensor delta = -(root(before) * u.gradient / root(squares));
  assign(gradients_[u.index], squares);
  assign(deltas_[u.index], rho * before + (1 - rho) * ops::square(delta));
  return u.weight + u.rate * delta;
}

void FtrlImpl::build_slots(const std::vector<TrainedWeight>& weights) {
  for (const TrainedWeight& weight : weights) {
    accumulator_.push_back(add_slot(weight, "accumulator", config.initial_accumulator_value));
    linear_.push_back(add_slot(weight, "linear"));
  }
}

Tensor FtrlImpl::updated(const Update& u) {
  const double l1 = config.l1_regularization_strength;
  const auto powered = [&](const Tensor& x) { return ops::power(x, -config.learning_rate_power); };
  const Tensor l2 = config.l2_regularization_strength + config.beta / (2 * u.rate);
  const Tensor shrunk = u.gradient + 2 * config.l2_shrinkage_regularization_strength * u.weight;
  const Tensor before = read(accumulator_[u.index]);
  const Tensor sum = before + ops::square(u.gradient);
  const Tensor linear = read(linear_[u.index]) + (shrunk - (powered(sum) - powered(before)) / u.rate * u.weight);
  const Tensor quadratic = powered(sum) / u.rate + 2 * l2;
  assign(accumulator_[u.index], sum);
  assign(linear_[u.index], linear);
  return (ops::clip(linear, -l1, l1) - linear) / quadratic;
}

void LionImpl::build_slots(const std::vector<TrainedWeight>& weights) { momentum_ = add_slots(weights, "momentum"); }

Tensor LionImpl::updated(const Update& u) {
  const Tensor m = read(momentum_[u.index]);
  assign(momentum_[u.index], m * config.beta_2 + u.gradient * (1 - config.beta_2));
  return u.weight - u.rate * ops::sign(m * config.beta_1 + u.gradient * (1 - config.beta_1));
}

void AdafactorImpl::build_slots(const std::vector<TrainedWeight>& weights) {
  for (const TrainedWeight& weight : weights) {
    const std::vector<std::int64_t>& shape = weight.variable.shape();
    std::vector<std::int64_t> rows;
    std::vector<std::int64_t> columns;
    if (shape.size() >= 2) {
      rows.assign(shape.begin(), shape.end() - 1);
      columns.assign(shape.begin(), shape.end() - 2);
      columns.push_back(shape.back());
    }
    rows_.push_back(add_slot(weight, "rows", rows));
    columns_.push_back(add_slot(weight, "columns", columns));
    velocity_.push_back(add_slot(weight, "velocity"));
  }
}

Tensor AdafactorImpl::updated(const Update& u) {
  const Tensor decaying = 1 / ops::sqrt(u.step);
  const bool relative = options().learning_rate.schedule() == nullptr && config.relative_step;
  const Tensor rate = relative ? ops::minimum(u.rate, decaying) : u.rate;
  const Tensor step_size = ops::maximum(config.epsilon_2, root_mean_square(u.weight)) * ops::minimum(rate, decaying);
  const Tensor squares = ops::square(u.gradient) + config.epsilon_1;
  const Tensor beta = 1 - ops::power(u.step, config.beta_2_decay);
  const auto averaged = [&](const Variable& slot, const Tensor& value) {
    const Tensor mean = beta * read(slot) + (1 - beta) * value;
    assign(slot, mean);
    return mean;
  };
  Tensor v;
  if (u.weight.rank() >= 2) {
    const Tensor rows = averaged(rows_[u.index], ops::mean(squares, {.axis = {-1}}));
    const Tensor columns = averaged(columns_[u.index], ops::mean(squares, {.axis = {-2}}));
    v = ops::expand_dims(rows / ops::mean(rows, {.axis = {-1}, .keepdims = true}), -1) * ops::expand_dims(columns, -2);
    assign(velocity_[u.index], v);
  } else {
    v = averaged(velocity_[u.index], squares);
  }
  const Tensor step = u.gradient / ops::sqrt(v);
  return u.weight - step_size * (step / ops::maximum(1, root_mean_square(step) / config.clip_threshold));
}

bool MuonImpl::is_matrix(const TrainedWeight& weight) const {
  std::string path = weight.chosen_by();
  for (char& c : path) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return weight.variable.shape().size() == 2 &&
         !(config.exclude_embeddings && path.find("embedding") != std::string::npos);
}

void MuonImpl::build_slots(const std::vector<TrainedWeight>& weights) {
  for (const TrainedWeight& weight : weights) {
    is_matrix_.push_back(is_matrix(weight));
    momentum_.push_back(add_slot(weight, "momentum"));
    velocity_.push_back(is_matrix_.back() ? Variable() : add_slot(weight, "velocity"));
  }
}

std::optional<double> MuonImpl::weight_decay_of(const TrainedWeight& weight) const {
  return is_matrix(weight) ? config.weight_decay : config.adam_weight_decay;
}

Tensor MuonImpl::updated(const Update& u) {
  const Variable& slot = momentum_[u.index];
  if (!is_matrix_[u.index]) {
    const Tensor m = moved(read(slot), u.gradient, config.adam_beta_1);
    const Tensor v = moved(read(velocity_[u.index]), ops::square(u.gradient), config.adam_beta_2);
    assign(slot, m);
    assign(velocity_[u.index], v);
    const Tensor rate = adam_rate(u.rate * config.adam_lr_ratio, u.step, config.adam_beta_1, config.adam_beta_2);
    return u.weight - m * rate / (ops::sqrt(v) + config.epsilon);
  }
  const Tensor before = read(slot);
  const Tensor m = before + (u.gradient + before * (config.momentum - 1));
  assign(slot, m);
  Tensor x = config.nesterov ? u.gradient + config.momentum * m : m;
  const std::vector<std::int64_t> shape{x.dim(0), x.dim(1)};
  const bool tall = shape[0] > shape[1];
  if (tall) x = ops::transpose(x);
  x = x / (length_of(x) + 1e-7);
  for (std::int64_t i = 0; i < config.ns_steps; ++i) {
    const Tensor a = ops::matmul(x, ops::transpose(x));
    x = config.muon_a * x + ops::matmul(config.muon_b * a + ops::matmul(config.muon_c * a, a), x);
  }
  if (tall) x = ops::transpose(x);
  Tensor step = u.rate * x;
  if (config.rms_rate) step = step * std::sqrt(static_cast<double>(std::max(shape[0], shape[1]))) * *config.rms_rate;
  return u.weight - step;
}

// ---- loss scale ----------------------------------------------------------------------------------------------------

void LossScaleOptimizerImpl::check() const {
  if (!config.inner_optimizer) throw Error(error("optimizer-option", name() + ": inner_optimizer is missing"));
}

void LossScaleOptimizerImpl::build_slots(const std::vector<TrainedWeight>& weights) {
  counter_ = add_scalar(std::string(name()) + "/step_counter", DType::i64, 0);
  scale_ = add_scalar(std::string(name()) + "/dynamic_scale", DType::f32, config.initial_scale);
  config.inner_optimizer.base().build(weights);
  add_variables(config.inner_optimizer.variables());
}

Tensor LossScaleOptimizerImpl::scaled(const Tensor& loss) const { return loss * read(scale_); }

void LossScaleOptimizerImpl::apply(const std::vector<Tensor>& gradients) {
  Tensor finite;
  const Tensor scale = read(scale_);
  for (const Tensor& g : gradients) {
    const Tensor all = ops::all(ops::isfinite(g));
    finite = finite ? ops::logical_and(finite, all) : all;
  }
  Trace::current().only_if(finite, [&] {
    std::vector<Tensor> unscaled;
    for (const Tensor& g : gradients) unscaled.push_back(g / scale);
    config.inner_optimizer.base().apply(unscaled);
  });
  const Tensor count = read(counter_);
  const Tensor grows = ops::equal(count, config.dynamic_growth_steps - 1);
  assign(counter_, ops::where(finite, ops::where(grows, 0, count + 1), 0));
  assign(scale_, ops::where(finite, ops::where(grows, scale * 2.0, scale), scale * 0.5));
}

// ---- several optimizers --------------------------------------------------------------------------------------------

void MultiOptimizerImpl::check() const {
  if (!config.optimizer_map.default_optimizer())
    throw Error(error("optimizer-option", name() + ": optimizer_map is missing"));
}

void MultiOptimizerImpl::build_slots(const std::vector<TrainedWeight>& weights) {
  const std::vector<Optimizer> all = config.optimizer_map.optimizers();
  parts_.resize(all.size());
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const OptimizerBase& own = config.optimizer_map[weights[i].chosen_by()].base();
    const auto at = std::ranges::find_if(all, [&](const Optimizer& each) { return &each.base() == &own; });
    parts_[static_cast<std::size_t>(at - all.begin())].push_back(i);
  }
  for (std::size_t k = 0; k < all.size(); ++k) {
    std::vector<TrainedWeight> own;
    for (const std::size_t i : parts_[k]) own.push_back(weights[i]);
    all[k].base().set_loss_scale_factor(config.loss_scale_factor);
    all[k].base().build(own);
    add_variables(all[k].variables());
  }
}

void MultiOptimizerImpl::apply(const std::vector<Tensor>& gradients) {
  const std::vector<Optimizer> all = config.optimizer_map.optimizers();
  for (std::size_t k = 0; k < all.size(); ++k) {
    std::vector<Tensor> own;
    for (const std::size_t i : parts_[k]) own.push_back(gradients[i]);
    if (!own.empty()) all[k].base().apply(own);
  }
  count_step();
}

Tensor MultiOptimizerImpl::scaled(const Tensor& loss) const {
  return config.loss_scale_factor ? loss * *config.loss_scale_factor : loss;
}

double MultiOptimizerImpl::learning_rate() const {
  throw Error(error("optimizer-rate", fmt::format("{} has no learning rate: its optimizers have their own", name())));
}

void MultiOptimizerImpl::set_learning_rate(double) {
  throw Error(error("optimizer-rate", fmt::format("{} has no learning rate: its optimizers have their own", name())));
}

void MultiOptimizerImpl::finalize() {
  for (const Optimizer& each : config.optimizer_map.optimizers()) each.base().finalize();
}

}  // namespace tusk::optimizers
