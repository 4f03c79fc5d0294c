// A model as Keras saved it: the container, opened and checked; nothing is interpreted yet.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "frontend/files/bytes.hpp"
#include "frontend/import/weights.hpp"
#include "ir/base/expected.hpp"

namespace tusk {

struct SavedModel {
  std::string file;             // the path as it was given
  std::string keras_version;    // "3.15.1", "2.2.4-tf"; empty where the file does not say (Keras 1)
  std::string sha256;           // of the whole file, hexadecimal
  nlohmann::json config;        // {"class_name", "config", ...} of the model; with compile_config in a .keras
  std::string training_config;  // of a .h5 whose model was compiled: what compile was given, as JSON
  Weights weights;

  /// 1, 2 or 3: some names mean another function in each (hard_sigmoid).
  int keras_major() const;
};

/// A `.keras` archive (or the folder of one) or a whole model in a `.h5`, told apart by content, not by name.
Expected<SavedModel> read_saved_model(const std::filesystem::path& path);
/// The bytes of such a file; `name` stands for it in messages.
Expected<SavedModel> read_saved_model(Bytes bytes, const std::string& name);

/// An architecture (`model.to_json()`) and a weights file of either format beside it. `file` and `sha256` are those of
/// the weights.
Expected<SavedModel> read_saved_model(const std::filesystem::path& architecture, const std::filesystem::path& weights);

/// The architecture alone, of `model.to_json()` or of any of these files.
Expected<SavedModel> read_saved_architecture(const std::filesystem::path& path);
Expected<SavedModel> read_saved_architecture(Bytes bytes, const std::string& name);

/// The weights alone, of any of these files, for a model that is there already.
Expected<Weights> read_weights(const std::filesystem::path& path);

}  // namespace tusk
