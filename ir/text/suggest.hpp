// "did you mean": the nearest of a list of names.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tusk::text {

/// "; did you mean `strides`?" for the candidate with the smallest edit distance, or "" when none is near.
std::string suggestion(std::string_view name, std::span<const std::string_view> candidates);

/// The number of insertions, deletions and substitutions between two words, counting a swap of neighbours as one.
std::size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace tusk::text
