#include "frontend/export/field_writer.hpp"

#include <fmt/format.h>

#include "frontend/model/error.hpp"

namespace tusk {

nlohmann::ordered_json FieldWriter::written(const Axes& value, std::string_view) {
  return value.list().size() == 1 ? Json(value.list().front()) : Json(value.list());
}

nlohmann::ordered_json FieldWriter::written(const std::vector<InputDim>& value, std::string_view) {
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

}  // namespace tusk
