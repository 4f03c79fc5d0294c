// Every convolution is one `contract`: an index relation h == stride*p + dilation*i - before for each axis of the
// image.
#include "frontend/layers/convolve.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "frontend/layers/windows.hpp"
#include "frontend/model/emit.hpp"

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
Tensor contract_windows(const Tensor& x, const Tensor& kernel, const std::optional<Tensor>& bias, DataFormat format,
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
    init = emit::broadcast(emit::reshape(*bias, channels.extents),
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
template <std::size_t axes>
std::vector<WindowAxis> windows_of(const Windowing<axes>& how, const Tensor& kernel, const Shape& x) {
  std::vector<WindowAxis> windows;
  for (std::size_t i = 0; i < axes; ++i) {
    const Dim& extent = x[first_spatial(how.data_format) + i];
    const std::int64_t size = kernel.shape()[i].constant();
    windows.push_back(window_axis(extent, size, how.strides[i], how.dilation_rate[i], how.padding));
    if (windows.back().count.is_constant() && windows.back().count.constant() < 1) {
      throw Error(error("layer-window", fmt::format("kernel_size {} with dilation_rate {} does not fit into an axis of "
                                                    "{}: the input is {}",
                                                    size, how.dilation_rate[i], extent.str(), keras_shape(x))));
    }
  }
  return windows;
}

Shape counts(const std::vector<WindowAxis>& windows) {
  Shape out;
  for (const WindowAxis& window : windows) out.push_back(window.count);
  return out;
}

/// The channels of x, which must be known.
std::int64_t channels_of(const Tensor& x, DataFormat format) { return x.dim(channel_axis(format)); }

}  // namespace

template <std::size_t axes>
Tensor convolve(const Tensor& x, const Tensor& kernel, const std::optional<Tensor>& bias, const Windowing<axes>& how) {
  const std::vector<WindowAxis> windows = windows_of(how, kernel, x.shape());
  const Shape image = counts(windows);
  const std::int64_t in = kernel.shape()[axes].constant();
  const std::int64_t filters = kernel.shape()[axes + 1].constant();
  const std::int64_t groups = channels_of(x, how.data_format) / in;
  if (groups == 1) {
    const Channels names{{"c"}, {"c", "o"}, {"o"}, {filters}};
    return contract_windows(x, kernel, bias, how.data_format, names, windows, image, false);
  }
  // Blocks of channels: x[.., g, c], kernel[.., c, g, o].
  const std::int64_t out = filters / groups;
  Shape split(kernel.shape().begin(), kernel.shape().end() - 1);
  split.emplace_back(groups);
  split.emplace_back(out);
  const Channels names{{"g", "c"}, {"c", "g", "o"}, {"g", "o"}, {groups, out}};
  const Tensor blocks = with_channels(x, how.data_format, axes, {groups, in});
  const Tensor y =
      contract_windows(blocks, emit::reshape(kernel, split), bias, how.data_format, names, windows, image, false);
  return with_channels(y, how.data_format, axes, {filters});
}

template <std::size_t axes>
Tensor convolve_depthwise(const Tensor& x, const Tensor& kernel, const std::optional<Tensor>& bias,
                          const Windowing<axes>& how) {
  const std::vector<WindowAxis> windows = windows_of(how, kernel, x.shape());
  const Shape image = counts(windows);
  const std::int64_t channels = kernel.shape()[axes].constant();
  const std::int64_t multiplier = kernel.shape()[axes + 1].constant();
  if (multiplier == 1) {
    const Shape plain(kernel.shape().begin(), kernel.shape().end() - 1);
    return contract_windows(x, emit::reshape(kernel, plain), bias, how.data_format, {{"c"}, {"c"}, {"c"}, {channels}},
                            windows, image, false);
  }
  const Channels names{{"c"}, {"c", "m"}, {"c", "m"}, {channels, multiplier}};
  const Tensor y = contract_windows(x, kernel, bias, how.data_format, names, windows, image, false);
  return with_channels(y, how.data_format, axes, {channels * multiplier});
}

template <std::size_t axes>
Tensor convolve_transposed(const Tensor& x, const Tensor& kernel, const std::optional<Tensor>& bias,
                           const Windowing<axes>& how, const std::optional<PerAxis<axes>>& output_padding) {
  std::vector<WindowAxis> windows;
  for (std::size_t i = 0; i < axes; ++i) {
    const Dim& extent = x.shape()[first_spatial(how.data_format) + i];
    const std::int64_t size = kernel.shape()[i].constant();
    const std::int64_t stride = how.strides[i];
    const std::int64_t reach = (size - 1) * how.dilation_rate[i] + 1;
    const bool valid = how.padding == "valid";
    // What all kernels together cover, and what Keras keeps of it; it crops the odd element behind, or appends zeros.
    const Dim covered = (extent - Dim(1)) * Dim(stride) + Dim(reach);
    Dim kept;
    if (output_padding) {
      kept = (extent - Dim(1)) * Dim(stride) + Dim((valid ? reach : reach % 2) + (*output_padding)[i]);
    } else {
      kept = valid ? (extent - Dim(1)) * Dim(stride) + Dim(std::max(reach, stride)) : extent * Dim(stride);
    }
    const std::int64_t cropped = (covered - kept).constant();  // the extent cancels
    WindowAxis window{size, stride, how.dilation_rate[i], kept, {}, {}};
    window.before = Dim(cropped > 0 ? cropped / 2 : 0);
    windows.push_back(std::move(window));
  }
  const std::int64_t filters = kernel.shape()[axes].constant();
  const Channels names{{"c"}, {"o", "c"}, {"o"}, {filters}};
  return contract_windows(x, kernel, bias, how.data_format, names, windows, counts(windows), true);
}

#define TUSK_CONVOLVE(axes)                                                                                           \
  template Tensor convolve<axes>(const Tensor&, const Tensor&, const std::optional<Tensor>&, const Windowing<axes>&); \
  template Tensor convolve_depthwise<axes>(const Tensor&, const Tensor&, const std::optional<Tensor>&,                \
                                           const Windowing<axes>&);                                                   \
  template Tensor convolve_transposed<axes>(const Tensor&, const Tensor&, const std::optional<Tensor>&,               \
                                            const Windowing<axes>&, const std::optional<PerAxis<axes>>&)
TUSK_CONVOLVE(1);
TUSK_CONVOLVE(2);
TUSK_CONVOLVE(3);
#undef TUSK_CONVOLVE

}  // namespace tusk::layers
