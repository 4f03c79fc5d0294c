// model.summary(): the table of Keras 3.
#pragma once

#include <cstdint>
#include <string>

namespace tusk {

class Model;

struct SummaryOptions {
  std::int64_t line_length = 0;  // 0: 88, or 108 with connections, but for what the console has
  bool expand_nested = false;
  bool show_trainable = false;
  std::int64_t console_width = 80;  // lines are cut there
  /// Of the variables of the optimizer, for models that have one.
  std::int64_t optimizer_params = 0;
  std::int64_t optimizer_bytes = 0;
};

/// The text that Keras prints: layers, shapes, parameters, connections, totals.
std::string summary(const Model& model, const SummaryOptions& options = {});

}  // namespace tusk
