#include "frontend/import/fields.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <type_traits>
#include <utility>

#include "frontend/import/penalty_config.hpp"
#include "frontend/model/fourier.hpp"
#include "frontend/training/confusion_metrics.hpp"
#include "frontend/training/optimizer_list.hpp"
#include "ir/text/suggest.hpp"

namespace tusk {

using nlohmann::json;

std::string json_text(const json& value) {
  // dump() writes null for these.
  if (value.is_number_float() && !std::isfinite(value.get<double>())) return fmt::format("{}", value.get<double>());
  std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

namespace {

// Keras writes an array that it was given in an envelope.
const json& without_envelope(const json& found) {
  const bool is_array =
      found.is_object() && found.contains("config") && found["config"].is_object() && found["config"].contains("value");
  return is_array ? found["config"]["value"] : found;
}

bool is_penalty(std::string_view key) { return key.ends_with("_regularizer") || key.ends_with("_constraint"); }

}  // namespace

void FieldReader::read(const json& found, std::string_view field, Regularizer& value) {
  const std::optional<Regularizer> known = regularizer_of(found);
  if (!known) unknown_penalties_.emplace_back(field);
  value = known.value_or(value);
}

void FieldReader::read(const json& found, std::string_view field, Constraint& value) {
  const std::optional<Constraint> known = constraint_of(found);
  if (!known) unknown_penalties_.emplace_back(field);
  value = known.value_or(value);
}

void FieldReader::fail(std::string message, std::string note) const {
  Diagnostic problem = error("layer-config", std::move(message));
  problem.layer = layer_;
  problem.note(fmt::format("its class is {}", class_name_));
  if (!note.empty()) problem.note(std::move(note));
  throw Error(std::move(problem));
}

void FieldReader::expected(const json& found, std::string_view field, std::string_view what) const {
  fail(fmt::format("{} is {}, expected {}", field, json_text(found), what));
}

const json* FieldReader::take(std::string_view field) {
  seen_.emplace(field);
  const auto old = old_keys_.find(field);
  const auto it = config_.find(old == old_keys_.end() ? field : old->second);
  return it == config_.end() || it->is_null() ? nullptr : &*it;
}

bool FieldReader::is_null(std::string_view field) const {
  const auto it = config_.find(field);
  return it != config_.end() && it->is_null();
}

void FieldReader::renamed(std::string_view old_key, std::string_view field) {
  if (!config_.contains(old_key)) return;
  if (config_.contains(field)) fail(fmt::format("it has both {} and {}", old_key, field));
  // Both formats of a field are read the same way, so the old key is read in place of the new one.
  seen_.emplace(old_key);
  old_keys_.emplace(field, old_key);
}

void FieldReader::nullable(std::string_view field, std::string& value) {
  if (const auto it = config_.find(field); it != config_.end() && it->is_null()) value.clear();
  (*this)(field, value);
}

void FieldReader::read(const json& found, std::string_view field, Layer& value) const {
  if (!found.is_object() || !make_layer_) expected(found, field, "a layer");
  value = make_layer_(found, layer_);
  const auto config = found.find("config");
  if (config != found.end() && config->is_object() && config->value("trainable", json()) == false)
    value.base().set_trainable(false);
}

void FieldReader::only(std::string_view field, const json& value) {
  const json* found = take(field);
  if (found == nullptr || *found == value) return;
  fail(fmt::format("{} is {}, which is not supported in this release", field, json_text(*found)),
       value.is_null() ? "save the model without it" : fmt::format("supported is {}", json_text(value)));
}

void FieldReader::finish() {
  static constexpr std::array<std::string_view, 5> kHarmless = {"name", "trainable", "batch_input_shape", "autocast",
                                                                "batch_shape"};
  static constexpr std::array<std::string_view, 3> kTrainingOnly = {"_initializer", "_regularizer", "_constraint"};
  for (const auto& [key, value] : config_.items()) {
    if (seen_.contains(key) || ignore_rest_ || key == "dtype") continue;
    if (!value.is_null() && is_penalty(key)) unknown_penalties_.push_back(key);
    const bool harmless =
        std::ranges::find(kHarmless, key) != kHarmless.end() ||
        std::ranges::any_of(kTrainingOnly, [&key = key](std::string_view suffix) { return key.ends_with(suffix); });
    if (harmless) continue;
    std::vector<std::string_view> known(seen_.begin(), seen_.end());
    fail(fmt::format("{} = {} is an unknown argument{}", key, json_text(value), text::suggestion(key, known)));
  }
}

// "float32", {"class_name": "Policy" or "DTypePolicy", "config": {"name": "float32"}}, or null.
DtypePolicy FieldReader::dtype_policy() const try {
  const auto it = config_.find("dtype");
  if (it == config_.end() || it->is_null() || seen_.contains("dtype")) return {};
  const json* name = &*it;
  if (name->is_object() && name->contains("config") && (*name)["config"].is_object() &&
      (*name)["config"].contains("name")) {
    name = &(*name)["config"]["name"];
  } else if (name->is_object() && name->contains("class_name")) {
    name = &(*name)["class_name"];  // QuantizedDTypePolicy, DTypePolicyMap
  }
  // Of layers that give integers, Keras 2 names their type.
  if (keras_major_ < 3 && name->is_string() && (*name == "int64" || *name == "int32")) return {};
  return DtypePolicy::named(name->is_string() ? name->get<std::string>() : json_text(*name));
} catch (const Error& failure) {
  Diagnostic problem = failure.problem();
  problem.layer = layer_;
  throw Error(std::move(problem.note("build the model again with one of them and load the weights into it")));
}

std::int64_t FieldReader::integer(const json& found, std::string_view field, std::string_view what) const {
  if (!found.is_number_integer()) expected(found, field, what);
  if (found.is_number_unsigned() && found.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
    expected(found, field, "less");
  }
  return found.get<std::int64_t>();
}

std::vector<std::int64_t> FieldReader::integers(const json& found, std::string_view field,
                                                std::string_view what) const {
  if (!found.is_array()) expected(found, field, what);
  std::vector<std::int64_t> list;
  for (const json& entry : found) {
    if (!entry.is_number_integer()) expected(found, field, what);
    list.push_back(integer(entry, field, what));
  }
  return list;
}

// Python takes numbers, too.
void FieldReader::read(const json& found, std::string_view field, bool& value) const {
  if (!found.is_boolean() && !found.is_number()) expected(found, field, "true or false");
  value = found.is_boolean() ? found.get<bool>() : found.get<double>() != 0;
}

void FieldReader::read(const json& found, std::string_view field, std::int64_t& value) const {
  // Keras 2 writes the one axis of a BatchNormalization as a list.
  const bool listed = field == "axis" && found.is_array() && found.size() == 1;
  value = integer(listed ? found[0] : found, field, "an integer");
}

void FieldReader::read(const json& found, std::string_view field, double& value) const {
  if (!found.is_number() || std::isnan(found.get<double>())) expected(found, field, "a number");
  value = found.get<double>();
}

void FieldReader::read(const json& found, std::string_view field, std::string& value) const {
  if (!found.is_string()) expected(found, field, "a text");
  value = found.get<std::string>();
}

void FieldReader::read(const json& found, std::string_view field, std::vector<std::int64_t>& value) const {
  value = found.is_number_integer() ? std::vector{integer(found, field, "")} : integers(found, field, "integers");
}

void FieldReader::read(const json& found, std::string_view field, Axes& value) const {
  std::vector<std::int64_t> list;
  read(found, field, list);
  value = Axes(std::move(list));
}

void FieldReader::read(const json& found, std::string_view field, std::vector<InputDim>& value) const {
  if (!found.is_array() || found.empty()) expected(found, field, "a list that begins with the batch");
  if (found.size() > kMostAxes) expected(found, field, fmt::format("at most {} axes", kMostAxes));
  value.clear();
  for (std::size_t axis = 0; axis < found.size(); ++axis) {
    if (found[axis].is_null()) {
      value.emplace_back(None);
    } else {
      value.emplace_back(integer(found[axis], fmt::format("axis {} of {}", axis, field), "an integer or null"));
    }
  }
}

void FieldReader::read(const json& found, std::string_view field, Activation& value) const {
  const json* name = &found;
  if (found.is_object() && found.contains("class_name") && found["class_name"] == "function" &&
      found.contains("config")) {
    name = &found["config"];  // a function that somebody registered, or one of Keras
  }
  if (found.is_object() && name == &found && found.contains("class_name") && make_layer_) {
    value = Activation(make_layer_(found, layer_));
    return;
  }
  if (!name->is_string()) {
    const std::string class_name =
        found.is_object() && found.contains("class_name") ? json_text(found["class_name"]) : json_text(found);
    fail(fmt::format("{} is {}, expected the name of an activation", field, class_name),
         "put the activation into a layer of its own");
  }
  std::string text = name->get<std::string>();
  if (text == "hard_sigmoid" && keras_major_ < 3) text = "hard_sigmoid_keras2";
  try {
    value = Activation::named(text);
  } catch (const Error& failure) {
    fail(fmt::format("{}: {}", field, failure.problem().message),
         "rewrite it with one of keras.activations, or register a layer of your own in its place");
  }
}

// "he_normal", or an envelope {"class_name": "HeNormal", "config": {"seed": 3}}.
void FieldReader::read(const json& found, std::string_view field, Initializer& value) const {
  const bool is_envelope = found.is_object() && found.contains("class_name") && found["class_name"].is_string();
  const json& name = is_envelope ? found["class_name"] : found;
  value = Initializer(name.is_string() ? InitializerClass::named(name.get<std::string>()) : nullptr);
  if (value.of == nullptr || !is_envelope || !found.contains("config") || !found["config"].is_object()) return;
  FieldReader config(found["config"], layer_, value.of->name.data(), keras_major_);
  std::size_t next = 0;
  for (const std::string_view argument : value.of->arguments()) config(argument, value.numbers[next++]);
  config("seed", value.seed);
  // The word that a key has, "" where it is null.
  const auto word = [&]<class Choice>(std::string_view key, std::span<const std::string_view> words, Choice& chosen) {
    std::string given(words[static_cast<std::size_t>(chosen)]);
    config.nullable(key, given);
    if (key == "distribution" && given == "normal" && keras_major_ < 3) given = "truncated_normal";
    const auto at = std::ranges::find(words, given);
    if (at == words.end())
      fail(fmt::format("{} of {} is `{}`, expected one of {}", key, field, given, fmt::join(words, ", ")));
    chosen = static_cast<Choice>(at - words.begin());
  };
  if (value.of->has_mode()) {
    word("mode", kFanModes, value.mode);
    word("distribution", kDistributions, value.distribution);
  }
  if (value.kind == InitializerClass::Kind::fourier) {
    word("side", kFourierSides, value.fourier.side);
    word("scaling", kFourierScalings, value.fourier.scaling);
    std::string window(value.fourier.window);
    config.nullable("window", window);
    const auto listed = std::ranges::find(kWindows, window, &Window::name);
    if (listed == std::end(kWindows)) fail(fmt::format("window of {} is {}, which is not known", field, window));
    value.fourier.window = listed->name;
    config("periodic", value.fourier.periodic);
  }
  for (auto [key, axes] : {std::pair("input_axes", &value.input_axes), std::pair("output_axes", &value.output_axes)}) {
    const json* list = config.take(key);
    if (list == nullptr) continue;
    const std::vector<std::int64_t> given = integers(*list, key, "integers");
    if (given.size() > WeightAxes::kMost) expected(*list, key, fmt::format("at most {} axes", WeightAxes::kMost));
    *axes = WeightAxes({});
    for (const std::int64_t axis : given) axes->add(axis);
  }
}

void FieldReader::read(const json& found, std::string_view field, LearningRate& value) const {
  if (found.is_object()) {
    value = schedule_from_config(found);
    return;
  }
  if (!found.is_number()) expected(found, field, "a number or a schedule");
  value = found.get<double>();
}

void FieldReader::read(const json& found, std::string_view, Optimizer& value) const {
  value = optimizer_from_config(found);
}

void FieldReader::read(const json& found, std::string_view, optimizers::OptimizerMap& value) const {
  value = optimizer_map_from_config(found);
}

void FieldReader::read(const json& found, std::string_view field, metrics::Thresholds& value) const {
  std::vector<double> list;
  read(found.is_number() ? json::array({found}) : found, field, list);
  value = metrics::Thresholds(std::move(list));
}

void FieldReader::read(const json& given, std::string_view field, std::vector<double>& value) const {
  const json& found = without_envelope(given);
  if (!found.is_array() || !std::ranges::all_of(found, [](const json& each) { return each.is_number(); }))
    expected(found, field, "numbers");
  value = found.get<std::vector<double>>();
}

void FieldReader::read(const json& found, std::string_view field, layers::Numbers& value) const {
  std::vector<double> numbers;
  const auto add = [&](const auto& self, const json& entry) -> void {
    if (!entry.is_array()) return read(entry, field, numbers.emplace_back());
    for (const json& inner : entry) self(self, inner);
  };
  add(add, without_envelope(found));
  if (numbers.empty()) expected(found, field, "a number or a list of them");
  value = layers::Numbers(std::move(numbers));
}

void FieldReader::read(const json& found, std::string_view field, layers::OutputShape& value) const {
  const json list = found.is_array() ? found : json::array({found});
  if (list.size() > kMostAxes) expected(found, field, fmt::format("at most {} axes", kMostAxes));
  std::vector<std::optional<std::int64_t>> extents;
  for (const json& entry : list) {
    if (entry.is_null()) {
      extents.emplace_back();
    } else {
      extents.emplace_back(integer(entry, field, "integers or null"));
    }
  }
  value = layers::OutputShape(std::move(extents));
}

}  // namespace tusk
