// The optimizers of Keras: a config has the arguments of the Keras class. Symbols: w weight, g gradient, lr rate, t
// step. https://keras.io/api/optimizers/
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "frontend/training/optimizer.hpp"
#include "frontend/training/optimizer_map.hpp"

namespace tusk::optimizers {

// What every optimizer takes behind its own arguments.
#define TUSK_OPTIMIZER_OPTIONS                                               \
  std::optional<double> clipnorm = {}, clipvalue = {}, global_clipnorm = {}; \
  bool use_ema = false;                                                      \
  double ema_momentum = 0.99;                                                \
  std::optional<std::int64_t> ema_overwrite_frequency = {};                  \
  std::optional<double> loss_scale_factor = {};                              \
  std::optional<std::int64_t> gradient_accumulation_steps = {};              \
  std::string name = {}

void common_fields(auto& f, auto& c) {
  f("name", c.name);
  f("learning_rate", c.learning_rate);
  f("weight_decay", c.weight_decay);
  f("clipnorm", c.clipnorm);
  f("global_clipnorm", c.global_clipnorm);
  f("clipvalue", c.clipvalue);
  f("use_ema", c.use_ema);
  f("ema_momentum", c.ema_momentum);
  f("ema_overwrite_frequency", c.ema_overwrite_frequency);
  f("loss_scale_factor", c.loss_scale_factor);
  f("gradient_accumulation_steps", c.gradient_accumulation_steps);
}

/// w -= lr g; with momentum m := momentum m - lr g, w += m (nesterov: w += momentum m - lr g).
struct SGDImpl : OptimizerBase {
  struct Config {
    LearningRate learning_rate = 0.01;
    double momentum = 0;
    bool nesterov = false;
    std::optional<double> weight_decay = {};
    TUSK_OPTIMIZER_OPTIONS;
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("momentum", c.momentum);
    f("nesterov", c.nesterov);
  }
  void build_slots(const std::vector<TrainedWeight>& weights) override;
  Tensor updated(const Update& update) override;

 private:
  std::vector<Variable> momentum_;
};
using SGD = OptimizerOf<SGDImpl>;

/// v := rho v + (1 - rho) g^2; w -= lr g / sqrt(v + epsilon); centered: v less the square of the mean of g.
/// Tieleman and Hinton, 2012.
struct RMSpropImpl : OptimizerBase {
  struct Config {
    LearningRate learning_rate = 0.001;
    double rho = 0.9;
    double momentum = 0;
    double epsilon = 1e-7;
    bool centered = false;
    std::optional<double> weight_decay = {};
    TUSK_OPTIMIZER_OPTIONS;
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("rho", c.rho);
    f("momentum", c.momentum);
    f("epsilon", c.epsilon);
    f("centered", c.centered);
  }
  void build_slots(const std::vector<TrainedWeight>& weights) override;
  Tensor updated(const Update& update) override;

 private:
  std::vector<Variable> velocity_, momentum_, average_gradient_;
};
using RMSprop = OptimizerOf<RMSpropImpl>;

/// What Adam and AdamW share.
struct AdamBase : OptimizerBase {
 protected:
  void build_moments(const std::vector<TrainedWeight>& weights, bool amsgrad);
  Tensor adam_step(const Update& update, double beta_1, double beta_2, double epsilon, bool amsgrad);

 private:
  std::vector<Variable> momentum_, velocity_, velocity_hat_;
};

/// m and v are means of g and g^2; w -= lr sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon). Kingma and
/// Ba, 2014; amsgrad: Reddi et al., 2018.
struct AdamImpl : AdamBase {
  struct Config {
    LearningRate learning_rate = 0.001;
    double beta_1 = 0.9;
    double beta_2 = 0.999;
    double epsilon = 1e-7;
    bool amsgrad = false;
    std::optional<double> weight_decay = {};
    TUSK_OPTIMIZER_OPTIONS;
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("beta_1", c.beta_1);
    f("beta_2", c.beta_2);
    f("epsilon", c.epsilon);
    f("amsgrad", c.amsgrad);
  }
  void build_slots(const std::vector<TrainedWeight>& weights) override { build_moments(weights, config.amsgrad); }
  Tensor updated(const Update& update) override {
    return adam_step(update, config.beta_1, config.beta_2, config.epsilon, config.amsgrad);
  }
};
using Adam = OptimizerOf<AdamImpl>;

/// Adam whose weights decay. Loshchilov and Hutter, 2017.
struct AdamWImpl : AdamBase {
  struct Config {
    LearningRate learning_rate = 0.001;
    std::optional<double> weight_decay = 0.004;
    double beta_1 = 0.9;
    double beta_2 = 0.999;
    double epsilon = 1e-7;
    bool amsgrad = false;
    TUSK_OPTIMIZER_OPTIONS;
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("beta_1", c.beta_1);
    f("beta_2", c.beta_2);
    f("epsilon", c.epsilon);
    f("amsgrad", c.amsgrad);
  }
  void build_slots(const std::vector<TrainedWeight>& weights) override { build_moments(weights, config.amsgrad); }
  Tensor updated(const Update& update) override {
    return adam_step(update, config.beta_1, config.beta_2, config.epsilon, config.amsgrad);
  }
};
using AdamW = OptimizerOf<AdamWImpl>;

/// a += g^2; w -= lr g / sqrt(a + epsilon). Duchi et al., 2011.
struct AdagradImpl : OptimizerBase {
  struct Config {
    LearningRate learning_rate = 0.001;
    double initial_accumulator_value = 0.1;
    double epsilon = 1e-7;
    std::optional<double> weight_decay = {};
    TUSK_OPTIMIZER_OPTIONS;
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("initial_accumulator_value", c.initial_accumulator_value);
    f("epsilon", c.epsilon);
  }
  void build_slots(const std::vector<TrainedWeight>& weights) override;
  Tensor updated(const Update& update) override;

 private:
  std::vector<Variable> accumulator_;
};
using Adagrad = OptimizerOf<AdagradImpl>;

/// Steps as large as the mean of the last ones. Zeiler, 2012.
struct AdadeltaImpl : OptimizerBase {
  struct Config {
    LearningRate learning_rate = 0.001;
    double rho = 0.95;
    double epsilon = 1e-7;
    std::optional<double> weight_decay = {};
    TUSK_OPTIMIZER_OPTIONS;
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("rho", c.rho);
    f("epsilon", c.epsilon);
  }
  void build_slots(const std::vector<TrainedWeight>& weights) override;
  Tensor updated(const Update& update) override;

 private:
  std::vector<Variable> gradients_, deltas_;
};
using Adadelta = OptimizerOf<AdadeltaImpl>;

/// Adam with the largest |g| in the place of the root of v.
struct AdamaxImpl : OptimizerBase {
  struct Config {
    LearningRate learning_rate = 0.001;
    double beta_1 = 0.9;
    double beta_2 = 0.999;
    double epsilon = 1e-7;
    std::optional<double> weight_decay = {};
    TUSK_OPTIMIZER_OPTIONS;
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("beta_1", c.beta_1);
    f("beta_2", c.beta_2);
    f("epsilon", c.epsilon);
  }
  void build_slots(const std::vector<TrainedWeight>& weights) override;
  Tensor updated(const Update& update) override;

 private:
  std::vector<Variable> momentum_, norm_;
};
using Adamax = OptimizerOf<AdamaxImpl>;

/// Adam with the momentum of the next step. Dozat, 2016.
struct NadamImpl : OptimizerBase {
  struct Config {
    LearningRate learning_rate = 0.001;
    double beta_1 = 0.9;
    double beta_2 = 0.999;
    double epsilon = 1e-7;
    std::optional<double> weight_decay = {};
    TUSK_OPTIMIZER_OPTIONS;
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("beta_1", c.beta_1);
    f("beta_2", c.beta_2);
    f("epsilon", c.epsilon);
  }
  void build_slots(const std::vector<TrainedWeight>& weights) override;
  void begin_step(const Tensor& step) override;
  Tensor updated(const Update& update) override;

 private:
  std::vector<Variable> momentum_, velocity_;
  Variable product_;  // of the momenta so far
};
using Nadam = OptimizerOf<NadamImpl>;

/// Follow the regularized leader. McMahan et al., 2013.
struct FtrlImpl : OptimizerBase {
  struct Config {
    LearningRate learning_rate = 0.001;
    double learning_rate_power = -0.5;
    double initial_accumulator_value = 0.1;
    double l1_regularization_strength = 0;
    double l2_regularization_strength = 0;
    double l2_shrinkage_regularization_strength = 0;
    double beta = 0;
    std::optional<double> weight_decay = {};
    TUSK_OPTIMIZER_OPTIONS;
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("learning_rate_power", c.learning_rate_power);
    f("initial_accumulator_value", c.initial_accumulator_value);
    f("l1_regularization_strength", c.l1_regularization_strength);
    f("l2_regularization_strength", c.l2_regularization_strength);
    f("l2_shrinkage_regularization_strength", c.l2_shrinkage_regularization_strength);
    f("beta", c.beta);
  }
  void build_slots(const std::vector<TrainedWeight>& weights) override;
  Tensor updated(const Update& update) override;

 private:
  std::vector<Variable> accumulator_, linear_;
};
using Ftrl = OptimizerOf<FtrlImpl>;

/// w -= lr sign(beta_1 m + (1 - beta_1) g). Chen et al., 2023.
struct LionImpl : OptimizerBase {
  struct Config {
    LearningRate learning_rate = 0.001;
    double beta_1 = 0.9;
    double beta_2 = 0.99;
    std::optional<double> weight_decay = {};
    TUSK_OPTIMIZER_OPTIONS;
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("beta_1", c.beta_1);
    f("beta_2", c.beta_2);
  }
  void build_slots(const std::vector<TrainedWeight>& weights) override;
  Tensor updated(const Update& update) override;

 private:
  std::vector<Variable> momentum_;
};
using Lion = OptimizerOf<LionImpl>;

/// Second moments of matrices are an outer product of rows and columns. Shazeer and Stern, 2018.
struct AdafactorImpl : OptimizerBase {
  struct Config {
    LearningRate learning_rate = 0.001;
    double beta_2_decay = -0.8;
    double epsilon_1 = 1e-30;
    double epsilon_2 = 1e-3;
    double clip_threshold = 1;
    bool relative_step = true;
    std::optional<double> weight_decay = {};
    TUSK_OPTIMIZER_OPTIONS;
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("beta_2_decay", c.beta_2_decay);
    f("epsilon_1", c.epsilon_1);
    f("epsilon_2", c.epsilon_2);
    f("clip_threshold", c.clip_threshold);
    f("relative_step", c.relative_step);
  }
  void build_slots(const std::vector<TrainedWeight>& weights) override;
  Tensor updated(const Update& update) override;

 private:
  std::vector<Variable> rows_, columns_, velocity_;  // of weights below rank 2 the first two are unused scalars
};
using Adafactor = OptimizerOf<AdafactorImpl>;

/// Adam whose step is as long as the weight. You et al., 2019.
struct LambImpl : OptimizerBase {
  struct Config {
    LearningRate learning_rate = 0.001;
    double beta_1 = 0.9;
    double beta_2 = 0.999;
    double epsilon = 1e-7;
    std::optional<double> weight_decay = {};
    TUSK_OPTIMIZER_OPTIONS;
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("beta_1", c.beta_1);
    f("beta_2", c.beta_2);
    f("epsilon", c.epsilon);
  }
  void build_slots(const std::vector<TrainedWeight>& weights) override;
  Tensor updated(const Update& update) override;

 private:
  std::vector<Variable> momentum_, velocity_;
};
using Lamb = OptimizerOf<LambImpl>;

/// Adam whose weights are a mean of all before. Defazio et al., 2024.
struct ScheduleFreeAdamWImpl : OptimizerBase {
  struct Config {
    LearningRate learning_rate = 0.0025;
    double beta_1 = 0.9;
    double beta_2 = 0.999;
    double epsilon = 1e-8;
    std::int64_t warmup_steps = 0;
    std::optional<double> weight_decay = {};
    TUSK_OPTIMIZER_OPTIONS;
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("beta_1", c.beta_1);
    f("beta_2", c.beta_2);
    f("epsilon", c.epsilon);
    f("warmup_steps", c.warmup_steps);
  }
  void build_slots(const std::vector<TrainedWeight>& weights) override;
  Tensor updated(const Update& update) override;

 private:
  std::vector<Variable> momentum_, velocity_;
};
using ScheduleFreeAdamW = OptimizerOf<ScheduleFreeAdamWImpl>;

/// Momentum of matrices, made orthogonal by steps of Newton and Schulz; all other weights, and embeddings, by Adam.
/// Jordan, 2024.
struct MuonImpl : OptimizerBase {
  struct Config {
    LearningRate learning_rate = 0.001;
    double adam_beta_1 = 0.9;
    double adam_beta_2 = 0.999;
    double adam_weight_decay = 0.004;
    double epsilon = 1e-7;
    std::optional<double> weight_decay = 0.004;
    TUSK_OPTIMIZER_OPTIONS;
    bool exclude_embeddings = true;
    double muon_a = 3.4445, muon_b = -4.775, muon_c = 2.0315;
    double adam_lr_ratio = 1;
    double momentum = 0.95;
    std::int64_t ns_steps = 5;
    bool nesterov = true;
    std::optional<double> rms_rate = 0.2;
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("adam_beta_1", c.adam_beta_1);
    f("adam_beta_2", c.adam_beta_2);
    f("adam_weight_decay", c.adam_weight_decay);
    f("epsilon", c.epsilon);
    f("exclude_embeddings", c.exclude_embeddings);
    f("muon_a", c.muon_a);
    f("muon_b", c.muon_b);
    f("muon_c", c.muon_c);
    f("adam_lr_ratio", c.adam_lr_ratio);
    f("momentum", c.momentum);
    f("ns_steps", c.ns_steps);
    f("nesterov", c.nesterov);
    f("rms_rate", c.rms_rate);
    f.only("exclude_layers", std::vector<std::string>());
  }
  void build_slots(const std::vector<TrainedWeight>& weights) override;
  Tensor updated(const Update& update) override;
  std::optional<double> weight_decay_of(const TrainedWeight& weight) const override;

 private:
  bool is_matrix(const TrainedWeight& weight) const;

  std::vector<Variable> momentum_, velocity_;  // no velocity for matrices
  std::vector<bool> is_matrix_;
};
using Muon = OptimizerOf<MuonImpl>;

#undef TUSK_OPTIMIZER_OPTIONS

/// Another optimizer for losses that are scaled so that gradients in half precision do not vanish: a step whose
/// gradients are not finite changes nothing and halves the scale, which doubles after as many good steps as it says.
/// Micikevicius et al., Mixed Precision Training, 2017.
struct LossScaleOptimizerImpl : OptimizerBase {
  struct Config {
    Optimizer inner_optimizer = {};
    double initial_scale = 32768;
    std::int64_t dynamic_growth_steps = 2000;
    std::string name = {};
  } config;
  static void fields(auto& f, Config& c) {
    f("name", c.name);
    f("inner_optimizer", c.inner_optimizer);
    f("initial_scale", c.initial_scale);
    f("dynamic_growth_steps", c.dynamic_growth_steps);
  }
  void check() const override;
  void build_slots(const std::vector<TrainedWeight>& weights) override;
  Tensor updated(const Update& update) override { return update.weight; }
  void apply(const std::vector<Tensor>& gradients) override;
  Tensor scaled(const Tensor& loss) const override;
  double learning_rate() const override { return config.inner_optimizer.learning_rate(); }
  void set_learning_rate(double rate) override { config.inner_optimizer.set_learning_rate(rate); }
  std::string rate_path() const override { return config.inner_optimizer.base().rate_path(); }
  void finalize() override { config.inner_optimizer.base().finalize(); }

 private:
  Variable counter_, scale_;
};
using LossScaleOptimizer = OptimizerOf<LossScaleOptimizerImpl>;

/// Each weight by the optimizer that a map has for it. There is no one learning rate: they have their own.
/// loss_scale_factor is that of all of them, whatever they were given.
struct MultiOptimizerImpl : OptimizerBase {
  struct Config {
    OptimizerMap optimizer_map = {};
    std::optional<double> loss_scale_factor = {};
    std::string name = {};
  } config;
  static void fields(auto& f, Config& c) {
    f("optimizer_map", c.optimizer_map);
    f("loss_scale_factor", c.loss_scale_factor);
    f("name", c.name);
  }
  void check() const override;
  void build_slots(const std::vector<TrainedWeight>& weights) override;
  Tensor updated(const Update& update) override { return update.weight; }
  void apply(const std::vector<Tensor>& gradients) override;
  Tensor scaled(const Tensor& loss) const override;
  [[noreturn]] double learning_rate() const override;
  [[noreturn]] void set_learning_rate(double rate) override;
  void finalize() override;

 private:
  std::vector<std::vector<std::size_t>> parts_;  // the weights of each optimizer of the map
};
using MultiOptimizer = OptimizerOf<MultiOptimizerImpl>;

}  // namespace tusk::optimizers
