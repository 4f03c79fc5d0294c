// JSON as Python writes it: NaN and Infinity are numbers. Depth is bounded before anything recurses.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "ir/base/expected.hpp"

namespace tusk {

/// Deeper nesting is refused: everything that walks a configuration recurses.
inline constexpr int kMaxJsonDepth = 200;

/// The value of a whole text. `name` stands for the text in messages, which give line, column and byte. Of two equal
/// keys the last one wins, as in Python. Objects lose the order of their keys; those under the key `pairs` that have no
/// `class_name` become lists of [key, value] instead.
Expected<nlohmann::json> parse_json(std::string_view text, std::string_view name, std::string_view pairs = {});

/// The value under a key: null where there is none, or no object.
const nlohmann::json* member(const nlohmann::json& object, const char* key);
/// The text under a key: empty where there is none.
std::string text_member(const nlohmann::json& object, const char* key);

/// The text of a value as Python writes it: with words for the numbers that JSON does not have. The library's own text
/// has null for them. Throws the library's exception at a text that is not UTF-8.
template <class Json>
std::string python_json(const Json& value) {
  if (value.is_number_float() && !std::isfinite(value.template get<double>())) {
    const auto number = value.template get<double>();
    return std::isnan(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity";
  }
  if (!value.is_structured()) return value.dump();
  std::string out;
  for (const auto& [key, entry] : value.items())
    out += (out.empty() ? "" : ",") + (value.is_object() ? Json(key).dump() + ":" : "") + python_json(entry);
  return value.is_object() ? "{" + out + "}" : "[" + out + "]";
}

}  // namespace tusk
