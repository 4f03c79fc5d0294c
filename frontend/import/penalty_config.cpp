#include "frontend/import/penalty_config.hpp"

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace tusk {
namespace {

using nlohmann::json;

struct Written {
  std::string name;
  const json* config;
  bool is_old = false;  // Keras 1: {"name": "MaxNorm", "m": 2, "axis": 0}
};

std::optional<Written> class_of(const json& given) {
  static const json kNothing = json::object();
  if (given.is_string()) return Written{given.get<std::string>(), &kNothing};
  if (!given.is_object()) return std::nullopt;
  const auto name = given.find("class_name");
  if (name == given.end()) {
    const auto old = given.find("name");
    if (old == given.end() || !old->is_string()) return std::nullopt;
    return Written{old->get<std::string>(), &given, true};
  }
  if (!name->is_string()) return std::nullopt;
  const auto config = given.find("config");
  return Written{name->get<std::string>(), config != given.end() && config->is_object() ? &*config : &kNothing};
}

// Whether what stands there, if anything does, is a number.
bool read(const json& config, const char* key, double& value) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return true;
  if (!found->is_number() || !std::isfinite(found->get<double>())) return false;
  value = found->get<double>();
  return true;
}

bool read_axes(const json& config, Constraint& out) {
  const auto found = config.find("axis");
  if (found == config.end() || found->is_null()) return true;
  std::vector<std::int64_t> axes;
  for (const json& each : found->is_array() ? *found : json::array({*found})) {
    if (!each.is_number_integer()) return false;
    axes.push_back(each.get<std::int64_t>());
  }
  if (axes.empty() || axes.size() > Constraint::kMostAxes) return false;
  out.set_axes(Axes(std::move(axes)));
  return true;
}

}  // namespace

std::optional<Regularizer> regularizer_of(const json& given) {
  const std::optional<Written> named = class_of(given);
  if (!named) return std::nullopt;
  // Keras 2 had another name for it, with other defaults.
  const bool is_l1_l2 = named->name == "l1_l2";
  const bool is_old = named->is_old && (named->name == "WeightRegularizer" || named->name == "L1L2Regularizer");
  std::optional<Regularizer> out = Regularizer::named(is_l1_l2 || is_old ? "L1L2" : named->name);
  if (!out) return std::nullopt;
  if (is_l1_l2 && given.is_string()) out->l1 = out->l2 = 0.01;
  const json& config = *named->config;
  if (!read(config, "l1", out->l1) || !read(config, "l2", out->l2) || !read(config, "factor", out->factor))
    return std::nullopt;
  if (const auto mode = config.find("mode"); mode != config.end()) {
    if (*mode != "rows" && *mode != "columns") return std::nullopt;
    out->by_rows = *mode == "rows";
  }
  return out;
}

std::optional<Constraint> constraint_of(const json& given) {
  const std::optional<Written> named = class_of(given);
  if (!named) return std::nullopt;
  std::optional<Constraint> out = Constraint::named(named->name == "NonNegative" ? "NonNeg" : named->name);
  if (!out) return std::nullopt;
  const json& config = *named->config;
  const bool is_read = read(config, "min_value", out->min_value) && read(config, "max_value", out->max_value) &&
                       read(config, "rate", out->rate) && read_axes(config, *out);
  if (!is_read || (named->is_old && !read(config, "m", out->max_value))) return std::nullopt;
  return out;
}

}  // namespace tusk
