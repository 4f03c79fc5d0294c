// Windows and the kernels of discrete Fourier transforms.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ir/base/array.hpp"

namespace tusk::layers {

/// "hann", "hamming", "" for none; a periodic one leaves out the last sample of one that is longer by one.
std::vector<double> window_of(const std::string& name, std::int64_t length, bool periodic);

/// As tf.signal makes them, Keras' default: periodic if the length is even.
std::vector<double> tensorflow_window_of(const std::string& name, std::int64_t length);

/// exp(-2 pi i t k / length), its real or its imaginary part; the angle is taken modulo a turn, so that it stays exact.
double fourier_term(bool imaginary, std::int64_t t, std::int64_t k, std::int64_t length);

/// Cosines (or minus sines) of each frequency, times the window, [samples, 1, frequencies].
Array fourier_kernel(bool imaginary, const std::vector<double>& window, std::int64_t fft_length, double divisor);

}  // namespace tusk::layers
