// Spectrograms: STFTSpectrogram, MelSpectrogram.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>

#include "frontend/model/choices.hpp"
#include "frontend/model/layer.hpp"

namespace tusk::layers {

/// Fourier transforms of windows of [batch, time, channels], as convolutions with weights. Results: [batch, windows,
/// channels * frequencies], with expand_dims [batch, windows, frequencies, channels]; channels first likewise.
struct STFTSpectrogramImpl : LayerBase {
  struct Config {
    OneOf<"log", "magnitude", "psd", "real", "imag", "angle", "stft"> mode = "log";
    std::int64_t frame_length = 256;
    std::optional<std::int64_t> frame_step = {};
    std::optional<std::int64_t> fft_length = {};
    std::string window = "hann";
    bool periodic = false;
    std::string scaling = "density";
    OneOf<"valid", "same"> padding = "valid";
    bool expand_dims = false;
    DataFormat data_format = "channels_last";
    std::string name = {};
    std::string dtype = {};
  } config;
  static void fields(auto& f, Config& c) {
    f("mode", c.mode);
    f("frame_length", c.frame_length);
    f("frame_step", c.frame_step);
    f("fft_length", c.fft_length);
    f.nullable("window", c.window);
    f("periodic", c.periodic);
    f.nullable("scaling", c.scaling);
    f("padding", c.padding);
    f("expand_dims", c.expand_dims);
    f("data_format", c.data_format);
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;

 private:
  /// [batch, channels, frequencies, windows]
  Tensor transformed(const Tensor& x, const Variable& kernel) const;
  Tensor arranged(const Tensor& y) const;
  Variable real_, imag_;
};
using STFTSpectrogram = LayerOf<STFTSpectrogramImpl>;

/// Powers of frequency bands on the mel scale of [batch, time]: [batch, num_mel_bins, windows], with power_to_db in
/// decibels below the largest of the whole batch.
struct MelSpectrogramImpl : LayerBase {
  struct Config {
    std::int64_t fft_length = 2048;
    std::int64_t sequence_stride = 512;
    std::optional<std::int64_t> sequence_length = {};
    std::string window = "hann";
    double sampling_rate = 16000;
    std::int64_t num_mel_bins = 128;
    double min_freq = 20;
    std::optional<double> max_freq = {};
    bool power_to_db = true;
    double top_db = 80;
    double mag_exp = 2;
    double min_power = 1e-10;
    double ref_power = 1;
    std::string name = {};
    std::string dtype = {};
  } config;
  static void fields(auto& f, Config& c) {
    f("fft_length", c.fft_length);
    f("sequence_stride", c.sequence_stride);
    f("sequence_length", c.sequence_length);
    f.nullable("window", c.window);
    f("sampling_rate", c.sampling_rate);
    f("num_mel_bins", c.num_mel_bins);
    f("min_freq", c.min_freq);
    f("max_freq", c.max_freq);
    f("power_to_db", c.power_to_db);
    f("top_db", c.top_db);
    f("mag_exp", c.mag_exp);
    f("min_power", c.min_power);
    f("ref_power", c.ref_power);
  }
  void build(const Shape& in) override;
  Tensor call(Tensor x, const Call& call) override;
};
using MelSpectrogram = LayerOf<MelSpectrogramImpl>;

}  // namespace tusk::layers
