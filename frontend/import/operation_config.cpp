#include "frontend/import/operation_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "frontend/import/fields.hpp"

namespace tusk::layer_config {
namespace {

using ops::Argument;

constexpr std::int64_t kMostElements = std::int64_t{1} << 28;
// Of lists, each of whose elements is an argument of its own; arrays take a fraction of that.
constexpr std::size_t kMostListed = std::size_t{1} << 18;

class ArgumentReader {
 public:
  explicit ArgumentReader(std::string layer) : layer_(std::move(layer)) {}

  Argument read(const json& value) {
    if (value.is_null()) return {};
    if (value.is_boolean()) return value.get<bool>();
    if (value.is_number_integer()) return integer(value);
    if (value.is_number()) return value.get<double>();
    if (value.is_string()) return value.get<std::string>();
    if (value.is_array()) {
      listed_ += value.size();
      if (listed_ > kMostListed) {
        fail("call-argument", fmt::format("it is called with lists of more than {} elements", kMostListed), layer_);
      }
      Argument::List list;
      list.reserve(value.size());
      for (const json& entry : value) list.push_back(read(entry));
      return list;
    }
    return object(value);
  }

  std::vector<Reference> reads;  // of what has been read since it was last taken

 private:
  [[noreturn]] void refuse(const json& value) const {
    fail("call-argument", fmt::format("it is called with {}, which is no argument", json_text(value)), layer_);
  }

  std::int64_t integer(const json& value) const {
    if (value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX) refuse(value);
    return value.get<std::int64_t>();
  }

  Argument object(const json& value) {
    const std::string class_name = text_of(value, "class_name");
    const json config = value.value("config", json::object());
    if (!config.is_object()) refuse(value);
    if (class_name == "__keras_tensor__") {
      reads.push_back(tensor_reference(value, layer_));
      return Tensor();
    }
    if (class_name == "__ellipsis__") return Argument::Ellipsis();
    if (class_name == "__slice__") return slice(config);
    if (class_name == "__numpy__" || class_name == "__tensor__") return array(config);
    if (class_name == "DTypePolicy") return text_of(config, "name");
    refuse(value);
  }

  Argument slice(const json& config) {
    ops::Slice out;
    for (const auto& [key, place] :
         {std::pair("start", &out.start), std::pair("stop", &out.stop), std::pair("step", &out.step)}) {
      const json bound = config.value(key, json());
      if (bound.is_null()) continue;
      if (!bound.is_number_integer()) refuse(bound);
      *place = integer(bound);
      if (**place > INT32_MAX || **place < INT32_MIN) **place = **place > 0 ? INT32_MAX : INT32_MIN;
    }
    return out;
  }

  Argument array(const json& config) {
    const std::optional<DType> type = ops::dtype_named(text_of(config, "dtype"));
    const auto value = config.find("value");
    if (!type || value == config.end()) refuse(config);
    std::vector<std::int64_t> shape;
    std::int64_t count = 1;
    for (const json* inner = &*value; inner->is_array(); inner = &inner->front()) {
      shape.push_back(static_cast<std::int64_t>(inner->size()));
      count *= shape.back();
      if (count > kMostElements || shape.size() > 32) refuse(config);
      if (inner->empty()) break;
    }
    Array out(*type, shape);
    std::int64_t next = 0;
    fill(*value, 0, out, next);
    return out;
  }

  void fill(const json& value, std::size_t depth, Array& out, std::int64_t& next) {
    if (depth == out.shape().size()) {
      if (!value.is_number() && !value.is_boolean()) refuse(value);
      if (value.is_boolean()) {
        out.set(next++, value.get<bool>() ? 1 : 0);
      } else if (is_float(out.dtype())) {
        out.set(next++, value.get<double>());
      } else if (value.is_number_integer()) {
        out.set_int(next++, integer(value));
      } else {
        refuse(value);
      }
      return;
    }
    if (!value.is_array() || static_cast<std::int64_t>(value.size()) != out.shape()[depth]) refuse(value);
    for (const json& entry : value) fill(entry, depth + 1, out, next);
  }

  std::string layer_;
  std::size_t listed_ = 0;
};

/// The parameters of an operation, in order.
std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const std::size_t space = std::min(text.find(' '), text.size());
    if (text.front() != '|') out.push_back(text.substr(0, space));
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  return out;
}

}  // namespace

const ops::OperationDef* operation_of(const json& envelope) {
  const std::string module = text_of(envelope, "module");
  if (module.find(".ops.") == std::string::npos && module.find(".activations.") == std::string::npos) return nullptr;
  return ops::operation_named(text_of(envelope, "class_name"));
}

ops::Arguments arguments_of(const ops::OperationDef& def, const json& config, const json& node,
                            const std::string& layer, std::vector<Reference>& reads) {
  std::vector<std::string_view> free = words(def.parameters);
  std::string_view rest;  // takes all positional arguments that are left
  if (const auto starred = std::ranges::find_if(free, [](std::string_view word) { return word.starts_with('*'); });
      starred != free.end()) {
    rest = starred->substr(1);
    free.erase(starred);
  }
  ops::Arguments arguments;
  ArgumentReader reader(layer);
  std::map<std::string_view, std::vector<Reference>> read_by;
  const auto set = [&](std::string_view name, const json& value) {
    arguments.set(name, reader.read(value));
    read_by[name] = std::exchange(reader.reads, {});
  };
  // By name: a parameter that is left. What changes nothing may have any name.
  const auto set_named = [&](const std::string& key, const json& value) {
    const auto it = std::ranges::find(free, key);
    if (it == free.end()) {
      if (value.is_null() || value == false || key == "name" || key == "dtype" || key == "trainable") return;
      fail("call-argument", fmt::format("{} has no parameter {}, given is {}", def.name, key, json_text(value)), layer);
    }
    set(*it, value);
    free.erase(it);
  };
  for (const auto& [key, value] : config.items()) set_named(key, value);
  if (!node.is_object()) fail("call-argument", fmt::format("{} is no call", json_text(node)), layer);
  const json args = node.value("args", json::array());
  if (!args.is_array()) fail("call-argument", fmt::format("{} is no call", json_text(node)), layer);
  json left = json::array();
  for (const json& value : args) {
    if (!free.empty()) {
      set(free.front(), value);
      free.erase(free.begin());
    } else if (!rest.empty()) {
      left.push_back(value);
    } else {
      fail("call-argument", fmt::format("{} has no parameter for {}", def.name, json_text(value)), layer);
    }
  }
  // einsum("ij->ji", x) and einsum("ij->ji", [x])
  if (!rest.empty()) set(rest, left.size() == 1 && left[0].is_array() ? left[0] : left);
  const json kwargs = node.value("kwargs", json::object());
  if (kwargs.is_object()) {
    for (const auto& [key, value] : kwargs.items()) set_named(key, value);
  }
  for (const auto& [name, argument] : ops::in_order(def, arguments))
    reads.insert(reads.end(), read_by[name].begin(), read_by[name].end());
  return arguments;
}

}  // namespace tusk::layer_config
