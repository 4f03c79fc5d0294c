// Learning rates as functions of the step. https://keras.io/api/optimizers/learning_rate_schedules/
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "frontend/model/names.hpp"
#include "frontend/model/tensor.hpp"

namespace tusk {

/// The base of every schedule.
class ScheduleBase {
 public:
  virtual ~ScheduleBase() = default;
  /// The rate of a step (a traced scalar, counted from 0), f32.
  virtual Tensor rate(const Tensor& step) const = 0;

  std::string_view class_name() const { return class_name_; }
  void set_class(std::string_view name) { class_name_ = name; }

 private:
  std::string_view class_name_;
};

/// A handle of any schedule; copies share it.
class Schedule {
 public:
  explicit Schedule(std::shared_ptr<const ScheduleBase> schedule) : schedule_(std::move(schedule)) {}
  Tensor operator()(const Tensor& step) const { return schedule_->rate(step); }
  const ScheduleBase& base() const { return *schedule_; }

 private:
  std::shared_ptr<const ScheduleBase> schedule_;
};

template <class Impl>
class ScheduleOf : public Schedule {
 public:
  using Config = typename Impl::Config;
  ScheduleOf(Config config) : Schedule(make(std::move(config))) {}  // NOLINT: braces are Python's keyword arguments

 private:
  static std::shared_ptr<const Impl> make(Config config) {
    auto schedule = std::make_shared<Impl>();
    schedule->config = std::move(config);
    schedule->set_class(class_name_of<Impl>());
    return schedule;
  }
};

/// A number, or a schedule.
class LearningRate {
 public:
  LearningRate(double rate) : is_(rate) {}                       // NOLINT: either stands where Keras takes one
  LearningRate(Schedule schedule) : is_(std::move(schedule)) {}  // NOLINT
  const Schedule* schedule() const { return std::get_if<Schedule>(&is_); }
  double number() const { return std::get<double>(is_); }

 private:
  std::variant<double, Schedule> is_;
};

namespace schedules {

/// initial * rate^(step / steps), of whole intervals if `staircase`.
struct ExponentialDecayImpl : ScheduleBase {
  struct Config {
    double initial_learning_rate = 0;
    std::int64_t decay_steps = 1;
    double decay_rate = 0;
    bool staircase = false;
    std::string name = "ExponentialDecay";
  } config;
  static void fields(auto& f, Config& c) {
    f("initial_learning_rate", c.initial_learning_rate);
    f("decay_steps", c.decay_steps);
    f("decay_rate", c.decay_rate);
    f("staircase", c.staircase);
    f("name", c.name);
  }
  Tensor rate(const Tensor& step) const override;
};
using ExponentialDecay = ScheduleOf<ExponentialDecayImpl>;

/// values[i] up to and with step boundaries[i], the last one behind them.
struct PiecewiseConstantDecayImpl : ScheduleBase {
  struct Config {
    std::vector<double> boundaries = {}, values = {};
    std::string name = "PiecewiseConstant";
  } config;
  static void fields(auto& f, Config& c) {
    f("boundaries", c.boundaries);
    f("values", c.values);
    f("name", c.name);
  }
  Tensor rate(const Tensor& step) const override;
};
using PiecewiseConstantDecay = ScheduleOf<PiecewiseConstantDecayImpl>;

/// (initial - end) (1 - step / steps)^power + end
struct PolynomialDecayImpl : ScheduleBase {
  struct Config {
    double initial_learning_rate = 0;
    std::int64_t decay_steps = 1;
    double end_learning_rate = 1e-4;
    double power = 1;
    bool cycle = false;
    std::string name = "PolynomialDecay";
  } config;
  static void fields(auto& f, Config& c) {
    f("initial_learning_rate", c.initial_learning_rate);
    f("decay_steps", c.decay_steps);
    f("end_learning_rate", c.end_learning_rate);
    f("power", c.power);
    f("cycle", c.cycle);
    f("name", c.name);
  }
  Tensor rate(const Tensor& step) const override;
};
using PolynomialDecay = ScheduleOf<PolynomialDecayImpl>;

/// initial / (1 + rate step / steps)
struct InverseTimeDecayImpl : ScheduleBase {
  struct Config {
    double initial_learning_rate = 0;
    std::int64_t decay_steps = 1;
    double decay_rate = 0;
    bool staircase = false;
    std::string name = "InverseTimeDecay";
  } config;
  static void fields(auto& f, Config& c) {
    f("initial_learning_rate", c.initial_learning_rate);
    f("decay_steps", c.decay_steps);
    f("decay_rate", c.decay_rate);
    f("staircase", c.staircase);
    f("name", c.name);
  }
  Tensor rate(const Tensor& step) const override;
};
using InverseTimeDecay = ScheduleOf<InverseTimeDecayImpl>;

/// Half a cosine, from initial to alpha * initial; from warmup_target behind a linear warm-up. Loshchilov and Hutter,
/// SGDR, 2016.
struct CosineDecayImpl : ScheduleBase {
  struct Config {
    double initial_learning_rate = 0;
    std::int64_t decay_steps = 1;
    double alpha = 0;
    std::string name = "CosineDecay";
    std::optional<double> warmup_target = {};
    std::int64_t warmup_steps = 0;
  } config;
  static void fields(auto& f, Config& c) {
    f("initial_learning_rate", c.initial_learning_rate);
    f("decay_steps", c.decay_steps);
    f("alpha", c.alpha);
    f("name", c.name);
    f("warmup_target", c.warmup_target);
    f("warmup_steps", c.warmup_steps);
  }
  Tensor rate(const Tensor& step) const override;
};
using CosineDecay = ScheduleOf<CosineDecayImpl>;

/// The same again and again, each t_mul times as long and m_mul times as high as the one before.
struct CosineDecayRestartsImpl : ScheduleBase {
  struct Config {
    double initial_learning_rate = 0;
    std::int64_t first_decay_steps = 1;
    double t_mul = 2;
    double m_mul = 1;
    double alpha = 0;
    std::string name = "SGDRDecay";
  } config;
  static void fields(auto& f, Config& c) {
    f("initial_learning_rate", c.initial_learning_rate);
    f("first_decay_steps", c.first_decay_steps);
    f("t_mul", c.t_mul);
    f("m_mul", c.m_mul);
    f("alpha", c.alpha);
    f("name", c.name);
  }
  Tensor rate(const Tensor& step) const override;
};
using CosineDecayRestarts = ScheduleOf<CosineDecayRestartsImpl>;

}  // namespace schedules
}  // namespace tusk
