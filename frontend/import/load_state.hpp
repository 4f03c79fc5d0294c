// The State of emitted code, from the device where it was trained, as values of a model.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "frontend/model/model.hpp"
#include "frontend/training/train_step.hpp"

namespace tusk {

/// How the code was emitted: the layout of its State follows from that, and from what compile was given.
struct StateOptions {
  std::vector<std::string> functions = {"train_step"};  // in the order in which they were asked for
  std::vector<std::optional<Target>> targets = {};      // of the outputs; empty: as loss and output have them
  std::vector<Target> sample_weights = {};
};

/// Takes the weights, the states of random numbers and what the optimizer keeps from the bytes of a State of the code
/// that is emitted for `module`, which has been traced from this model last. [state-bytes]: what is wrong with them;
/// then the model keeps its values.
Status take_state(const Model& model, const Optimizer& optimizer, graph::Module module,
                  std::span<const std::byte> bytes);

}  // namespace tusk
