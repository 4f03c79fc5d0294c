// What compiling costs: time from a model in memory to a written folder, and the peak of this process. The model is
// MobileNetV2 (Sandler et al. 2018, as keras.applications has it) at 224, with random weights.
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <filesystem>

#include "driver/compile.hpp"
#include "frontend/layers/layers.hpp"
#include "frontend/model/model.hpp"
#include "frontend/model/to_module.hpp"

namespace {

using namespace tusk;

Tensor conv_bn(Tensor x, std::int64_t filters, std::int64_t size, std::int64_t stride) {
  x = layers::Conv2D(filters, {size, size}, {.strides = stride, .padding = "same", .use_bias = false})(x);
  return layers::BatchNormalization()(x);
}

Tensor relu6(const Tensor& x) { return layers::ReLU({.max_value = 6.0})(x); }

Tensor inverted_residual(const Tensor& x, std::int64_t expansion, std::int64_t filters, std::int64_t stride) {
  const std::int64_t channels = x.dim(-1);
  Tensor y = expansion == 1 ? x : relu6(conv_bn(x, expansion * channels, 1, 1));
  y = layers::DepthwiseConv2D({3, 3}, {.strides = stride, .padding = "same", .use_bias = false})(y);
  y = conv_bn(relu6(layers::BatchNormalization()(y)), filters, 1, 1);
  return stride == 1 && channels == filters ? layers::Add()({x, y}) : y;
}

Model mobilenet_v2() {
  struct Group {
    std::int64_t expansion, filters, count, stride;
  };
  static constexpr Group kGroups[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                                      {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
  const Tensor input = Input({224, 224, 3});
  Tensor x = relu6(conv_bn(input, 32, 3, 2));
  for (const Group& group : kGroups) {
    for (std::int64_t i = 0; i < group.count; ++i)
      x = inverted_residual(x, group.expansion, group.filters, i == 0 ? group.stride : 1);
  }
  x = layers::GlobalAveragePooling2D()(relu6(conv_bn(x, 1280, 1, 1)));
  return Model(input, layers::Dense(1000, {.activation = "softmax"})(x), {.name = "mobilenet_v2"});
}

template <class T>
T must(Expected<T> value) {
  if (value) return *std::move(value);
  fmt::print(stderr, "{}", value.problem().str());
  std::exit(1);
}

double megabytes(double bytes) { return bytes / 1e6; }

}  // namespace

int main() {
  const Model model = mobilenet_v2();
  double weights = 0;
  for (const Variable& weight : model.weights()) weights += static_cast<double>(weight.value().bytes().size());
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "tusk_bench_compile";

  const auto start = std::chrono::steady_clock::now();
  EmitOptions options;
  options.name = "mobilenet_v2";
  const auto files = must(compile(must(to_module(model)), options));
  if (const Status written = write_files(folder.string(), files); !written) {
    fmt::print(stderr, "{}", written.problem().str());
    return 1;
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;

  std::filesystem::remove_all(folder);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  fmt::print("MobileNetV2 at 224: {:.1f} MB of weights, compiled in {:.2f} s, peak {:.0f} MB\n", megabytes(weights),
             seconds.count(), megabytes(static_cast<double>(usage.ru_maxrss) * 1024));
  return 0;
}
