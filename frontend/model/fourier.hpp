// Windows and the kernels of discrete Fourier transforms.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "ir/base/array.hpp"

namespace tusk {

/// A window of scipy.signal that is a sum of cosines: w[i] = a[0] - a[1] cos(x) + a[2] cos(2x) - ..., x = 2 pi i /
/// steps.
struct Window {
  std::string_view name;
  std::array<double, 5> cosines;
};
inline constexpr Window kWindows[] = {
    {"", {1}},
    {"boxcar", {1}},
    {"hann", {0.5, 0.5}},
    {"hamming", {0.54, 0.46}},
    {"blackman", {0.42, 0.5, 0.08}},
    {"nuttall", {0.3635819, 0.4891775, 0.1365995, 0.0106411}},
    {"blackmanharris", {0.35875, 0.48829, 0.14128, 0.01168}},
    {"flattop", {0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368}},
};

/// By its name, "" for none; a periodic one leaves out the last sample of one that is longer by one. Errors:
/// field-value.
std::vector<double> window_of(std::string_view name, std::int64_t length, bool periodic);

/// As tf.signal makes them, Keras' default: periodic if the length is even.
std::vector<double> tensorflow_window_of(std::string_view name, std::int64_t length);

/// What Keras divides a window by: "density", the root of its sum of squares; "spectrum", its sum; "", nothing.
/// Errors: field-value.
double window_divisor(std::span<const double> window, std::string_view scaling);

/// exp(-2 pi i t k / length), its real or its imaginary part; the angle is taken modulo a turn, so that it stays exact.
double fourier_term(bool imaginary, std::int64_t t, std::int64_t k, std::int64_t length);

/// Cosines (or minus sines) of each frequency, times the window, [samples, 1, frequencies].
Array fourier_kernel(bool imaginary, const std::vector<double>& window, std::int64_t fft_length, double divisor);

}  // namespace tusk
