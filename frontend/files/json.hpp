// JSON as Python writes it: NaN and Infinity are numbers. Depth is bounded before anything recurses.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "ir/base/expected.hpp"

namespace tusk {

/// Deeper nesting is refused: everything that walks a configuration recurses.
inline constexpr int kMaxJsonDepth = 200;

/// The value of a whole text. `name` stands for the text in messages, which give line, column and byte. Of two equal
/// keys the last one wins, as in Python.
Expected<nlohmann::json> parse_json(std::string_view text, std::string_view name);

}  // namespace tusk
