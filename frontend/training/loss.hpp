// Losses: what training makes small. Each has values, one for each position, and a reduction to one number.
// https://keras.io/api/losses/
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "frontend/model/choices.hpp"
#include "frontend/model/names.hpp"
#include "frontend/model/tensor.hpp"

namespace tusk {

/// How values become a loss. sum_over_batch_size and mean divide by the number of values, not by the sum of their
/// weights; mean_with_sample_weight by that sum; none leaves them as they are.
using Reduction = OneOf<"sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none">;

/// The base of every loss. A loss has `struct Config`, `static void fields(auto& f, Config& c)` as a layer has, and
/// `values`. It is traced, as layers are.
class LossBase {
 public:
  virtual ~LossBase() = default;

  /// One value for each position: for most the shape of y_pred without its last axis. Both are floats of one dtype and,
  /// where that can be mended by an axis of 1, of one rank. A mask of the result leaves values out.
  virtual Tensor values(const Tensor& y_true, const Tensor& y_pred) const = 0;

  std::string_view class_name() const { return class_name_; }
  const std::string& name() const { return name_; }
  Reduction reduction() const { return reduction_; }

  /// Set once, by the handle that makes the loss.
  void set_identity(std::string_view class_name, std::string name, Reduction reduction);

 private:
  std::string_view class_name_;
  std::string name_;
  Reduction reduction_ = "sum_over_batch_size";
};

/// A loss or a metric of one's own: values, one for each sample, of y_true and y_pred. Both get to it as f32 and, where
/// an axis of 1 mends it, of one rank.
using ValueFunction = std::function<Tensor(const Tensor& y_true, const Tensor& y_pred)>;

/// A handle of any loss; copies share it.
class Loss {
 public:
  Loss() = default;
  /// losses::LossFunctionWrapper({.fn = function}).
  explicit Loss(ValueFunction function);
  explicit Loss(std::shared_ptr<const LossBase> loss) : loss_(std::move(loss)) {}

  /// The loss of traced tensors, f32: a scalar, or the values if its reduction is none. The mask that y_pred carries
  /// leaves positions out; weights have the shape of the values, or one that broadcasts to it, a last axis of 1 added
  /// or removed. `reduction` instead of its own.
  Tensor operator()(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) const {
    return reduced(y_true, y_pred, sample_weight, loss_->reduction());
  }
  Tensor reduced(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight, Reduction reduction) const;

  const std::string& name() const { return loss_->name(); }
  std::string_view class_name() const { return loss_->class_name(); }
  const LossBase& base() const { return *loss_; }
  explicit operator bool() const { return loss_ != nullptr; }

 private:
  std::shared_ptr<const LossBase> loss_;
};

/// The handle of a loss `Impl`: losses::Huber({.delta = 0.5}).
template <class Impl>
class LossOf : public Loss {
 public:
  using Config = typename Impl::Config;
  LossOf() : LossOf(Config{}) {}
  LossOf(Config config) : Loss(make(std::move(config))) {}  // NOLINT: braces are Python's keyword arguments

 private:
  static std::shared_ptr<const Impl> make(Config config) {
    auto loss = std::make_shared<Impl>();
    loss->set_identity(class_name_of<Impl>(), config.name, config.reduction);
    loss->config = std::move(config);
    return loss;
  }
};

/// Limited, but where x is no number: the larger of two would lose it (N6), and the loss would hide it.
Tensor keep_nan(const Tensor& x, const Tensor& limited);

/// Ranks that differ by a last axis of 1 are made equal, as Keras' squeeze_or_expand_to_same_rank does.
std::pair<Tensor, Tensor> with_one_rank(const Tensor& a, const Tensor& b);

}  // namespace tusk
