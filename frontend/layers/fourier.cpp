#include "frontend/layers/fourier.hpp"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "frontend/layers/tables.hpp"
#include "frontend/model/error.hpp"

namespace tusk::layers {

std::vector<double> window_of(const std::string& name, std::int64_t length, bool periodic) {
  std::vector<double> window(static_cast<std::size_t>(length), 1.0);
  if (name.empty() || name == "boxcar") return window;
  const double base = name == "hann" ? 0.5 : name == "hamming" ? 0.54 : 0;
  if (base == 0) throw Error(error("field-value", fmt::format("window is {}, expected hann, hamming or none", name)));
  if (length == 1) return window;
  const double steps = static_cast<double>(periodic ? length : length - 1);
  for (std::int64_t i = 0; i < length; ++i)
    window[static_cast<std::size_t>(i)] =
        base - (1 - base) * std::cos(2 * std::numbers::pi * static_cast<double>(i) / steps);
  return window;
}

std::vector<double> tensorflow_window_of(const std::string& name, std::int64_t length) {
  return window_of(name, length, length % 2 == 0);
}

double fourier_term(bool imaginary, std::int64_t t, std::int64_t k, std::int64_t length) {
  const double part = static_cast<double>((t * k) % length) / static_cast<double>(length);
  const double angle = 2 * std::numbers::pi * part;
  return imaginary ? -std::sin(angle) : std::cos(angle);
}

Array fourier_kernel(bool imaginary, const std::vector<double>& window, std::int64_t fft_length, double divisor) {
  const auto samples = static_cast<std::int64_t>(window.size());
  const std::int64_t frequencies = fft_length / 2 + 1;
  check_table(samples, frequencies);
  Array kernel(DType::f64, {samples, 1, frequencies});
  for (std::int64_t t = 0; t < samples; ++t) {
    for (std::int64_t k = 0; k < frequencies; ++k)
      kernel.set(t * frequencies + k,
                 fourier_term(imaginary, t, k, fft_length) * window[static_cast<std::size_t>(t)] / divisor);
  }
  return kernel;
}

}  // namespace tusk::layers
