// Modules for training, small and of every kind: for the laws and for the engine matrix.
#pragma once

#include <string>
#include <vector>

#include "ir/graph/graph.hpp"

namespace tusk {

struct TrainingStep {
  std::string title;  // words, as in a name
  graph::Module module;
};

/// A step of a dense model with every optimizer, with its defaults and with its options; one with every loss; all
/// functions of a convolutional model, and a step with attention.
std::vector<TrainingStep> training_steps();

}  // namespace tusk
