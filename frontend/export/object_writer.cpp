#include "frontend/export/object_writer.hpp"

#include <utility>

#include "frontend/training/confusion_metrics.hpp"
#include "frontend/training/optimizer_list.hpp"
#include "frontend/training/optimizer_map.hpp"

namespace tusk {

using Json = nlohmann::ordered_json;

Json ObjectWriter::written(const Axes& value) {
  return value.list().size() == 1 ? Json(value.list().front()) : written(value.list());
}

// Keras keeps a rate in f32 and writes what that holds.
Json ObjectWriter::written(const LearningRate& value) {
  if (value.schedule() != nullptr) return schedule_config(*value.schedule());
  return static_cast<double>(static_cast<float>(value.number()));
}

Json ObjectWriter::written(const Optimizer& value) { return value ? optimizer_config(value) : Json(); }

Json ObjectWriter::written(const optimizers::OptimizerMap& value) {
  Json entries = Json::object();
  for (const auto& [key, optimizer] : value.entries()) entries[key] = optimizer_config(optimizer);
  return object_envelope(
      "keras.optimizers", "OptimizerMap",
      Json{{"default_optimizer", written(value.default_optimizer())}, {"optimizer_map", std::move(entries)}});
}

Json ObjectWriter::written(const metrics::Thresholds& value) {
  return value.list().size() == 1 ? Json(value.list().front()) : written(value.list());
}

Json object_envelope(std::string_view module, std::string_view class_name, Json config) {
  return Json{
      {"module", module}, {"class_name", class_name}, {"config", std::move(config)}, {"registered_name", nullptr}};
}

}  // namespace tusk
