#include "frontend/layers/spectrograms.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "frontend/layers/convolve.hpp"
#include "frontend/model/emit.hpp"
#include "frontend/model/fourier.hpp"
#include "frontend/model/tables.hpp"
#include "frontend/ops/ops.hpp"

namespace tusk::layers {
namespace {

constexpr std::int64_t kMostFrame = 1 << 16;
constexpr double kEpsilon = 1e-7;

std::int64_t power_of_two(std::int64_t least) {
  return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(least)));
}

}  // namespace

void STFTSpectrogramImpl::build(const Shape& in) {
  check_rank(in, 3);
  check_field("frame_length", config.frame_length);
  if (config.frame_length > kMostFrame)
    fail("field-value", fmt::format("frame_length is {}, expected at most {}", config.frame_length, kMostFrame));
  const std::int64_t step = config.frame_step.value_or(std::max<std::int64_t>(1, config.frame_length / 2));
  if (step < 1 || step > config.frame_length)
    fail("field-value", fmt::format("frame_step is {}, expected 1 to frame_length", step));
  const std::int64_t fft = config.fft_length.value_or(power_of_two(config.frame_length));
  if (fft < config.frame_length || fft > kMostFrame)
    fail("field-value", fmt::format("fft_length is {}, expected frame_length to {}", fft, kMostFrame));
  (void)known_dim(in, config.data_format == "channels_first" ? 1 : 2);
  const Shape shape{config.frame_length, 1, fft / 2 + 1};
  const std::vector<double> window = window_of(config.window, config.frame_length, config.periodic);
  const double divisor = config.window.empty() ? 1 : window_divisor(window, config.scaling);
  const auto kernel = [&](const char* name, bool imaginary) {
    Variable weight = add_weight(name, shape, {.initializer = "zeros"});
    weight.assign(fourier_kernel(imaginary, window, 2 * (fft / 2), divisor));
    return weight;
  };
  if (!(config.mode == "imag")) real_ = kernel("real_kernel", false);
  if (!(config.mode == "real")) imag_ = kernel("imag_kernel", true);
}

Tensor STFTSpectrogramImpl::transformed(const Tensor& input, const Variable& kernel) const {
  const bool last = config.data_format == "channels_last";
  const Tensor x = last ? emit::transpose(input, {0, 2, 1}) : input;  // [batch, channels, time]
  const Dim batch = x.shape()[0];
  const Dim channels = x.shape()[1];
  const Tensor each = emit::reshape(x, {batch * channels, x.shape()[2], Dim(1)});
  const std::int64_t step = config.frame_step.value_or(std::max<std::int64_t>(1, config.frame_length / 2));
  const Tensor y = convolve<1>(each, kernel, {}, {.strides = step, .padding = config.padding.str()});
  const Tensor swapped = emit::transpose(y, {0, 2, 1});
  return emit::reshape(swapped, {batch, channels, swapped.shape()[1], swapped.shape()[2]});
}

Tensor STFTSpectrogramImpl::arranged(const Tensor& y) const {
  const bool last = config.data_format == "channels_last";
  if (config.expand_dims) return emit::transpose(y, last ? emit::Ints{0, 3, 2, 1} : emit::Ints{0, 1, 3, 2});
  const Tensor flat = emit::reshape(y, {y.shape()[0], y.shape()[1] * y.shape()[2], y.shape()[3]});
  return last ? emit::transpose(flat, {0, 2, 1}) : flat;
}

Tensor STFTSpectrogramImpl::call(Tensor input, const Call&) {
  const Tensor x = emit::to_float(input);
  const Tensor real = real_ ? transformed(x, real_) : Tensor();
  const Tensor imag = imag_ ? transformed(x, imag_) : Tensor();
  if (config.mode == "real") return arranged(real);
  if (config.mode == "imag") return arranged(imag);
  if (config.mode == "angle") return arranged(emit::map("atan2", {imag, real}));
  if (config.mode == "stft") return arranged(emit::op("concat", {real, imag}, {{{"axis", std::int64_t{2}}}}));
  const Tensor power = emit::map("add", {emit::map("mul", {real, real}), emit::map("mul", {imag, imag})});
  if (config.mode == "psd") {
    // All frequencies but the first and the last stand for two.
    const std::int64_t frequencies = power.dim(2);
    Array twice(emit::compute_dtype(), {frequencies});
    for (std::int64_t i = 0; i < frequencies; ++i) twice.set(i, i == 0 || i == frequencies - 1 ? 1 : 2);
    return arranged(
        emit::map("mul", {power, emit::broadcast(emit::constant("sides", std::move(twice)), power.shape(), {2})}));
  }
  const Tensor linear = arranged(emit::map("sqrt", {emit::map("max", {power, kEpsilon})}));
  if (config.mode == "magnitude") return linear;
  return emit::map("log", {emit::map("max", {linear, kEpsilon})});
}

void MelSpectrogramImpl::build(const Shape& in) {
  check_rank(in, 2);
  for (const auto& [field, value] :
       {std::pair("fft_length", config.fft_length), std::pair("sequence_stride", config.sequence_stride),
        std::pair("num_mel_bins", config.num_mel_bins),
        std::pair("sequence_length", config.sequence_length.value_or(config.fft_length))}) {
    check_field(field, value);
    if (value > kMostFrame) fail("field-value", fmt::format("{} is {}, expected at most {}", field, value, kMostFrame));
  }
  if (config.sequence_length.value_or(1) > config.fft_length)
    fail("field-value", "sequence_length is more than fft_length");
  const double top = config.max_freq.value_or(std::floor(config.sampling_rate / 2));
  if (!(config.min_freq >= 0 && config.min_freq < top) || !(config.sampling_rate > 0))
    fail("field-value", fmt::format("min_freq is {}, expected 0 to max_freq, which is {}", config.min_freq, top));
}

Tensor MelSpectrogramImpl::call(Tensor input, const Call&) {
  const std::int64_t fft = config.fft_length;
  const std::int64_t length = config.sequence_length.value_or(fft);
  const std::int64_t bins = fft / 2 + 1;
  // The window in the middle of a frame.
  std::vector<double> window(static_cast<std::size_t>(fft), 0.0);
  const std::vector<double> inner = tensorflow_window_of(config.window, length);
  std::ranges::copy(inner, window.begin() + (fft - length) / 2);
  std::vector<std::vector<std::int64_t>> sides{{0, 0}, {fft / 2, fft / 2}};
  const Tensor x = ops::pad(emit::to_wide_float(input), sides, "reflect");
  const Tensor signal = emit::reshape(x, {x.shape()[0], x.shape()[1], Dim(1)});
  const auto transformed = [&](const char* name, bool imaginary) {
    const Tensor kernel = emit::constant(name, fourier_kernel(imaginary, window, fft, 1).converted(x.dtype()));
    return convolve<1>(signal, kernel, {}, {.strides = config.sequence_stride});
  };
  const Tensor real = transformed("cosines", false);
  const Tensor imag = transformed("sines", true);
  Tensor power = emit::map("add", {emit::map("mul", {real, real}), emit::map("mul", {imag, imag})});
  if (config.mag_exp != 2) power = emit::map("pow", {emit::map("sqrt", {power}), config.mag_exp});

  // Triangles, linear in mel = 1127 log(1 + hertz / 700), between points at equal distances; the first bin has none.
  const auto mel = [](double hertz) { return 1127.0 * std::log(1 + hertz / 700.0); };
  const double low = mel(config.min_freq);
  const double top = mel(config.max_freq.value_or(std::floor(config.sampling_rate / 2)));
  const std::int64_t bands = config.num_mel_bins;
  check_table(bins, bands);
  Array matrix(x.dtype(), {bins, bands});
  for (std::int64_t k = 1; k < bins; ++k) {
    const double at = mel(config.sampling_rate / 2 * static_cast<double>(k) / static_cast<double>(bins - 1));
    for (std::int64_t band = 0; band < bands; ++band) {
      const auto edge = [&](std::int64_t i) {
        return low + (top - low) * static_cast<double>(band + i) / static_cast<double>(bands + 1);
      };
      const double up = (at - edge(0)) / (edge(1) - edge(0));
      const double down = (edge(2) - at) / (edge(2) - edge(1));
      matrix.set(k * bands + band, std::max(0.0, std::min(up, down)));
    }
  }
  graph::ContractSpec spec;
  spec.a = {"n", "t", "k"};
  spec.b = {"k", "o"};
  spec.y = {"n", "o", "t"};
  Tensor y = emit::contract(power, emit::constant("mel", std::move(matrix)), std::nullopt, std::move(spec));
  if (!config.power_to_db) return emit::to_compute_dtype(y);
  const double reference = 10 * std::log10(std::max(std::abs(config.ref_power), config.min_power));
  y = emit::map("mul", {emit::map("log10", {emit::map("max", {y, config.min_power})}), 10});
  y = emit::map("sub", {y, reference});
  const Tensor most = emit::reduce("max", y, {0, 1, 2});
  const Tensor least = emit::broadcast(emit::map("sub", {most, config.top_db}), y.shape(), {});
  return emit::to_compute_dtype(emit::map("max", {y, least}));
}

}  // namespace tusk::layers
