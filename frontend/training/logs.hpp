// Values by name, as callbacks get them: in the order in which they came, which is by name but for what callbacks add.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tusk {

class Logs {
 public:
  using Entry = std::pair<std::string, double>;
  Logs() = default;
  explicit Logs(std::vector<Entry> entries) : entries_(std::move(entries)) { std::ranges::sort(entries_); }

  /// The value; 0 at first.
  double& operator[](std::string_view name) {
    const auto found = std::ranges::find(entries_, name, &Entry::first);
    return found != entries_.end() ? found->second : entries_.emplace_back(name, 0.0).second;
  }
  /// Null if there is none.
  const double* find(std::string_view name) const {
    const auto found = std::ranges::find(entries_, name, &Entry::first);
    return found != entries_.end() ? &found->second : nullptr;
  }
  const std::vector<Entry>& entries() const { return entries_; }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }

 private:
  std::vector<Entry> entries_;
};

}  // namespace tusk
