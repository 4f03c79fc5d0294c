// What variables are called in Keras.
#pragma once

#include <map>
#include <string>

#include "frontend/model/model.hpp"

namespace tusk {

/// The path of each weight, as layers have it that a Functional model of Keras calls: "dense/kernel",
/// "time_distributed/dense/kernel". Models lengthen no paths; a layer in two models has one.
std::map<Variable, std::string> keras_paths(const Model& model);

}  // namespace tusk
