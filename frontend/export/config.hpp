// Models and layers as Keras' configurations: JSON that keras.models.model_from_json reads, too.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "frontend/model/model.hpp"

namespace tusk {

/// Whose form is written.
inline constexpr std::string_view kKerasVersion = "3.15.1";

/// get_config() of a layer or a model as JSON text: what it was made from, without weights. Throws [config-function]
/// where an activation is a function of C++, [config-class] for a class that register_layer does not know.
std::string get_config(const Layer& layer);
/// A layer of a class ("Dense", "package>Name") from such a text, with new weights once it is called.
Layer layer_from_config(std::string_view class_name, std::string_view config);

/// model.to_json(): architecture without weights. Layers that were read from a file of Keras 3 keep what it says of
/// training (regularizers, constraints, seeds).
std::string to_json(const Model& model);
/// The config.json of a `.keras`.
std::string config_json(const Model& model, const nlohmann::ordered_json& compile_config);
/// The model_config of a `.h5`. A layer that stands in several models is written in each.
std::string legacy_json(const Model& model);
/// keras.models.model_from_json: a model with the values that initializers give. Throws what is wrong in the text.
Model model_from_json(std::string_view text);

/// keras.models.clone_model: new layers of the same names, with new weights.
Model clone_model(const Model& model);

}  // namespace tusk
