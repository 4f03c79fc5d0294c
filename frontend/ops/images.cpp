// Operations of keras.ops.image, and those that fold an image's places into its channels. Images have a batch or none.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <tuple>

#include "frontend/layers/images.hpp"
#include "frontend/layers/windows.hpp"
#include "frontend/model/error.hpp"
#include "frontend/ops/operation.hpp"

namespace tusk::ops {
namespace {

using Results = std::vector<Tensor>;

Tensor image_of(const Arguments& a, std::string_view name) {
  const Tensor x = a.tensor(name);
  if (x.rank() != 3 && x.rank() != 4) a.refuse(name, "an image, of rank 3, or a batch of them");
  return x;
}

/// The first of the two axes of the image; the second follows.
std::int64_t first_axis(const Arguments& a, const Tensor& x) {
  return x.rank() - (a.data_format() == "channels_first" ? 2 : 3);
}

std::int64_t channels_axis(const Arguments& a, const Tensor& x) {
  return a.data_format() == "channels_first" ? x.rank() - 3 : x.rank() - 1;
}

/// Runs on a batch, of one where there is none.
template <class Run>
Results on_batch(const Tensor& x, Run run) {
  if (x.rank() == 4) return {run(x)};
  Shape one{Dim(1)};
  one.insert(one.end(), x.shape().begin(), x.shape().end());
  const Tensor y = run(emit::reshape(x, std::move(one)));
  return {emit::reshape(y, Shape(y.shape().begin() + 1, y.shape().end()))};
}

/// One or two numbers of at least `least`, for the two axes of an image.
emit::Ints pair_of(const Arguments& a, std::string_view name, std::int64_t otherwise, std::int64_t least) {
  emit::Ints pair = a.ints(name).value_or(emit::Ints{otherwise});
  if (pair.size() == 1) pair.push_back(pair.front());
  if (pair.size() != 2 || std::ranges::any_of(pair, [&](std::int64_t n) { return n < least || n > 1 << 20; }))
    a.refuse(name, fmt::format("one or two numbers of at least {}", least));
  return pair;
}

Results resize(const Arguments& a) {
  const Tensor x = image_of(a, "images");
  const emit::Ints size = a.ints("size").value_or(emit::Ints{});
  if (size.size() != 2) a.refuse("size", "a height and a width");
  layers::ResizingImpl layer;
  layer.config.height = size[0];
  layer.config.width = size[1];
  layer.config.interpolation = layers::Interpolation::named(a.text("interpolation", "bilinear"));
  layer.config.crop_to_aspect_ratio = a.flag("crop_to_aspect_ratio", false);
  layer.config.pad_to_aspect_ratio = a.flag("pad_to_aspect_ratio", false);
  if (a.text("fill_mode", "constant") != "constant") a.refuse("fill_mode", "'constant'");
  layer.config.fill_value = a.number("fill_value", 0);
  layer.config.antialias = a.flag("antialias", false);
  layer.config.data_format = a.data_format();
  return on_batch(x, [&](const Tensor& images) {
    layer.build(images.shape());
    return layer.call(images, {});
  });
}

// ---- borders

/// Cells before and behind one axis, of which two of three numbers are given: before, behind, and the extent that is
/// left (`sign` -1) or reached (1).
std::pair<Dim, Dim> sides(const Arguments& a, const Dim& extent, int sign, std::array<std::string_view, 3> names) {
  std::optional<Dim> given[3];
  for (std::size_t i = 0; i < 3; ++i) {
    if (a.has(names[i])) given[i] = Dim(a.integer(names[i]));
  }
  if (static_cast<bool>(given[0]) + static_cast<bool>(given[1]) + static_cast<bool>(given[2]) != 2)
    throw Error(
        error("ops-argument", fmt::format("two of {}, {} and {} are to be given", names[0], names[1], names[2])));
  const auto rest = [&](const Dim& other) { return (*given[2] - extent) * Dim(sign) - other; };
  const Dim before = given[0] ? *given[0] : rest(*given[1]);
  const Dim behind = given[1] ? *given[1] : rest(before);
  for (const Dim& side : {before, behind}) {
    if (!side.is_constant() || side.constant() < 0)
      a.refuse(given[2] ? names[2] : names[0], fmt::format("what fits an extent of {}", extent.str()));
  }
  return {before, behind};
}

template <int sign>
Results borders(const Arguments& a) {
  static constexpr bool pads = sign == 1;
  const Tensor x = image_of(a, "images");
  const std::int64_t first = first_axis(a, x);
  Shape low(x.shape().size(), Dim(0));
  Shape high = low;
  static constexpr std::array<std::string_view, 3> kNames[2][2] = {
      {{"top_cropping", "bottom_cropping", "target_height"}, {"left_cropping", "right_cropping", "target_width"}},
      {{"top_padding", "bottom_padding", "target_height"}, {"left_padding", "right_padding", "target_width"}}};
  for (std::size_t i = 0; i < 2; ++i) {
    const std::size_t axis = static_cast<std::size_t>(first) + i;
    std::tie(low[axis], high[axis]) = sides(a, x.shape()[axis], sign, kNames[pads][i]);
  }
  if (pads) return {emit::pad(x, std::move(low), std::move(high), 0)};
  Tensor y = x;
  for (std::int64_t axis = first; axis < first + 2; ++axis) {
    const auto at = static_cast<std::size_t>(axis);
    const Dim limit = x.shape()[at] - high[at];
    if (x.shape()[at].is_constant() && limit.constant() < low[at].constant())
      a.refuse("images", "an image that is larger than what is cut off");
    y = emit::slice(y, axis, low[at], limit);
  }
  return {y};
}

// ---- colours

/// The three channels, each without its axis.
std::array<Tensor, 3> channels_of(const Arguments& a, const Tensor& x) {
  const std::int64_t axis = channels_axis(a, x);
  if (x.dim(axis) != 3) a.refuse("images", fmt::format("3 channels, there are {}", x.dim(axis)));
  Shape shape = x.shape();
  shape.erase(shape.begin() + axis);
  std::array<Tensor, 3> out;
  for (std::int64_t i = 0; i < 3; ++i)
    out[static_cast<std::size_t>(i)] = emit::reshape(emit::slice(x, axis, i, i + 1), shape);
  return out;
}

Results of_channels(const Arguments& a, const Tensor& x, const std::vector<Tensor>& channels) {
  return {call("Stack", {{"x", channels}, {"axis", channels_axis(a, x)}})};
}

// The luma of ITU-R BT.601.
Results rgb_to_grayscale(const Arguments& a) {
  const Tensor given = image_of(a, "images");
  if (given.dim(channels_axis(a, given)) == 1) return {given};
  const Tensor x = emit::to_float(given);
  const auto [r, g, b] = channels_of(a, x);
  const Tensor red_green = emit::map("add", {emit::map("mul", {r, 0.2989}), emit::map("mul", {g, 0.587})});
  const Tensor y = emit::map("add", {red_green, emit::map("mul", {b, 0.114})});
  return of_channels(a, given, {emit::cast(y, given.dtype())});
}

Tensor float_image(const Arguments& a) {
  const Tensor x = image_of(a, "images");
  if (!is_float(x.dtype())) a.refuse("images", "floats");
  return x;
}

// Hue, saturation and value, each 0 to 1 for colours of 0 to 1.
Results rgb_to_hsv(const Arguments& a) {
  const Tensor x = float_image(a);
  const auto [r, g, b] = channels_of(a, x);
  const Tensor value = emit::map("max", {emit::map("max", {r, g}), b});
  const Tensor range = emit::map("sub", {value, emit::map("min", {emit::map("min", {r, g}), b})});
  const auto where_above_0 = [](const Tensor& of, const Tensor& then) {
    return emit::map("select", {emit::map("gt", {of, 0}), then, 0});
  };
  const Tensor saturation = where_above_0(value, emit::map("div", {range, value}));
  const Tensor unit = emit::map("div", {1, emit::map("mul", {range, 6})});
  const auto sector = [&](const Tensor& from, const Tensor& to, double start) {
    return emit::map("add", {emit::map("mul", {unit, emit::map("sub", {from, to})}), start});
  };
  const Tensor of_rest =
      emit::map("select", {emit::map("eq", {g, value}), sector(b, r, 2.0 / 6), sector(r, g, 4.0 / 6)});
  const Tensor hue = where_above_0(range, emit::map("select", {emit::map("eq", {r, value}), sector(g, b, 0), of_rest}));
  const Tensor turned = emit::map("select", {emit::map("lt", {hue, 0}), emit::map("add", {hue, 1}), hue});
  return of_channels(a, x, {turned, saturation, value});
}

Results hsv_to_rgb(const Arguments& a) {
  const Tensor x = float_image(a);
  const auto [hue, saturation, value] = channels_of(a, x);
  const Tensor sixths = emit::map("mul", {hue, 6});
  const Tensor rest = emit::map("sub", {1, saturation});
  std::vector<Tensor> out;
  // Each channel is a trapezoid of the hue: slope times (its distance from the middle) plus offset, within 0 and 1.
  struct Ramp {
    double middle, slope, offset;
  };
  for (const auto& [middle, slope, offset] : {Ramp{3, 1, -1}, Ramp{2, -1, 2}, Ramp{4, -1, 2}}) {
    const Tensor away = emit::map("mul", {emit::map("abs", {emit::map("sub", {sixths, middle})}), slope});
    const Tensor share = emit::map("max", {emit::map("min", {emit::map("add", {away, offset}), 1}), 0});
    const Tensor mixed = emit::map("add", {rest, emit::map("mul", {saturation, share})});
    out.push_back(emit::map("mul", {mixed, value}));
  }
  return of_channels(a, x, out);
}

// ---- filters

// Of each channel, by the product of two bells; beyond the image there are zeros.
Results gaussian_blur(const Arguments& a) {
  const Tensor x = float_image(a);
  const emit::Ints size = pair_of(a, "kernel_size", 3, 1);
  std::vector<double> sigma = a.has("sigma") ? a.known_numbers("sigma") : std::vector<double>{1};
  if (sigma.size() == 1) sigma.push_back(sigma.front());
  if (sigma.size() != 2) a.refuse("sigma", "two numbers");
  if (!(sigma[0] > 0 && sigma[1] > 0)) a.refuse("sigma", "two numbers above 0");
  const auto bell = [&](std::size_t i) {
    std::vector<double> weights;
    double sum = 0;
    for (std::int64_t k = 0; k < size[i]; ++k) {
      const double away = (static_cast<double>(k) - static_cast<double>(size[i] - 1) / 2) / sigma[i];
      weights.push_back(std::exp(-0.5 * away * away));
      sum += weights.back();
    }
    for (double& w : weights) w /= sum;
    return weights;
  };
  const std::vector<double> across = bell(0);
  const std::vector<double> down = bell(1);
  const std::int64_t channels = x.dim(channels_axis(a, x));
  if (size[0] * size[1] * channels > 1 << 24) a.refuse("kernel_size", "a smaller kernel");
  Array kernel(x.dtype(), {size[0], size[1], channels, 1});
  // As Keras lays it out: by rows of the first size, also where the sizes differ and the kernel's rows are of the
  // second.
  std::int64_t next = 0;
  for (std::int64_t place = 0; place < size[0] * size[1]; ++place) {
    const double weight =
        down[static_cast<std::size_t>(place / size[0])] * across[static_cast<std::size_t>(place % size[0])];
    for (std::int64_t channel = 0; channel < channels; ++channel) kernel.set(next++, weight);
  }
  const Tensor bells = emit::constant("bells", std::move(kernel));
  return on_batch(x, [&](const Tensor& images) {
    return call(
        "DepthwiseConv",
        {{"inputs", images}, {"kernel", bells}, {"padding", "same"}, {"data_format", a.data_format().str().data()}});
  });
}

// ---- places and channels

/// The elements of every tap of a window, one tensor for each: a strided slice of the padded image.
std::vector<Tensor> taps(const Tensor& x, std::int64_t first, const layers::WindowAxis& rows,
                         const layers::WindowAxis& columns) {
  Shape low(x.shape().size(), Dim(0));
  Shape high = low;
  const layers::WindowAxis* axes[] = {&rows, &columns};
  bool pads = false;
  for (std::size_t i = 0; i < 2; ++i) {
    low[static_cast<std::size_t>(first) + i] = axes[i]->before;
    high[static_cast<std::size_t>(first) + i] = axes[i]->after;
    pads = pads || !(axes[i]->before == Dim(0)) || !(axes[i]->after == Dim(0));
  }
  const Tensor padded = pads ? emit::pad(x, std::move(low), std::move(high), 0) : x;
  const auto strided = [&](const Tensor& of, std::size_t i, std::int64_t tap) {
    const layers::WindowAxis& w = *axes[i];
    const std::int64_t start = tap * w.dilation;
    return emit::slice(of, first + static_cast<std::int64_t>(i), start,
                       Dim(start + 1) + (w.count - Dim(1)) * Dim(w.stride), w.stride);
  };
  std::vector<Tensor> out;
  for (std::int64_t row = 0; row < rows.size; ++row) {
    for (std::int64_t column = 0; column < columns.size; ++column)
      out.push_back(strided(strided(padded, 0, row), 1, column));
  }
  return out;
}

void check_windows(const Arguments& a, std::string_view name, const layers::WindowAxis& rows,
                   const layers::WindowAxis& columns) {
  if (rows.size * columns.size > 4096) a.refuse(name, "at most 4096 elements");
  for (const layers::WindowAxis* axis : {&rows, &columns}) {
    if (axis->count.is_constant() && axis->count.constant() < 1) a.refuse(name, "windows that fit the image");
  }
}

// The elements of every window as channels, the channels of one place beside each other.
Results extract_patches(const Arguments& a) {
  const Tensor x = image_of(a, "images");
  if (a.ints("size").value_or(emit::Ints{}).size() == 3) a.refuse("size", "two numbers: of volumes is not supported");
  const emit::Ints size = pair_of(a, "size", 0, 1);
  const emit::Ints stride = a.has("strides") ? pair_of(a, "strides", 1, 1) : size;
  const emit::Ints dilation = pair_of(a, "dilation_rate", 1, 1);
  const std::string padding = a.text("padding", "valid");
  if (padding != "valid" && padding != "same") a.refuse("padding", "'valid' or 'same'");
  return on_batch(x, [&](const Tensor& images) {
    const std::int64_t first = first_axis(a, images);
    const auto window = [&](std::size_t i) {
      return layers::window_axis(images.shape()[static_cast<std::size_t>(first) + i], size[i], stride[i], dilation[i],
                                 padding);
    };
    check_windows(a, "size", window(0), window(1));
    return call("Concatenate", {{"xs", taps(images, first, window(0), window(1))}, {"axis", channels_axis(a, images)}});
  });
}

// Channels first: [batch, channels * places of a window, windows].
Results unfold(const Arguments& a) {
  const Tensor x = a.tensor("x");
  if (x.rank() != 4) a.refuse("x", "images of rank 4, channels first");
  const emit::Ints size = pair_of(a, "kernel_size", 0, 1);
  const emit::Ints stride = pair_of(a, "stride", 1, 1);
  const emit::Ints dilation = pair_of(a, "dilation", 1, 1);
  const emit::Ints padding = pair_of(a, "padding", 0, 0);
  const auto window = [&](std::size_t i) {
    layers::WindowAxis axis =
        layers::window_axis(x.shape()[2 + i] + Dim(2 * padding[i]), size[i], stride[i], dilation[i], "valid");
    axis.before = axis.after = Dim(padding[i]);
    return axis;
  };
  check_windows(a, "kernel_size", window(0), window(1));
  const Tensor y = call("Stack", {{"x", taps(x, 2, window(0), window(1))}, {"axis", 2}});
  const Shape& in = y.shape();
  return {emit::reshape(y, {in[0], in[1] * in[2], in[3] * in[4]})};
}

std::int64_t block_of(const Arguments& a) {
  const std::int64_t block = a.integer("block_size");
  if (block < 1 || block > 1 << 12) a.refuse("block_size", "1 or more");
  return block;
}

/// Runs on images with their channels last.
template <class Run>
Results channels_last(const Arguments& a, const Tensor& x, Run run) {
  if (x.rank() != 4) a.refuse("x", "images of rank 4");
  if (a.data_format() == "channels_last") return {run(x)};
  return {emit::transpose(run(emit::transpose(x, {0, 2, 3, 1})), {0, 3, 1, 2})};
}

// A block of channels becomes a square of places.
Results depth_to_space(const Arguments& a) {
  const Tensor given = a.tensor("x");
  return channels_last(a, given, [&](const Tensor& x) {
    const Dim block(block_of(a));
    const Shape& in = x.shape();
    const std::optional<Dim> channels = in[3].exact_div(block * block);
    if (!channels) a.refuse("block_size", fmt::format("one whose square divides {} channels", in[3].str()));
    const Tensor parts = emit::reshape(x, {in[0], in[1], in[2], block, block, *channels});
    return emit::reshape(emit::transpose(parts, {0, 1, 3, 2, 4, 5}), {in[0], in[1] * block, in[2] * block, *channels});
  });
}

Results space_to_depth(const Arguments& a) {
  const Tensor given = a.tensor("x");
  return channels_last(a, given, [&](const Tensor& x) {
    const Dim block(block_of(a));
    const Shape& in = x.shape();
    const std::optional<Dim> height = in[1].exact_div(block);
    const std::optional<Dim> width = in[2].exact_div(block);
    if (!height || !width) a.refuse("block_size", fmt::format("a divisor of {} and {}", in[1].str(), in[2].str()));
    const Tensor parts = emit::reshape(x, {in[0], *height, block, *width, block, in[3]});
    return emit::reshape(emit::transpose(parts, {0, 1, 3, 2, 4, 5}), {in[0], *height, *width, block * block * in[3]});
  });
}

constexpr OperationDef kImageTable[] = {
    {"Resize",
     "images | size interpolation antialias crop_to_aspect_ratio pad_to_aspect_ratio fill_mode fill_value data_format",
     resize},
    {"PadImages",
     "images | top_padding left_padding bottom_padding right_padding target_height target_width data_format",
     borders<1>},
    {"CropImages",
     "images | top_cropping left_cropping bottom_cropping right_cropping target_height target_width data_format",
     borders<-1>},
    {"RGBToGrayscale", "images | data_format", rgb_to_grayscale},
    {"RGBToHSV", "images | data_format", rgb_to_hsv},
    {"HSVToRGB", "images | data_format", hsv_to_rgb},
    {"GaussianBlur", "images | kernel_size sigma data_format", gaussian_blur},
    {"ExtractPatches", "images | size strides dilation_rate padding data_format", extract_patches},
    {"Unfold", "x | kernel_size dilation padding stride", unfold},
    {"DepthToSpace", "x | block_size data_format", depth_to_space},
    {"SpaceToDepth", "x | block_size data_format", space_to_depth},
};

}  // namespace

std::span<const OperationDef> image_operations() { return kImageTable; }

}  // namespace tusk::ops
