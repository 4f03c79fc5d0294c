// Convolutions: Conv1D to Conv3D, DepthwiseConv1D and 2D, SeparableConv1D and 2D, Conv1DTranspose to Conv3DTranspose.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "frontend/layers/activations.hpp"
#include "frontend/model/layer.hpp"

namespace tusk::layers {

/// Causal: the padding lies in front, so no result reads a later element.
template <std::size_t axes>
using ConvPadding = std::conditional_t<axes == 1, OneOf<"valid", "same", "causal">, OneOf<"valid", "same">>;

/// Kernel [size..., channels / groups, filters] in both data formats.
template <std::size_t axes>
struct ConvImpl : LayerBase {
  static constexpr std::string_view class_name = axes == 1 ? "Conv1D" : axes == 2 ? "Conv2D" : "Conv3D";
  struct Config {
    std::int64_t filters = 0;
    PerAxis<axes> kernel_size = 1;
    PerAxis<axes> strides = 1;
    ConvPadding<axes> padding = "valid";
    DataFormat data_format = "channels_last";
    PerAxis<axes> dilation_rate = 1;
    std::int64_t groups = 1;
    tusk::Activation activation = {};
    bool use_bias = true;
    Initializer kernel_initializer = "glorot_uniform";
    Initializer bias_initializer = "zeros";
    Regularizer kernel_regularizer = {};
    Regularizer bias_regularizer = {};
    Regularizer activity_regularizer = {};
    Constraint kernel_constraint = {};
    Constraint bias_constraint = {};
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::filters, &Config::kernel_size};
  static void fields(auto& f, Config& c) {
    f("filters", c.filters);
    f("kernel_size", c.kernel_size);
    f("strides", c.strides);
    f("padding", c.padding);
    f("data_format", c.data_format);
    f("dilation_rate", c.dilation_rate);
    f("groups", c.groups);
    f("activation", c.activation);
    f("use_bias", c.use_bias);
    f("kernel_initializer", c.kernel_initializer);
    f("bias_initializer", c.bias_initializer);
    f("kernel_regularizer", c.kernel_regularizer);
    f("bias_regularizer", c.bias_regularizer);
    f("kernel_constraint", c.kernel_constraint);
    f("bias_constraint", c.bias_constraint);
    f.only("lora_rank", nullptr);
    f.only("quantization_config", nullptr);
    f.ignored("lora_alpha");
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;

 private:
  Variable kernel_, bias_;
};
using Conv1D = LayerOf<ConvImpl<1>>;
using Conv2D = LayerOf<ConvImpl<2>>;
using Conv3D = LayerOf<ConvImpl<3>>;

/// Kernel [size..., channels, multiplier]; output channel c*multiplier + m.
template <std::size_t axes>
struct DepthwiseConvImpl : LayerBase {
  static constexpr std::string_view class_name = axes == 1 ? "DepthwiseConv1D" : "DepthwiseConv2D";
  struct Config {
    PerAxis<axes> kernel_size = 1;
    PerAxis<axes> strides = 1;
    ConvPadding<axes> padding = "valid";
    std::int64_t depth_multiplier = 1;
    DataFormat data_format = "channels_last";
    PerAxis<axes> dilation_rate = 1;
    tusk::Activation activation = {};
    bool use_bias = true;
    Initializer depthwise_initializer = "glorot_uniform";
    Initializer bias_initializer = "zeros";
    Regularizer depthwise_regularizer = {};
    Regularizer bias_regularizer = {};
    Regularizer activity_regularizer = {};
    Constraint depthwise_constraint = {};
    Constraint bias_constraint = {};
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::kernel_size};
  static void fields(auto& f, Config& c) {
    f("kernel_size", c.kernel_size);
    f("strides", c.strides);
    f("padding", c.padding);
    f("depth_multiplier", c.depth_multiplier);
    f("data_format", c.data_format);
    f("dilation_rate", c.dilation_rate);
    f("activation", c.activation);
    f("use_bias", c.use_bias);
    f("depthwise_initializer", c.depthwise_initializer);
    f("bias_initializer", c.bias_initializer);
    f("depthwise_regularizer", c.depthwise_regularizer);
    f("bias_regularizer", c.bias_regularizer);
    f("activity_regularizer", c.activity_regularizer);
    f("depthwise_constraint", c.depthwise_constraint);
    f("bias_constraint", c.bias_constraint);
    f.only("groups", 1);  // Keras 2 writes keys of Conv2D here as well
    f.ignored("filters");
    for (const char* key : {"kernel_initializer", "kernel_regularizer", "kernel_constraint"}) f.ignored(key);
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;

 private:
  Variable kernel_, bias_;
};
using DepthwiseConv1D = LayerOf<DepthwiseConvImpl<1>>;
using DepthwiseConv2D = LayerOf<DepthwiseConvImpl<2>>;

/// A depthwise convolution, then one of size 1 over the channels.
template <std::size_t axes>
struct SeparableConvImpl : LayerBase {
  static constexpr std::string_view class_name = axes == 1 ? "SeparableConv1D" : "SeparableConv2D";
  struct Config {
    std::int64_t filters = 0;
    PerAxis<axes> kernel_size = 1;
    PerAxis<axes> strides = 1;
    ConvPadding<axes> padding = "valid";
    DataFormat data_format = "channels_last";
    PerAxis<axes> dilation_rate = 1;
    std::int64_t depth_multiplier = 1;
    tusk::Activation activation = {};
    bool use_bias = true;
    Initializer depthwise_initializer = "glorot_uniform";
    Initializer pointwise_initializer = "glorot_uniform";
    Initializer bias_initializer = "zeros";
    Regularizer depthwise_regularizer = {};
    Regularizer pointwise_regularizer = {};
    Regularizer bias_regularizer = {};
    Regularizer activity_regularizer = {};
    Constraint depthwise_constraint = {};
    Constraint pointwise_constraint = {};
    Constraint bias_constraint = {};
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::filters, &Config::kernel_size};
  static void fields(auto& f, Config& c) {
    f("filters", c.filters);
    f("kernel_size", c.kernel_size);
    f("strides", c.strides);
    f("padding", c.padding);
    f("data_format", c.data_format);
    f("dilation_rate", c.dilation_rate);
    f("depth_multiplier", c.depth_multiplier);
    f("activation", c.activation);
    f("use_bias", c.use_bias);
    f("depthwise_initializer", c.depthwise_initializer);
    f("pointwise_initializer", c.pointwise_initializer);
    f("bias_initializer", c.bias_initializer);
    f("depthwise_regularizer", c.depthwise_regularizer);
    f("pointwise_regularizer", c.pointwise_regularizer);
    f("bias_regularizer", c.bias_regularizer);
    f("activity_regularizer", c.activity_regularizer);
    f("depthwise_constraint", c.depthwise_constraint);
    f("pointwise_constraint", c.pointwise_constraint);
    f("bias_constraint", c.bias_constraint);
    f.only("groups", 1);  // Keras 2 writes keys of Conv2D here as well
    for (const char* key : {"kernel_initializer", "kernel_regularizer", "kernel_constraint"}) f.ignored(key);
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;

 private:
  Variable depthwise_, pointwise_, bias_;
};
using SeparableConv1D = LayerOf<SeparableConvImpl<1>>;
using SeparableConv2D = LayerOf<SeparableConvImpl<2>>;

/// Kernel [size..., filters, channels]: every element of x adds a kernel to the output, `strides` apart.
template <std::size_t axes>
struct ConvTransposeImpl : LayerBase {
  static constexpr std::string_view kNames[3] = {"Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"};
  static constexpr std::string_view class_name = kNames[axes - 1];
  struct Config {
    std::int64_t filters = 0;
    PerAxis<axes> kernel_size = 1;
    PerAxis<axes> strides = 1;
    OneOf<"valid", "same"> padding = "valid";
    std::optional<PerAxis<axes>> output_padding = {};
    DataFormat data_format = "channels_last";
    PerAxis<axes> dilation_rate = 1;
    tusk::Activation activation = {};
    bool use_bias = true;
    Initializer kernel_initializer = "glorot_uniform";
    Initializer bias_initializer = "zeros";
    Regularizer kernel_regularizer = {};
    Regularizer bias_regularizer = {};
    Regularizer activity_regularizer = {};
    Constraint kernel_constraint = {};
    Constraint bias_constraint = {};
    std::string name = {};
    std::string dtype = {};
  } config;
  static constexpr std::tuple positional{&Config::filters, &Config::kernel_size};
  static void fields(auto& f, Config& c) {
    f("filters", c.filters);
    f("kernel_size", c.kernel_size);
    f("strides", c.strides);
    f("padding", c.padding);
    f("output_padding", c.output_padding);
    f("data_format", c.data_format);
    f("dilation_rate", c.dilation_rate);
    f("activation", c.activation);
    f("use_bias", c.use_bias);
    f("kernel_initializer", c.kernel_initializer);
    f("bias_initializer", c.bias_initializer);
    f("kernel_regularizer", c.kernel_regularizer);
    f("bias_regularizer", c.bias_regularizer);
    f("kernel_constraint", c.kernel_constraint);
    f("bias_constraint", c.bias_constraint);
    f.only("groups", 1);  // Keras 2 writes it
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;

 private:
  Variable kernel_, bias_;
};
using Conv1DTranspose = LayerOf<ConvTransposeImpl<1>>;
using Conv2DTranspose = LayerOf<ConvTransposeImpl<2>>;
using Conv3DTranspose = LayerOf<ConvTransposeImpl<3>>;

}  // namespace tusk::layers
