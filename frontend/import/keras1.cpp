#include "frontend/import/keras1.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace tusk {
namespace {

using nlohmann::json;

constexpr std::pair<std::string_view, std::string_view> kClasses[] = {
    {"Convolution1D", "Conv1D"},
    {"Convolution2D", "Conv2D"},
    {"Convolution3D", "Conv3D"},
    {"Deconvolution2D", "Conv2DTranspose"},
    {"SeparableConvolution2D", "SeparableConv2D"},
    {"AtrousConvolution1D", "Conv1D"},
    {"AtrousConvolution2D", "Conv2D"},
    {"TimeDistributedDense", "Dense"},
};

// Arguments that are the same under another name, in any class.
constexpr std::pair<std::string_view, std::string_view> kArguments[] = {
    {"init", "kernel_initializer"},
    {"inner_init", "recurrent_initializer"},
    {"inner_activation", "recurrent_activation"},
    {"bias", "use_bias"},
    {"W_regularizer", "kernel_regularizer"},
    {"b_regularizer", "bias_regularizer"},
    {"U_regularizer", "recurrent_regularizer"},
    {"W_constraint", "kernel_constraint"},
    {"b_constraint", "bias_constraint"},
    {"U_constraint", "recurrent_constraint"},
    {"nb_filter", "filters"},
    {"filter_length", "kernel_size"},
    {"subsample", "strides"},
    {"subsample_length", "strides"},
    {"border_mode", "padding"},
    {"atrous_rate", "dilation_rate"},
    {"pool_length", "pool_size"},
    {"stride", "strides"},
    {"p", "rate"},
    {"sigma", "stddev"},
};

void rename(json& config, const std::string& from, const std::string& to) {
  if (!config.contains(from)) return;
  if (!config.contains(to)) config[to] = std::move(config[from]);
  config.erase(from);
}

/// {"nb_row": 3, "nb_col": 5} as a kernel_size.
void join(json& config, std::initializer_list<const char*> names, const char* to) {
  json list = json::array();
  for (const char* name : names) {
    if (!config.contains(name)) return;
    list.push_back(config[name]);
  }
  for (const char* name : names) config.erase(name);
  config[to] = std::move(list);
}

void modernize_layer(json& layer) {
  if (!layer.is_object() || !layer.contains("class_name") || !layer["class_name"].is_string()) return;
  std::string class_name = layer["class_name"].get<std::string>();
  if (class_name == "Sequential" || class_name == "Model" || class_name == "Functional") {
    modernize_keras1(layer);
    return;
  }
  if (!layer.contains("config") || !layer["config"].is_object()) return;
  json& config = layer["config"];
  for (const auto& [from, to] : kClasses) {
    if (class_name == from) class_name = to;
  }
  layer["class_name"] = class_name;
  const bool is_embedding = class_name == "Embedding";
  if (config.contains("input_dtype") && config["input_dtype"] == "float32") config.erase("input_dtype");
  for (const auto& [from, to] : kArguments)
    rename(config, std::string(from), is_embedding && from == "init" ? "embeddings_initializer" : std::string(to));
  join(config, {"kernel_dim1", "kernel_dim2", "kernel_dim3"}, "kernel_size");
  join(config, {"nb_row", "nb_col"}, "kernel_size");
  if (class_name.starts_with("UpSampling")) rename(config, "length", "size");
  if (!is_embedding) {
    rename(config, "output_dim", "units");
    config.erase("input_dim");  // it stands in batch_input_shape as well
    config.erase("input_length");
  } else {
    for (const char* training : {"dropout", "embeddings_regularizer"}) config.erase(training);
  }
  if (config.contains("dim_ordering")) {
    config["data_format"] = config["dim_ordering"] == "th" ? "channels_first" : "channels_last";
    config.erase("dim_ordering");
    if (class_name == "Flatten" || class_name == "BatchNormalization") config.erase("data_format");
  }
  // Mode 0 is that of all others; 1 and 2 normalize each sample, or by the batch.
  if (class_name == "BatchNormalization" && config.contains("mode") && config["mode"] == 0) config.erase("mode");
  if (class_name == "Merge" && config.contains("mode") && config["mode"].is_string()) {
    const std::string mode = config["mode"].get<std::string>();
    static constexpr std::pair<std::string_view, const char*> kModes[] = {
        {"sum", "Add"}, {"mul", "Multiply"}, {"ave", "Average"}, {"max", "Maximum"}, {"concat", "Concatenate"}};
    for (const auto& [name, merged] : kModes) {
      if (mode != name) continue;
      const json axis = config.value("concat_axis", json(-1));
      const json layer_name = config.value("name", json());
      layer["class_name"] = merged;
      config = json::object();
      if (!layer_name.is_null()) config["name"] = layer_name;
      if (mode == "concat") config["axis"] = axis;
      break;
    }
  }
  if (config.contains("layer")) modernize_layer(config["layer"]);
}

}  // namespace

void modernize_keras1(json& model) {
  if (!model.contains("config")) return;
  json& config = model["config"];
  if (config.is_object() && (!config.contains("layers") || !config["layers"].is_array())) return;
  json& layers = config.is_array() ? config : config["layers"];
  if (!layers.is_array()) return;
  for (json& layer : layers) modernize_layer(layer);
}

}  // namespace tusk
