// A training that goes wrong when it runs, as a user's program would have it: `wrong_fit CASE` prints what it is told.
#include "frontend/tusk.hpp"

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <map>
#include <string_view>

using namespace tusk;

namespace {

Array ones(std::vector<std::int64_t> shape) { return Array::splat(DType::f32, std::move(shape), 1); }

Model classifier(const CompileOptions& options) {
  const Tensor x = Input({3}, {.name = "x"});
  const Model model(x, layers::Dense(2, {.name = "a"})(x), {.name = "m"});
  model.compile(options);
  return model;
}

Model of_two_outputs(const CompileOptions& options) {
  const Tensor x = Input({3}, {.name = "x"});
  const Model model(x, {layers::Dense(1, {.name = "a"})(x), layers::Dense(2, {.name = "b"})(x)}, {.name = "m"});
  model.compile(options);
  return model;
}

Array labels() {
  Array y(DType::i32, {4});
  y.set_int(2, 5);
  return y;
}

Array with_nan() {
  Array y = ones({4, 2});
  y.set(4, std::nan(""));
  return y;
}

void fit(const Model& model, const Data& y, std::vector<Callback> callbacks = {}) {
  model.fit(ones({4, 3}), y, {.epochs = 2, .verbose = 2, .callbacks = std::move(callbacks)});
}

const std::map<std::string_view, std::function<void()>>& cases() {
  static const std::map<std::string_view, std::function<void()>> all = {
      {"label", [] { fit(classifier({.loss = "sparse_categorical_crossentropy"}), labels()); }},
      {"one-hot",
       [] {
         fit(classifier({.loss = "sparse_categorical_crossentropy"}), ones({4, 2}));
       }},
      {"rank", [] { fit(classifier({.loss = "mse"}), ones({4})); }},
      {"shape",
       [] {
         fit(classifier({.loss = "categorical_crossentropy"}), ones({4, 3}));
       }},
      {"nan", [] { fit(classifier({.loss = "mse"}), with_nan()); }},
      {"nan-stops", [] { fit(classifier({.loss = "mse"}), with_nan(), {callbacks::TerminateOnNaN()}); }},
      {"nan-raises",
       [] { fit(classifier({.loss = "mse"}), with_nan(), {callbacks::TerminateOnNaN({.raise_error = true})}); }},
      {"metric",
       [] {
         fit(classifier({.loss = "mse", .metrics = {"acurracy"}}), ones({4, 2}));
       }},
      {"two-losses",
       [] {
         fit(classifier({.loss = {"mse", "mae"}}), ones({4, 2}));
       }},
      {"loss-for-one",
       [] {
         fit(of_two_outputs({.loss = {{"a", "mse"}}}), {{"a", ones({4, 1})}});
       }},
      {"loss-for-none",
       [] {
         fit(of_two_outputs({.loss = {{"a", "mse"}, {"c", "mse"}}}), {{"a", ones({4, 1})}});
       }},
      {"target-for-none",
       [] {
         fit(of_two_outputs({.loss = "mse"}), {{"a", ones({4, 1})}, {"b", ones({4, 2})}, {"c", ones({4, 1})}});
       }},
      {"target-missing",
       [] {
         fit(of_two_outputs({.loss = "mse"}), {{"a", ones({4, 1})}});
       }},
      {"target-without-loss",
       [] {
         fit(of_two_outputs({.loss = {{"a", "mse"}, {"b", None}}}), {{"a", ones({4, 1})}, {"b", ones({4, 2})}});
       }},
  };
  return all;
}

}  // namespace

int main(int count, char** arguments) try {
  const auto known = cases().find(count > 1 ? arguments[1] : "");
  if (known == cases().end()) {
    fmt::print(stderr, "usage: wrong_fit CASE\n");
    return 2;
  }
  known->second();
} catch (const Error& error) {
  std::fflush(stdout);
  fmt::print(stderr, "{}", error.what());
  return 1;
}
