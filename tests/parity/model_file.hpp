// Models of recorded files.
#pragma once

#include <filesystem>
#include <string>

#include "frontend/import/load_model.hpp"

namespace tusk {

/// The file, or a file of weights NAME_weights.h5 with NAME.json beside it.
inline Expected<LoadedModel> read_model_file(const std::filesystem::path& file) {
  const std::string stem = file.stem().string();
  if (stem.ends_with("_weights")) {
    const std::filesystem::path architecture = file.parent_path() / (stem.substr(0, stem.size() - 8) + ".json");
    if (std::filesystem::exists(architecture)) return read_model(architecture, file);
  }
  return read_model(file);
}

}  // namespace tusk
