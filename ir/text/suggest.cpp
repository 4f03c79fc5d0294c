#include "ir/text/suggest.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <vector>

namespace tusk::text {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Row i holds the distances from the first i letters of a to every beginning of b; a swap looks two rows back.
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before.swap(above);
    above.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, substituted});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

std::string suggestion(std::string_view name, std::span<const std::string_view> candidates) {
  std::string_view best;
  // Farther is no typing error, and of a name nothing may be left.
  std::size_t distance = std::min(std::max<std::size_t>(1, name.size() / 3) + 1, name.size());
  for (const std::string_view candidate : candidates) {
    // Each letter of difference in length costs one; names out of files may be long.
    const std::size_t longer = std::max(name.size(), candidate.size());
    if (longer - std::min(name.size(), candidate.size()) >= distance) continue;
    const std::size_t d = edit_distance(name, candidate);
    if (d < distance) {
      distance = d;
      best = candidate;
    }
  }
  return best.empty() ? "" : fmt::format("; did you mean `{}`?", best);
}

}  // namespace tusk::text
