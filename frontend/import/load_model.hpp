// Models that Keras has saved.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "frontend/files/bytes.hpp"
#include "frontend/import/layer_list.hpp"
#include "frontend/model/model.hpp"

namespace tusk {

struct LoadedModel {
  Model model;
  std::string file;              // the path as it was given
  std::string sha256;            // of the file
  std::string keras_version;     // "3.15.1"; empty where the file does not say
  std::vector<Array> optimizer;  // its variables, if the model was compiled; only read_architecture reads them
};

struct LoadOptions {
  /// As it was compiled when Keras or Tusk saved it, with the optimizer's state: its training goes on.
  bool compile = true;
};

/// `.keras` of Keras 2.12 and later, whole models in `.h5` of Keras 1 to 3.
Expected<LoadedModel> read_model(const std::filesystem::path& path, const LoadOptions& options = {.compile = false});
/// The bytes of such a file; `name` stands for it in messages.
Expected<LoadedModel> read_model(Bytes bytes, const std::string& name);
/// An architecture (`model.to_json()`) and a weights file beside it.
Expected<LoadedModel> read_model(const std::filesystem::path& architecture, const std::filesystem::path& weights);

/// Any of these files, or an architecture alone: the model with the values that initializers give.
Expected<LoadedModel> read_architecture(const std::filesystem::path& path);
Expected<LoadedModel> read_architecture(Bytes bytes, const std::string& name);

Expected<Model> load_model_checked(const std::filesystem::path& path, const LoadOptions& options = {});
/// The same; throws an Error.
Model load_model(const std::filesystem::path& path, const LoadOptions& options = {});

}  // namespace tusk
