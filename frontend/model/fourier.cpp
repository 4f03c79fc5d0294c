#include "frontend/model/fourier.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numbers>

#include "frontend/model/error.hpp"
#include "frontend/model/tables.hpp"

namespace tusk {

std::vector<double> window_of(std::string_view name, std::int64_t length, bool periodic) {
  const auto found = std::ranges::find(kWindows, name, &Window::name);
  if (found == std::end(kWindows)) {
    std::vector<std::string_view> known;
    for (const Window& each : std::span(kWindows).subspan(1)) known.push_back(each.name);
    throw Error(
        error("field-value", fmt::format("window is {}, expected none or one of {}", name, fmt::join(known, ", "))));
  }
  std::vector<double> window(static_cast<std::size_t>(length), 1.0);
  if (length == 1) return window;
  const auto steps = static_cast<double>(periodic ? length : length - 1);
  for (std::int64_t i = 0; i < length; ++i) {
    double value = 0;
    for (std::size_t k = 0; k < found->cosines.size(); ++k) {
      const double term =
          found->cosines[k] * std::cos(2 * std::numbers::pi * static_cast<double>(k) * static_cast<double>(i) / steps);
      value += k % 2 == 0 ? term : -term;
    }
    window[static_cast<std::size_t>(i)] = value;
  }
  return window;
}

std::vector<double> tensorflow_window_of(std::string_view name, std::int64_t length) {
  if (name != "hann" && name != "hamming")
    throw Error(error("field-value", fmt::format("window is {}, expected hann, hamming or none", name)));
  return window_of(name, length, length % 2 == 0);
}

double window_divisor(std::span<const double> window, std::string_view scaling) {
  if (scaling.empty()) return 1;
  if (scaling != "density" && scaling != "spectrum")
    throw Error(error("field-value", fmt::format("scaling is {}, expected density or spectrum", scaling)));
  double sum = 0;
  for (const double w : window) sum += scaling == "density" ? w * w : std::abs(w);
  return scaling == "density" ? std::sqrt(sum) : sum;
}

double fourier_term(bool imaginary, std::int64_t t, std::int64_t k, std::int64_t length) {
  if (length == 0) return std::numeric_limits<double>::quiet_NaN();  // 0 / 0 in Keras, too
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

}  // namespace tusk
