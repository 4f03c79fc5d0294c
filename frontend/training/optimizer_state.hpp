// What an optimizer keeps between steps, as files have it: a list of arrays in the order of its variables.
#pragma once

#include <vector>

#include "frontend/model/model.hpp"
#include "frontend/training/optimizer.hpp"

namespace tusk {

/// The weights of the model that training changes, with their paths in it.
std::vector<TrainedWeight> trained_weights(const Model& model);

/// Builds the optimizer for the model, if it is not; whether its variables have the shapes of these values.
bool fits_optimizer(const Optimizer& optimizer, const Model& model, const std::vector<Array>& values);

/// The same, and gives its variables these values. Throws [optimizer-state] if they are others in number or shape: then
/// it keeps what it has.
void set_optimizer_state(const Optimizer& optimizer, const Model& model, const std::vector<Array>& values);

/// Whether these can be of an optimizer that has not been built yet: its iteration and learning rate, and those of a
/// scale of the loss, at most.
bool is_unbuilt_state(const std::vector<Array>& values);

}  // namespace tusk
