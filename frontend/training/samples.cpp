// Arrays of fit and evaluate, checked and in order.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "frontend/files/bytes.hpp"
#include "frontend/model/arrays.hpp"
#include "frontend/model/error.hpp"
#include "frontend/training/trainer.hpp"

namespace tusk {
namespace {

Error data_problem(const Model& model, const std::string& message) {
  return Error(error("fit-data", model.name() + ": " + message));
}

Array as_data(Array array) { return array.dtype() == DType::f64 ? array.converted(DType::f32) : array; }

// One for each output that `wanted` says; of the others, given in a list or dict for all outputs, nothing is read.
std::vector<std::optional<Array>> by_output(const Model& model, const Data& given, const std::vector<bool>& wanted,
                                            std::string_view what) {
  const std::vector<std::string>& outputs = model.output_names();
  std::vector<std::optional<Array>> out(outputs.size());
  if (given.form == Form::dict) {
    for (const std::string& name : given.names) {
      if (std::ranges::find(outputs, name) == outputs.end())
        throw Error(error("fit-data", fmt::format("{}: {} has an array for an output {}, which there is not",
                                                  model.name(), what, in_quotes(name)))
                        .note(fmt::format("the outputs are {}", fmt::join(outputs, ", "))));
    }
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const auto found = std::ranges::find(given.names, outputs[i]);
      if (!wanted[i]) continue;
      if (found == given.names.end())
        throw Error(error("fit-data", fmt::format("{}: {} has no array for the output {}", model.name(), what,
                                                  in_quotes(outputs[i])))
                        .note(fmt::format("the dict has {}", fmt::join(given.names, ", "))));
      out[i] = as_data(given.items[static_cast<std::size_t>(found - given.names.begin())]);
    }
    return out;
  }
  const auto needed = static_cast<std::size_t>(std::ranges::count(wanted, true));
  if (given.items.size() != outputs.size() && given.items.size() != needed)
    throw data_problem(model, fmt::format("{} has {} arrays for the {} outputs {}", what, given.items.size(),
                                          outputs.size(), fmt::join(outputs, ", ")));
  std::size_t next = 0;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (given.items.size() == outputs.size()) next = i;
    if (wanted[i]) out[i] = as_data(given.items[next++]);
  }
  return out;
}

// The weight of each row's class: of integers, or of one-hot rows.
Array weights_of_classes(const Model& model, const Array& y, const std::map<int, double>& class_weight) {
  const std::int64_t count = y.shape()[0];
  const std::int64_t width = y.shape().size() > 1 ? y.shape().back() : 1;
  if (y.size() != count * width)
    throw data_problem(
        model, fmt::format("class_weight is for one class for each row, y has shape {}", shape_text(y.shape())));
  Array out(DType::f32, {count});
  for (std::int64_t row = 0; row < count; ++row) {
    std::int64_t best = 0;
    for (std::int64_t i = 1; i < width; ++i) {
      if (y.at(row * width + i) > y.at(row * width + best)) best = i;
    }
    const double label = width > 1 ? static_cast<double>(best) : std::nearbyint(y.at(row));
    const auto found = label >= -2147483648.0 && label < 2147483648.0 ? class_weight.find(static_cast<int>(label))
                                                                      : class_weight.end();
    out.set(row, found != class_weight.end() ? found->second : 1.0);
  }
  return out;
}

void check_lengths(const Model& model, Samples& samples, std::string_view first) {
  const auto check = [&](const Array& array, std::string_view what) {
    if (array.shape().empty())
      throw data_problem(model, fmt::format("{} is a scalar; axis 0 is that of samples", what));
    if (array.shape()[0] != samples.count)
      throw Error(error("fit-data", fmt::format("{}: the arrays have different numbers of samples", model.name()))
                      .note(fmt::format("{} has {}, {} has {}", first, samples.count, what, array.shape()[0])));
  };
  for (std::size_t i = 0; i < samples.inputs.size(); ++i)
    check(samples.inputs[i], fmt::format("x of the input {}", in_quotes(model.input_names()[i])));
  for (std::size_t i = 0; i < samples.targets.size(); ++i) {
    if (samples.targets[i])
      check(*samples.targets[i], fmt::format("y of the output {}", in_quotes(model.output_names()[i])));
  }
  for (const Array& weights : samples.weights) check(weights, "sample_weight");
}

}  // namespace

Samples samples_of(const Model& model, const Data& x, const Data& y, const Data& sample_weight,
                   const std::map<int, double>& class_weight) {
  const std::vector<bool> wanted = outputs_with_target(trainer_of(model, "fit").options, model.output_names());
  Samples out;
  out.inputs = input_arrays(model, x);
  if (y.is_none()) throw data_problem(model, "there is no y: the loss wants labels");
  out.targets = by_output(model, y, wanted, "y");
  if (!sample_weight.is_none() && !class_weight.empty())
    throw data_problem(model, "class_weight and sample_weight are given, only one of them can be");
  if (!class_weight.empty()) {
    if (model.outputs().size() != 1) throw data_problem(model, "class_weight is for models with one output");
    if (!out.targets[0]->shape().empty())
      out.weights.push_back(weights_of_classes(model, *out.targets[0], class_weight));
  }
  if (sample_weight.form == Form::one) out.weights.push_back(sample_weight.items[0].converted(DType::f32));
  if (sample_weight.form == Form::list || sample_weight.form == Form::dict) {
    for (const std::optional<Array>& weights : by_output(model, sample_weight, wanted, "sample_weight")) {
      if (weights) out.weights.push_back(weights->converted(DType::f32));
    }
  }
  const Array& first = out.inputs.empty() ? out.targets[0].value() : out.inputs[0];
  out.count = first.shape().empty() ? 0 : first.shape()[0];
  check_lengths(model, out, fmt::format("x of the input {}", in_quotes(model.input_names().front())));
  if (out.count == 0) throw data_problem(model, "there are no samples");
  return out;
}

Samples rows(const Samples& samples, std::int64_t begin, std::int64_t end) {
  const auto cut = [&](const Array& array) { return array.rows(begin, end); };
  Samples out;
  out.count = end - begin;
  for (const Array& array : samples.inputs) out.inputs.push_back(cut(array));
  for (const std::optional<Array>& array : samples.targets)
    out.targets.push_back(array ? std::optional(cut(*array)) : std::nullopt);
  for (const Array& array : samples.weights) out.weights.push_back(cut(array));
  return out;
}

void copy_rows(const Samples& samples, std::span<const std::int64_t> which, Samples& out) {
  out.count = static_cast<std::int64_t>(which.size());
  out.inputs.resize(samples.inputs.size());
  out.targets.resize(samples.targets.size());
  out.weights.resize(samples.weights.size());
  for (std::size_t i = 0; i < samples.inputs.size(); ++i) copy_rows(samples.inputs[i], which, out.inputs[i]);
  for (std::size_t i = 0; i < samples.weights.size(); ++i) copy_rows(samples.weights[i], which, out.weights[i]);
  for (std::size_t i = 0; i < samples.targets.size(); ++i) {
    if (!samples.targets[i]) continue;
    if (!out.targets[i]) out.targets[i].emplace();
    copy_rows(*samples.targets[i], which, *out.targets[i]);
  }
}

}  // namespace tusk
