// Intersection over union of the classes of positions. https://keras.io/api/metrics/segmentation_metrics/
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "frontend/model/choices.hpp"
#include "frontend/training/metric.hpp"

namespace tusk::metrics {

/// What counts are kept in. Weights of samples lose their fraction in integers.
using CountType = OneOf<"int64", "int32", "float32">;

/// The base: a matrix of counts, a row for each class that is, a column for each that was predicted. The result is the
/// mean over those target classes that are there or were predicted.
class IoUBase : public MetricBase {
 public:
  void update(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) override;
  Tensor result() override;
  void check() const override;

 protected:
  struct Options {
    std::int64_t num_classes = 2;
    std::vector<std::int64_t> target_class_ids = {};  // empty: all
    std::optional<std::int64_t> ignore_class = {};    // of y_true: its positions do not count
    bool sparse_y_true = true;                        // classes; otherwise the largest along the axis is the class
    bool sparse_y_pred = true;
    std::int64_t axis = -1;
    CountType dtype = "int64";
  };
  virtual Options options() const = 0;
  void build() override;

 private:
  Variable counts_;
};

/// The mean over target classes.
struct IoUImpl : IoUBase {
  struct Config {
    std::int64_t num_classes = 0;
    std::vector<std::int64_t> target_class_ids = {};
    std::string name = {};
    CountType dtype = "int64";
    std::optional<std::int64_t> ignore_class = {};
    bool sparse_y_true = true;
    bool sparse_y_pred = true;
    std::int64_t axis = -1;
  } config;
  static void fields(auto& f, Config& c) {
    f("name", c.name);
    f("dtype", c.dtype);
    f("num_classes", c.num_classes);
    f("target_class_ids", c.target_class_ids);
    f("ignore_class", c.ignore_class);
    f("sparse_y_true", c.sparse_y_true);
    f("sparse_y_pred", c.sparse_y_pred);
    f("axis", c.axis);
  }
  void check() const override;

 protected:
  Options options() const override {
    const Config& c = config;
    return {c.num_classes, c.target_class_ids, c.ignore_class, c.sparse_y_true, c.sparse_y_pred, c.axis, c.dtype};
  }
};
using IoU = MetricOf<IoUImpl>;

/// Of two classes: p >= threshold is class 1.
struct BinaryIoUImpl : IoUBase {
  struct Config {
    std::vector<std::int64_t> target_class_ids = {0, 1};
    double threshold = 0.5;
    std::string name = {};
    CountType dtype = "int64";
  } config;
  static void fields(auto& f, Config& c) {
    f("target_class_ids", c.target_class_ids);
    f("threshold", c.threshold);
    f("name", c.name);
    f("dtype", c.dtype);
  }
  void update(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) override;

 protected:
  Options options() const override {
    return {.num_classes = 2, .target_class_ids = config.target_class_ids, .dtype = config.dtype};
  }
};
using BinaryIoU = MetricOf<BinaryIoUImpl>;

/// The mean over all classes.
struct MeanIoUImpl : IoUBase {
  struct Config {
    std::int64_t num_classes = 0;
    std::string name = {};
    CountType dtype = "int64";
    std::optional<std::int64_t> ignore_class = {};
    bool sparse_y_true = true;
    bool sparse_y_pred = true;
    std::int64_t axis = -1;
  } config;
  static void fields(auto& f, Config& c) {
    f("num_classes", c.num_classes);
    f("name", c.name);
    f("dtype", c.dtype);
    f("ignore_class", c.ignore_class);
    f("sparse_y_true", c.sparse_y_true);
    f("sparse_y_pred", c.sparse_y_pred);
    f("axis", c.axis);
  }

 protected:
  Options options() const override {
    const Config& c = config;
    return {c.num_classes, {}, c.ignore_class, c.sparse_y_true, c.sparse_y_pred, c.axis, c.dtype};
  }
};
using MeanIoU = MetricOf<MeanIoUImpl>;

/// IoU of one-hot labels.
struct OneHotIoUImpl : IoUBase {
  struct Config {
    std::int64_t num_classes = 0;
    std::vector<std::int64_t> target_class_ids = {};
    std::string name = {};
    CountType dtype = "int64";
    std::optional<std::int64_t> ignore_class = {};
    bool sparse_y_pred = false;
    std::int64_t axis = -1;
  } config;
  static void fields(auto& f, Config& c) {
    f("num_classes", c.num_classes);
    f("target_class_ids", c.target_class_ids);
    f("name", c.name);
    f("dtype", c.dtype);
    f("ignore_class", c.ignore_class);
    f("sparse_y_pred", c.sparse_y_pred);
    f("axis", c.axis);
  }
  void check() const override;

 protected:
  Options options() const override {
    const Config& c = config;
    return {c.num_classes, c.target_class_ids, c.ignore_class, false, c.sparse_y_pred, c.axis, c.dtype};
  }
};
using OneHotIoU = MetricOf<OneHotIoUImpl>;

/// MeanIoU of one-hot labels.
struct OneHotMeanIoUImpl : IoUBase {
  struct Config {
    std::int64_t num_classes = 0;
    std::string name = {};
    CountType dtype = "int64";
    std::optional<std::int64_t> ignore_class = {};
    bool sparse_y_pred = false;
    std::int64_t axis = -1;
  } config;
  static void fields(auto& f, Config& c) {
    f("num_classes", c.num_classes);
    f("name", c.name);
    f("dtype", c.dtype);
    f("ignore_class", c.ignore_class);
    f("sparse_y_pred", c.sparse_y_pred);
    f("axis", c.axis);
  }

 protected:
  Options options() const override {
    const Config& c = config;
    return {c.num_classes, {}, c.ignore_class, false, c.sparse_y_pred, c.axis, c.dtype};
  }
};
using OneHotMeanIoU = MetricOf<OneHotMeanIoUImpl>;

}  // namespace tusk::metrics
