// Which optimizer a weight has. https://keras.io/api/optimizers/ (OptimizerMap)
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "frontend/training/optimizer.hpp"

namespace tusk::optimizers {

/// {SGD(0.1), {{"encoder/.*", Adam()}}}: a weight whose path ("encoder/dense/kernel") is a key has its optimizer; else
/// the one whose key, a regular expression, is met by the whole path; else the default.
class OptimizerMap {
 public:
  using Entries = std::vector<std::pair<std::string, Optimizer>>;
  OptimizerMap() = default;
  /// Throws [optimizer-map]: a key that is no expression or stands there twice, an optimizer around others.
  OptimizerMap(Optimizer default_optimizer, Entries optimizer_map = {});

  const Optimizer& default_optimizer() const { return default_; }
  const Entries& entries() const { return entries_; }
  /// Throws [optimizer-map] if several expressions are met.
  const Optimizer& operator[](std::string_view path) const;
  /// Each once, in Keras' order: those of the entries, then the default.
  std::vector<Optimizer> optimizers() const;

 private:
  Optimizer default_;
  Entries entries_;
};

}  // namespace tusk::optimizers
