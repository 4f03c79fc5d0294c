#include "frontend/training/optimizer_map.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <regex>

#include "frontend/files/bytes.hpp"

namespace tusk::optimizers {
namespace {

[[noreturn]] void refuse(const std::string& message) { throw Error(error("optimizer-map", message)); }

constexpr std::size_t kLongestKey = 256;  // what reads an expression recurses

// Python's expressions are read as ECMAScript's. What those have not, or have with another meaning, is refused.
std::regex expression_of(const std::string& key) {
  if (key.size() > kLongestKey) refuse(fmt::format("a key of {} bytes; expected at most {}", key.size(), kLongestKey));
  for (const std::string_view other : {"\\A", "\\Z", "(?P", "(?<", "(?i", "(?#", "*+", "++", "?+", "[["}) {
    if (key.find(other) != std::string::npos)
      refuse(fmt::format("the key {} has {}, which is not supported", in_quotes(key), other));
  }
  auto flags = std::regex::ECMAScript;
#ifdef __GLIBCXX__
  flags |= std::regex_constants::__polynomial;  // in time that does not explode
#endif
  try {
    return std::regex(key, flags);
  } catch (const std::regex_error&) {
    refuse(fmt::format("the key {} is no regular expression", in_quotes(key)));
  }
}

}  // namespace

OptimizerMap::OptimizerMap(Optimizer default_optimizer, Entries optimizer_map)
    : default_(std::move(default_optimizer)), entries_(std::move(optimizer_map)) {
  if (!default_) refuse("there is no default optimizer");
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const std::string& key = entries_[i].first;
    if (!entries_[i].second) refuse(fmt::format("the key {} has no optimizer", in_quotes(key)));
    (void)expression_of(key);
    for (std::size_t k = 0; k < i; ++k) {
      if (entries_[k].first == key) refuse(fmt::format("the key {} stands there twice", in_quotes(key)));
    }
  }
  for (const Optimizer& each : optimizers()) {
    if (each.class_name() == "LossScaleOptimizer" || each.class_name() == "MultiOptimizer")
      refuse(fmt::format("{} is a {}, which cannot be one of several optimizers", each.name(), each.class_name()));
  }
}

const Optimizer& OptimizerMap::operator[](std::string_view path) const {
  const auto named = std::ranges::find(entries_, path, &Entries::value_type::first);
  if (named != entries_.end()) return named->second;
  const Optimizer* found = nullptr;
  for (const auto& [key, optimizer] : entries_) {
    if (!std::regex_match(path.begin(), path.end(), expression_of(key))) continue;
    if (found != nullptr) refuse(fmt::format("several keys are met by the weight {}", path));
    found = &optimizer;
  }
  return found != nullptr ? *found : default_;
}

std::vector<Optimizer> OptimizerMap::optimizers() const {
  std::vector<Optimizer> out;
  const auto add = [&](const Optimizer& optimizer) {
    const bool is_new = std::ranges::none_of(out, [&](const Optimizer& o) { return &o.base() == &optimizer.base(); });
    if (optimizer && is_new) out.push_back(optimizer);
  };
  for (const auto& [key, optimizer] : entries_) add(optimizer);
  add(default_);
  return out;
}

}  // namespace tusk::optimizers
