// Every convolution is one `contract`: an index relation h == stride*p + dilation*i - before for each axis of the
// image.
#include "frontend/layers/convolution.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "frontend/layers/windows.hpp"
#include "frontend/model/trace.hpp"

namespace tusk::layers {
namespace {

using Names = std::vector<std::string>;

constexpr const char* kElements[] = {"h", "w", "u"};
constexpr const char* kPositions[] = {"p", "q", "r"};
constexpr const char* kTaps[] = {"i", "j", "k"};

/// The names of the channel axes in x, kernel and y. Groups and multipliers have two axes.
struct Channels {
  Names x, kernel, y;
  Shape extents;  // of y's
};

/// batch, image, channels; or batch, channels, image.
template <class Entry>
std::vector<Entry> in_format(DataFormat format, Entry batch, const std::vector<Entry>& image,
                             const std::vector<Entry>& channels) {
  const bool first = format == "channels_first";
  std::vector<Entry> all{std::move(batch)};
  for (const std::vector<Entry>* part : {first ? &channels : &image, first ? &image : &channels}) {
    all.insert(all.end(), part->begin(), part->end());
  }
  return all;
}

/// The contraction; its result has one axis for each name in channels.y. Forward, x is read through the windows; of a
/// `transposed` one the windows lie in the result, which has the extents `image`.
Tensor contract_windows(const Tensor& x, const Tensor& kernel, const Variable& bias, DataFormat format,
                        const Channels& channels, const std::vector<WindowAxis>& axes, const Shape& image,
                        bool transposed) {
  graph::ContractSpec spec;
  Names read;
  Names written;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    read.emplace_back(transposed ? kPositions[i] : kElements[i]);
    written.emplace_back(transposed ? kElements[i] : kPositions[i]);
    spec.b.emplace_back(kTaps[i]);
    spec.extents.emplace_back(written.back(), image[i]);
    spec.where.push_back({kElements[i], kPositions[i], kTaps[i], axes[i].stride, axes[i].dilation, axes[i].before});
  }
  spec.b.insert(spec.b.end(), channels.kernel.begin(), channels.kernel.end());
  spec.a = in_format<std::string>(format, "n", read, channels.x);
  spec.y = in_format<std::string>(format, "n", written, channels.y);
  std::optional<Tensor> init;
  if (bias) {
    const std::size_t first = format == "channels_first" ? 1 : 1 + axes.size();
    emit::Ints dims;
    for (std::size_t i = 0; i < channels.y.size(); ++i) dims.push_back(static_cast<std::int64_t>(first + i));
    init = emit::broadcast(emit::reshape(bias, channels.extents),
                           in_format<Dim>(format, x.shape().front(), image, channels.extents), dims, "bias");
  }
  return emit::contract(x, kernel, init, std::move(spec));
}

/// Splits or merges the channels.
Tensor with_channels(const Tensor& x, DataFormat format, std::size_t axes, const Shape& channels) {
  const Shape& shape = x.shape();
  const std::size_t count = shape.size() - 1 - axes;  // of channel axes
  const auto image = shape.begin() + static_cast<std::ptrdiff_t>(format == "channels_first" ? 1 + count : 1);
  return emit::reshape(
      x, in_format<Dim>(format, shape.front(), Shape(image, image + static_cast<std::ptrdiff_t>(axes)), channels));
}

/// Windows along each axis of the image of x.
template <std::size_t axes, class Config>
std::vector<WindowAxis> windows_of(const Config& config, const PerAxis<axes>& size, const Shape& x) {
  std::vector<WindowAxis> windows;
  for (std::size_t i = 0; i < axes; ++i) {
    const Dim& extent = x[first_spatial(config.data_format) + i];
    windows.push_back(window_axis(extent, size[i], config.strides[i], config.dilation_rate[i], config.padding.str()));
    if (windows.back().count.is_constant() && windows.back().count.constant() < 1) {
      throw Error(
          error("layer-window", fmt::format("kernel_size {} with dilation_rate {} does not fit into an axis of {}",
                                            size[i], config.dilation_rate[i], extent.str())));
    }
  }
  return windows;
}

Shape counts(const std::vector<WindowAxis>& windows) {
  Shape out;
  for (const WindowAxis& window : windows) out.push_back(window.count);
  return out;
}

template <std::size_t axes, class Config, class Check>
void check_window_fields(const Config& config, std::size_t rank, Check check) {
  if (rank != axes + 2) {
    throw Error(error("layer-rank", fmt::format("the layer needs rank {}, found {}", axes + 2, rank)));
  }
  bool strided = false;
  bool dilated = false;
  for (std::size_t i = 0; i < axes; ++i) {
    check("kernel_size", config.kernel_size[i]);
    check("strides", config.strides[i]);
    check("dilation_rate", config.dilation_rate[i]);
    strided = strided || config.strides[i] > 1;
    dilated = dilated || config.dilation_rate[i] > 1;
  }
  if (strided && dilated && !requires { config.depth_multiplier; }) {
    throw Error(error("field-value", "strides and dilation_rate are both above 1, which Keras refuses"));
  }
}

template <std::size_t axes>
Shape kernel_shape(const PerAxis<axes>& size, std::int64_t in, std::int64_t out) {
  Shape shape(size.begin(), size.end());
  shape.emplace_back(in);
  shape.emplace_back(out);
  return shape;
}

/// Each channel on its own; `multiplier` results of each.
template <std::size_t axes, class Config>
Tensor depthwise(const Config& config, const Tensor& x, const Variable& kernel, const Variable& bias) {
  const std::vector<WindowAxis> windows = windows_of(config, config.kernel_size, x.shape());
  const Shape image = counts(windows);
  const std::int64_t channels = kernel.shape()[axes];
  const std::int64_t multiplier = kernel.shape()[axes + 1];
  if (multiplier == 1) {
    Shape plain(config.kernel_size.begin(), config.kernel_size.end());
    plain.emplace_back(channels);
    return contract_windows(x, emit::reshape(kernel, plain), bias, config.data_format,
                            {{"c"}, {"c"}, {"c"}, {channels}}, windows, image, false);
  }
  const Channels names{{"c"}, {"c", "m"}, {"c", "m"}, {channels, multiplier}};
  const Tensor y = contract_windows(x, kernel, bias, config.data_format, names, windows, image, false);
  return with_channels(y, config.data_format, axes, {channels * multiplier});
}

}  // namespace

// --- Conv1D, Conv2D, Conv3D

template <std::size_t axes>
void ConvImpl<axes>::build(const Shape& in) {
  check_window_fields<axes>(config, in.size(), [&](auto field, std::int64_t value) { check_field(field, value); });
  check_field("filters", config.filters);
  check_field("groups", config.groups);
  const std::int64_t channels = known_dim(in, channel_axis(config.data_format));
  if (channels % config.groups != 0 || config.filters % config.groups != 0) {
    fail("field-value", fmt::format("groups is {}, which must divide the {} input channels and the {} filters",
                                    config.groups, channels, config.filters));
  }
  kernel_ = add_weight("kernel", kernel_shape(config.kernel_size, channels / config.groups, config.filters),
                       {.initializer = config.kernel_initializer});
  if (config.use_bias) bias_ = add_weight("bias", {config.filters}, {.initializer = config.bias_initializer});
}

template <std::size_t axes>
Tensor ConvImpl<axes>::call(Tensor input, const Call&) {
  const Tensor x = emit::to_float(input);
  const std::vector<WindowAxis> windows = windows_of(config, config.kernel_size, x.shape());
  const Shape image = counts(windows);
  if (config.groups == 1) {
    const Channels names{{"c"}, {"c", "o"}, {"o"}, {config.filters}};
    return config.activation(contract_windows(x, kernel_, bias_, config.data_format, names, windows, image, false));
  }
  // Blocks of channels: x[.., g, c], kernel[.., c, g, o].
  const std::int64_t in = kernel_.shape()[axes];
  const std::int64_t out = config.filters / config.groups;
  Shape split = kernel_shape(config.kernel_size, in, config.groups);
  split.emplace_back(out);
  const Channels names{{"g", "c"}, {"c", "g", "o"}, {"g", "o"}, {config.groups, out}};
  const Tensor blocks = with_channels(x, config.data_format, axes, {config.groups, in});
  const Tensor y =
      contract_windows(blocks, emit::reshape(kernel_, split), bias_, config.data_format, names, windows, image, false);
  return config.activation(with_channels(y, config.data_format, axes, {config.filters}));
}

template struct ConvImpl<1>;
template struct ConvImpl<2>;
template struct ConvImpl<3>;

// --- DepthwiseConv1D, DepthwiseConv2D

template <std::size_t axes>
void DepthwiseConvImpl<axes>::build(const Shape& in) {
  check_window_fields<axes>(config, in.size(), [&](auto field, std::int64_t value) { check_field(field, value); });
  check_field("depth_multiplier", config.depth_multiplier);
  const std::int64_t channels = known_dim(in, channel_axis(config.data_format));
  kernel_ = add_weight("kernel", kernel_shape(config.kernel_size, channels, config.depth_multiplier),
                       {.initializer = config.depthwise_initializer});
  if (config.use_bias) {
    bias_ = add_weight("bias", {channels * config.depth_multiplier}, {.initializer = config.bias_initializer});
  }
}

template <std::size_t axes>
Tensor DepthwiseConvImpl<axes>::call(Tensor x, const Call&) {
  return config.activation(depthwise<axes>(config, emit::to_float(x), kernel_, bias_));
}

template struct DepthwiseConvImpl<1>;
template struct DepthwiseConvImpl<2>;

// --- SeparableConv1D, SeparableConv2D

template <std::size_t axes>
void SeparableConvImpl<axes>::build(const Shape& in) {
  check_window_fields<axes>(config, in.size(), [&](auto field, std::int64_t value) { check_field(field, value); });
  check_field("filters", config.filters);
  check_field("depth_multiplier", config.depth_multiplier);
  const std::int64_t channels = known_dim(in, channel_axis(config.data_format));
  depthwise_ = add_weight("depthwise_kernel", kernel_shape(config.kernel_size, channels, config.depth_multiplier),
                          {.initializer = config.depthwise_initializer});
  pointwise_ =
      add_weight("pointwise_kernel", kernel_shape(PerAxis<axes>(1), channels * config.depth_multiplier, config.filters),
                 {.initializer = config.pointwise_initializer});
  if (config.use_bias) bias_ = add_weight("bias", {config.filters}, {.initializer = config.bias_initializer});
}

template <std::size_t axes>
Tensor SeparableConvImpl<axes>::call(Tensor x, const Call&) {
  const Tensor each = depthwise<axes>(config, emit::to_float(x), depthwise_, {});
  const std::size_t first = first_spatial(config.data_format);
  Shape image;
  std::vector<WindowAxis> points;
  for (std::size_t i = 0; i < axes; ++i) {
    image.push_back(each.shape()[first + i]);
    points.push_back({1, 1, 1, image.back(), 0, 0});
  }
  const Channels names{{"c"}, {"c", "o"}, {"o"}, {config.filters}};
  return config.activation(contract_windows(each, pointwise_, bias_, config.data_format, names, points, image, false));
}

template struct SeparableConvImpl<1>;
template struct SeparableConvImpl<2>;

// --- Conv1DTranspose, Conv2DTranspose, Conv3DTranspose

template <std::size_t axes>
void ConvTransposeImpl<axes>::build(const Shape& in) {
  check_window_fields<axes>(config, in.size(), [&](auto field, std::int64_t value) { check_field(field, value); });
  check_field("filters", config.filters);
  for (std::size_t i = 0; i < axes && config.output_padding; ++i) {
    check_field("output_padding", (*config.output_padding)[i], 0);
    if ((*config.output_padding)[i] >= config.strides[i]) {
      fail("field-value", fmt::format("output_padding is {}, expected less than strides, which is {}",
                                      (*config.output_padding)[i], config.strides[i]));
    }
  }
  const std::int64_t channels = known_dim(in, channel_axis(config.data_format));
  kernel_ = add_weight("kernel", kernel_shape(config.kernel_size, config.filters, channels),
                       {.initializer = config.kernel_initializer});
  if (config.use_bias) bias_ = add_weight("bias", {config.filters}, {.initializer = config.bias_initializer});
}

template <std::size_t axes>
Tensor ConvTransposeImpl<axes>::call(Tensor input, const Call&) {
  const Tensor x = emit::to_float(input);
  std::vector<WindowAxis> windows;
  for (std::size_t i = 0; i < axes; ++i) {
    const Dim& extent = x.shape()[first_spatial(config.data_format) + i];
    const std::int64_t stride = config.strides[i];
    const std::int64_t reach = (config.kernel_size[i] - 1) * config.dilation_rate[i] + 1;
    const bool valid = config.padding == "valid";
    // What all kernels together cover, and what Keras keeps of it; it crops the odd element behind, or appends zeros.
    const Dim covered = (extent - Dim(1)) * Dim(stride) + Dim(reach);
    Dim kept;
    if (config.output_padding) {
      kept = (extent - Dim(1)) * Dim(stride) + Dim((valid ? reach : reach % 2) + (*config.output_padding)[i]);
    } else {
      kept = valid ? (extent - Dim(1)) * Dim(stride) + Dim(std::max(reach, stride)) : extent * Dim(stride);
    }
    const std::int64_t cropped = (covered - kept).constant();  // the extent cancels
    WindowAxis window{config.kernel_size[i], stride, config.dilation_rate[i], kept, {}, {}};
    window.before = Dim(cropped > 0 ? cropped / 2 : 0);
    windows.push_back(std::move(window));
  }
  const Channels names{{"c"}, {"o", "c"}, {"o"}, {config.filters}};
  return config.activation(
      contract_windows(x, kernel_, bias_, config.data_format, names, windows, counts(windows), true));
}

template struct ConvTransposeImpl<1>;
template struct ConvTransposeImpl<2>;
template struct ConvTransposeImpl<3>;

}  // namespace tusk::layers
