// Random layers on images in training: what is drawn, for whom, that gradients see the same, that states go on. What
// they make of it is compared with Keras in tests/parity.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "frontend/export/config.hpp"
#include "frontend/layers/layers.hpp"
#include "frontend/model/emit.hpp"
#include "frontend/training/losses.hpp"
#include "frontend/training/optimizers.hpp"
#include "frontend/training/train_step.hpp"
#include "ir/graph/callable.hpp"
#include "ir/graph/interpret.hpp"

namespace tusk {
namespace {

// step(x) -> (y, dx): the layer in training, and the gradient of a weighted sum of y by x.
graph::Module image_step(const Layer& layer, const Shape& shape) {
  layer.base().ensure_built({shape});
  Trace trace("step", Trace::Weights::states);
  const Tensor x = trace.parameter("x", {DType::f32, shape});
  const Tensor y = trace.run(layer.base(), {x}, {.training = true}).front();
  const Tensor place = emit::op("iota", {}, {{{"shape", Shape{product(y.shape())}}, {"axis", std::int64_t{0}}}});
  const Tensor weight = emit::map("sin", {emit::cast(place, DType::f32)});
  const Tensor sum = emit::reduce("sum", emit::map("mul", {y, emit::reshape(weight, y.shape())}), {0, 1, 2, 3});
  trace.function.results = {trace.operand(y), trace.operand(trace.gradients(sum, {x}).front())};
  trace.function.result_names = {"y", "dx"};
  trace.module.functions.push_back(std::move(trace.function));
  return std::move(trace.module);
}

std::vector<Array> run_step(graph::Module& module, const Array& x, bool keeps_states = true) {
  const graph::Function& function = module.functions.front();
  auto results = graph::interpret(module, function, {x}, {});
  EXPECT_TRUE(results) << results.problem().str();
  for (std::size_t i = 0; keeps_states && i < function.updates.size(); ++i) {
    graph::Global& global = module.globals[static_cast<std::size_t>(function.updates[i].global)];
    global.value = (*results)[function.results.size() + i].converted(global.type.dtype);
  }
  return *std::move(results);
}

Array image_of(std::vector<std::int64_t> shape, const std::function<double(std::int64_t)>& value) {
  Array out(DType::f32, std::move(shape));
  for (std::int64_t i = 0; i < out.size(); ++i) out.set(i, value(i));
  return out;
}

// What each of many samples gets, recovered from an image of one place.
std::vector<double> drawn_by(const Layer& layer, const std::vector<std::int64_t>& sample, double value,
                             const std::function<double(double)>& back) {
  constexpr std::int64_t kSamples = 20000;
  std::vector<std::int64_t> shape{kSamples};
  shape.insert(shape.end(), sample.begin(), sample.end());
  graph::Module module = image_step(layer, Shape(shape.begin(), shape.end()));
  const Array y = run_step(module, image_of(shape, [&](std::int64_t) { return value; }))[0];
  std::vector<double> out;
  const std::int64_t each = y.size() / kSamples;
  for (std::int64_t i = 0; i < kSamples; ++i) {
    for (std::int64_t k = 1; k < each; ++k) EXPECT_EQ(y.at(i * each), y.at(i * each + k));  // one for the whole sample
    out.push_back(back(y.at(i * each)));
  }
  return out;
}

// Within the range, and each tenth of it as often as the others: five standard deviations.
void expect_even(std::vector<double> numbers, double low, double high) {
  const auto count = static_cast<double>(numbers.size());
  std::vector<double> tenths(10, 0);
  for (const double number : numbers) {
    ASSERT_GE(number, low - 1e-5);
    ASSERT_LE(number, high + 1e-5);
    tenths[static_cast<std::size_t>(std::clamp((number - low) / (high - low) * 10, 0.0, 9.0))] += 1;
  }
  for (const double tenth : tenths) EXPECT_NEAR(tenth, count / 10, 5 * std::sqrt(count * 0.09));
}

TEST(RandomImageLayers, DrawEvenly) {
  const auto brightness = [](double y) { return (y - 100) / 255; };
  expect_even(drawn_by(layers::RandomBrightness(0.25), {2, 1, 1}, 100, brightness), -0.25, 0.25);
  expect_even(drawn_by(layers::RandomBrightness({0.3, -0.1}), {1, 1, 1}, 100, brightness), -0.1, 0.3);
  // From 1 - factor[0]: a range makes no image flatter than that.
  const auto of_pair = [](double low, double high) {
    const layers::RandomContrast layer(layers::Numbers({low, high}), {.value_range = {-10, 10}});
    graph::Module module = image_step(layer, {Dim(20000), Dim(1), Dim(2), Dim(1)});
    const Array y =
        run_step(module, image_of({20000, 1, 2, 1}, [](std::int64_t i) { return i % 2 == 0 ? -1.0 : 1.0; }))[0];
    std::vector<double> factors;
    for (std::int64_t i = 1; i < y.size(); i += 2) factors.push_back(y.at(i));
    return factors;
  };
  expect_even(of_pair(0, 0.5), 1, 1.5);
  expect_even(of_pair(0.2, 0.6), 0.8, 1.6);
  // Solarization: both ends of the addition are not of one scale in Keras, which scales the upper one.
  const auto turned = [](double y) { return 255 - y - 20; };
  expect_even(drawn_by(layers::Solarization(0.1), {1, 1, 1}, 20, turned), 0, 25.5);
  // Sharpness of an image of one place: all around it is 0.
  const auto sharpness = [](double y) { return (1 - (100 - y) / (100 * 8.0 / 13)) / 2; };
  expect_even(drawn_by(layers::RandomSharpness({0.2, 0.9}), {1, 1, 1}, 100, sharpness), 0.2, 0.9);
}

// A line that rises by 1 with each place tells how far it was moved.
TEST(RandomImageLayers, MoveEvenly) {
  const auto moved = [](const Layer& layer, std::int64_t height, std::int64_t width) {
    const std::vector<std::int64_t> shape{20000, height, width, 1};
    graph::Module module = image_step(layer, Shape(shape.begin(), shape.end()));
    const Array x = image_of(shape, [&](std::int64_t i) { return static_cast<double>(i % (height * width)); });
    const Array y = run_step(module, x)[0];
    std::vector<double> out;
    for (std::int64_t i = 0; i < 20000; ++i) out.push_back(y.at((i * height * width) + height * width / 2));
    return out;
  };
  const layers::RandomTranslation right(0.0, 0.3, {.fill_mode = "constant"});
  std::vector<double> places = moved(right, 1, 9);
  for (double& place : places) place = (4 - place) / 9;
  expect_even(places, -0.3, 0.3);
  const layers::RandomTranslation down({-0.1, 0.4}, 0.0, {.fill_mode = "constant"});
  places = moved(down, 9, 1);
  for (double& place : places) place = (4 - place) / 9;
  expect_even(places, -0.1, 0.4);
}

TEST(RandomImageLayers, ChooseHalfOfTheSamples) {
  const auto share = [](const Layer& layer, const std::vector<std::int64_t>& sample, bool whole = false) {
    std::vector<std::int64_t> shape{20000};
    shape.insert(shape.end(), sample.begin(), sample.end());
    graph::Module module = image_step(layer, Shape(shape.begin(), shape.end()));
    const std::int64_t each = sample[0] * sample[1] * sample[2];
    const Array x = image_of(shape, [&](std::int64_t i) { return 0.1 + 0.1 * static_cast<double>(i % each); });
    const Array y = run_step(module, x)[0];
    std::int64_t changed = 0;
    for (std::int64_t i = 0; i < 20000; ++i) {
      std::int64_t apart = 0;
      for (std::int64_t k = 0; k < each; ++k) apart += std::abs(y.at(i * each + k) - x.at(i * each + k)) > 1e-6 ? 1 : 0;
      EXPECT_TRUE(!whole || apart == 0 || apart == each);
      changed += apart > 0 ? 1 : 0;
    }
    return static_cast<double>(changed) / 20000;
  };
  constexpr double kFive = 5 * 0.5 / 141.4;
  EXPECT_NEAR(share(layers::RandomFlip("horizontal"), {1, 2, 1}, true), 0.5, kFive);
  EXPECT_NEAR(share(layers::RandomFlip("vertical"), {2, 1, 1}, true), 0.5, kFive);
  EXPECT_NEAR(share(layers::RandomFlip(), {2, 2, 1}, true), 0.5, kFive);  // both at once
  EXPECT_NEAR(share(layers::RandomGrayscale(0.3), {1, 1, 3}), 0.3, kFive);
  EXPECT_NEAR(share(layers::RandomInvert({0.8, 0.8}, {.value_range = {0, 1}}), {1, 1, 2}, true), 0.8, kFive);
  EXPECT_NEAR(share(layers::RandomInvert(0.5, {.value_range = {0, 1}}), {1, 1, 2}, true), 0.25, kFive);  // of 0 to 0.5
  EXPECT_NEAR(share(layers::RandomGaussianBlur(layers::Numbers({0.4, 0.4}), {.sigma = {0.5, 0.5}}), {3, 3, 1}), 0.4,
              kFive);
  EXPECT_NEAR(
      share(layers::RandomErasing(layers::Numbers({0.6, 0.6}), {.scale = {1, 1}, .fill_value = 9.0}), {2, 2, 1}, true),
      0.6, kFive);
}

TEST(RandomImageLayers, EraseABoxWithNormalNumbers) {
  const std::vector<std::int64_t> shape{200, 20, 30, 2};
  graph::Module module = image_step(layers::RandomErasing(1.0, {.scale = {0.1, 0.3}, .value_range = {-1000, 3}}),
                                    Shape(shape.begin(), shape.end()));
  const Array y = run_step(module, image_of(shape, [](std::int64_t) { return 7.0; }))[0];
  std::set<std::int64_t> starts;
  double sum = 0, squares = 0, inside = 0;
  std::int64_t clipped = 0;
  for (std::int64_t sample = 0; sample < 200; ++sample) {
    std::int64_t top = 20, bottom = -1, left = 30, right = -1, count = 0;
    for (std::int64_t place = 0; place < 600; ++place) {
      const double value = y.at((sample * 600 + place) * 2);
      ASSERT_EQ(value == 7, y.at((sample * 600 + place) * 2 + 1) == 7);  // all channels
      if (value == 7) continue;
      ++count;
      top = std::min(top, place / 30), bottom = std::max(bottom, place / 30);
      left = std::min(left, place % 30), right = std::max(right, place % 30);
      clipped += value == 3 ? 1 : 0;
      if (value < 3) sum += value, squares += value * value, inside += 1;
    }
    if (count == 0) continue;  // chosen with an even probability of 0 to 1
    starts.insert(top * 30 + left);
    EXPECT_EQ(count, (bottom - top + 1) * (right - left + 1));
    EXPECT_GE(right - left + 1, std::floor(std::sqrt(0.1) * 30));
    EXPECT_LE(right - left + 1, std::ceil(std::sqrt(0.3) * 30));
    EXPECT_GE(bottom - top + 1, std::floor(std::sqrt(0.1) * 20));
    EXPECT_LE(bottom - top + 1, std::ceil(std::sqrt(0.3) * 20));
  }
  EXPECT_GT(starts.size(), 50U);
  // Of normal numbers times 3, 15.87 % are beyond 3; those below have a mean of -0.2876 and a second moment of 0.712.
  const double all = inside + static_cast<double>(clipped);
  EXPECT_NEAR(static_cast<double>(clipped) / all, 0.1587, 0.01);
  EXPECT_NEAR(sum / inside / 3, -0.2876, 0.02);
  EXPECT_NEAR(squares / inside / 9, 0.7124, 0.03);
}

TEST(RandomImageLayers, CropAnywhere) {
  std::set<std::pair<double, double>> places;
  graph::Module module = image_step(layers::RandomCrop(2, 3), {Dim(2), Dim(4), Dim(5), Dim(1)});
  for (int step = 0; step < 200; ++step) {
    const Array y = run_step(module, image_of({2, 4, 5, 1}, [](std::int64_t i) { return static_cast<double>(i); }))[0];
    EXPECT_EQ(y.shape(), (std::vector<std::int64_t>{2, 2, 3, 1}));
    EXPECT_EQ(y.at(6), y.at(0) + 20);  // the same of each sample
    EXPECT_EQ(y.at(3), y.at(0) + 5);
    places.emplace(std::floor(y.at(0) / 5), std::fmod(y.at(0), 5));
  }
  EXPECT_EQ(places.size(), 9U);
}

std::vector<Layer> all_layers() {
  using namespace layers;
  return {RandomFlip(),
          RandomRotation(0.2, {.fill_mode = "constant"}),
          RandomRotation(0.4, {.fill_mode = "wrap"}),
          RandomZoom(0.3),
          RandomZoom(0.3, {.width_factor = Numbers({-0.2, 0.5}), .interpolation = "nearest"}),
          RandomTranslation(0.3, 0.4, {.fill_mode = "nearest"}),
          RandomShear({.x_factor = 0.4, .y_factor = 0.3}),
          RandomCrop(3, 3),
          RandomCrop(6, 3),
          RandomContrast(0.3, {.value_range = {0, 1}}),
          RandomBrightness(0.2, {.value_range = {0, 1}}),
          RandomSaturation({0.2, 0.7}, {.value_range = {0, 1}}),
          RandomHue(0.3, {.value_range = {0, 1}}),
          RandomPosterization(4, {.value_range = {0, 1}}),
          RandomSharpness(0.8, {.value_range = {0, 1}}),
          RandomInvert(0.5, {.value_range = {0, 1}}),
          RandomColorDegeneration(0.6, {.value_range = {0, 1}}),
          RandomGrayscale(0.5),
          RandomColorJitter({.value_range = {0, 1},
                             .brightness_factor = 0.1,
                             .contrast_factor = 0.2,
                             .saturation_factor = Numbers({0.4, 0.6}),
                             .hue_factor = 0.2}),
          Solarization(0.1, 0.7, {.value_range = {0, 1}}),
          RandomErasing(0.8, {.value_range = {0, 1}}),
          RandomGaussianBlur(1.0, {.value_range = {0, 1}})};
}

// Differences of the weighted sum, each element of the image moved both ways with all numbers drawn alike.
TEST(RandomImageLayers, GradientsSeeTheSameNumbers) {
  const std::vector<std::int64_t> shape{3, 4, 5, 3};
  const Array x =
      image_of(shape, [](std::int64_t i) { return 0.3 + 0.4 * std::fmod(0.618034 * static_cast<double>(i + 1), 1); });
  for (const Layer& layer : all_layers()) {
    graph::Module module = image_step(layer, Shape(shape.begin(), shape.end()));
    const auto weighted = [&](const Array& y) {
      double sum = 0;
      for (std::int64_t i = 0; i < y.size(); ++i) sum += y.at(i) * std::sin(static_cast<double>(i));
      return sum;
    };
    const Array dx = run_step(module, x, false)[1];
    double largest = 0;
    for (std::int64_t i = 0; i < x.size(); i += 7) {
      constexpr double kStep = 1e-4;
      const auto beside = [&](double by) {
        Array moved = x.converted(DType::f64);
        moved.set(i, x.at(i) + by);
        return std::pair(weighted(run_step(module, moved.converted(DType::f32), false)[0]),
                         moved.converted(DType::f32).at(i));
      };
      const auto [high, high_at] = beside(kStep);
      const auto [low, low_at] = beside(-kStep);
      EXPECT_NEAR(dx.at(i), (high - low) / (high_at - low_at), 2e-5) << layer.class_name() << " " << i;
      largest = std::max(largest, std::abs(dx.at(i)));
    }
    EXPECT_EQ(largest > 0, layer.class_name() != "RandomPosterization") << layer.class_name();
  }
}

TEST(RandomImageLayers, StepsDifferAndSeedsRepeat) {
  const std::vector<std::int64_t> shape{8, 6, 6, 3};
  const Array x = image_of(shape, [](std::int64_t i) { return std::fmod(0.618034 * static_cast<double>(i), 1); });
  const auto bytes = [](const Array& y) { return std::vector<std::byte>(y.bytes().begin(), y.bytes().end()); };
  const auto steps = [&](std::optional<std::int64_t> seed, const char* name) {
    graph::Module module =
        image_step(layers::RandomRotation(0.2, {.seed = seed, .name = name}), Shape(shape.begin(), shape.end()));
    const auto first = bytes(run_step(module, x)[0]);
    return std::pair(first, bytes(run_step(module, x)[0]));
  };
  const auto a = steps(9, "a");
  EXPECT_NE(a.first, a.second);
  EXPECT_EQ(steps(9, "b"), a);
  EXPECT_NE(steps({}, "a").first, a.first);
  // Each sample has numbers of its own.
  const std::size_t each = a.first.size() / 8;
  graph::Module module = image_step(layers::RandomRotation(0.2), Shape(shape.begin(), shape.end()));
  const Array same = image_of(shape, [](std::int64_t i) { return static_cast<double>(i % 108); });
  const auto y = bytes(run_step(module, same)[0]);
  for (std::size_t i = 1; i < 8; ++i)
    EXPECT_FALSE(std::equal(y.begin(), y.begin() + static_cast<std::ptrdiff_t>(each),
                            y.begin() + static_cast<std::ptrdiff_t>(i * each)));
}

TEST(RandomImageLayers, AreTheIdentityAtInference) {
  const Tensor x = Input({6, 6, 3});
  Tensor all = x;
  for (const Layer& layer : all_layers()) all = layer(all);
  const Array image = image_of({2, 6, 6, 3}, [](std::int64_t i) { return static_cast<double>(i) / 300; });
  const Array y = Model(x, all).predict({image}, {.verbose = 0}).front();
  for (std::int64_t i = 0; i < image.size(); ++i) ASSERT_EQ(y.at(i), image.at(i)) << i;
}

// Compiled, height and width open: each step draws anew, and only in training.
TEST(RandomImageLayers, CompiledSteps) {
  const Tensor x = Input({None, None, 3});
  Tensor y = layers::RandomFlip("horizontal", {.seed = 1})(x);
  y = layers::RandomRotation(0.1, {.seed = 2, .name = "turn"})(y);
  y = layers::RandomZoom(0.2, {.seed = 3, .name = "zoom"})(y);
  y = layers::RandomContrast(0.2, {.value_range = {0, 1}, .seed = 4})(y);
  y = layers::RandomErasing(0.5, {.value_range = {0, 1}, .seed = 5})(y);
  const Model model(x, layers::Dense(2)(layers::GlobalAveragePooling2D()(y)));
  auto module = to_training_module(model, {.optimizer = optimizers::SGD({.learning_rate = 0.1}),
                                           .losses = {losses::MeanSquaredError()},
                                           .targets = {{.shape = {Dim(2)}}}});
  ASSERT_TRUE(module) << module.problem().str();
  auto compiled = graph::make_callable(*module);
  ASSERT_TRUE(compiled) << compiled.problem().str();
  graph::Module interpreted = *module;
  const graph::Function& function = interpreted.functions.front();
  const Array images =
      image_of({3, 7, 9, 3}, [](std::int64_t i) { return std::fmod(0.618034 * static_cast<double>(i), 1); });
  const Array truths = image_of({3, 2}, [](std::int64_t i) { return static_cast<double>(i); });
  graph::SymbolValues symbols;
  for (const graph::Symbol& symbol : interpreted.symbols) symbols[symbol.name] = symbol.name == "batch" ? 3 : 0;
  for (const auto& [dim, value] : {std::pair(1, 7), std::pair(2, 9)}) {
    for (const std::string& name : function.values[static_cast<std::size_t>(function.params[0])]
                                       .type.shape[static_cast<std::size_t>(dim)]
                                       .symbols())
      symbols[name] = value;
  }
  double last = 0;
  for (int step = 0; step < 3; ++step) {
    const auto truth = graph::interpret(interpreted, function, {images, truths}, symbols);
    ASSERT_TRUE(truth) << truth.problem().str();
    for (std::size_t i = 0; i < function.updates.size(); ++i) {
      graph::Global& global = interpreted.globals[static_cast<std::size_t>(function.updates[i].global)];
      global.value = (*truth)[function.results.size() + i].converted(global.type.dtype);
    }
    const auto found = (**compiled)("train_step", {images, truths});
    ASSERT_TRUE(found) << found.problem().str();
    EXPECT_NEAR((*found)[0].at(0), (*truth)[0].at(0), 1e-5 * std::abs((*truth)[0].at(0))) << step;
    EXPECT_NE((*found)[0].at(0), last);
    last = (*found)[0].at(0);
  }
  const auto state = (**compiled).state("turn/seed_generator_state");
  ASSERT_TRUE(state) << state.problem().str();
  EXPECT_EQ(state->int_at(1), 3);
}

// As tf-keras 2.21 writes them: `rng_type` says where its numbers come from.
TEST(RandomImageLayers, ReadConfigurationsOfKeras2) {
  const std::vector<std::pair<std::string, std::string>> all = {
      {"RandomFlip", R"("mode": "horizontal_and_vertical")"},
      {"RandomRotation", R"("factor": 0.1, "fill_mode": "reflect", "fill_value": 0.0, "interpolation": "bilinear")"},
      {"RandomZoom", R"("height_factor": 0.1, "width_factor": null, "fill_mode": "reflect", "fill_value": 0.0,
                        "interpolation": "bilinear")"},
      {"RandomTranslation", R"("height_factor": 0.1, "width_factor": 0.1, "fill_mode": "reflect", "fill_value": 0.0,
                               "interpolation": "bilinear")"},
      {"RandomContrast", R"("factor": 0.1)"},
      {"RandomBrightness", R"("factor": [-0.1, 0.1], "value_range": [0, 255])"},
      {"RandomCrop", R"("height": 3, "width": 3)"},
  };
  for (const auto& [name, fields] : all) {
    const std::string config = fmt::format(
        R"({{"name": "l", "trainable": true, "dtype": "float32", "rng_type": "stateful", "seed": null, {}}})", fields);
    EXPECT_NO_THROW(layer_from_config(name, config)) << name;
  }
}

}  // namespace
}  // namespace tusk
