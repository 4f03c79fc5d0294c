// The losses of Keras. Symbols: t is y_true, p is y_pred, means are over the last axis. A config has the arguments of
// the Keras class. https://keras.io/api/losses/
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "frontend/training/loss.hpp"

namespace tusk::losses {

/// What every loss has: name and reduction.
void common_fields(auto& f, auto& c) {
  f("name", c.name);
  f("reduction", c.reduction);
}

// ---- regression ----------------------------------------------------------------------------------------------------

/// A loss without arguments of its own.
#define TUSK_LOSS(Class, default_name)                                        \
  struct Class##Impl : LossBase {                                             \
    struct Config {                                                           \
      Reduction reduction = "sum_over_batch_size";                            \
      std::string name = default_name;                                        \
    } config;                                                                 \
    static void fields(auto& f, Config& c) { common_fields(f, c); }           \
    Tensor values(const Tensor& y_true, const Tensor& y_pred) const override; \
  };                                                                          \
  using Class = LossOf<Class##Impl>

/// mean (t - p)^2
TUSK_LOSS(MeanSquaredError, "mean_squared_error");
/// mean |t - p|
TUSK_LOSS(MeanAbsoluteError, "mean_absolute_error");
/// 100 mean |(t - p) / max(|t|, 1e-7)|
TUSK_LOSS(MeanAbsolutePercentageError, "mean_absolute_percentage_error");
/// mean (log(max(t, 1e-7) + 1) - log(max(p, 1e-7) + 1))^2
TUSK_LOSS(MeanSquaredLogarithmicError, "mean_squared_logarithmic_error");
/// mean log cosh(p - t)
TUSK_LOSS(LogCosh, "log_cosh");
/// mean(p - t log(p + 1e-7))
TUSK_LOSS(Poisson, "poisson");
/// sum t log(t / p), both clipped to [1e-7, 1]
TUSK_LOSS(KLDivergence, "kl_divergence");
/// mean max(1 - t p, 0); if every t of the batch is 0 or 1, they are taken for -1 and 1
TUSK_LOSS(Hinge, "hinge");
/// The same squared.
TUSK_LOSS(SquaredHinge, "squared_hinge");
/// max(max((1 - t) p) - sum t p + 1, 0)
TUSK_LOSS(CategoricalHinge, "categorical_hinge");
/// -log P of the labels t [batch, length] (0 ends them, and is the blank) under the logits p [batch, time, classes].
/// Graves et al., Connectionist Temporal Classification, 2006.
TUSK_LOSS(CTC, "ctc");
#undef TUSK_LOSS

/// e^2 / 2 where |e| = |p - t| <= delta, else delta |e| - delta^2 / 2; mean
struct HuberImpl : LossBase {
  struct Config {
    double delta = 1;
    Reduction reduction = "sum_over_batch_size";
    std::string name = "huber_loss";
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("delta", c.delta);
  }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using Huber = LossOf<HuberImpl>;

/// Minus the cosine of the angle between t and p along an axis.
struct CosineSimilarityImpl : LossBase {
  struct Config {
    std::int64_t axis = -1;
    Reduction reduction = "sum_over_batch_size";
    std::string name = "cosine_similarity";
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("axis", c.axis);
  }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using CosineSimilarity = LossOf<CosineSimilarityImpl>;

// ---- probabilities -------------------------------------------------------------------------------------------------

/// -t log p - (1 - t) log(1 - p), mean; p in [1e-7, 1 - 1e-7], or logits
struct BinaryCrossentropyImpl : LossBase {
  struct Config {
    bool from_logits = false;
    double label_smoothing = 0;
    std::int64_t axis = -1;
    Reduction reduction = "sum_over_batch_size";
    std::string name = "binary_crossentropy";
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("from_logits", c.from_logits);
    f("label_smoothing", c.label_smoothing);
    f("axis", c.axis);
  }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using BinaryCrossentropy = LossOf<BinaryCrossentropyImpl>;

/// (1 - p_t)^gamma times the crossentropy, p_t = t p + (1 - t)(1 - p). Lin et al., Focal Loss, 2017.
struct BinaryFocalCrossentropyImpl : LossBase {
  struct Config {
    bool apply_class_balancing = false;
    double alpha = 0.25;
    double gamma = 2;
    bool from_logits = false;
    double label_smoothing = 0;
    std::int64_t axis = -1;
    Reduction reduction = "sum_over_batch_size";
    std::string name = "binary_focal_crossentropy";
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("from_logits", c.from_logits);
    f("label_smoothing", c.label_smoothing);
    f("axis", c.axis);
    f("apply_class_balancing", c.apply_class_balancing);
    f("alpha", c.alpha);
    f("gamma", c.gamma);
  }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using BinaryFocalCrossentropy = LossOf<BinaryFocalCrossentropyImpl>;

/// -sum t log p; p is divided by its sum and clipped to [1e-7, 1 - 1e-7], or logits
struct CategoricalCrossentropyImpl : LossBase {
  struct Config {
    bool from_logits = false;
    double label_smoothing = 0;
    std::int64_t axis = -1;
    Reduction reduction = "sum_over_batch_size";
    std::string name = "categorical_crossentropy";
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("from_logits", c.from_logits);
    f("label_smoothing", c.label_smoothing);
    f("axis", c.axis);
  }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using CategoricalCrossentropy = LossOf<CategoricalCrossentropyImpl>;

/// sum -alpha (1 - p)^gamma t log p
struct CategoricalFocalCrossentropyImpl : LossBase {
  struct Config {
    double alpha = 0.25;
    double gamma = 2;
    bool from_logits = false;
    double label_smoothing = 0;
    std::int64_t axis = -1;
    Reduction reduction = "sum_over_batch_size";
    std::string name = "categorical_focal_crossentropy";
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("from_logits", c.from_logits);
    f("label_smoothing", c.label_smoothing);
    f("axis", c.axis);
    f("alpha", c.alpha);
    f("gamma", c.gamma);
  }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using CategoricalFocalCrossentropy = LossOf<CategoricalFocalCrossentropyImpl>;

/// -log p of the class t, an integer; positions of `ignore_class` are left out
struct SparseCategoricalCrossentropyImpl : LossBase {
  struct Config {
    bool from_logits = false;
    std::optional<std::int64_t> ignore_class = {};
    std::int64_t axis = -1;
    Reduction reduction = "sum_over_batch_size";
    std::string name = "sparse_categorical_crossentropy";
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("from_logits", c.from_logits);
    f("ignore_class", c.ignore_class);
    f("axis", c.axis);
  }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using SparseCategoricalCrossentropy = LossOf<SparseCategoricalCrossentropyImpl>;

/// (1 - p_t^q) / q of the class t, an integer. Zhang and Sabuncu, Generalized Cross Entropy, 2018.
struct CategoricalGeneralizedCrossEntropyImpl : LossBase {
  struct Config {
    double q = 0.5;
    Reduction reduction = "sum_over_batch_size";
    std::string name = "categorical_generalized_cross_entropy";
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("q", c.q);
  }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using CategoricalGeneralizedCrossEntropy = LossOf<CategoricalGeneralizedCrossEntropyImpl>;

// ---- sets and embeddings -------------------------------------------------------------------------------------------

/// 1 - 2 sum t p / (sum t + sum p + 1e-7) over `axis`, all of the batch without it
struct DiceImpl : LossBase {
  struct Config {
    Reduction reduction = "sum_over_batch_size";
    std::string name = "dice";
    std::vector<std::int64_t> axis = {};
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("axis", c.axis);
  }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using Dice = LossOf<DiceImpl>;

/// 1 - I / (I + alpha sum t (1 - p) + beta sum (1 - t) p + 1e-7), I = sum t p. As Keras up to 3.15.1 computes it;
/// its documentation has alpha and beta the other way round.
struct TverskyImpl : LossBase {
  struct Config {
    double alpha = 0.5;
    double beta = 0.5;
    Reduction reduction = "sum_over_batch_size";
    std::string name = "tversky";
    std::vector<std::int64_t> axis = {};
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("alpha", c.alpha);
    f("beta", c.beta);
    f("axis", c.axis);
  }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using Tversky = LossOf<TverskyImpl>;

/// t [batch] are ids, p [batch, features] embeddings of length 1. Sun et al., Circle Loss, 2020.
struct CircleImpl : LossBase {
  struct Config {
    double gamma = 80;
    double margin = 0.4;
    bool remove_diagonal = true;
    Reduction reduction = "sum_over_batch_size";
    std::string name = "circle";
  } config;
  static void fields(auto& f, Config& c) {
    common_fields(f, c);
    f("gamma", c.gamma);
    f("margin", c.margin);
    f("remove_diagonal", c.remove_diagonal);
  }
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using Circle = LossOf<CircleImpl>;

// ---- one's own -----------------------------------------------------------------------------------------------------

/// What a function gives, as Keras takes a function for a loss. A file cannot hold it.
struct LossFunctionWrapperImpl : LossBase {
  struct Config {
    ValueFunction fn = {};
    Reduction reduction = "sum_over_batch_size";
    std::string name = {};
  } config;
  Tensor values(const Tensor& y_true, const Tensor& y_pred) const override;
};
using LossFunctionWrapper = LossOf<LossFunctionWrapperImpl>;

}  // namespace tusk::losses
