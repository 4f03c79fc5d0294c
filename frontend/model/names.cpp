#include "frontend/model/names.hpp"

#include <fmt/format.h>

#include <unordered_map>

#include "frontend/import/weights.hpp"

namespace tusk {
namespace {

std::unordered_map<std::string, int>& counters() {
  thread_local std::unordered_map<std::string, int> table;
  return table;
}

}  // namespace

std::string automatic_name(std::string_view class_name) {
  std::string name = snake_case(class_name);
  const int count = counters()[name]++;
  return count == 0 ? name : fmt::format("{}_{}", name, count);
}

void clear_session() { counters().clear(); }

std::string unique_name(std::string name, std::set<std::string>& taken) {
  std::string candidate = name;
  for (int i = 1; !taken.insert(candidate).second; ++i) candidate = fmt::format("{}_{}", name, i);
  return candidate;
}

}  // namespace tusk
