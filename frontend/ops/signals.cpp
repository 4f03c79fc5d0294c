// Operations on signals along the last axis: frames, Fourier transforms. A complex tensor is a pair: real, imaginary.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "frontend/layers/convolve.hpp"
#include "frontend/model/error.hpp"
#include "frontend/model/fourier.hpp"
#include "frontend/model/tables.hpp"
#include "frontend/ops/operation.hpp"

namespace tusk::ops {
namespace {

using Results = std::vector<Tensor>;

constexpr std::int64_t kMostSamples = 1 << 16;

struct Complex {
  Tensor real, imaginary;
};

Complex complex_of(const Arguments& a, std::string_view name) {
  const Argument::List* pair = a.at(name).get<Argument::List>();
  if (pair == nullptr || pair->size() != 2) a.refuse(name, "a real and an imaginary part");
  const std::vector<Tensor> parts = a.tensors(name);
  if (!is_float(parts[0].dtype()) || parts[0].shape() != parts[1].shape() || parts[0].rank() < 1)
    a.refuse(name, "two tensors of floats of one shape, the real and the imaginary part");
  return {parts[0], parts[1]};
}

/// Every row (along the last axis) times a table [elements, count].
Tensor times_table(const Tensor& x, std::string_view name, Array table) {
  return call("Matmul", {{"x1", x}, {"x2", emit::constant(name, table.converted(x.dtype()))}});
}

/// A table of rows t and columns k: weight(t) times a part of exp(-2 pi i t k / length).
template <class Weight>
Array terms(bool imaginary, std::int64_t rows, std::int64_t columns, std::int64_t length, Weight weight) {
  check_table(rows, columns);
  Array table(DType::f64, {rows, columns});
  for (std::int64_t t = 0; t < rows; ++t) {
    for (std::int64_t k = 0; k < columns; ++k)
      table.set(t * columns + k, weight(t) * fourier_term(imaginary, t, k, length));
  }
  return table;
}

double one(std::int64_t) { return 1; }

std::int64_t samples_of(const Arguments& a, const Tensor& x) {
  const std::int64_t n = x.dim(-1);
  if (n < 1 || n > kMostSamples) a.refuse("x", fmt::format("1 to {} samples", kMostSamples));
  return n;
}

Complex transformed(const Arguments& a, const Complex& x) {
  const std::int64_t n = samples_of(a, x.real);
  const Array cosines = terms(false, n, n, n, one);
  const Array sines = terms(true, n, n, n, one);
  const auto product = [&](const Tensor& of, const char* name, const Array& table) {
    return times_table(of, name, table);
  };
  return {emit::map("sub", {product(x.real, "cosines", cosines), product(x.imaginary, "sines", sines)}),
          emit::map("add", {product(x.imaginary, "cosines", cosines), product(x.real, "sines", sines)})};
}

Results fft(const Arguments& a) {
  const Complex y = transformed(a, complex_of(a, "x"));
  return {y.real, y.imaginary};
}

Complex swapped(const Complex& x) {
  const std::int64_t rank = x.real.rank();
  const auto swap = [&](const Tensor& of) {
    return call("Swapaxes", {{"x", of}, {"axis1", rank - 2}, {"axis2", rank - 1}});
  };
  return {swap(x.real), swap(x.imaginary)};
}

Complex transformed_twice(const Arguments& a, const Complex& x) {
  if (x.real.rank() < 2) a.refuse("x", "matrices");
  return swapped(transformed(a, swapped(transformed(a, x))));
}

Results fft2(const Arguments& a) {
  const Complex y = transformed_twice(a, complex_of(a, "x"));
  return {y.real, y.imaginary};
}

// The transform of the conjugate is the conjugate of the inverse, times the number of elements.
Results ifft2(const Arguments& a) {
  const Complex x = complex_of(a, "x");
  const Complex y = transformed_twice(a, {x.real, emit::map("neg", {x.imaginary})});
  const auto count = static_cast<double>(y.real.dim(-1) * y.real.dim(-2));
  return {emit::map("div", {y.real, count}), emit::map("div", {y.imaginary, -count})};
}

std::int64_t length_of(const Arguments& a, std::int64_t otherwise) {
  const std::int64_t length = a.integer("fft_length", otherwise);
  if (length < 1 || length > kMostSamples) a.refuse("fft_length", fmt::format("1 to {}", kMostSamples));
  return length;
}

// Of real samples: the frequencies up to the half. Samples beyond fft_length are cut off, missing ones are 0.
Results rfft(const Arguments& a) {
  const Tensor x = a.floats("x");
  const std::int64_t n = samples_of(a, x);
  const std::int64_t length = length_of(a, n);
  const Tensor read = n > length ? emit::slice(x, x.rank() - 1, 0, length) : x;
  const std::int64_t rows = std::min(n, length);
  return {times_table(read, "cosines", terms(false, rows, length / 2 + 1, length, one)),
          times_table(read, "sines", terms(true, rows, length / 2 + 1, length, one))};
}

// All frequencies but the first and (of an even length) the last stand for two.
Results irfft(const Arguments& a) {
  const Complex x = complex_of(a, "x");
  const std::int64_t given = samples_of(a, x.real);
  const std::int64_t length = length_of(a, std::max<std::int64_t>(2 * (given - 1), 1));
  const std::int64_t rows = std::min(given, length / 2 + 1);
  const auto weight = [&](std::int64_t k) {
    return (k == 0 || 2 * k == length ? 1.0 : 2.0) / static_cast<double>(length);
  };
  const auto part = [&](const Tensor& of, const char* name, bool imaginary) {
    const Tensor read = rows < given ? emit::slice(of, of.rank() - 1, 0, rows) : of;
    return times_table(read, name, terms(imaginary, rows, length, length, weight));
  };
  return {emit::map("add", {part(x.real, "cosines", false), part(x.imaginary, "sines", true)})};
}

// ---- frames

struct Frames {
  std::int64_t length = 0, stride = 0;
};

Frames frames_of(const Arguments& a) {
  const Frames frames{a.integer("sequence_length"), a.integer("sequence_stride")};
  if (frames.length < 1 || frames.length > kMostSamples)
    a.refuse("sequence_length", fmt::format("1 to {}", kMostSamples));
  if (frames.stride < 1) a.refuse("sequence_stride", "1 or more");
  return frames;
}

void check_fits(const Arguments& a, const Dim& samples, std::int64_t length) {
  if (samples.is_constant() && samples.constant() < length)
    a.refuse("x", fmt::format("at least {} samples, there are {}", length, samples.constant()));
}

Results extract_sequences(const Arguments& a) {
  const Tensor x = a.tensor("x");
  const std::int64_t axis = emit::axis_of(x, -1);
  const auto [length, stride] = frames_of(a);
  check_fits(a, x.shape().back(), length);
  const Shape shape{(x.shape().back() - Dim(length)).floor_div(stride) + Dim(1), Dim(length)};
  check_elements(shape);
  const auto iota = [&](std::int64_t of) { return emit::op("iota", {}, {{{"shape", shape}, {"axis", of}}}); };
  const Tensor start = emit::map("mul", {iota(0), static_cast<double>(stride)});
  return {emit::op("gather", {x, emit::map("add", {start, iota(1)})}, {{{"axis", axis}, {"batch", std::int64_t{0}}}})};
}

/// By name, or the numbers themselves.
std::vector<double> window_of(const Arguments& a, std::int64_t length) {
  if (!a.has("window") || a.at("window").get<std::string>() != nullptr)
    return tensorflow_window_of(a.text("window", "hann"), length);
  std::vector<double> window = a.known_numbers("window");
  if (static_cast<std::int64_t>(window.size()) != length) a.refuse("window", fmt::format("{} numbers", length));
  return window;
}

// The window lies in the middle of a frame of fft_length samples.
Results stft(const Arguments& a) {
  Tensor x = a.tensor("x");
  if (!is_float(x.dtype()) || x.rank() < 1) a.refuse("x", "floats");
  const Frames frames = frames_of(a);
  const std::int64_t length = frames.length;
  const std::int64_t fft = length_of(a, length);
  if (fft < length) a.refuse("fft_length", fmt::format("at least sequence_length, {}", length));
  std::vector<double> window(static_cast<std::size_t>(fft), a.is_null("window") ? 1.0 : 0.0);
  if (!a.is_null("window")) {
    const std::vector<double> inner = window_of(a, length);
    std::ranges::copy(inner, window.begin() + (fft - length) / 2);
  }
  if (a.flag("center", true)) {
    Argument::List widths(static_cast<std::size_t>(x.rank()), Argument::List{0, 0});
    widths.back() = Argument::List{fft / 2, fft / 2};
    x = call("Pad", {{"x", x}, {"pad_width", widths}, {"mode", "reflect"}});
  }
  check_fits(a, x.shape().back(), fft);
  Shape shape(x.shape().begin(), x.shape().end() - 1);
  const Tensor rows = emit::reshape(x, {product(shape), x.shape().back(), Dim(1)});
  const auto part = [&](const char* name, bool imaginary) {
    const Tensor kernel = emit::constant(name, fourier_kernel(imaginary, window, fft, 1).converted(x.dtype()));
    const Tensor y = layers::convolve<1>(rows, kernel, {}, {.strides = frames.stride});
    Shape out = shape;
    out.insert(out.end(), y.shape().begin() + 1, y.shape().end());
    return emit::reshape(y, std::move(out));
  };
  return {part("cosines", false), part("sines", true)};
}

constexpr OperationDef kSignalTable[] = {
    {"FFT", "x", fft},
    {"FFT2", "x", fft2},
    {"IFFT2", "x", ifft2},
    {"RFFT", "x | fft_length", rfft},
    {"IRFFT", "x | fft_length", irfft},
    {"ExtractSequences", "x | sequence_length sequence_stride", extract_sequences},
    {"STFT", "x | sequence_length sequence_stride fft_length window center", stft},
};

}  // namespace

std::span<const OperationDef> signal_operations() { return kSignalTable; }

}  // namespace tusk::ops
