// Keras' initializers: their distributions, and how configurations write them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <string>
#include <vector>

#include "frontend/export/config.hpp"
#include "frontend/layers/layers.hpp"
#include "frontend/model/fourier.hpp"
#include "frontend/model/initializer.hpp"
#include "frontend/model/trace.hpp"
#include "frontend/training/first_value.hpp"
#include "ir/graph/interpret.hpp"
#include "tests/unit/moments.hpp"

namespace tusk {
namespace {

using testing::HasSubstr;

// What an emitted module would draw.
Array drawn(const Initializer& initializer, const std::vector<std::int64_t>& shape, std::uint32_t seed,
            std::uint32_t number = 3) {
  Trace trace("draw", Trace::Weights::states);
  const Variable weight("w", {DType::f32, Shape(shape.begin(), shape.end())}, initializer, true, true, 0);
  const Tensor words = trace.parameter("seed", {DType::u32, {Dim(2)}});
  trace.function.results = {trace.operand(first_value(weight, words, number))};
  trace.function.result_names = {"value"};
  trace.module.functions.push_back(std::move(trace.function));
  Array given(DType::u32, {2});
  given.set_int(0, seed);
  const auto result = graph::interpret(trace.module, "draw", {given}, {});
  if (!result) throw Error(result.problem());
  return result->front();
}

TEST(Initializers, AreDrawnOnADevice) {
  const std::vector<std::int64_t> shape = {7, 5};
  const auto bytes = [](const Array& x) { return std::vector<std::byte>(x.bytes().begin(), x.bytes().end()); };
  for (const Initializer& initializer :
       {Initializer("glorot_uniform"), Initializer("he_normal"), Initializer("normal")}) {
    const Array first = drawn(initializer, shape, 1);
    EXPECT_EQ(bytes(first), bytes(drawn(initializer, shape, 1)));
    EXPECT_NE(bytes(first), bytes(drawn(initializer, shape, 2)));
    EXPECT_NE(bytes(first), bytes(drawn(initializer, shape, 1, 4)));
  }
  EXPECT_EQ(drawn(initializers::Constant(2.5), shape, 1).at(34), 2.5);
}

TEST(Initializers, Distributions) {
  using namespace initializers;
  const std::vector<std::int64_t> dense = {400, 500};
  const std::vector<std::int64_t> kernel = {3, 5, 60, 200};  // fans 900 and 3000
  const double cut = 0.87962566103423978;                    // the deviation of a standard normal that is cut at two
  struct Case {
    const char* name;
    Initializer initializer;
    std::vector<std::int64_t> shape;
    double mean, deviation, bound;
  };
  const auto uniform = [](double variance) { return std::sqrt(3 * variance); };
  const Case cases[] = {
      {"glorot_uniform", "glorot_uniform", dense, 0, std::sqrt(1 / 450.0), uniform(1 / 450.0)},
      {"glorot_normal", "glorot_normal", dense, 0, std::sqrt(1 / 450.0), 2 * std::sqrt(1 / 450.0) / cut},
      {"he_uniform", "he_uniform", kernel, 0, std::sqrt(2 / 900.0), uniform(2 / 900.0)},
      {"he_normal", HeNormal({.seed = 3}), kernel, 0, std::sqrt(2 / 900.0), 2 * std::sqrt(2 / 900.0) / cut},
      {"lecun_uniform", LecunUniform(), kernel, 0, std::sqrt(1 / 900.0), uniform(1 / 900.0)},
      {"lecun_normal", "LecunNormal", dense, 0, std::sqrt(1 / 400.0), 2 * std::sqrt(1 / 400.0) / cut},
      {"axes", HeUniform({.input_axes = {0, 3}, .output_axes = {1}}), kernel, 0, std::sqrt(2 / 600.0),
       uniform(2 / 600.0)},
      {"fan_out", VarianceScaling({.scale = 3, .mode = "fan_out", .distribution = "untruncated_normal"}), kernel, 0,
       std::sqrt(3 / 3000.0), 7 * std::sqrt(3 / 3000.0)},
      {"uniform", VarianceScaling({.scale = 0.5, .mode = "fan_avg", .distribution = "uniform"}), kernel, 0,
       std::sqrt(0.5 / 1950), uniform(0.5 / 1950)},
      {"random_normal", RandomNormal({.mean = 1, .stddev = 0.5}), dense, 1, 0.5, 4},
      {"normal", "normal", dense, 0, 0.05, 0.35},
      {"truncated_normal", TruncatedNormal({.mean = -1, .stddev = 2}), dense, -1, 2 * cut, 4},
      {"random_uniform", RandomUniform({.minval = 1, .maxval = 4}), dense, 2.5, 3 / std::sqrt(12.0), 1.5},
      {"uniform word", "uniform", dense, 0, 0.1 / std::sqrt(12.0), 0.05},
  };
  for (const Case& each : cases) {
    for (const Array& x : {initial_value(each.initializer, each.shape, 11), drawn(each.initializer, each.shape, 11)}) {
      const Moments found = moments_of(x);
      const auto count = static_cast<double>(x.size());
      EXPECT_NEAR(found.mean, each.mean, 5 * each.deviation / std::sqrt(count)) << each.name;
      EXPECT_NEAR(found.deviation, each.deviation, 5 * each.deviation / std::sqrt(count)) << each.name;
      EXPECT_LE(std::max(found.largest - each.mean, each.mean - found.least), each.bound * 1.000001) << each.name;
      EXPECT_GE(found.largest - each.mean, each.bound * (each.bound > 3.5 * each.deviation ? 0.5 : 0.98)) << each.name;
    }
  }
}

TEST(Initializers, Constants) {
  for (const auto& [initializer, value] :
       {std::pair(Initializer("zeros"), 0.0), std::pair(Initializer("one"), 1.0),
        std::pair(initializers::Constant(0.25), 0.25), std::pair(initializers::Ones(), 1.0)}) {
    const Array x = initial_value(initializer, {3, 4}, 1);
    for (std::int64_t i = 0; i < x.size(); ++i) EXPECT_EQ(x.at(i), value);
  }
  const Array identity = initial_value(initializers::Identity({.gain = 2}), {3, 5}, 1);
  for (std::int64_t i = 0; i < 15; ++i) EXPECT_EQ(identity.at(i), i / 5 == i % 5 ? 2 : 0);
}

TEST(Initializers, OrthogonalColumnsOrRows) {
  for (const std::vector<std::int64_t>& shape :
       std::vector<std::vector<std::int64_t>>{{40, 12}, {12, 40}, {16, 16}, {3, 3, 2, 10}}) {
    const Array q = initial_value(initializers::Orthogonal({.gain = 1.5}), shape, 5);
    const std::int64_t columns = shape.back();
    const std::int64_t rows = q.size() / columns;
    const std::int64_t vectors = std::min(rows, columns);
    const auto at = [&](std::int64_t vector, std::int64_t i) {
      return rows < columns ? q.at(vector * columns + i) : q.at(i * columns + vector);
    };
    for (std::int64_t a = 0; a < vectors; ++a) {
      for (std::int64_t b = 0; b <= a; ++b) {
        double sum = 0;
        for (std::int64_t i = 0; i < std::max(rows, columns); ++i) sum += at(a, i) * at(b, i);
        EXPECT_NEAR(sum, a == b ? 2.25 : 0, 1e-5) << a << " " << b;
      }
    }
  }
}

// Numbers of Keras 3.15 (TensorFlow), f32, and of scipy.signal.get_window.
TEST(Initializers, FourierKernels) {
  const std::vector<std::int64_t> shape = {6, 1, 5};
  const auto expect = [&](const Initializer& initializer, const std::array<double, 3>& wanted) {
    const Array kernel = initial_value(initializer, shape, 1);
    EXPECT_NEAR(kernel.at(1 * 5 + 2), wanted[0], 5e-8);
    EXPECT_NEAR(kernel.at(3 * 5 + 3), wanted[1], 1e-7);
    EXPECT_NEAR(kernel.at(4 * 5 + 1), wanted[2], 5e-8);
  };
  using initializers::STFT;
  expect("stft", {0, 0.46708614, -0.25231132});
  expect(STFT({.side = "imag", .window = "flattop", .scaling = "spectrum", .periodic = true}),
         {0.03418983, -0.47160304, 0});
  expect(STFT({.window = ""}), {0, 0.7071067, -1});
  expect(STFT({.window = "blackman", .scaling = ""}), {0, 0.6004961, -0.20077014});
  EXPECT_TRUE(std::isnan(initial_value("stft", {4, 1, 1}, 1).at(3)));  // of one frequency, as in Keras

  const double third[][2] = {{0.6112604669781572, 0.75},      {0.6423596296199047, 0.77},
                             {0.45918295754596367, 0.63},     {0.34272761996881956, 0.5292298},
                             {0.33283350429856506, 0.520575}, {0.010703716716153475, 0.19821053}};
  for (std::size_t i = 0; i < std::size(third); ++i) {
    EXPECT_NEAR(window_of(kWindows[i + 2].name, 7, true)[2], third[i][0], 1e-15) << kWindows[i + 2].name;
    EXPECT_NEAR(window_of(kWindows[i + 2].name, 7, false)[2], third[i][1], 1e-15) << kWindows[i + 2].name;
  }
}

TEST(Initializers, SeedsAndNamesDecide) {
  const auto first = [](const Initializer& initializer, const char* name) {
    layers::Dense dense(3, {.kernel_initializer = initializer, .name = name});
    dense.base().ensure_built({{Dim::symbol("batch"), Dim(4)}});
    return dense.weights()[0].value().at(0);
  };
  EXPECT_EQ(first("he_normal", "a"), first("he_normal", "a"));
  EXPECT_NE(first("he_normal", "a"), first("he_normal", "b"));
  EXPECT_EQ(first(initializers::HeNormal({.seed = 3}), "a"), first(initializers::HeNormal({.seed = 3}), "b"));
  EXPECT_NE(first(initializers::HeNormal({.seed = 3}), "a"), first(initializers::HeNormal({.seed = 4}), "a"));
}

// The query of attention: D inputs, N heads of H.
TEST(Initializers, EinsumDenseKnowsItsFans) {
  const Tensor x = Input({7, 600});
  layers::EinsumDense query("abc,cde->abde", {7, 8, 50}, {.kernel_initializer = "lecun_uniform"});
  query(x);
  const Moments found = moments_of(query.weights()[0].value());
  EXPECT_NEAR(found.largest, std::sqrt(3 / 600.0), 1e-4);
}

TEST(Initializers, Refused) {
  const auto problem = [](const Initializer& initializer, std::vector<std::int64_t> shape) -> std::string {
    try {
      initial_value(initializer, shape, 1);
    } catch (const Error& failure) {
      return failure.problem().message + " [" + failure.problem().code + "]";
    }
    return "";
  };
  EXPECT_EQ(problem("identity", {3}), "identity is for weights of two axes, found shape (3) [initializer-shape]");
  EXPECT_EQ(problem("orthogonal", {3}),
            "orthogonal is for weights of two axes or more, found shape (3) [initializer-shape]");
  EXPECT_EQ(problem("stft", {4, 2, 3}),
            "stft is for weights of shape (frame, 1, frequencies), found shape (4, 2, 3) [initializer-shape]");
  EXPECT_EQ(problem(initializers::HeNormal({.input_axes = {2}, .output_axes = {0}}), {3, 4}),
            "axis 2 is not in a weight of shape (3, 4) [initializer-shape]");
  EXPECT_EQ(problem(Initializer(nullptr), {3}),
            "the file names an initializer that is not supported in this release [initializer-unknown]");
  EXPECT_THROW(initializers::VarianceScaling({.scale = 0}), Error);
}

// As Keras writes it, and what is not in it.
TEST(Initializers, FourierConfigurations) {
  const Tensor x = Input({9, 1});
  const auto model = [&](const Initializer& initializer) {
    return Model(x, layers::Conv1D(3, 4, {.kernel_initializer = initializer})(x));
  };
  const std::string text =
      to_json(model(initializers::STFT({.side = "imag", .window = "", .scaling = "spectrum", .periodic = true})));
  const std::string written =
      R"({"module":"keras.initializers","class_name":"STFT","config":{"side":"imag","window":null,"periodic":true,)"
      R"("scaling":"spectrum"},"registered_name":null})";
  EXPECT_THAT(text, HasSubstr(written));
  const Model again = model_from_json(text);
  EXPECT_EQ(again.weights()[0].initializer().fourier,
            (FourierChoice{FourierChoice::Side::imag, FourierChoice::Scaling::spectrum, "", true}));
  EXPECT_NEAR(again.weights()[0].value().at(1 * 3 + 1), -1, 1e-7);
  EXPECT_THAT(to_json(model("stft")), HasSubstr(R"("kernel_initializer":"stft")"));
  const auto refused = [&](const std::string& from, const std::string& to) -> std::string {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    try {
      model_from_json(changed);
    } catch (const Error& failure) {
      return failure.problem().message;
    }
    return "";
  };
  EXPECT_THAT(refused(R"("window":null)", R"("window":"kaiser")"), HasSubstr("window of kernel_initializer is kaiser"));
  EXPECT_THAT(refused(R"("side":"imag")", R"("side":"left")"),
              HasSubstr("side of kernel_initializer is `left`, expected one of real, imag"));
  EXPECT_THAT(refused(R"("scaling":"spectrum")", R"("scaling":"power")"),
              HasSubstr("scaling of kernel_initializer is `power`, expected one of"));
}

TEST(Initializers, Configurations) {
  const Tensor x = Input({4});
  using namespace initializers;
  const Tensor y = layers::Dense(3, {.kernel_initializer = VarianceScaling({.scale = 2, .mode = "fan_out", .seed = 7}),
                                     .bias_initializer = Constant(0.5)})(x);
  const Model model(x, layers::Dense(2, {.kernel_initializer = Orthogonal({.gain = 2}),
                                         .bias_initializer = RandomUniform({.minval = 0, .maxval = 1})})(y));
  const std::string text = to_json(model);
  EXPECT_THAT(text, HasSubstr(R"("class_name":"VarianceScaling","config":{"seed":7,"scale":2.0,"mode":"fan_out",)"
                              R"("distribution":"truncated_normal","input_axes":null,"output_axes":null})"));
  EXPECT_THAT(text, HasSubstr(R"("class_name":"Constant","config":{"value":0.5})"));
  const Model again = model_from_json(text);
  for (std::size_t i = 0; i < 4; ++i) {
    const Array& wanted = model.weights()[i].value();
    const Array& found = again.weights()[i].value();
    for (std::int64_t k = 0; k < wanted.size(); ++k) EXPECT_EQ(found.at(k), wanted.at(k)) << i;
  }
}

}  // namespace
}  // namespace tusk
