// utils::plot_model: the graph of a model as a picture, by Graphviz.
#pragma once

#include <filesystem>
#include <string>

#include "frontend/model/model.hpp"

namespace tusk::utils {

/// Keras' arguments: https://keras.io/api/utils/model_plotting_utils/
struct PlotOptions {
  bool show_shapes = false;
  bool show_dtype = false;
  bool show_layer_names = false;
  std::string rankdir = "TB";  // or LR
  bool expand_nested = false;
  std::int64_t dpi = 200;
  bool show_layer_activations = false;
  bool show_trainable = false;
};

/// The graph in the language of Graphviz.
std::string model_to_dot(const Model& model, const PlotOptions& options = {});
/// Writes a picture: the ending says which (.png, .svg, .pdf; .dot: the text itself, which needs no Graphviz). Throws
/// an Error if Graphviz is not installed.
void plot_model(const Model& model, const std::filesystem::path& to_file, const PlotOptions& options = {});

}  // namespace tusk::utils
