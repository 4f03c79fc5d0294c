// What variables are called in Keras.
#pragma once

#include <map>
#include <string>

#include "frontend/model/model.hpp"

namespace tusk {

/// The path of each weight, as a model of Keras has it that was read from a file: "dense/kernel",
/// "time_distributed/dense/kernel". Models give their layers no name; a layer in two models has one.
std::map<Variable, std::string> keras_paths(const Model& model);

}  // namespace tusk
