#include "frontend/export/field_writer.hpp"

#include <fmt/format.h>

#include "frontend/model/error.hpp"

namespace tusk {
namespace {

nlohmann::ordered_json envelope(const char* module, const char* class_name, nlohmann::ordered_json config) {
  if (config.is_null()) config = nlohmann::ordered_json::object();
  return {{"module", module}, {"class_name", class_name}, {"config", std::move(config)}, {"registered_name", nullptr}};
}

}  // namespace

// Keras keeps some of these numbers in f32.
nlohmann::ordered_json FieldWriter::written(const Regularizer& value, std::string_view) {
  constexpr const char* kModule = "keras.regularizers";
  const auto single = [](double number) { return static_cast<double>(static_cast<float>(number)); };
  switch (value.kind) {
    case Regularizer::Kind::none:
      return {};
    case Regularizer::Kind::l1:
      return envelope(kModule, "L1", {{"l1", single(value.l1)}});
    case Regularizer::Kind::l2:
      return envelope(kModule, "L2", {{"l2", value.l2}});
    case Regularizer::Kind::l1l2:
      return envelope(kModule, "L1L2", {{"l1", value.l1}, {"l2", value.l2}});
    case Regularizer::Kind::orthogonal:
      return envelope(kModule, "OrthogonalRegularizer",
                      {{"factor", single(value.factor)}, {"mode", value.by_rows ? "rows" : "columns"}});
  }
  return {};
}

nlohmann::ordered_json FieldWriter::written(const Constraint& value, std::string_view) {
  constexpr const char* kModule = "keras.constraints";
  const std::vector<std::int64_t> axes(value.axes.begin(),
                                       value.axes.begin() + static_cast<std::ptrdiff_t>(value.axis_count));
  const Json axis = axes.size() == 1 ? Json(axes.front()) : Json(axes);
  switch (value.kind) {
    case Constraint::Kind::none:
      return {};
    case Constraint::Kind::max_norm:
      return envelope(kModule, "MaxNorm", {{"max_value", value.max_value}, {"axis", axis}});
    case Constraint::Kind::min_max_norm:
      return envelope(
          kModule, "MinMaxNorm",
          {{"min_value", value.min_value}, {"max_value", value.max_value}, {"rate", value.rate}, {"axis", axis}});
    case Constraint::Kind::non_neg:
      return envelope(kModule, "NonNeg", {});
    case Constraint::Kind::unit_norm:
      return envelope(kModule, "UnitNorm", {{"axis", axis}});
  }
  return {};
}

nlohmann::ordered_json FieldWriter::written(const Axes& value, std::string_view) {
  return value.list().size() == 1 ? Json(value.list().front()) : Json(value.list());
}

nlohmann::ordered_json FieldWriter::written(const std::vector<InputDim>& value, std::string_view) {
  if (value.empty()) return {};
  Json list = Json::array();
  for (const InputDim& dim : value) list.push_back(dim.extent() ? Json(*dim.extent()) : Json());
  return list;
}

nlohmann::ordered_json FieldWriter::written(const layers::Numbers& value, std::string_view) {
  return value.values.size() == 1 ? Json(value.values.front()) : Json(value.values);
}

nlohmann::ordered_json FieldWriter::written(const layers::OutputShape& value, std::string_view) {
  Json list = Json::array();
  for (const std::optional<std::int64_t>& extent : value.extents) list.push_back(extent ? Json(*extent) : Json());
  return list;
}

nlohmann::ordered_json FieldWriter::written(const Activation& value, std::string_view field) const {
  if (value.layer() != nullptr) return write_layer_(*value.layer());
  if (!value.name().empty()) return std::string(value.name());
  Diagnostic problem =
      error("config-function", fmt::format("{} is a function of C++, which has no name in a file", field));
  problem.layer = layer_.name();
  throw Error(problem.note("write it as a layer, and make that known with register_layer"));
}

// The word where all arguments are defaults, else Keras' envelope.
nlohmann::ordered_json FieldWriter::written(const Initializer& value, std::string_view) {
  if (value.of == nullptr) return "zeros";  // the file has its values
  if (value == Initializer(value.of)) return std::string(value.of->word);
  Json config = Json::object();
  if (value.of->has_seed()) config["seed"] = value.seed ? Json(*value.seed) : Json();
  std::size_t next = 0;
  for (const std::string_view argument : value.of->arguments()) config[std::string(argument)] = value.numbers[next++];
  if (value.of->has_mode()) {
    config["mode"] = std::string(kFanModes[static_cast<std::size_t>(value.mode)]);
    config["distribution"] = std::string(kDistributions[static_cast<std::size_t>(value.distribution)]);
  }
  if (value.kind == InitializerClass::Kind::fourier) {
    const auto word = [](std::string_view text) { return text.empty() ? Json() : Json(std::string(text)); };
    config = {{"side", std::string(kFourierSides[static_cast<std::size_t>(value.fourier.side)])},
              {"window", word(value.fourier.window)},
              {"periodic", value.fourier.periodic},
              {"scaling", word(kFourierScalings[static_cast<std::size_t>(value.fourier.scaling)])}};
  }
  if (value.of->has_axes()) {
    const auto list = [](const WeightAxes& axes) {
      return axes.given() ? Json(std::vector<std::int64_t>(axes.begin(), axes.end())) : Json();
    };
    config["input_axes"] = list(value.input_axes);
    config["output_axes"] = list(value.output_axes);
  }
  return {{"module", "keras.initializers"},
          {"class_name", std::string(value.of->name)},
          {"config", std::move(config)},
          {"registered_name", nullptr}};
}

}  // namespace tusk
